//! What the standard library does not tell of sockets, or does not let us set.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

#[cfg(feature = "server")]
use super::cvt;

/// Refuses what is too long for the address of a unix socket, and says how long it may be (unix(7): 108 bytes with a NUL on Linux).
pub(crate) fn check_path(path: &Path) -> io::Result<()> {
    // SAFETY: all zeroes is a valid address; it is plain numbers.
    let address: libc::sockaddr_un = unsafe { std::mem::zeroed() };
    let (length, most) = (path.as_os_str().as_bytes().len(), address.sun_path.len() - 1);
    if length <= most {
        return Ok(());
    }
    let what = format!("the path of a socket may have {most} bytes, and this one has {length}");
    Err(io::Error::new(io::ErrorKind::InvalidInput, what))
}

/// The user and the process at the other end of a unix socket, as they were when it connected; `None` where the system
/// does not tell.
#[must_use]
pub(crate) fn peer_credentials(socket: BorrowedFd<'_>) -> (Option<u32>, Option<i32>) {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    {
        let mut credentials = libc::ucred { pid: 0, uid: 0, gid: 0 };
        let mut length = size_of::<libc::ucred>() as libc::socklen_t;
        // SAFETY: the descriptor is open, and the kernel writes at most `length` bytes into `credentials`, which is that long.
        let done = unsafe {
            libc::getsockopt(
                socket.as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_PEERCRED,
                (&raw mut credentials).cast(),
                &raw mut length,
            )
        };
        // unix(7): a process in another pid namespace is 0.
        if done == 0 { (Some(credentials.uid), Some(credentials.pid).filter(|&pid| pid > 0)) } else { (None, None) }
    }
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    {
        let (mut uid, mut gid) = (0, 0);
        // SAFETY: the descriptor is open, and both places are valid for the call.
        let done = unsafe { libc::getpeereid(socket.as_raw_fd(), &raw mut uid, &raw mut gid) };
        (if done == 0 { Some(uid) } else { None }, None)
    }
}

/// Sets how many connections may wait to be accepted. The system has a bound of its own (`net.core.somaxconn`).
#[cfg(feature = "server")]
pub(crate) fn set_backlog(listener: BorrowedFd<'_>, backlog: i32) -> io::Result<()> {
    // SAFETY: a plain system call on an open descriptor; listen(2) may be called again.
    cvt(unsafe { libc::listen(listener.as_raw_fd(), backlog) }).map(drop)
}

/// Has the closing of a TCP connection forget what was not sent, instead of sending it for minutes to come: the other side is told once, and where
/// that does not arrive, not at all (socket(7), `SO_LINGER`).
#[cfg(feature = "lookup")]
pub(crate) fn abort_on_close(stream: &std::net::TcpStream) -> io::Result<()> {
    let linger = libc::linger { l_onoff: 1, l_linger: 0 };
    // SAFETY: the descriptor is open, and the kernel reads as many bytes of `linger` as it has.
    let done = unsafe {
        libc::setsockopt(
            stream.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_LINGER,
            (&raw const linger).cast(),
            size_of::<libc::linger>() as libc::socklen_t,
        )
    };
    cvt(done).map(drop)
}

/// Begins to connect to a TCP address. The socket does not block: it is writable once the connection stands or has failed.
#[cfg(feature = "lookup")]
pub(crate) fn connect_tcp(address: std::net::SocketAddr) -> io::Result<std::net::TcpStream> {
    use std::net::SocketAddr;
    // SAFETY: all zeroes is a valid address of either family; it is plain numbers.
    let (mut v4, mut v6): (libc::sockaddr_in, libc::sockaddr_in6) = unsafe { std::mem::zeroed() };
    let (family, place, length) = match address {
        SocketAddr::V4(address) => {
            v4.sin_family = libc::AF_INET as libc::sa_family_t;
            v4.sin_port = address.port().to_be();
            v4.sin_addr.s_addr = u32::from_ne_bytes(address.ip().octets());
            (libc::AF_INET, (&raw const v4).cast(), size_of_val(&v4))
        }
        SocketAddr::V6(address) => {
            v6.sin6_family = libc::AF_INET6 as libc::sa_family_t;
            v6.sin6_port = address.port().to_be();
            v6.sin6_addr.s6_addr = address.ip().octets();
            v6.sin6_flowinfo = address.flowinfo();
            v6.sin6_scope_id = address.scope_id();
            (libc::AF_INET6, (&raw const v6).cast(), size_of_val(&v6))
        }
    };
    let stream = std::net::TcpStream::from(stream_socket(family)?);
    stream.set_nonblocking(true)?;
    connect(stream.as_raw_fd(), place, length)?;
    Ok(stream)
}

/// The same for a unix socket, which stands at once or fails; with `WouldBlock` if too many others wait to be accepted there.
#[cfg(feature = "lookup")]
pub(crate) fn connect_unix(path: &Path) -> io::Result<std::os::unix::net::UnixStream> {
    check_path(path)?;
    // SAFETY: all zeroes is a valid address; it is plain numbers.
    let mut address: libc::sockaddr_un = unsafe { std::mem::zeroed() };
    address.sun_family = libc::AF_UNIX as libc::sa_family_t;
    let bytes = path.as_os_str().as_bytes();
    // The last byte stays zero.
    if bytes.contains(&0) {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "NUL byte in the path of a socket"));
    }
    for (place, byte) in address.sun_path.iter_mut().zip(bytes) {
        *place = *byte as libc::c_char;
    }
    let stream = std::os::unix::net::UnixStream::from(stream_socket(libc::AF_UNIX)?);
    stream.set_nonblocking(true)?;
    connect(stream.as_raw_fd(), (&raw const address).cast(), size_of_val(&address))?;
    Ok(stream)
}

#[cfg(feature = "lookup")]
fn stream_socket(family: libc::c_int) -> io::Result<std::os::fd::OwnedFd> {
    use std::os::fd::{FromRawFd, OwnedFd};
    #[cfg(any(target_os = "linux", target_os = "android", target_os = "freebsd"))]
    let flags = libc::SOCK_CLOEXEC;
    #[cfg(not(any(target_os = "linux", target_os = "android", target_os = "freebsd")))]
    let flags = 0;
    // SAFETY: a plain system call.
    let fd = cvt(unsafe { libc::socket(family, libc::SOCK_STREAM | flags, 0) })?;
    // SAFETY: the descriptor is new, and nobody else's.
    let socket = unsafe { OwnedFd::from_raw_fd(fd) };
    #[cfg(not(any(target_os = "linux", target_os = "android", target_os = "freebsd")))]
    // SAFETY: a plain system call on an open descriptor.
    cvt(unsafe { libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) })?;
    Ok(socket)
}

/// `address` points at `length` bytes of an address.
#[cfg(feature = "lookup")]
fn connect(fd: std::os::fd::RawFd, address: *const libc::sockaddr, length: usize) -> io::Result<()> {
    // SAFETY: the callers hand over an address that lives on their stack, with its size.
    match cvt(unsafe { libc::connect(fd, address, length as libc::socklen_t) }) {
        // connect(2): it goes on in the background.
        Err(e) if matches!(e.raw_os_error(), Some(libc::EINPROGRESS | libc::EINTR)) => Ok(()),
        other => other.map(drop),
    }
}

/// The name of this machine, as gethostname(2) has it.
#[cfg(feature = "lookup")]
pub(crate) fn host_name() -> io::Result<String> {
    let mut buffer = [0_u8; 256];
    // SAFETY: the buffer is as long as is said, less the last byte, which stays zero.
    cvt(unsafe { libc::gethostname(buffer.as_mut_ptr().cast(), buffer.len() - 1) })?;
    let name = buffer.split(|byte| *byte == 0).next().unwrap_or_default();
    Ok(String::from_utf8_lossy(name).into_owned())
}

/// The user this process acts as.
#[must_use]
pub(crate) fn effective_uid() -> u32 {
    // SAFETY: it takes nothing and cannot fail.
    unsafe { libc::geteuid() }
}
