//! Which node, and what to say when it does not do what was asked.

use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use super::trust::is_here;
use super::{Code, ColorChoice, Command, Failure, Opt, TrustedNodes, print};
use crate::client::{DEFAULT_ENDPOINT, LookupServer, Server};
use crate::config::{ClientConfig, KnownNode};
#[cfg(feature = "tls")]
use crate::tls;
use crate::{Error, ErrorKind};

/// The options of all commands that talk to a node.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Node {
    /// `--endpoint`.
    pub endpoint: Option<String>,
    /// `--api-key`.
    pub api_key: Option<String>,
    /// `--cacert`, `--certfile` and `--keyfile`.
    #[cfg(feature = "tls")]
    pub tls: tls::Files,
    /// `--timeout`: for an answer, or for what is waited for.
    pub timeout: Option<Duration>,
    /// `--json`.
    pub json: bool,
    /// `--color`.
    pub color: ColorChoice,
    /// The key of the option and of the environment is not for this node.
    withholds: bool,
}

/// How long an answer may take where nobody says otherwise.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Gives a command the options of its node.
#[must_use]
pub fn options<T: AsMut<Node>>(command: Command<T>) -> Command<T> {
    let endpoint = Opt::value("endpoint", "URL", "The node: http://HOST:PORT, https://HOST:PORT or unix:/PATH.")
        .short('g')
        .aliases(&["connect", "gafferd-http-address"])
        .default("GAFFER_ENDPOINT, else `endpoint` of [gaffer] in ~/.gaffer/gaffer.ini, else http://127.0.0.1:5000");
    let key = Opt::value("api-key", "KEY", "The key to show the node; other users can see it here.")
        .default("GAFFER_API_KEY, else `key` of [node \"URL\"] in ~/.gaffer/gaffer.ini");
    #[cfg(feature = "tls")]
    let command = tls_options(command);
    let command = command
        .option(endpoint, |a: &mut T, v| {
            a.as_mut().endpoint = Some(v.string()?);
            Ok(())
        })
        .option(key, |a, v| {
            a.as_mut().api_key = Some(v.string()?);
            Ok(())
        });
    screen(command)
}

/// Gives a command the options of the same name that are not about a certain node: `--timeout`, `--json`, `--color`.
#[must_use]
pub fn screen<T: AsMut<Node>>(command: Command<T>) -> Command<T> {
    let timeout =
        Opt::value("timeout", "SECONDS", "How long to wait for an answer (10), or with --wait for the state (60).");
    command
        .option(timeout, |a: &mut T, v| {
            a.as_mut().timeout = Some(v.duration()?);
            Ok(())
        })
        .option(Opt::switch("json", "JSON on standard output instead of text."), |a, _| {
            a.as_mut().json = true;
            Ok(())
        })
        .option(Opt::value("color", "WHEN", "Colours: auto, always or never.").default("auto"), |a, v| {
            a.as_mut().color = v.parse()?;
            Ok(())
        })
}

/// Gives a command the options `--cacert`, `--certfile` and `--keyfile`, if this build has TLS: for those that [`options`] does not fit.
#[must_use]
pub fn secure<T: AsMut<Node>>(command: Command<T>) -> Command<T> {
    #[cfg(feature = "tls")]
    let command = tls_options(command);
    command
}

#[cfg(feature = "tls")]
fn tls_options<T: AsMut<Node>>(command: Command<T>) -> Command<T> {
    let cacert = Opt::value("cacert", "FILE", "Believe https servers that one of these authorities has signed.")
        .default("`cacert` of [node \"URL\"], else the system's");
    let certfile = Opt::value("certfile", "FILE", "The certificate to show https servers that ask for one.")
        .default("`certfile` of [node \"URL\"]");
    let keyfile = Opt::value("keyfile", "FILE", "Its key.").default("in the --certfile");
    command
        .option(cacert, |a: &mut T, v| {
            a.as_mut().tls.cacert = Some(v.path());
            Ok(())
        })
        .option(certfile, |a, v| {
            a.as_mut().tls.certfile = Some(v.path());
            Ok(())
        })
        .option(keyfile, |a, v| {
            a.as_mut().tls.keyfile = Some(v.path());
            Ok(())
        })
}

impl Node {
    /// The same with another `--endpoint`.
    #[must_use]
    pub fn at(mut self, endpoint: impl Into<String>) -> Self {
        self.endpoint = Some(endpoint.into());
        self
    }

    /// The same for a node that a lookup server has named: `--cacert` and so on are for it if it is at `https`.
    #[must_use]
    pub fn found(self, origin: &str) -> Self {
        #[cfg(feature = "tls")]
        let this = match origin.starts_with("https://") {
            true => self,
            false => Self { tls: tls::Files::default(), ..self },
        };
        #[cfg(not(feature = "tls"))]
        let this = self;
        this.at(origin)
    }

    /// The node at an address that a lookup server has named, which is not asked anything yet, and whether the key was withheld from it: whoever runs a
    /// lookup server, or registers there, could name himself. The key of the option, and of `GAFFER_API_KEY`, goes to
    ///
    /// - what is on this machine: a unix socket, or a loopback address;
    /// - `https` whose certificate one of the authorities has signed that `--cacert` names, or `cacert` of `[node "ADDRESS"]`; the system's have signed those
    ///   of strangers, too;
    /// - nodes that have a section `[node "ADDRESS"]` in the [configuration](ClientConfig::of_user);
    /// - `trusted` ones.
    ///
    /// # Errors
    ///
    /// As for [`server`](Self::server).
    pub fn named(&self, origin: &str, trusted: &[TrustedNodes]) -> Result<(Server, bool), Failure> {
        self.named_with(origin, trusted, |name| std::env::var_os(name))
    }

    fn named_with(
        &self,
        origin: &str,
        trusted: &[TrustedNodes],
        var: impl Fn(&str) -> Option<OsString>,
    ) -> Result<(Server, bool), Failure> {
        let mut node = self.clone().found(origin);
        let address = Server::new(origin).map_err(|error| Failure::usage(error.to_string()))?.address();
        let config = ClientConfig::of_user(&var)?;
        let entry = known(&config, &address)?;
        #[cfg(feature = "tls")]
        let is_ours = address.starts_with("https://") && node.files(entry).cacert.is_some();
        #[cfg(not(feature = "tls"))]
        let is_ours = false;
        let may = is_ours || entry.is_some() || is_here(&address) || trusted.iter().any(|nodes| nodes.has(&address));
        node.withholds = !may;
        let has_key = node.api_key.is_some() || text(&var, "GAFFER_API_KEY")?.is_some();
        Ok((node.server_with(None, var)?, has_key && !may))
    }

    /// A lookup server, which is not asked anything yet, with this key, that of `GAFFER_LOOKUP_KEY`, or that of `[node "ADDRESS"]` in the
    /// [configuration](ClientConfig::of_user); likewise the files of TLS.
    ///
    /// # Errors
    ///
    /// As for [`server`](Self::server).
    pub fn lookup(&self, address: &str, key: Option<&str>) -> Result<LookupServer, Failure> {
        self.lookup_with(address, key, |name| std::env::var_os(name))
    }

    fn lookup_with(
        &self,
        address: &str,
        key: Option<&str>,
        var: impl Fn(&str) -> Option<OsString>,
    ) -> Result<LookupServer, Failure> {
        let config = ClientConfig::of_user(&var)?;
        let server = LookupServer::new(address).map_err(|e| Failure::usage(e.to_string()))?;
        let server = match self.timeout {
            Some(timeout) => server.timeout(timeout),
            None => server,
        };
        let entry = known(&config, &server.address())?;
        let key = match (key, text(&var, "GAFFER_LOOKUP_KEY")?) {
            (Some(key), _) => Some(key.to_owned()),
            (None, Some(key)) => Some(key),
            (None, None) => entry.and_then(|node| node.key.clone()),
        };
        #[cfg(feature = "tls")]
        let server = match server.is_tls().then(|| self.files(entry)).filter(|files| *files != tls::Files::default()) {
            Some(files) => server.tls(&tls::Client::load(&files)?),
            None => server,
        };
        Ok(match key {
            Some(key) => server.api_key(key),
            None => server,
        })
    }

    /// The node, which is not asked anything yet: that of the option, of `GAFFER_ENDPOINT`, of the
    /// [configuration](ClientConfig::of_user), or [`DEFAULT_ENDPOINT`]; likewise the key, and the files of TLS.
    ///
    /// # Errors
    ///
    /// The address is malformed, a variable is not UTF-8, the configuration is wrong, or a file of TLS is.
    pub fn server(&self) -> Result<Server, Failure> {
        self.server_or(None)
    }

    /// The same, with the socket of a `gaffer start` (see [`attached_socket`](crate::client::attached_socket)) before the configuration.
    ///
    /// # Errors
    ///
    /// As for [`server`](Self::server).
    pub fn server_or(&self, attached: Option<&Path>) -> Result<Server, Failure> {
        self.server_with(attached, |name| std::env::var_os(name))
    }

    fn server_with(&self, attached: Option<&Path>, var: impl Fn(&str) -> Option<OsString>) -> Result<Server, Failure> {
        let text = |name| text(&var, name);
        let config = ClientConfig::of_user(&var)?;
        let address = match (&self.endpoint, text("GAFFER_ENDPOINT")?) {
            (Some(address), _) => address.clone(),
            (None, Some(address)) => address,
            (None, None) => match attached {
                Some(path) => format!("unix:{}", path.display()),
                None => config.endpoint.clone().unwrap_or_else(|| DEFAULT_ENDPOINT.to_owned()),
            },
        };
        let server = Server::new(&address)
            .map_err(|error| Failure::usage(error.to_string()))?
            .timeout(self.timeout.unwrap_or(TIMEOUT));
        let given = (self.api_key.clone(), text("GAFFER_API_KEY")?);
        let key = match given {
            (Some(key), _) | (None, Some(key)) if !self.withholds => Some(key),
            _ => known(&config, &server.address())?.and_then(|node| node.key.clone()),
        };
        #[cfg(feature = "tls")]
        let server = self.secured(server, &config)?;
        Ok(match key {
            Some(key) => server.api_key(key),
            None => server,
        })
    }

    /// What the options leave out, the configuration has.
    #[cfg(feature = "tls")]
    fn secured(&self, server: Server, config: &ClientConfig) -> Result<Server, Failure> {
        if !server.is_tls() {
            if self.tls == tls::Files::default() {
                return Ok(server);
            }
            let what = "--cacert, --certfile and --keyfile are for https";
            return Err(Failure::usage(format!("{what}, which {} is not", server.address())));
        }
        let files = self.files(known(config, &server.address())?);
        // The authorities of the system are read when the first connection needs them.
        if files == tls::Files::default() { Ok(server) } else { Ok(server.tls(&tls::Client::load(&files)?)) }
    }

    /// What the options leave out, the section about whoever is asked has.
    #[cfg(feature = "tls")]
    fn files(&self, known: Option<&KnownNode>) -> tls::Files {
        let mut files = self.tls.clone();
        if let Some(node) = known {
            files.cacert = files.cacert.or_else(|| node.cacert.clone());
            if files.certfile.is_none() {
                (files.certfile, files.keyfile) =
                    (node.certfile.clone(), files.keyfile.or_else(|| node.keyfile.clone()));
            }
        }
        files
    }

    /// Whether standard output gets colours.
    #[must_use]
    pub fn colors(&self) -> bool {
        self.color.for_stdout()
    }

    /// Prints the JSON or the text, whichever was asked for.
    ///
    /// # Errors
    ///
    /// As for [`print()`].
    pub fn print(&self, json: impl FnOnce() -> Value, text: impl FnOnce() -> String) -> Result<(), Failure> {
        print(if self.json { format!("{}\n", json()) } else { text() })
    }
}

/// A variable of the environment that is not empty.
fn text(var: &impl Fn(&str) -> Option<OsString>, name: &str) -> Result<Option<String>, Failure> {
    match var(name).filter(|value| !value.is_empty()).map(OsString::into_string) {
        Some(Err(_)) => Err(Failure::usage(format!("{name} is not UTF-8"))),
        Some(Ok(value)) => Ok(Some(value)),
        None => Ok(None),
    }
}

/// The section about whoever is at this address, however that is written there.
fn known<'a>(config: &'a ClientConfig, address: &str) -> Result<Option<&'a KnownNode>, Failure> {
    for node in &config.nodes {
        match Server::new(&node.address) {
            Ok(known) if known.address() == address => return Ok(Some(node)),
            Err(e) if e.kind() != ErrorKind::Unsupported => return Err(e.into()),
            // Another node, or one that another build can reach.
            _ => {}
        }
    }
    Ok(None)
}

/// The exit code and the words for what the node has refused.
///
/// Everything that is not found here is a job or a process.
#[must_use]
pub fn failure(error: Error) -> Failure {
    let code = match error.kind() {
        ErrorKind::NotFound | ErrorKind::Closed => Code::NoSuch,
        ErrorKind::Unreachable => Code::Unreachable,
        ErrorKind::Forbidden => Code::NotAllowed,
        ErrorKind::TimedOut => Code::TimedOut,
        _ => Code::Failed,
    };
    let advice = match code {
        Code::Unreachable => "; is gafferd running? (--endpoint or GAFFER_ENDPOINT name another node)",
        Code::NotAllowed if error.raw_os_error().is_some() => "; this user may not use the socket: try as its owner",
        Code::NotAllowed => "; a key that may is given by --api-key or GAFFER_API_KEY",
        Code::TimedOut => "; it may be busy or stopped (--timeout gives it longer)",
        _ => "",
    };
    Failure::new(code, format!("{error}{advice}"))
}

#[cfg(test)]
mod tests;
