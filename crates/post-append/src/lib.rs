//! post-append
