//! Bytes from a pipe into a file, without passing through this program.

use std::io;
use std::os::fd::BorrowedFd;

use super::stdio::Moved;

/// Moves up to `max` bytes from a pipe to a file at `offset`; what is in the pipe now, without waiting for more.
///
/// # Errors
///
/// [`io::ErrorKind::InvalidInput`] where `from` is no pipe or the file system cannot do it, and
/// [`io::ErrorKind::Unsupported`] where the system cannot, see splice(2); then nothing was moved. Otherwise the
/// file's, such as that the disk is full; what was not moved is still in the pipe.
#[cfg(target_os = "linux")]
pub(crate) fn splice(from: BorrowedFd<'_>, to: BorrowedFd<'_>, offset: u64, max: usize) -> io::Result<Moved> {
    use std::os::fd::AsRawFd;

    let mut at = libc::loff_t::try_from(offset).map_err(|_| io::ErrorKind::InvalidInput)?;
    loop {
        let flags = libc::SPLICE_F_MOVE | libc::SPLICE_F_NONBLOCK;
        let null = std::ptr::null_mut();
        // SAFETY: both descriptors are borrowed for the call, which writes nothing but `at`.
        let n = unsafe { libc::splice(from.as_raw_fd(), null, to.as_raw_fd(), &mut at, max, flags) };
        match usize::try_from(n) {
            Ok(0) => return Ok(Moved::Closed),
            Ok(n) => return Ok(Moved::Bytes(n)),
            Err(_) => {}
        }
        let error = io::Error::last_os_error();
        match error.raw_os_error() {
            Some(libc::EINTR) => {}
            Some(libc::EAGAIN) => return Ok(Moved::Blocked),
            Some(libc::ENOSYS) => return Err(io::ErrorKind::Unsupported.into()),
            _ => return Err(error),
        }
    }
}

/// Not here.
///
/// # Errors
///
/// Always.
#[cfg(not(target_os = "linux"))]
pub(crate) fn splice(from: BorrowedFd<'_>, to: BorrowedFd<'_>, offset: u64, max: usize) -> io::Result<Moved> {
    let _ = (from, to, offset, max);
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::fs::{self, File};
    use std::os::fd::AsFd;

    use super::*;
    use crate::sys::stdio::{self, Ends};

    #[test]
    fn from_a_pipe_to_a_place_in_a_file() {
        let path = std::env::temp_dir().join(format!("gaffer-splice-{}", std::process::id()));
        let file = File::create_new(&path).expect("a file");
        let Ends { ours, child } = stdio::output_pipe().expect("a pipe");
        let go = |offset, max| splice(ours.as_fd(), file.as_fd(), offset, max);
        assert_eq!(go(0, 10).expect("nothing"), Moved::Blocked);
        let _ = stdio::write(child.as_fd(), b"hello world").expect("write");
        // A file system may refuse; then there is nothing to test here.
        if let Ok(moved) = go(2, 5) {
            assert_eq!(moved, Moved::Bytes(5));
            assert_eq!(go(7, 100).expect("the rest"), Moved::Bytes(6));
            drop(child);
            assert_eq!(go(13, 100).expect("the end"), Moved::Closed);
            assert_eq!(fs::read(&path).expect("read"), b"\0\0hello world");
        }
        fs::remove_file(&path).expect("remove");
        let no_pipe = File::open("/dev/null").expect("/dev/null");
        assert!(splice(no_pipe.as_fd(), no_pipe.as_fd(), 0, 1).is_err());
    }
}
