//! Requests to the members of a cluster.

use std::fmt;
use std::io::{BufRead, BufReader, Read};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use ureq::Agent;
use ureq::config::Config;
use ureq::unversioned::resolver::DefaultResolver;
#[cfg(feature = "tls")]
use ureq::unversioned::transport::Connector as _;
use ureq::unversioned::transport::TcpConnector;

use super::api;
use super::settings::{Login, Settings};

/// The longest answer, and the longest message of a stream, in bytes. etcd puts up to a thousand revisions into one message.
const MAX_ANSWER: u64 = 64 << 20;

/// How long a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(2);

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// The request did not leave: nothing was done.
    NotSent(String),
    /// Whether it was done is not known.
    Unknown(String),
    /// etcd has refused it.
    Refused {
        /// gRPC's number of the error.
        code: i64,
        /// What it said.
        why: String,
    },
}

impl Fault {
    /// The sentence.
    pub(super) fn why(&self) -> &str {
        match self {
            Self::NotSent(why) | Self::Unknown(why) | Self::Refused { why, .. } => why,
        }
    }
}

/// What etcd says to those who show no token.
const NO_USER: &str = "user name is empty";

/// Whether a request was refused for its token: it has ended, it is older than a change of users and roles, or users are asked for since a moment
/// (etcd's `api/v3rpc/rpctypes/error.go`).
fn is_about_token(why: &str) -> bool {
    ["invalid auth token", "revision of auth store is old", NO_USER].iter().any(|end| why.ends_with(end))
}

/// Of gRPC: something that was named is not there.
const NOT_FOUND: i64 = 5;

/// Of gRPC: cancelled, no idea, too late, aborted, a fault inside, not available. What was asked for may happen yet.
const UNCERTAIN: [i64; 6] = [1, 2, 4, 10, 13, 14];

impl Fault {
    /// The lease is gone.
    pub(super) const fn is_lost_lease(&self) -> bool {
        matches!(self, Self::Refused { code: NOT_FOUND, .. })
    }
}

/// What sends requests, to one member as long as it answers, else to the next one.
#[derive(Debug)]
pub(super) struct Gateway {
    agent: Agent,
    /// The beginnings of their URLs.
    members: Vec<String>,
    /// The one that is asked.
    at: usize,
    timeout: Duration,
    silence: Duration,
    login: Option<Login>,
    password: Option<Password>,
    token: Option<Token>,
}

/// What reads the password anew.
#[derive(Clone)]
pub(super) struct Password(pub(super) Arc<dyn Fn() -> crate::Result<String> + Send + Sync>);

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a password")
    }
}

/// What etcd has given for a name and a password; empty where it asks nobody.
#[derive(Clone)]
struct Token(String);

/// Nothing of it.
impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a token")
    }
}

/// What connections are made by. A proxy of the environment is for the web; a redirection would be none of etcd's.
pub(super) fn agent(#[cfg(feature = "tls")] tls: Option<crate::tls::Client>) -> Agent {
    let config = Config::builder()
        .proxy(None)
        .max_redirects(0)
        .http_status_as_error(false)
        .max_idle_connections(4)
        .user_agent(concat!("gaffer/", env!("CARGO_PKG_VERSION")))
        .build();
    #[cfg(feature = "tls")]
    let connector = TcpConnector::default()
        .chain(tls.map_or_else(crate::tls::TlsConnector::default, crate::tls::TlsConnector::from));
    #[cfg(not(feature = "tls"))]
    let connector = TcpConnector::default();
    Agent::with_parts(config, connector, DefaultResolver::default())
}

fn refused(why: String) -> Fault {
    Fault::Refused { code: api::UNAUTHENTICATED, why }
}

impl Gateway {
    pub(super) fn new(settings: &Settings, agent: Agent, password: Option<Password>) -> Self {
        let scheme = if settings.tls { "https" } else { "http" };
        let members = settings.members.iter().map(|member| format!("{scheme}://{member}/v3/")).collect();
        let Settings { timeout, silence, login, .. } = settings.clone();
        Self { agent, members, at: 0, timeout, silence, login, password, token: None }
    }

    /// The member that is asked.
    pub(super) fn member(&self) -> &str {
        let url = self.members[self.at].trim_end_matches("/v3/");
        url.split_once("://").map_or(url, |(_, member)| member)
    }

    /// How many there are.
    pub(super) fn members(&self) -> usize {
        self.members.len()
    }

    /// Another member is asked from now on.
    pub(super) fn next(&mut self) {
        self.at = (self.at + 1) % self.members.len();
    }

    /// Asks for something that may be done twice: each member in turn, until one answers.
    pub(super) fn ask(&mut self, path: &str, body: &Value) -> Result<Value, Fault> {
        let mut outcome = self.send(path, body);
        for _ in 1..self.members.len() {
            match outcome {
                Err(Fault::NotSent(_) | Fault::Unknown(_)) => outcome = self.send(path, body),
                _ => break,
            }
        }
        outcome
    }

    /// Asks for something that must not be done twice: a member that could not be reached is passed over.
    pub(super) fn tell(&mut self, path: &str, body: &Value) -> Result<Value, Fault> {
        let mut outcome = self.send(path, body);
        for _ in 1..self.members.len() {
            match outcome {
                Err(Fault::NotSent(_)) => outcome = self.send(path, body),
                _ => break,
            }
        }
        outcome
    }

    /// Asks one member; the next one is asked after it if it does not answer.
    fn send(&mut self, path: &str, body: &Value) -> Result<Value, Fault> {
        let mut outcome = self.log_in().and_then(|()| self.exchange(path, body));
        // What is refused for that was not done.
        if matches!(&outcome, Err(Fault::Refused { why, .. }) if self.token.is_some() && is_about_token(why)) {
            self.log_out();
            outcome = self.log_in().and_then(|()| self.exchange(path, body));
        }
        if matches!(outcome, Err(Fault::NotSent(_) | Fault::Unknown(_))) {
            self.next();
        }
        outcome
    }

    fn exchange(&self, path: &str, body: &Value) -> Result<Value, Fault> {
        let (status, answer) = self.post(path, body, None)?;
        let mut text = Vec::new();
        let read = answer.take(MAX_ANSWER).read_to_end(&mut text);
        read.map_err(|e| Fault::Unknown(self.words(&ureq::Error::Io(e))))?;
        self.answer(status, &text)
    }

    /// Gets a token, where one is needed and there is none. A password that is refused may have been changed.
    fn log_in(&mut self) -> Result<(), Fault> {
        let Some(login) = self.login.clone().filter(|_| self.token.is_none()) else { return Ok(()) };
        let token = match self.authenticate(&login) {
            Err(Fault::Refused { code: api::UNAUTHENTICATED, why }) => {
                let password = self.password.as_ref().map(|Password(read)| read()).transpose();
                let password = password.map_err(|e| refused(format!("{why}; {e}")))?;
                let Some(password) = password.filter(|new| *new != login.password) else { return Err(refused(why)) };
                let login = Login { password, ..login };
                let token = self.authenticate(&login)?;
                self.login = Some(login);
                token
            }
            outcome => outcome?,
        };
        self.token = Some(token);
        Ok(())
    }

    fn authenticate(&self, login: &Login) -> Result<Token, Fault> {
        let asked = self.exchange("auth/authenticate", &api::authenticate(&login.user, &login.password));
        let token = match asked {
            Ok(answer) => api::token(&answer)
                .ok_or_else(|| Fault::NotSent(format!("{}: the answer is not that of etcd", self.member())))?,
            // As etcd's own clients have it: who asks nobody lets everybody in.
            Err(Fault::Refused { code: api::FAILED_PRECONDITION, .. }) => String::new(),
            // Whatever it is, the request itself has not left, and smaller ones would not do better.
            Err(Fault::Refused { why, .. }) => return Err(refused(why)),
            Err(Fault::Unknown(why) | Fault::NotSent(why)) => return Err(Fault::NotSent(why)),
        };
        Ok(Token(token))
    }

    /// The next request gets a new token. Returns whether there was an old one.
    pub(super) fn log_out(&mut self) -> bool {
        self.token.take().is_some()
    }

    fn answer(&self, status: u16, text: &[u8]) -> Result<Value, Fault> {
        let strange = || Fault::Unknown(format!("{}: the answer ({status}) is not that of etcd", self.member()));
        let answer: Value = serde_json::from_slice(text).map_err(|_| strange())?;
        if status == 200 {
            return Ok(answer);
        }
        let mut why = format!("{}: {}", self.member(), api::reason(&answer));
        if self.login.is_none() && why.ends_with(NO_USER) {
            why += " (registry_user, registry_password_file)";
        }
        match api::code(&answer) {
            Some(code) if !UNCERTAIN.contains(&code) => Err(Fault::Refused { code, why }),
            Some(_) => Err(Fault::Unknown(why)),
            None => Err(strange()),
        }
    }

    /// Opens a stream of messages at the member that is asked.
    pub(super) fn stream(&mut self, path: &str, body: &Value) -> Result<Messages, Fault> {
        self.log_in()?;
        let (status, answer) = self.post(path, body, Some(self.silence))?;
        if status != 200 {
            let mut text = Vec::new();
            let _ = answer.take(64 << 10).read_to_end(&mut text);
            return Err(self.answer(status, &text).err().unwrap_or_else(|| Fault::Unknown("no stream".to_owned())));
        }
        Ok(Messages::new(answer))
    }

    fn post(&self, path: &str, body: &Value, silence: Option<Duration>) -> Result<(u16, impl Read + use<>), Fault> {
        // A member that has lost the others says so instead of being silent: gRPC's metadata `hasleader`.
        let request = self.agent.post(format!("{}{path}", self.members[self.at]));
        let request = request.header("Content-Type", "application/json").header("Grpc-Metadata-hasleader", "true");
        let request = match &self.token {
            Some(Token(token)) if !token.is_empty() => request.header("Authorization", token),
            _ => request,
        };
        let request = match silence {
            None => request.config().timeout_connect(Some(CONNECT)).timeout_global(Some(self.timeout)).build(),
            Some(silence) => request
                .config()
                .timeout_connect(Some(CONNECT))
                .timeout_send_request(Some(self.timeout))
                .timeout_recv_response(Some(self.timeout))
                .timeout_per_read(Some(silence))
                .build(),
        };
        let answer = request.send(body.to_string().as_bytes()).map_err(|e| self.fault(&e))?;
        let status = answer.status().as_u16();
        Ok((status, answer.into_body().into_with_config().limit(u64::MAX).reader()))
    }

    fn fault(&self, error: &ureq::Error) -> Fault {
        use std::io::ErrorKind;
        let why = self.words(error);
        match error {
            ureq::Error::HostNotFound
            | ureq::Error::ConnectionFailed
            | ureq::Error::Timeout(ureq::Timeout::Connect | ureq::Timeout::Resolve) => Fault::NotSent(why),
            ureq::Error::Io(e)
                if matches!(
                    e.kind(),
                    ErrorKind::ConnectionRefused | ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable
                ) =>
            {
                Fault::NotSent(why)
            }
            _ => Fault::Unknown(why),
        }
    }

    fn words(&self, error: &ureq::Error) -> String {
        let words = match error {
            ureq::Error::Timeout(_) => "no answer in time".to_owned(),
            ureq::Error::HostNotFound => "the host is not known".to_owned(),
            #[cfg(feature = "tls")]
            ureq::Error::Io(e) if crate::tls::explain(e).is_some() => crate::tls::explain(e).unwrap_or_default(),
            ureq::Error::Io(e) => e.to_string().split(" (os error").next().unwrap_or_default().to_owned(),
            other => other.to_string(),
        };
        format!("{}: {words}", self.member())
    }
}

/// The messages of a stream, one a line.
pub(super) struct Messages {
    reader: BufReader<Box<dyn Read>>,
}

/// Why there is no further message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Broken {
    /// There was none for too long. That is as it should be where nothing happens.
    Silent,
    /// The stream is broken, or is none of messages.
    Fault(String),
}

impl Messages {
    pub(super) fn new(reader: impl Read + 'static) -> Self {
        Self { reader: BufReader::new(Box::new(reader)) }
    }

    /// The next one.
    pub(super) fn next(&mut self) -> Result<Value, Broken> {
        let mut line = Vec::new();
        let read = (&mut self.reader).take(MAX_ANSWER).read_until(b'\n', &mut line);
        match read {
            Err(e) if is_timeout(&e) => Err(Broken::Silent),
            Err(e) => Err(Broken::Fault(e.to_string().split(" (os error").next().unwrap_or_default().to_owned())),
            Ok(0) => Err(Broken::Fault("it has ended the stream".to_owned())),
            Ok(n) if n as u64 == MAX_ANSWER => {
                Err(Broken::Fault(format!("a message has {MAX_ANSWER} bytes, which is too long")))
            }
            Ok(_) => serde_json::from_slice(&line).map_err(|_| Broken::Fault("a message is no JSON".to_owned())),
        }
    }
}

/// The body's reader has ureq's own error inside of the system's.
fn is_timeout(error: &std::io::Error) -> bool {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<ureq::Error>());
    matches!(inner, Some(ureq::Error::Timeout(_))) || error.kind() == std::io::ErrorKind::TimedOut
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_lines() {
        let mut messages = Messages::new(&b"{\"a\":1}\n[2]\nx\n"[..]);
        assert_eq!(messages.next(), Ok(serde_json::json!({"a": 1})));
        assert_eq!(messages.next(), Ok(serde_json::json!([2])));
        assert_eq!(messages.next(), Err(Broken::Fault("a message is no JSON".to_owned())));
        assert_eq!(messages.next(), Err(Broken::Fault("it has ended the stream".to_owned())));
    }
}
