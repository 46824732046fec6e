//! How the endpoints are protected.

use gaffer::cli::daemon::Protection;
use gaffer::config::GafferdConfig;
use gaffer::config::gafferd::Endpoint;

/// How whoever comes to this endpoint is met: whoever is asked who it is, and cannot be listened to, may come from anywhere.
pub(crate) fn protection(config: &GafferdConfig, endpoint: &Endpoint) -> Protection<'static> {
    Protection {
        keys: config.require_key,
        tls: endpoint.ssl.is_secure(),
        danger: "run any program here",
        key_setting: "require_key",
    }
}

/// Whether the one can become the other without closing.
pub(crate) fn is_same_place(one: &Endpoint, other: &Endpoint) -> bool {
    is_but_for_ssl(one, other) && one.ssl.is_secure() == other.ssl.is_secure()
}

/// Whether they differ in their certificates at most.
pub(crate) fn is_but_for_ssl(one: &Endpoint, other: &Endpoint) -> bool {
    let mut there = one.clone();
    there.ssl.clone_from(&other.ssl);
    there == *other
}
