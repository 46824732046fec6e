//! Where `gaffer start` is reached from a second terminal.
//!
//! Each application that runs has a unix socket in a folder of its user, under a name made of the application's name and
//! its folder; so whoever stands in the same folder finds it. The folder is `$XDG_RUNTIME_DIR/gaffer`, else `/tmp/gaffer-UID`,
//! which must be this user's and closed to others: in `/tmp` anybody could have made it.

use std::env;
use std::fs::{self, DirBuilder};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use crate::sys::socket::{effective_uid, peer_credentials};
use crate::{Error, ErrorKind, Result};

/// So much of an application's name is in the name of its socket: unix(7) has room for some hundred bytes in all.
const LONGEST_NAME: usize = 24;

/// The socket of an application that runs in `root`, if somebody serves it who is this user.
///
/// ```
/// assert_eq!(gaffer::client::attached_socket("/nonexistent", "shop"), None);
/// ```
#[must_use]
pub fn attached_socket(root: impl AsRef<Path>, app: &str) -> Option<PathBuf> {
    find(&folder(), root.as_ref(), app)
}

/// Where `gaffer start` shall serve the application in `root`; makes the folder.
///
/// What a server left there that has gone is for the next one to replace.
///
/// # Errors
///
/// [`Conflict`](ErrorKind::Conflict) where somebody serves it already, with the number of that process;
/// [`Forbidden`](ErrorKind::Forbidden) where the folder is not this user's alone; what the system says otherwise.
pub fn attach_at(root: impl AsRef<Path>, app: &str) -> Result<PathBuf> {
    claim(&folder(), root.as_ref(), app)
}

fn folder() -> PathBuf {
    // A relative one is to be ignored (XDG Base Directory Specification).
    match env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|dir| dir.is_absolute()) {
        Some(dir) => dir.join("gaffer"),
        None => PathBuf::from(format!("/tmp/gaffer-{}", effective_uid())),
    }
}

fn path(folder: &Path, root: &Path, app: &str) -> PathBuf {
    // Whatever way leads to it, it is one folder.
    let root = root.canonicalize().unwrap_or_else(|_| root.to_owned());
    let name: String = app.chars().filter(|c| c.is_ascii_alphanumeric() || "_+-".contains(*c)).collect();
    // All of the name counts, and two applications may share a folder.
    let hash = fnv(app.bytes().chain([0]).chain(root.as_os_str().as_bytes().iter().copied()));
    folder.join(format!("{}-{hash:016x}.sock", &name[..name.len().min(LONGEST_NAME)]))
}

/// FNV-1a, 64 bits: the same in every build, unlike the standard library's hasher.
fn fnv(bytes: impl Iterator<Item = u8>) -> u64 {
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

fn find(folder: &Path, root: &Path, app: &str) -> Option<PathBuf> {
    check(folder).ok()?;
    let path = path(folder, root, app);
    server_of(&path).map(|_| path)
}

fn claim(folder: &Path, root: &Path, app: &str) -> Result<PathBuf> {
    match DirBuilder::new().mode(0o700).create(folder) {
        Err(e) if e.kind() != io::ErrorKind::AlreadyExists => {
            return Err(Error::io(format!("cannot make '{}'", folder.display()), e));
        }
        _ => check(folder)?,
    }
    let path = path(folder, root, app);
    match server_of(&path) {
        None => Ok(path),
        Some(pid) => {
            let who = pid.map(|pid| format!(" (process {pid})")).unwrap_or_default();
            let what = format!("'{app}' in {} is started already{who}", root.display());
            Err(Error::new(ErrorKind::Conflict, what))
        }
    }
}

/// Whether only this user can put anything into a folder.
fn check(folder: &Path) -> Result<()> {
    let about = |e| Error::io(format!("'{}'", folder.display()), e);
    // Not what a link leads to: whose link it is would matter then.
    let there = fs::symlink_metadata(folder).map_err(about)?;
    let why = if !there.is_dir() {
        "it is not a folder"
    } else if there.uid() != effective_uid() {
        "it belongs to another user"
    } else if there.mode() & 0o077 != 0 {
        "others may use it; its mode should be 0700"
    } else {
        return Ok(());
    };
    Err(Error::new(ErrorKind::Forbidden, format!("'{}' is not used: {why}", folder.display())))
}

/// Whether a server listens at a socket, and which process made it, where the system tells that.
fn server_of(path: &Path) -> Option<Option<i32>> {
    let is_socket = fs::symlink_metadata(path).is_ok_and(|file| file.file_type().is_socket());
    let stream = if is_socket { UnixStream::connect(path) } else { return None };
    match stream {
        Ok(stream) => Some(peer_credentials(stream.as_fd()).1),
        // Nobody listens; anything else, a full queue say, is a server.
        Err(e) if matches!(e.kind(), io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound) => None,
        Err(_) => Some(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::net::UnixListener;
    use std::sync::atomic::{AtomicU32, Ordering};

    struct Folder(PathBuf);

    impl Folder {
        fn new() -> Self {
            static NEXT: AtomicU32 = AtomicU32::new(0);
            let unique = format!("gaffer-attach-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
            // Not in the folder for temporary files: the path of a socket may have a hundred bytes, and of that folder any number.
            let folder = Path::new("/tmp").join(unique);
            fs::create_dir(&folder).expect("a temporary folder");
            Self(folder)
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn a_socket_for_each_application_and_folder() {
        let room = Folder::new();
        let (one, two) = (room.0.join("one"), room.0.join("two"));
        fs::create_dir(&one).expect("a folder");
        std::os::unix::fs::symlink(&one, &two).expect("a link");
        let folder = Path::new("/run/user/1000/gaffer");
        let shop = path(folder, &one, "shop");
        assert_eq!(path(folder, &two, "shop"), shop, "whatever way leads there");
        assert_ne!(path(folder, &room.0, "shop"), shop);
        assert_ne!(path(folder, &one, "shop2"), shop);
        assert!(shop.to_str().is_some_and(|text| text.starts_with("/run/user/1000/gaffer/shop-")), "{shop:?}");
        let long = path(folder, &one, &"x".repeat(300));
        assert!(long.as_os_str().len() < 80);
        assert_ne!(path(folder, &one, &"x".repeat(301)), long);
    }

    #[test]
    fn one_server_an_application_and_none_that_has_gone() {
        let room = Folder::new();
        let folder = room.0.join("gaffer");
        assert_eq!(find(&folder, &room.0, "shop"), None);
        let path = claim(&folder, &room.0, "shop").expect("free");
        assert_eq!(fs::metadata(&folder).expect("made").mode() & 0o777, 0o700);
        assert_eq!(find(&folder, &room.0, "shop"), None);
        let listener = UnixListener::bind(&path).expect("free");
        assert_eq!(find(&folder, &room.0, "shop").as_ref(), Some(&path));
        assert_eq!(find(&folder, &room.0, "blog"), None);
        let error = claim(&folder, &room.0, "shop").expect_err("taken");
        assert_eq!(error.kind(), ErrorKind::Conflict);
        #[cfg(target_os = "linux")]
        assert!(error.to_string().contains(&format!("(process {})", std::process::id())), "{error}");
        drop(listener);
        assert!(path.exists(), "its file stays");
        assert_eq!(find(&folder, &room.0, "shop"), None);
        assert_eq!(claim(&folder, &room.0, "shop").expect("free again"), path);
    }

    #[test]
    fn folders_of_others_are_not_used() {
        let room = Folder::new();
        let folder = room.0.join("gaffer");
        claim(&folder, &room.0, "shop").expect("free");
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).expect("ours");
        let error = claim(&folder, &room.0, "shop").expect_err("open");
        assert!(error.kind() == ErrorKind::Forbidden && error.to_string().contains("0700"), "{error}");
        assert_eq!(find(&folder, &room.0, "shop"), None);
        let link = room.0.join("link");
        std::os::unix::fs::symlink(&folder, &link).expect("a link");
        assert!(claim(&link, &room.0, "shop").expect_err("a link").to_string().contains("not a folder"));
        assert!(claim(&room.0.join("a/b"), &room.0, "shop").is_err(), "only the last part is made");
    }
}
