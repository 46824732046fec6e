//! The thread that posts.

use std::sync::Arc;
use std::time::{Duration, Instant};

use hmac_sha256::HMAC;
use ureq::Agent;
use ureq::config::Config;
use ureq::unversioned::resolver::DefaultResolver;
#[cfg(feature = "tls")]
use ureq::unversioned::transport::Connector as _;
use ureq::unversioned::transport::TcpConnector;

use super::state::{Next, Post};
use super::{Shared, Stage};
use crate::process::json::event_json;

/// So much of an answer is read, for the connection to be used again; nobody looks at it.
const MAX_ANSWER: u64 = 64 * 1024;

/// How many connections are kept, and for how long: gafferd is quiet when nothing happens.
const MAX_IDLE: usize = 8;
const IDLE: Duration = Duration::from_secs(15);

/// What posts. A proxy of the environment is not used, and redirections are not followed: an event goes where it was
/// sent, or it fails.
pub(super) fn agent() -> Agent {
    let config = Config::builder()
        .proxy(None)
        .max_redirects(0)
        .http_status_as_error(false)
        .max_idle_connections(MAX_IDLE)
        .max_idle_age(IDLE)
        .user_agent(concat!("gaffer/", env!("CARGO_PKG_VERSION")))
        .build();
    #[cfg(feature = "tls")]
    let connector = TcpConnector::default().chain(crate::tls::TlsConnector::default());
    #[cfg(not(feature = "tls"))]
    let connector = TcpConnector::default();
    Agent::with_parts(config, connector, DefaultResolver::default())
}

/// Posts until there is nothing left and there will be nothing more.
pub(super) fn run(shared: &Shared) {
    let mut inner = shared.lock();
    loop {
        let now = Instant::now();
        match inner.state.next(now) {
            Next::End => break,
            Next::Wait(until) => inner = shared.wait(inner, until.map(|at| at.saturating_duration_since(now))),
            Next::Post { target, url, post } => {
                let (secret, timeout) = (inner.state.settings.secret.clone(), inner.state.settings.timeout);
                drop(inner);
                let outcome = send(&shared.agent, &url, &post, secret.as_deref(), timeout);
                inner = shared.lock();
                let notice = inner.state.done(target, post, outcome, Instant::now());
                if let Some(notice) = notice {
                    drop(inner);
                    shared.tell(&notice);
                    inner = shared.lock();
                }
            }
        }
    }
    inner.stage = Stage::Ended;
    shared.changed.notify_all();
}

fn send(agent: &Agent, url: &Arc<str>, post: &Post, secret: Option<&str>, timeout: Duration) -> Result<(), String> {
    let payload = event_json(&post.event, &post.topic);
    let name = payload["event"].as_str().unwrap_or_default().to_owned();
    let body = payload.to_string();
    let mut request =
        agent.post(&**url).header("Content-Type", "application/json").header("X-Gaffer-Event", name.as_str());
    if let Some(secret) = secret {
        request = request.header("X-Gaffer-Signature", signature(secret, body.as_bytes()));
    }
    let sent = request.config().timeout_global(Some(timeout)).build().send(body.as_bytes());
    let answer = sent.map_err(|e| words(&e, timeout))?;
    let status = answer.status();
    // What cannot be read is not missed: the answer was its status.
    let _ = answer.into_body().into_with_config().limit(MAX_ANSWER).read_to_vec();
    if status.is_success() { Ok(()) } else { Err(format!("the answer was {status}")) }
}

/// `sha256=` and the HMAC (RFC 2104) of the content in hexadecimal digits.
pub(super) fn signature(secret: &str, body: &[u8]) -> String {
    use std::fmt::Write;
    let mut text = "sha256=".to_owned();
    for byte in HMAC::mac(body, secret.as_bytes()) {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

fn words(error: &ureq::Error, timeout: Duration) -> String {
    match error {
        ureq::Error::Timeout(_) => format!("no answer within {} s", timeout.as_secs_f64()),
        ureq::Error::HostNotFound => "the host is not known".to_owned(),
        #[cfg(feature = "tls")]
        ureq::Error::Io(e) if crate::tls::explain(e).is_some() => crate::tls::explain(e).unwrap_or_default(),
        ureq::Error::Io(e) => e.to_string().split(" (os error").next().unwrap_or_default().to_owned(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_signatures() {
        // RFC 4231, test cases 1 and 2.
        let key = "\u{b}".repeat(20);
        let want = "sha256=b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7";
        assert_eq!(signature(&key, b"Hi There"), want);
        let want = "sha256=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
        assert_eq!(signature("Jefe", b"what do ya want for nothing?"), want);
    }
}
