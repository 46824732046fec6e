//! Reading a configuration file.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use super::{Origin, Position};
use crate::{Error, ErrorKind, Result};

/// The largest configuration file that is read, in bytes.
pub const MAX_FILE: u64 = 1024 * 1024;

/// The whole text of a file of at most [`MAX_FILE`] bytes.
pub(super) fn read(path: &Path) -> Result<String> {
    let fail = |e| Error::io(format!("cannot read {}", path.display()), e);
    let mut bytes = Vec::new();
    File::open(path).map_err(fail)?.take(MAX_FILE + 1).read_to_end(&mut bytes).map_err(fail)?;
    if bytes.len() as u64 > MAX_FILE {
        let what = format!("{} is larger than {MAX_FILE} bytes", path.display());
        return Err(Error::new(ErrorKind::Invalid, what));
    }
    String::from_utf8(bytes).map_err(|e| {
        let good = e.utf8_error().valid_up_to();
        let good = String::from_utf8_lossy(&e.as_bytes()[..good]).into_owned();
        let before = good.rsplit('\n').next().unwrap_or_default();
        let line = good.matches('\n').count() + 1;
        let origin = path.display().to_string();
        Origin(&origin).error(Position { line, before }, "this is not UTF-8")
    })
}
