//! What a service manager tells a daemon by its environment, and what the daemon tells back: sd_notify(3) and
//! sd_listen_fds(3), without libsystemd.

use std::ffi::OsString;
use std::fmt;
use std::io;
use std::os::fd::{FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

use super::{cvt, daemon};

/// More descriptors than this nobody passes.
const MAX_LISTENERS: i32 = 1024;

/// What the service manager has passed.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Passed {
    /// Tells it how we are, if it wants to know.
    pub notifier: Option<Notifier>,
    /// Sockets that listen already, with their names (`LISTEN_FDNAMES`; `unknown` where there is none).
    pub listeners: Vec<(String, OwnedFd)>,
}

/// Takes what the service manager has passed, and its variables out of the environment: they are not meant for
/// children. To be called once, first thing, while the program has one thread and before it opens anything.
///
/// # Errors
///
/// There is more than one thread; `NOTIFY_SOCKET` is no address of a socket; `LISTEN_FDS` is no number or names
/// descriptors that are not open.
pub fn take() -> io::Result<Passed> {
    const NAMES: [&str; 4] = ["NOTIFY_SOCKET", "LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"];
    let [socket, pid, count, names] = NAMES.map(std::env::var_os);
    if NAMES.iter().all(|name| std::env::var_os(name).is_none()) {
        return Ok(Passed::default());
    }
    daemon::check_alone()?;
    for name in NAMES {
        // SAFETY: no other thread reads the environment meanwhile, as there is none.
        unsafe { std::env::remove_var(name) };
    }
    let notifier = socket.filter(|socket| !socket.is_empty()).map(Notifier::new).transpose()?;
    // "the daemon … should check whether LISTEN_PID equals its own PID" (sd_listen_fds(3), Notes).
    let for_us = pid.is_some_and(|pid| pid.to_str() == Some(&std::process::id().to_string()));
    let listeners = match count.filter(|_| for_us) {
        Some(count) => listeners(&count, names.unwrap_or_default())?,
        None => Vec::new(),
    };
    Ok(Passed { notifier, listeners })
}

fn listeners(count: &OsString, names: OsString) -> io::Result<Vec<(String, OwnedFd)>> {
    let invalid = |what: String| io::Error::new(io::ErrorKind::InvalidInput, what);
    let number = count.to_str().and_then(|count| count.parse().ok()).filter(|n| (0..=MAX_LISTENERS).contains(n));
    let number: i32 = number.ok_or_else(|| invalid(format!("LISTEN_FDS is {count:?}")))?;
    let names = names.to_string_lossy().into_owned();
    let mut names = names.split(':').filter(|name| !name.is_empty());
    // "starting from file descriptor 3" (SD_LISTEN_FDS_START). All are looked at before the first is ours.
    for fd in 3..3 + number {
        // SAFETY: a number that is no descriptor is an error of the call.
        cvt(unsafe { libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) })
            .map_err(|e| invalid(format!("LISTEN_FDS is {number}, but descriptor {fd} is not open: {e}")))?;
    }
    Ok((3..3 + number)
        .map(|fd| {
            // SAFETY: it is open, was passed to this process for its use, and taken once: the variables are gone.
            let fd = unsafe { OwnedFd::from_raw_fd(fd) };
            (names.next().unwrap_or("unknown").to_owned(), fd)
        })
        .collect())
}

/// Tells a service manager how we are.
pub struct Notifier {
    socket: UnixDatagram,
    address: SocketAddr,
}

impl Notifier {
    /// Tells the socket at `address`: a path, or `@name` for an abstract one.
    ///
    /// # Errors
    ///
    /// It is neither, or there is no descriptor left.
    pub fn new(address: impl Into<OsString>) -> io::Result<Self> {
        let address = address.into();
        let parsed = match address.as_bytes() {
            [b'/', ..] => SocketAddr::from_pathname(&address)?,
            #[cfg(target_os = "linux")]
            [b'@', name @ ..] => {
                use std::os::linux::net::SocketAddrExt;
                SocketAddr::from_abstract_name(name)?
            }
            _ => {
                let what = format!("NOTIFY_SOCKET is {address:?}: expected a path or @name");
                return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
            }
        };
        let socket = UnixDatagram::unbound()?;
        socket.set_nonblocking(true)?;
        Ok(Self { socket, address: parsed })
    }

    /// Sends `NAME=value` lines as one message. Never waits: one that finds the queue full is an error.
    ///
    /// # Errors
    ///
    /// The operating system's.
    pub fn send(&self, state: &str) -> io::Result<()> {
        self.socket.send_to_addr(state.as_bytes(), &self.address).map(drop)
    }

    /// `RELOADING=1`, with the time that it must have; `READY=1` says that it is over.
    ///
    /// # Errors
    ///
    /// The operating system's.
    pub fn reloading(&self) -> io::Result<()> {
        let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: points to a timespec. "MONOTONIC_USEC=… CLOCK_MONOTONIC in µs" (sd_notify(3)).
        cvt(unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut now) })?;
        self.send(&format!("RELOADING=1\nMONOTONIC_USEC={}{:06}", now.tv_sec, now.tv_nsec / 1000))
    }
}

impl fmt::Debug for Notifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Notifier").field("address", &self.address).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_by_path_and_by_abstract_name() {
        let path = std::env::temp_dir().join(format!("gaffer-notify-{}", std::process::id()));
        let receiver = UnixDatagram::bind(&path).expect("a socket");
        let notifier = Notifier::new(&path).expect("a notifier");
        std::fs::remove_file(&path).unwrap_or(());
        assert!(notifier.send("READY=1").is_err(), "its file is gone");
        drop(receiver);

        let mut bytes = [0; 100];
        #[cfg(target_os = "linux")]
        {
            use std::os::linux::net::SocketAddrExt;
            let name = format!("gaffer-notify-{}", std::process::id());
            let address = SocketAddr::from_abstract_name(&name).expect("a name");
            let receiver = UnixDatagram::bind_addr(&address).expect("a socket");
            let notifier = Notifier::new(format!("@{name}")).expect("a notifier");
            notifier.send("STATUS=well").expect("send");
            let n = receiver.recv(&mut bytes).expect("receive");
            assert_eq!(&bytes[..n], b"STATUS=well");
            notifier.reloading().expect("send");
            let n = receiver.recv(&mut bytes).expect("receive");
            let text = String::from_utf8_lossy(&bytes[..n]);
            let time = text.strip_prefix("RELOADING=1\nMONOTONIC_USEC=").expect("its lines");
            assert!(time.parse::<u64>().is_ok_and(|time| time > 0), "{text}");
        }
        let e = Notifier::new("nowhere").expect_err("no address");
        assert!(e.to_string().contains("expected a path or @name"), "{e}");
    }
}
