//! Pipes, socket pairs and `/dev/null`, and reading and writing them without waiting.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use super::{cvt, null};

/// The two ends of a stream between us and a child. Both are closed by exec.
#[derive(Debug)]
#[non_exhaustive]
pub struct Ends {
    /// Ours; does not block.
    pub ours: OwnedFd,
    /// The child's; blocks, as programs expect.
    pub child: OwnedFd,
}

/// A pipe that the child reads: its standard input.
///
/// # Errors
///
/// The operating system's, if there are no descriptors left.
pub fn input_pipe() -> io::Result<Ends> {
    let (child, ours) = pipe()?;
    set_nonblocking(&ours)?;
    Ok(Ends { ours, child })
}

/// A pipe that the child writes: its standard output or error.
///
/// # Errors
///
/// The operating system's, if there are no descriptors left.
pub fn output_pipe() -> io::Result<Ends> {
    let (ours, child) = pipe()?;
    set_nonblocking(&ours)?;
    Ok(Ends { ours, child })
}

/// A stream that both sides read and write: a custom stream.
///
/// # Errors
///
/// The operating system's, if there are no descriptors left.
pub fn socket_pair() -> io::Result<Ends> {
    use std::os::unix::net::UnixStream;
    let (ours, child) = UnixStream::pair()?;
    ours.set_nonblocking(true)?;
    Ok(Ends { ours: ours.into(), child: child.into() })
}

/// A pipe, first the end to read, then the end to write; both block and are closed by exec.
///
/// # Errors
///
/// The operating system's, if there are no descriptors left.
pub fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let mut fds: [RawFd; 2] = [-1; 2];
    // SAFETY: room for two descriptors.
    #[cfg(not(target_vendor = "apple"))]
    cvt(unsafe { libc::pipe2(fds.as_mut_ptr(), libc::O_CLOEXEC) })?;
    // SAFETY: room for two descriptors.
    #[cfg(target_vendor = "apple")]
    cvt(unsafe { libc::pipe(fds.as_mut_ptr()) })?;
    // SAFETY: both were made just now, for us.
    let (read, write) = unsafe { (OwnedFd::from_raw_fd(fds[0]), OwnedFd::from_raw_fd(fds[1])) };
    // macOS has no pipe2: a host that forks at this moment in another thread inherits them.
    #[cfg(target_vendor = "apple")]
    for fd in [&read, &write] {
        set_cloexec(fd)?;
    }
    Ok((read, write))
}

/// `/dev/null` for reading and writing, on a descriptor above the standard ones.
pub(super) fn open_null() -> io::Result<OwnedFd> {
    let fd = null::open()?;
    if fd.as_raw_fd() > 2 {
        return Ok(fd);
    }
    // The host has closed a standard descriptor. This must not pass for it.
    // SAFETY: `fd` is open, and the copy is ours.
    unsafe { Ok(OwnedFd::from_raw_fd(cvt(libc::fcntl(fd.as_raw_fd(), libc::F_DUPFD_CLOEXEC, 3))?)) }
}

/// Lets reads and writes of this descriptor return at once.
///
/// # Errors
///
/// The operating system's.
pub fn set_nonblocking(fd: &impl AsRawFd) -> io::Result<()> {
    // SAFETY: flags only.
    let flags = cvt(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_GETFL) })?;
    // SAFETY: flags only.
    cvt(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_SETFL, flags | libc::O_NONBLOCK) })?;
    Ok(())
}

#[cfg(not(target_os = "linux"))]
pub(super) fn set_cloexec(fd: &impl AsRawFd) -> io::Result<()> {
    // SAFETY: flags only.
    cvt(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_SETFD, libc::FD_CLOEXEC) }).map(drop)
}

/// Asks for a pipe that holds this many bytes; returns what it holds now.
///
/// # Errors
///
/// [`io::ErrorKind::PermissionDenied`] above the system's limit for ordinary users (1 MiB by default, see
/// pipe(7)); [`io::ErrorKind::Unsupported`] where pipes have one size.
pub fn set_pipe_size(fd: BorrowedFd<'_>, bytes: usize) -> io::Result<usize> {
    #[cfg(target_os = "linux")]
    {
        let bytes = libc::c_int::try_from(bytes).unwrap_or(libc::c_int::MAX);
        // SAFETY: a plain number.
        cvt(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_SETPIPE_SZ, bytes) }).map(|n| n as usize)
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = (fd, bytes);
        Err(io::ErrorKind::Unsupported.into())
    }
}

/// What a read or write that does not wait has done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Moved {
    /// So many bytes, at least one unless the buffer is empty.
    Bytes(usize),
    /// Nothing can be moved now; wait until the descriptor is ready.
    Blocked,
    /// Nothing will ever be moved: the end of the stream, or nobody reads any more.
    Closed,
}

/// Reads what is there, up to the size of the buffer.
///
/// # Errors
///
/// The operating system's. The end of a stream is none, nor is that of a terminal, which Linux calls `EIO`.
pub fn read(fd: BorrowedFd<'_>, buffer: &mut [u8]) -> io::Result<Moved> {
    if buffer.is_empty() {
        return Ok(Moved::Bytes(0));
    }
    moved(|| {
        // SAFETY: at most the buffer's length is written.
        unsafe { libc::read(fd.as_raw_fd(), buffer.as_mut_ptr().cast(), buffer.len()) }
    })
    .map(|moved| if moved == Moved::Bytes(0) { Moved::Closed } else { moved })
}

/// Writes as much as fits. A closed pipe raises no `SIGPIPE`, whatever the host does with that signal.
///
/// # Errors
///
/// The operating system's. That nobody reads any more is none.
pub fn write(fd: BorrowedFd<'_>, bytes: &[u8]) -> io::Result<Moved> {
    super::signal::without_sigpipe(|| {
        moved(|| {
            // SAFETY: at most the length is read.
            unsafe { libc::write(fd.as_raw_fd(), bytes.as_ptr().cast(), bytes.len()) }
        })
    })
}

fn moved(mut call: impl FnMut() -> isize) -> io::Result<Moved> {
    loop {
        if let Ok(n) = usize::try_from(call()) {
            return Ok(Moved::Bytes(n));
        }
        let error = io::Error::last_os_error();
        match error.raw_os_error() {
            Some(libc::EINTR) => {}
            Some(e) if e == libc::EAGAIN || e == libc::EWOULDBLOCK => return Ok(Moved::Blocked),
            Some(libc::EPIPE | libc::ECONNRESET | libc::EIO) => return Ok(Moved::Closed),
            _ => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use super::*;

    fn flags(fd: &OwnedFd) -> (bool, bool) {
        // SAFETY: these read flags.
        let (fd_flags, file) =
            unsafe { (libc::fcntl(fd.as_raw_fd(), libc::F_GETFD), libc::fcntl(fd.as_raw_fd(), libc::F_GETFL)) };
        (fd_flags & libc::FD_CLOEXEC != 0, file & libc::O_NONBLOCK != 0)
    }

    #[test]
    fn our_end_does_not_block_the_childs_does() {
        for ends in [input_pipe(), output_pipe(), socket_pair()] {
            let ends = ends.expect("ends");
            assert_eq!((flags(&ends.ours), flags(&ends.child)), ((true, true), (true, false)));
        }
        let null = open_null().expect("/dev/null");
        assert!(null.as_raw_fd() > 2 && flags(&null).0);
    }

    #[test]
    fn reads_without_waiting() {
        let Ends { ours, child } = output_pipe().expect("pipe");
        let mut buffer = [0; 8];
        assert_eq!(read(ours.as_fd(), &mut buffer).expect("read"), Moved::Blocked);
        assert_eq!(write(child.as_fd(), b"hello world").expect("write"), Moved::Bytes(11));
        assert_eq!(read(ours.as_fd(), &mut buffer).expect("read"), Moved::Bytes(8));
        assert_eq!(&buffer, b"hello wo");
        assert_eq!(read(ours.as_fd(), &mut []).expect("read"), Moved::Bytes(0));
        drop(child);
        assert_eq!(read(ours.as_fd(), &mut buffer).expect("read"), Moved::Bytes(3));
        assert_eq!(read(ours.as_fd(), &mut buffer).expect("read"), Moved::Closed);
    }

    #[test]
    fn writes_without_waiting() {
        let Ends { ours, child } = input_pipe().expect("pipe");
        let bytes = [b'x'; 4096];
        let mut total = 0;
        while let Moved::Bytes(n) = write(ours.as_fd(), &bytes).expect("write") {
            total += n;
        }
        assert!(total >= 4096);
        assert_eq!(write(ours.as_fd(), &bytes).expect("write"), Moved::Blocked);
        drop(child);
        assert_eq!(write(ours.as_fd(), &bytes).expect("write"), Moved::Closed);
        let Ends { ours, child } = socket_pair().expect("sockets");
        drop(child);
        assert_eq!(write(ours.as_fd(), &bytes).expect("write"), Moved::Closed);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn pipes_have_a_size() {
        let (read, _write) = pipe().expect("pipe");
        assert_eq!(set_pipe_size(read.as_fd(), 4096).expect("size"), 4096);
        assert!(set_pipe_size(read.as_fd(), 100_000).expect("size") >= 100_000);
    }
}
