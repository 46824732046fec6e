//! Files below a folder, and nowhere else.

use std::ffi::CString;
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::path::Path;

use super::cvt;

/// A folder that stays the same, whatever becomes of its name.
#[derive(Debug)]
pub(crate) struct Folder(OwnedFd);

impl Folder {
    /// The folder at `path`, where links are followed.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        if file.metadata()?.is_dir() { Ok(Self(file.into())) } else { Err(io::ErrorKind::NotADirectory.into()) }
    }

    /// Opens what has the name in this folder for reading. A link is refused (`ELOOP`), nothing is waited for, and the name
    /// must be one: no `/` in it, no `.` and no `..`.
    pub(crate) fn entry(&self, name: &str) -> io::Result<File> {
        if matches!(name, "" | "." | "..") || name.contains('/') {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let name = CString::new(name)?;
        // A named pipe would wait for a writer, and a terminal could become ours.
        let flags = libc::O_RDONLY | libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_NOCTTY | libc::O_CLOEXEC;
        // SAFETY: the descriptor is open, the name ends in a nul and lives through the call.
        let fd = cvt(unsafe { libc::openat(self.0.as_raw_fd(), name.as_ptr(), flags) })?;
        // SAFETY: the call has just made this descriptor, and nobody else has it.
        Ok(unsafe { File::from_raw_fd(fd) })
    }

    /// The folder of this name in this folder; a link is refused.
    pub(crate) fn folder(&self, name: &str) -> io::Result<Self> {
        let file = self.entry(name)?;
        if file.metadata()?.is_dir() { Ok(Self(file.into())) } else { Err(io::ErrorKind::NotADirectory.into()) }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn nothing_else_is_reached() {
        let root = std::env::temp_dir().join(format!("gaffer-beneath-{}", std::process::id()));
        std::fs::create_dir_all(root.join("site/sub")).expect("folders");
        std::fs::write(root.join("secret"), "no").expect("a file");
        std::fs::write(root.join("site/sub/file"), "yes").expect("a file");
        symlink("../secret", root.join("site/link")).expect("a link");
        symlink("..", root.join("site/up")).expect("a link");
        symlink(root.join("site"), root.join("alias")).expect("a link");
        let site = Folder::open(&root.join("alias")).expect("the start may be a link");
        let mut text = String::new();
        let file = site.folder("sub").and_then(|sub| sub.entry("file"));
        file.expect("a file").read_to_string(&mut text).expect("text");
        assert_eq!(text, "yes");
        for name in ["", ".", "..", "../secret", "sub/file", "/etc/passwd", "a\0b"] {
            assert_eq!(site.entry(name).expect_err(name).kind(), io::ErrorKind::InvalidInput, "{name:?}");
        }
        assert_eq!(site.entry("link").expect_err("a link").raw_os_error(), Some(libc::ELOOP));
        assert!(site.folder("up").is_err());
        assert_eq!(site.folder("none").expect_err("none").kind(), io::ErrorKind::NotFound);
        std::fs::remove_dir_all(&root).expect("clean");
    }
}
