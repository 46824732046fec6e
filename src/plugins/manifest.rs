//! `plugin.json`.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use serde_json::Value;

use crate::{Error, ErrorKind, Result, suggest, words};

/// The longest manifest, in bytes.
const MAX: u64 = 64 * 1024;

const KEYS: [&str; 5] = ["name", "version", "description", "mandatory", "command"];

/// What a plugin says of itself.
///
/// ```
/// use gaffer::plugins::Manifest;
///
/// let manifest = Manifest::parse(r#"{"version": "1.0", "mandatory": ["console"], "command": ["./scale.py", "-v"]}"#)?;
/// assert_eq!(manifest.command.as_deref(), Some("./scale.py -v"));
/// let e = Manifest::parse(r#"{"comand": "./scale.py"}"#).unwrap_err().to_string();
/// assert_eq!(e, "a plugin has no `comand`; did you mean `command`?");
/// # Ok::<(), gaffer::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Manifest {
    /// Its name, which is that of its folder. Default: just that.
    pub name: Option<String>,
    /// Its version, for people.
    pub version: Option<String>,
    /// What it is for.
    pub description: Option<String>,
    /// Plugins without which it is of no use.
    pub mandatory: Vec<String>,
    /// Its program, as a job's [`cmd`](crate::process::JobConfig::cmd), run in its folder. In the file a text, or a list of
    /// words. Without it the plugin is a site.
    pub command: Option<String>,
}

impl Manifest {
    /// Reads the `plugin.json` of a plugin's folder; `None` if there is none.
    ///
    /// # Errors
    ///
    /// It cannot be read, has more than 64 KiB, or is not as [`parse`](Self::parse) wants it; the message names it.
    pub fn read(folder: &Path) -> Result<Option<Self>> {
        let path = folder.join("plugin.json");
        let cannot = |e| Error::io(format!("cannot read {}", path.display()), e);
        let file = match File::open(&path) {
            Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => return Ok(None),
            other => other.map_err(cannot)?,
        };
        if !file.metadata().map_err(cannot)?.is_file() {
            return Err(Error::new(ErrorKind::Invalid, format!("{} is no file", path.display())));
        }
        let mut text = String::new();
        file.take(MAX + 1).read_to_string(&mut text).map_err(cannot)?;
        if text.len() as u64 > MAX {
            return Err(Error::new(ErrorKind::Invalid, format!("{} has more than {MAX} bytes", path.display())));
        }
        Self::parse(&text).map(Some).map_err(|e| e.context(path.display()))
    }

    /// Reads a manifest.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`] for what is no JSON object, an unknown key, a value of another kind, an empty command.
    pub fn parse(text: &str) -> Result<Self> {
        let invalid = |what: String| Error::new(ErrorKind::Invalid, what);
        let value: Value = serde_json::from_str(text).map_err(|e| invalid(e.to_string()))?;
        let Value::Object(members) = value else { return Err(invalid("expected a JSON object".to_owned())) };
        let mut manifest = Self::default();
        for (key, value) in members {
            let expected = |what: &str| Err(invalid(format!("{key}: expected {what}, found {value}")));
            let text = match &value {
                Value::String(text) => Some(text.clone()),
                Value::Null => continue,
                _ => None,
            };
            let list = value.as_array().and_then(|items| {
                items.iter().map(|item| item.as_str().map(str::to_owned)).collect::<Option<Vec<String>>>()
            });
            match (key.as_str(), text, list) {
                ("name", Some(text), _) => manifest.name = Some(text),
                ("version", Some(text), _) => manifest.version = Some(text),
                ("description", Some(text), _) => manifest.description = Some(text),
                ("name" | "version" | "description", None, _) => return expected("a text"),
                ("mandatory", _, Some(list)) => manifest.mandatory = list,
                ("mandatory", ..) => return expected("a list of names"),
                ("command", Some(text), _) if !text.trim().is_empty() => manifest.command = Some(text),
                ("command", _, Some(list)) if list.first().is_some_and(|program| !program.is_empty()) => {
                    manifest.command = Some(words::join(&list));
                }
                ("command", ..) => return expected("a command line or a list of words"),
                _ => return Err(invalid(format!("a plugin has no `{key}`{}", suggest::hint(&key, KEYS)))),
            }
        }
        Ok(manifest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn good_and_bad() {
        let manifest = Manifest::parse(r#"{"name": "a", "description": null, "command": "./x -y 'z w'"}"#);
        let manifest = manifest.expect("good");
        assert_eq!((manifest.name.as_deref(), manifest.description), (Some("a"), None));
        assert_eq!(manifest.command.as_deref(), Some("./x -y 'z w'"));
        let manifest = Manifest::parse(r#"{"command": ["./x y", "$Z"]}"#).expect("good");
        assert_eq!(words::split(manifest.command.as_deref().expect("one")).expect("words").len(), 2);
        for (text, why) in [
            ("", "EOF"),
            ("[]", "expected a JSON object"),
            (r#"{"name": 1}"#, "name: expected a text, found 1"),
            (r#"{"mandatory": "a"}"#, "mandatory: expected a list of names"),
            (r#"{"mandatory": [1]}"#, "mandatory: expected a list of names"),
            (r#"{"command": " "}"#, "command: expected a command line"),
            (r#"{"command": []}"#, "command: expected a command line"),
            (r#"{"versoin": "1"}"#, "did you mean `version`?"),
        ] {
            let e = Manifest::parse(text).expect_err(text).to_string();
            assert!(e.contains(why), "{text}: {e}");
        }
    }
}
