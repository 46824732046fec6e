//! The file: replaced as a whole, so that whoever is killed leaves the old one or the new one.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::state::State;
use crate::sys::lock;
use crate::{Error, ErrorKind, Result};

/// The largest file that is read: 64 MiB.
const MAX_BYTES: u64 = 64 << 20;

/// Which file it was that was read: another one has another number, time or length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp(u64, i64, i64, u64);

#[derive(Clone, Debug)]
pub(super) struct Store {
    path: PathBuf,
}

impl Store {
    pub(super) fn new(path: &Path) -> Self {
        Self { path: path.to_owned() }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    fn beside(&self, suffix: &str) -> PathBuf {
        let mut name = self.path.as_os_str().to_owned();
        name.push(suffix);
        name.into()
    }

    fn io(&self, e: io::Error) -> Error {
        Error::io(format!("the file of keys and users '{}'", self.path.display()), e)
    }

    /// Which file is there now; `None` if there is none.
    pub(super) fn stamp(&self) -> Option<Stamp> {
        fs::metadata(&self.path).ok().map(|file| stamp(&file))
    }

    /// What the file has; nothing if there is none.
    pub(super) fn load(&self) -> Result<(State, Option<Stamp>)> {
        let mut file = match File::open(&self.path) {
            Ok(file) => file,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok((State::default(), None)),
            Err(e) => return Err(self.io(e)),
        };
        let there = file.metadata().map_err(|e| self.io(e))?;
        let invalid = |what: String| {
            let what = format!("the file of keys and users '{}': {what}", self.path.display());
            Err(Error::new(ErrorKind::Invalid, what))
        };
        let mode = there.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            return invalid(format!("others than its owner may use it (mode {mode:04o}); set its mode to 0600"));
        }
        if there.len() > MAX_BYTES {
            return invalid(format!("it has {} bytes, and {MAX_BYTES} is the most", there.len()));
        }
        let mut text = Vec::new();
        (&mut file).take(MAX_BYTES).read_to_end(&mut text).map_err(|e| self.io(e))?;
        let state = serde_json::from_slice::<Value>(&text).map_err(|e| e.to_string());
        match state.and_then(|value| State::from_json(&value)) {
            Ok(state) => Ok((state, Some(stamp(&there)))),
            Err(e) => invalid(e),
        }
    }

    /// Changes what is in the file, alone among all processes. It has what `change` leaves when this returns, and after a crash
    /// that or what was there before.
    pub(super) fn update<T>(&self, change: impl FnOnce(&mut State) -> Result<T>) -> Result<(T, State, Option<Stamp>)> {
        let fail = |e| self.io(e);
        let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(fail)?;
        let lock = private(OpenOptions::new().create(true).truncate(false).write(true), &self.beside(".lock"));
        let lock = lock.map_err(fail)?;
        lock::exclusive(&lock).map_err(fail)?;
        let (mut state, _) = self.load()?;
        let outcome = change(&mut state)?;
        let text = serde_json::to_vec_pretty(&state.to_json()).expect("a value has text for keys");
        // Only the holder of the lock writes it; what a killed one has left is not read by anybody.
        let temporary = self.beside(".new");
        let mut file = private(OpenOptions::new().create(true).truncate(true).write(true), &temporary).map_err(fail)?;
        let mut write = || {
            file.write_all(&text)?;
            file.sync_all()?;
            fs::rename(&temporary, &self.path)?;
            // The name is in the folder, which has to reach the disk too.
            File::open(folder)?.sync_all()
        };
        write().map_err(fail)?;
        let stamp = file.metadata().map(|file| stamp(&file)).map_err(fail)?;
        drop(lock);
        Ok((outcome, state, Some(stamp)))
    }
}

/// For its owner only, even if it was there with another mode.
fn private(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    let file = options.mode(0o600).custom_flags(libc::O_NOFOLLOW).open(path)?;
    file.set_permissions(fs::Permissions::from_mode(0o600))?;
    Ok(file)
}

fn stamp(file: &fs::Metadata) -> Stamp {
    Stamp(file.ino(), file.mtime(), file.mtime_nsec(), file.len())
}
