//! `/dev/null`, also where there is no `/dev`.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::OwnedFd;

/// `/dev/null` for reading and writing.
///
/// A root folder that has none (an empty chroot) does not keep root from it: on Linux a node of the same device is made, opened and
/// removed again, in `/`, `/run` or `/tmp`, whichever lets us.
pub(super) fn open() -> io::Result<OwnedFd> {
    match open_at("/dev/null") {
        Ok(null) => Ok(null.into()),
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            made().map(OwnedFd::from).ok_or_else(|| io::Error::new(e.kind(), format!("cannot open /dev/null: {e}")))
        }
        Err(e) => Err(io::Error::new(e.kind(), format!("cannot open /dev/null: {e}"))),
    }
}

fn open_at(path: &str) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).open(path)
}

#[cfg(target_os = "linux")]
fn made() -> Option<File> {
    use std::time::{SystemTime, UNIX_EPOCH};

    let nanos = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos());
    let name = format!(".gaffer-null-{}-{nanos}", std::process::id());
    ["", "/run", "/tmp"].into_iter().find_map(|folder| {
        let path = format!("{folder}/{name}");
        let text = std::ffi::CString::new(path.as_str()).ok()?;
        // Linux, Documentation/admin-guide/devices.txt: character device 1, 3. SAFETY: a path ended by NUL.
        if unsafe { libc::mknod(text.as_ptr(), libc::S_IFCHR | 0o600, libc::makedev(1, 3)) } != 0 {
            return None;
        }
        let null = open_at(&path);
        // Made just now, so it can be removed; if not, a device that swallows everything does no harm.
        let _ = std::fs::remove_file(&path);
        null.ok()
    })
}

#[cfg(not(target_os = "linux"))]
fn made() -> Option<File> {
    None
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::os::unix::fs::FileTypeExt;

    #[test]
    fn one_that_is_made_is_one() {
        let check = |mut null: File| {
            assert!(null.metadata().expect("a file").file_type().is_char_device());
            null.write_all(b"gone").expect("it takes everything");
            assert_eq!(null.read(&mut [0; 8]).expect("it has nothing"), 0);
        };
        check(open().expect("/dev/null").into());
        // Only root may, and not in every container.
        if let Some(null) = made() {
            check(null);
        }
    }
}
