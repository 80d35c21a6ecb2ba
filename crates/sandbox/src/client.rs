//! The HTTP client for functions on this machine.

use std::time::Duration;

/// Makes one that hands answers on as they are, errors and redirects included.
pub(crate) fn agent(timeout: Option<Duration>) -> ureq::Agent {
    ureq::Agent::config_builder()
        .http_status_as_error(false)
        .allow_non_standard_methods(true)
        .max_redirects(0)
        .timeout_global(timeout)
        // One in the environment leads away from this machine, with what opens sessions.
        .proxy(None)
        .build()
        .into()
}
