//! post-login
