//! pre-login
