//! Where the cluster is, and how it is used.

use std::fmt;
use std::net::Ipv6Addr;
use std::str::FromStr;
use std::time::Duration;

use crate::{Error, ErrorKind, Result};

/// Where etcd listens for clients by default.
const PORT: u16 = 2379;

/// The longest prefix, in bytes.
const MAX_PREFIX: usize = 256;

/// A cluster, and how it is used.
///
/// ```
/// use gaffer::lookup::etcd::Settings;
///
/// let settings: Settings = "etcd://10.0.0.1:2379,10.0.0.2,[fd00::3]/site-a/lookup".parse()?;
/// assert_eq!(settings.members, ["10.0.0.1:2379", "10.0.0.2:2379", "[fd00::3]:2379"]);
/// assert_eq!(settings.prefix, "/site-a/lookup");
/// let e = "etcd://root:secret@10.0.0.1".parse::<Settings>().unwrap_err();
/// assert!(!e.to_string().contains("secret"), "{e}");
/// # Ok::<(), gaffer::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Settings {
    /// `HOST:PORT` of the members, which are tried in this order.
    pub members: Vec<String>,
    /// Whether they speak TLS.
    pub tls: bool,
    /// What all keys begin with; no slash at its end. Default: `/gaffer/lookup`.
    pub prefix: String,
    /// How long what this server has registered stays after its death. etcd itself may take some seconds more, above all after an election. Default: 15 s.
    pub ttl: Duration,
    /// How long one request may take. Default: 3 s.
    pub timeout: Duration,
    /// How long the stream of changes may be silent before it is opened anew: so long a member may be dead before that is noticed. Default: 5 s.
    pub silence: Duration,
    /// How often all keys are read again though nothing was missed, in case that something was. Default: 10 min.
    pub reread: Duration,
    /// Changes that wait for etcd; beyond it all of them are dropped, and everything is registered again instead. Default: 65 536.
    pub queue: usize,
    /// Registrations by other servers; those beyond are not listed, and counted as errors. Default: 16 384.
    pub registrations: usize,
    /// Where etcd wants to know who asks (`etcdctl auth enable`). Default: none.
    pub login: Option<Login>,
}

/// A user of etcd, who may read and write all keys of the [prefix](Settings::prefix). Who only has the URL does not know the password, and nothing shows it.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Login {
    /// The name.
    pub user: String,
    /// The password.
    pub password: String,
}

/// Nothing of the password.
impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login").field("user", &self.user).finish_non_exhaustive()
    }
}

impl Settings {
    /// Sets the [`ttl`](field@Self::ttl): whole seconds, 2 at least.
    #[must_use]
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = Duration::from_secs(ttl.as_secs().max(2));
        self
    }

    /// Sets the [`login`](field@Self::login).
    #[must_use]
    pub fn login(mut self, user: impl Into<String>, password: impl Into<String>) -> Self {
        self.login = Some(Login { user: user.into(), password: password.into() });
        self
    }

    /// Whether others could listen on the way to a member: neither TLS nor this machine.
    #[must_use]
    pub fn is_overheard(&self) -> bool {
        !self.tls && self.members.iter().any(|member| crate::lookup::announcer::overheard(&format!("http://{member}")))
    }
}

impl FromStr for Settings {
    type Err = Error;

    /// Reads `etcd://HOST[:PORT][,HOST[:PORT]…][/PREFIX]`, or `etcds://` for TLS.
    fn from_str(url: &str) -> Result<Self> {
        let (tls, rest) = match url.split_once("://") {
            Some(("etcd", rest)) => (false, rest),
            Some(("etcds", rest)) => (true, rest),
            _ => return Err(bad(url, "it begins with neither etcd:// nor etcds://")),
        };
        if rest.contains('@') {
            // The password is not repeated.
            return Err(bad(
                "with a user",
                "others can see it: a name and a password do not belong there but to registry_user and registry_password_file",
            ));
        }
        if let Some(byte) = rest.bytes().find(|byte| !byte.is_ascii_graphic() || b"?#\\\"'<>".contains(byte)) {
            return Err(bad(url, &format!("{:?} does not belong there", char::from(byte))));
        }
        let (members, prefix) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let mut settings = Self {
            members: Vec::new(),
            tls,
            prefix: "/gaffer/lookup".to_owned(),
            ttl: Duration::from_secs(15),
            timeout: Duration::from_secs(3),
            silence: Duration::from_secs(5),
            reread: Duration::from_secs(600),
            queue: 65_536,
            registrations: 16_384,
            login: None,
        };
        for member in members.split(',') {
            let member = authority(member).map_err(|why| bad(url, &why))?;
            if !settings.members.contains(&member) {
                settings.members.push(member);
            }
        }
        let prefix = prefix.trim_end_matches('/');
        if prefix.contains("//") || prefix.len() > MAX_PREFIX {
            return Err(bad(url, &format!("the prefix has empty parts, or more than {MAX_PREFIX} bytes")));
        }
        if !prefix.is_empty() {
            prefix.clone_into(&mut settings.prefix);
        }
        Ok(settings)
    }
}

fn bad(url: &str, why: &str) -> Error {
    let what = format!("invalid registry {url}: {why}; expected etcd://HOST:PORT[,HOST:PORT…][/PREFIX]");
    Error::new(ErrorKind::Invalid, what)
}

/// `HOST:PORT` of a member.
fn authority(member: &str) -> std::result::Result<String, String> {
    let (host, port) = match member.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => {
            let number = port.parse::<u16>().ok().filter(|n| *n > 0);
            (host, number.ok_or_else(|| format!("{port:?} is no port"))?)
        }
        _ => (member, PORT),
    };
    let good = match host.strip_prefix('[') {
        Some(v6) => v6.strip_suffix(']').is_some_and(|v6| v6.parse::<Ipv6Addr>().is_ok()),
        None => !host.is_empty() && !host.contains([':', '[', ']', '%']),
    };
    if good { Ok(format!("{host}:{port}")) } else { Err(format!("{member:?} is no HOST:PORT")) }
}

impl fmt::Display for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls { "etcds" } else { "etcd" };
        write!(f, "{scheme}://{}{}", self.members.join(","), self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls() {
        for (url, want) in [
            ("etcd://a", "etcd://a:2379/gaffer/lookup"),
            ("etcd://a/", "etcd://a:2379/gaffer/lookup"),
            ("etcds://a:1,b,a:1/x/y/", "etcds://a:1,b:2379/x/y"),
            ("etcd://[::1]:4,[::2]", "etcd://[::1]:4,[::2]:2379/gaffer/lookup"),
        ] {
            let settings: Settings = url.parse().expect(url);
            assert_eq!(settings.to_string(), want);
            assert_eq!(want.parse::<Settings>().expect(want), settings, "{url}");
        }
        for (url, why) in [
            ("", "begins with neither"),
            ("memory", "begins with neither"),
            ("http://a:2379", "begins with neither"),
            ("etcd://", "is no HOST:PORT"),
            ("etcd://a,,b", "is no HOST:PORT"),
            ("etcd://a:x", "\"x\" is no port"),
            ("etcd://a:0", "\"0\" is no port"),
            ("etcd://a:70000", "\"70000\" is no port"),
            ("etcd://::1", "is no HOST:PORT"),
            ("etcd://[x]:1", "is no HOST:PORT"),
            ("etcd://a b", "' ' does not belong there"),
            ("etcd://a?x", "'?' does not belong there"),
            ("etcd://a//x", "the prefix has empty parts"),
            ("etcd://me:secret@a", "a name and a password do not belong there"),
        ] {
            let e = url.parse::<Settings>().expect_err(url).to_string();
            assert!(e.contains(why) && !e.contains("secret"), "{e}");
        }
    }
}
