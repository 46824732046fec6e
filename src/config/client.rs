//! What the command line tools remember of nodes: `~/.gaffer/gaffer.ini`.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::files::read;
use super::ini::{Entry, Ini, Section};
use crate::suggest::hint;
use crate::{Error, ErrorKind, Result};

/// The configuration of the tools that talk to a node.
///
/// ```
/// use gaffer::config::ClientConfig;
///
/// let text = "[gaffer]\nendpoint = unix:/run/gafferd.sock\n\n[node \"http://10.0.0.7:5000\"]\nkey = 4f1c\n";
/// let config = ClientConfig::parse(text, "gaffer.ini")?;
/// assert_eq!(config.endpoint.as_deref(), Some("unix:/run/gafferd.sock"));
/// assert_eq!((config.nodes[0].address.as_str(), config.nodes[0].key.as_deref()), ("http://10.0.0.7:5000", Some("4f1c")));
/// # Ok::<(), gaffer::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClientConfig {
    /// `endpoint` of `[gaffer]`: the node that is meant where nobody names one. Default none.
    pub endpoint: Option<String>,
    /// The sections `[node "ADDRESS"]`, whose addresses differ.
    pub nodes: Vec<KnownNode>,
}

/// What is known of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct KnownNode {
    /// Its address, as it is written.
    pub address: String,
    /// The API key to show it. Default none.
    pub key: Option<String>,
    /// `certfile`: the certificate to show it, PEM, as below. Default none.
    pub certfile: Option<PathBuf>,
    /// `keyfile`: its key. Default: it is in the `certfile`.
    pub keyfile: Option<PathBuf>,
    /// `cacert`: the authorities, one of which must have signed the node's. Default: those of the system. A path that is not absolute begins at the
    /// folder of the configuration.
    pub cacert: Option<PathBuf>,
}

/// Those of `[node "ADDRESS"]` that only TLS has a use for.
const TLS: [&str; 3] = ["certfile", "keyfile", "cacert"];

impl ClientConfig {
    /// Reads the text of the file `origin`, with which messages begin.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`] for what is no ini file, an unknown section or key (with the nearest one), an empty value, and
    /// a certificate for a node without `https`.
    pub fn parse(text: &str, origin: &str) -> Result<Self> {
        let mut config = Self::default();
        for section in Ini::parse(text, origin)?.sections {
            match node_address(&section.name) {
                Some(address) => config.nodes.push(known_node(&section, address, origin)?),
                None if section.name == "gaffer" => {
                    for entry in &section.entries {
                        match entry.key.as_str() {
                            "endpoint" => config.endpoint = Some(value(entry, origin)?),
                            key => return Err(unknown(entry, origin, hint(key, ["endpoint"]))),
                        }
                    }
                }
                None => {
                    let what = format!("unknown section [{}]: expected [gaffer] or [node \"ADDRESS\"]", section.name);
                    return Err(fault(origin, section.line, section.column, &what));
                }
            }
        }
        Ok(config)
    }

    /// Reads the file.
    ///
    /// # Errors
    ///
    /// It cannot be read, or as for [`parse`](Self::parse).
    pub fn load(path: &Path) -> Result<Self> {
        Self::parse(&read(path)?, &path.display().to_string())
    }

    /// Reads the file that the environment names: `GAFFER_CONFIG`, which must be there, else `~/.gaffer/gaffer.ini`,
    /// if there is one. `var` looks a variable up.
    ///
    /// # Errors
    ///
    /// As for [`load`](Self::load).
    pub fn of_user(var: impl Fn(&str) -> Option<OsString>) -> Result<Self> {
        let named = |name| var(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        if let Some(path) = named("GAFFER_CONFIG") {
            return Self::load(&path);
        }
        match named("HOME").map(|home| Self::load(&home.join(".gaffer/gaffer.ini"))) {
            Some(Err(e)) if e.kind() != ErrorKind::NotFound => Err(e),
            Some(Ok(config)) => Ok(config),
            _ => Ok(Self::default()),
        }
    }
}

/// The address in `node "ADDRESS"`.
fn node_address(section: &str) -> Option<&str> {
    let quoted = section.strip_prefix("node")?.trim();
    quoted.strip_prefix('"')?.strip_suffix('"').filter(|address| !address.is_empty())
}

fn known_node(section: &Section, address: &str, origin: &str) -> Result<KnownNode> {
    let mut node = KnownNode { address: address.to_owned(), key: None, certfile: None, keyfile: None, cacert: None };
    for entry in &section.entries {
        match entry.key.as_str() {
            "key" => node.key = Some(value(entry, origin)?),
            key if TLS.contains(&key) && address.starts_with("https:") => {
                let path = Some(Path::new(origin).with_file_name("").join(value(entry, origin)?));
                match key {
                    "certfile" => node.certfile = path,
                    "keyfile" => node.keyfile = path,
                    _ => node.cacert = path,
                }
            }
            key if TLS.contains(&key) => {
                let what = format!("`{key}` is for https, which {address} is not");
                return Err(fault(origin, entry.line, entry.column, &what));
            }
            key => return Err(unknown(entry, origin, hint(key, ["key"].into_iter().chain(TLS)))),
        }
    }
    Ok(node)
}

fn value(entry: &Entry, origin: &str) -> Result<String> {
    match entry.value.as_str() {
        "" => Err(fault(origin, entry.line, entry.value_column, &format!("`{}` is empty", entry.key))),
        text => Ok(text.to_owned()),
    }
}

fn unknown(entry: &Entry, origin: &str, hint: String) -> Error {
    fault(origin, entry.line, entry.column, &format!("unknown key `{}`{hint}", entry.key))
}

fn fault(origin: &str, line: usize, column: usize, what: &str) -> Error {
    Error::new(ErrorKind::Invalid, format!("{origin}:{line}:{column}: {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_has_its_place() {
        for (text, want) in [
            ("[gaffr]\n", "g:1:2: unknown section [gaffr]: expected [gaffer] or [node \"ADDRESS\"]"),
            ("[node]\n", "g:1:2: unknown section [node]"),
            ("[gaffer]\nendpint = x\n", "g:2:1: unknown key `endpint`; did you mean `endpoint`?"),
            ("[gaffer]\nendpoint =\n", "`endpoint` is empty"),
            ("[node \"http://h\"]\nkye = x\n", "g:2:1: unknown key `kye`; did you mean `key`?"),
            ("[node \"http://h\"]\ncertfile = x\n", "g:2:1: `certfile` is for https, which http://h is not"),
        ] {
            let e = ClientConfig::parse(text, "g").expect_err(text);
            assert!(e.to_string().contains(want), "{e}");
        }
        let good = "[node \"https://h\"]\ncertfile = x\nkey = k\n";
        let node = ClientConfig::parse(good, "/f/g").expect("good").nodes.remove(0);
        assert_eq!((node.key.as_deref(), node.certfile.as_deref()), (Some("k"), Some(Path::new("/f/x"))));
    }

    #[test]
    fn where_it_is() {
        let none = ClientConfig::of_user(|_| None).expect("nothing named");
        assert_eq!(none, ClientConfig::default());
        let nowhere = |name: &str| (name == "HOME").then(|| "/nonexistent".into());
        assert_eq!(ClientConfig::of_user(nowhere).expect("nothing there"), none);
        let named = |name: &str| (name == "GAFFER_CONFIG").then(|| "/nonexistent".into());
        assert_eq!(ClientConfig::of_user(named).expect_err("a name is a promise").kind(), ErrorKind::NotFound);
    }
}
