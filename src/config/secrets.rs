//! Keys and passwords in files, which nobody else may read.

use std::fmt;
use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::{Error, ErrorKind, Result};

/// The shortest key: 16 characters, so that nobody guesses one.
pub const MIN_KEY: usize = 16;

/// The longest key.
pub const MAX_KEY: usize = 256;

/// So many keys may be in a file.
pub const MAX_KEYS: usize = 64;

/// The longest password.
pub const MAX_PASSWORD: usize = 1024;

/// The largest file.
const MAX_BYTES: u64 = 64 << 10;

/// The keys in a file, at least one: one a line, of [`MIN_KEY`] to [`MAX_KEY`] visible ASCII characters; blank lines and those that begin with `#` are
/// skipped. Who shows a key shows the first; who asks for one takes all, so that an old and a new one are good for a while.
///
/// # Errors
///
/// The file cannot be read, others than its owner and its group may read it, or it is not as it must be. No message has a key in it.
pub fn load_keys(path: impl AsRef<Path>) -> Result<Vec<SharedKey>> {
    fn inner(path: &Path) -> Result<Vec<SharedKey>> {
        let text = secret("the keys", path)?;
        parse(&text).map_err(|what| invalid("the keys", path, &what))
    }
    inner(path.as_ref())
}

/// The password in a file: its first line, of 1 to [`MAX_PASSWORD`] bytes. There is no other line.
///
/// # Errors
///
/// As for [`load_keys`]. No message has the password in it.
pub fn load_password(path: impl AsRef<Path>) -> Result<String> {
    fn inner(path: &Path) -> Result<String> {
        let text = secret("the password", path)?;
        let line = text.strip_suffix('\n').unwrap_or(&text);
        let line = line.strip_suffix('\r').unwrap_or(line);
        let why = if line.contains(['\n', '\r', '\0']) {
            "expected one line".to_owned()
        } else if line.is_empty() || line.len() > MAX_PASSWORD {
            format!("expected 1 to {MAX_PASSWORD} bytes, found {}", line.len())
        } else {
            return Ok(line.to_owned());
        };
        Err(invalid("the password", path, &why))
    }
    inner(path.as_ref())
}

fn invalid(what: &str, path: &Path, why: &str) -> Error {
    Error::new(ErrorKind::Invalid, format!("{what} in '{}': {why}", path.display()))
}

/// The text of a file that nobody but its owner and its group may read.
fn secret(what: &str, path: &Path) -> Result<String> {
    let cannot = |e| Error::io(format!("cannot read {what} in '{}'", path.display()), e);
    let file = File::open(path).map_err(cannot)?;
    let mode = file.metadata().map_err(cannot)?.permissions().mode() & 0o777;
    if mode & 0o027 != 0 {
        let why = format!("others may read or change it (mode {mode:04o}); set its mode to 0600, or 0640");
        return Err(invalid(what, path, &why));
    }
    let mut text = String::new();
    file.take(MAX_BYTES + 1).read_to_string(&mut text).map_err(cannot)?;
    if text.len() as u64 > MAX_BYTES {
        return Err(invalid(what, path, &format!("the file has more than {MAX_BYTES} bytes")));
    }
    Ok(text)
}

/// A key that several share. It is not shown by `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct SharedKey(String);

impl SharedKey {
    /// A key of [`MIN_KEY`] to [`MAX_KEY`] visible ASCII characters.
    ///
    /// # Errors
    ///
    /// Why it is none, without the key.
    pub fn new(key: impl Into<String>) -> std::result::Result<Self, String> {
        let key = key.into();
        if !key.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err("a key has visible ASCII characters alone, and no blanks".to_owned());
        }
        if !(MIN_KEY..=MAX_KEY).contains(&key.len()) {
            let n = key.len();
            return Err(format!("a key has {MIN_KEY} to {MAX_KEY} characters, not {n}; try `openssl rand -hex 32`"));
        }
        Ok(Self(key))
    }

    /// The key itself.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl AsRef<str> for SharedKey {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SharedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

fn parse(text: &str) -> std::result::Result<Vec<SharedKey>, String> {
    let mut keys = Vec::new();
    for (n, line) in text.lines().enumerate() {
        let key = line.trim();
        if key.is_empty() || key.starts_with('#') {
            continue;
        }
        keys.push(SharedKey::new(key).map_err(|what| format!("line {}: {what}", n + 1))?);
        if keys.len() > MAX_KEYS {
            return Err(format!("there are more than {MAX_KEYS}"));
        }
    }
    if keys.is_empty() { Err("there is none; try `openssl rand -hex 32`".to_owned()) } else { Ok(keys) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn one_a_line() {
        let (a, b) = ("a".repeat(16), "b".repeat(256));
        let keys = parse(&format!("# old\n\n{a}\r\n  {b}  \n")).expect("two");
        assert_eq!(keys.iter().map(SharedKey::as_str).collect::<Vec<_>>(), [&a, &b]);
        assert_eq!(format!("{keys:?}"), "[…, …]");
        for (text, want) in [
            ("", "there is none; try"),
            ("# x\n", "there is none; try"),
            ("short\n", "line 1: a key has 16 to 256 characters, not 5"),
            ("\nsixteen characters\n", "line 2: a key has visible ASCII"),
            ("sixteen-character\u{e4}", "line 1: a key has visible ASCII"),
        ] {
            let e = parse(text).expect_err(text);
            assert!(e.starts_with(want), "{e}");
        }
        assert_eq!(parse(&format!("{a}\n").repeat(65)), Err("there are more than 64".to_owned()));
    }

    #[test]
    fn nobody_else_reads_it() {
        let path = std::env::temp_dir().join(format!("gaffer-shared-{}", std::process::id()));
        fs::write(&path, "0123456789abcdef\n").expect("written");
        for (mode, good) in [(0o600, true), (0o640, true), (0o400, true), (0o644, false), (0o660, false)] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("a mode");
            let keys = load_keys(&path);
            assert_eq!(keys.is_ok(), good, "{mode:o}");
            if let Err(e) = keys {
                assert!(e.to_string().contains("set its mode to 0600") && !e.to_string().contains("0123456"), "{e}");
            }
        }
        for (text, want) in [
            ("p\u{e4}ss word\r\n", Ok("p\u{e4}ss word")),
            ("x", Ok("x")),
            ("\n", Err("expected 1 to 1024 bytes, found 0")),
            ("tomato\nagain\n", Err("expected one line")),
        ] {
            fs::write(&path, text).expect("written");
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("a mode");
            match (load_password(&path), want) {
                (Ok(password), want) => assert_eq!(Ok(&*password), want),
                (Err(e), Err(why)) => assert!(e.to_string().ends_with(why), "{e}"),
                (Err(e), Ok(_)) => panic!("{e}"),
            }
        }
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("a mode");
        let e = load_password(&path).expect_err("everybody may read it").to_string();
        assert!(e.contains("set its mode to 0600") && !e.contains("tomato"), "{e}");
        fs::remove_file(&path).expect("it is ours");
        assert_eq!(load_keys(&path).expect_err("gone").kind(), ErrorKind::NotFound);
    }
}
