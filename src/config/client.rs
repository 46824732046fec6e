//! What the command line tools remember of nodes: `~/.gaffer/gaffer.ini`.

use std::ffi::OsString;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
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
        let named = |name| named(&var, name);
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

fn named(var: &impl Fn(&str) -> Option<OsString>, name: &str) -> Option<PathBuf> {
    var(name).filter(|value| !value.is_empty()).map(PathBuf::from)
}

impl ClientConfig {
    /// The file that [`of_user`](Self::of_user) reads, whether it is there or not; `None` if the environment names none.
    #[must_use]
    pub fn file_of_user(var: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
        named(&var, "GAFFER_CONFIG").or_else(|| named(&var, "HOME").map(|home| home.join(".gaffer/gaffer.ini")))
    }

    /// Writes a key into the file: into the section of the node `is_node` says yes to, else into a new one for `address`. Everything else
    /// stays as it is; the file is replaced as a whole, and nobody but its owner may read it from then on.
    ///
    /// # Errors
    ///
    /// A file that is wrong already, as for [`load`](Self::load), or cannot be written.
    pub fn remember(path: &Path, address: &str, is_node: impl Fn(&str) -> bool, key: &str) -> Result<()> {
        // Whoever keeps it elsewhere and has a link here wants it there.
        let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        let fail = |e| Error::io(format!("cannot write '{}'", path.display()), e);
        let text = match read(&path) {
            Err(e) if e.kind() == ErrorKind::NotFound => String::new(),
            text => text?,
        };
        let origin = path.display().to_string();
        Self::parse(&text, &origin)?;
        let text = with_key(&text, &origin, address, is_node, key)?;
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        fs::create_dir_all(folder).map_err(fail)?;
        let mut temporary = path.clone().into_os_string();
        temporary.push(format!(".{}", std::process::id()));
        let mut open = OpenOptions::new();
        let mut file = open.write(true).create_new(true).mode(0o600).open(&temporary).map_err(fail)?;
        let written = file.write_all(text.as_bytes()).and_then(|()| file.sync_all());
        written.and_then(|()| fs::rename(&temporary, &path)).map_err(|e| {
            // Nobody needs half of it.
            let _ = fs::remove_file(&temporary);
            fail(e)
        })
    }
}

/// The text with this key in it.
fn with_key(text: &str, origin: &str, address: &str, is_node: impl Fn(&str) -> bool, key: &str) -> Result<String> {
    let sections = Ini::parse(text, origin)?.sections;
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let line = format!("key = {key}");
    match sections.iter().find(|section| node_address(&section.name).is_some_and(&is_node)) {
        Some(section) => match section.entries.iter().find(|entry| entry.key == "key") {
            Some(entry) => lines[entry.line - 1] = line,
            None => lines.insert(section.line, line),
        },
        None => {
            if !lines.is_empty() {
                lines.push(String::new());
            }
            lines.extend([format!("[node \"{address}\"]"), line]);
        }
    }
    Ok(lines.join("\n") + "\n")
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
    fn a_key_finds_its_place() {
        let with = |text: &str| with_key(text, "g", "http://h:1", |known| known.ends_with("h:1"), "k").expect("an ini");
        assert_eq!(with(""), "[node \"http://h:1\"]\nkey = k\n");
        let other = "[gaffer]\nendpoint = x\n# mine\n[node \"y\"]\nkey = 1\n";
        assert_eq!(with(other), format!("{other}\n[node \"http://h:1\"]\nkey = k\n"));
        let known = "[node \"h:1\"]\n# old\nkey: old\n[node \"y\"]\nkey = 1\n";
        assert_eq!(with(known), known.replace("key: old", "key = k"));
        assert_eq!(with("[node \"h:1\"]\n[gaffer]\n"), "[node \"h:1\"]\nkey = k\n[gaffer]\n");
    }

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
