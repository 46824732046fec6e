//! A file with the number of the process that runs, so that there is one.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::stats::is_zombie;
use super::{cvt, retry};
use crate::process::OsPid;
use crate::{Error, ErrorKind, Result};

/// A file that holds our process id while we run: `<pid>\n`, mode 0644.
///
/// It appears complete or not at all, and of several processes that want it at the same moment one gets it.
/// What is empty, 0, negative or the number of no process is taken over. Dropping it removes the file, if it
/// still holds our number and this is not a fork of the process that made it.
#[derive(Debug)]
pub struct Pidfile {
    path: PathBuf,
    pid: u32,
}

impl Pidfile {
    /// Takes the file at `path`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Conflict`] if it holds the number of another process that lives; [`ErrorKind::Invalid`] if it
    /// holds something else than a number; [`ErrorKind::NotFound`] if its folder does not exist; and what the
    /// operating system says.
    pub fn create(path: impl AsRef<Path>) -> Result<Self> {
        fn create(path: &Path) -> Result<Pidfile> {
            let fail = |e| Error::io(format!("cannot make the pid file '{}'", path.display()), e);
            let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
            if !folder.is_dir() {
                let what = format!("'{}' doesn't exist. Can't create pidfile '{}'", folder.display(), path.display());
                return Err(Error::new(ErrorKind::NotFound, what));
            }
            let pid = std::process::id();
            let ours = Temporary::write(path, pid).map_err(fail)?;
            loop {
                // link(2) fails where there is a file, so two newcomers cannot both succeed.
                match fs::hard_link(&ours.0, path) {
                    Ok(()) => break,
                    Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
                    Err(e) => return Err(fail(e)),
                }
                let mut old = match File::open(path) {
                    Ok(old) => old,
                    Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
                    Err(e) => return Err(fail(e)),
                };
                // Whoever replaces a stale file holds a lock on it meanwhile. One that waited for the lock finds
                // another file at the path, and looks again.
                // SAFETY: a plain call on a descriptor that is open.
                retry(|| unsafe { libc::flock(old.as_raw_fd(), libc::LOCK_EX) }).map_err(fail)?;
                let held = old.metadata().map_err(fail)?;
                match fs::metadata(path) {
                    Ok(there) if (there.dev(), there.ino()) == (held.dev(), held.ino()) => {}
                    Ok(_) => continue,
                    Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
                    Err(e) => return Err(fail(e)),
                }
                refuse_if_alive(path, &read(&mut old).map_err(fail)?, pid)?;
                fs::rename(&ours.0, path).map_err(fail)?;
                break;
            }
            Ok(Pidfile { path: path.to_owned(), pid })
        }
        create(path.as_ref())
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Pidfile {
    fn drop(&mut self) {
        let is_ours = || {
            let text = read(&mut File::open(&self.path).ok()?).ok()?;
            Some(text.trim() == self.pid.to_string())
        };
        if self.pid == std::process::id() && is_ours() == Some(true) {
            // If it cannot be removed it is stale, and the next start takes it over.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// A file beside the one that is wanted; it is removed in any case.
struct Temporary(PathBuf);

impl Temporary {
    fn write(path: &Path, pid: u32) -> io::Result<Self> {
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".{pid}"));
        let path = PathBuf::from(name);
        // One of this name was left by a process that had our number and is gone.
        match fs::remove_file(&path) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
            _ => {}
        }
        let mut file = File::create_new(&path)?;
        let temporary = Self(path);
        // Whatever the umask is, others may read it: that is what it is for.
        file.set_permissions(fs::Permissions::from_mode(0o644))?;
        file.write_all(format!("{pid}\n").as_bytes())?;
        Ok(temporary)
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        // After a rename it is not there any more.
        let _ = fs::remove_file(&self.0);
    }
}

/// What a pid file holds, as far as a number can go.
fn read(file: &mut File) -> io::Result<String> {
    let mut bytes = Vec::new();
    file.take(64).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn refuse_if_alive(path: &Path, text: &str, ours: u32) -> Result<()> {
    let text = text.trim();
    if text.is_empty() {
        return Ok(());
    }
    let Ok(pid) = text.parse::<i64>() else {
        let what = format!("the pid file '{}' holds {text:?}, not a process id; remove it", path.display());
        return Err(Error::new(ErrorKind::Invalid, what));
    };
    let Some(pid) = libc::pid_t::try_from(pid).ok().filter(|pid| *pid > 0 && i64::from(*pid) != i64::from(ours)) else {
        return Ok(());
    };
    // SAFETY: signal 0 only asks. EPERM means that there is such a process, of somebody else.
    if cvt(unsafe { libc::kill(pid, 0) }).is_err_and(|e| e.raw_os_error() == Some(libc::ESRCH)) {
        return Ok(());
    }
    // It has ended and its parent has not noticed yet: in a container that may be never.
    if is_zombie(OsPid(pid)) {
        return Ok(());
    }
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    let name = if name.is_empty() { String::new() } else { format!(" ({})", name.trim()) };
    let what =
        format!("already running on PID {pid}{name}, or the pid file '{}' is stale; then remove it", path.display());
    Err(Error::new(ErrorKind::Conflict, what))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("gaffer-pidfile-{name}-{}", std::process::id()));
            fs::create_dir(&path).expect("a folder");
            Self(path)
        }

        fn names(&self) -> Vec<String> {
            let entries = fs::read_dir(&self.0).expect("the folder").map(|entry| entry.expect("an entry").file_name());
            entries.map(|name| name.into_string().expect("UTF-8")).collect()
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn own() -> String {
        format!("{}\n", std::process::id())
    }

    #[test]
    fn holds_our_number_and_goes_with_us() {
        let folder = Folder::new("own");
        let path = folder.0.join("pid");
        let file = Pidfile::create(&path).expect("a pid file");
        assert_eq!(fs::read_to_string(&path).expect("it is there"), own());
        assert_eq!(fs::metadata(&path).expect("it is there").mode() & 0o777, 0o644);
        assert_eq!(folder.names(), ["pid"]);
        drop(file);
        assert!(folder.names().is_empty());
    }

    #[test]
    fn stale_ones_are_taken_over() {
        let folder = Folder::new("stale");
        let path = folder.0.join("pid");
        let mut child = Command::new("true").spawn().expect("true");
        let gone = format!("{}\n", child.id());
        child.wait().expect("it ends");
        for text in ["", "0", "-1\n", "99999999999", &gone, &own()] {
            fs::write(&path, text).expect("write");
            let file = Pidfile::create(&path).expect(text);
            assert_eq!(fs::read_to_string(&path).expect("it is there"), own());
            drop(file);
            assert!(folder.names().is_empty(), "{text:?}");
        }
    }

    /// As after `kill -9` where nobody reaps.
    #[cfg(target_os = "linux")]
    #[test]
    fn that_of_a_zombie_is_taken_over() {
        let folder = Folder::new("zombie");
        let path = folder.0.join("pid");
        let mut child = Command::new("true").spawn().expect("true");
        let os_pid = OsPid(child.id().try_into().expect("a process id"));
        let end = std::time::Instant::now() + std::time::Duration::from_secs(30);
        while !is_zombie(os_pid) {
            assert!(std::time::Instant::now() < end, "it does not end");
            std::thread::yield_now();
        }
        fs::write(&path, format!("{}\n", child.id())).expect("write");
        let file = Pidfile::create(&path);
        child.wait().expect("it is reaped");
        drop(file.expect("a pid file"));
        assert!(!is_zombie(os_pid), "it is reaped");
        assert!(folder.names().is_empty());
    }

    #[test]
    fn others_are_left_alone() {
        let folder = Folder::new("others");
        let path = folder.0.join("pid");
        let mut child = Command::new("sleep").arg("100").spawn().expect("sleep");
        let text = format!("{}\n", child.id());
        fs::write(&path, &text).expect("write");
        let e = Pidfile::create(&path).expect_err("it runs");
        child.kill().expect("kill");
        child.wait().expect("it ends");
        assert_eq!(e.kind(), ErrorKind::Conflict);
        assert!(e.to_string().starts_with(&format!("already running on PID {}", text.trim())), "{e}");
        assert_eq!(fs::read_to_string(&path).expect("it is there"), text);

        fs::write(&path, "x1").expect("write");
        let e = Pidfile::create(&path).expect_err("no number");
        assert!(e.to_string().ends_with("holds \"x1\", not a process id; remove it"), "{e}");
        let e = Pidfile::create(folder.0.join("no/pid")).expect_err("no folder");
        assert!(e.to_string().contains("no' doesn't exist. Can't create pidfile"), "{e}");

        fs::remove_file(&path).expect("remove");
        let file = Pidfile::create(&path).expect("a pid file");
        fs::write(&path, "1\n").expect("write");
        drop(file);
        assert_eq!(fs::read_to_string(&path).expect("it is somebody else's"), "1\n");
        assert_eq!(folder.names(), ["pid"]);
    }
}
