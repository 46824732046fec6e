//! Listening sockets and the connections they bring.

use std::fmt;
use std::fs;
use std::io;
use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use super::call::Peer;
use super::config::Endpoint;
pub(super) use crate::stream::Stream;
use crate::sys::{holder, socket};
use crate::{Error, ErrorKind, Result};

/// Where a server listens.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum LocalAddr {
    /// TCP, with the port the system chose where none was given.
    Tcp(SocketAddr),
    /// A unix socket; the path is empty for an inherited one without a name.
    Unix(PathBuf),
}

impl fmt::Display for LocalAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// A bound socket. A unix socket's file is removed with it, unless another one has taken its place.
#[derive(Debug)]
pub(super) struct Listener {
    socket: Socket,
    pub(super) address: LocalAddr,
    /// The host as it was given.
    pub(super) host: Option<String>,
    /// The file that is ours: device and inode.
    file: Option<(u64, u64)>,
    /// Whether only this user and root are served.
    private: bool,
}

#[derive(Debug)]
enum Socket {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Listener {
    pub(super) fn bind(endpoint: Endpoint, insecure: bool, backlog: i32) -> Result<Self> {
        let listener = match endpoint {
            Endpoint::Tcp { host, port } => bind_tcp(host, port, insecure)?,
            Endpoint::Unix { path, mode } => bind_unix(path, mode)?,
            Endpoint::Inherited(fd) => {
                let tcp = TcpListener::from(fd);
                match tcp.local_addr() {
                    Ok(address) => {
                        check_public(address, insecure)?;
                        let address = LocalAddr::Tcp(address);
                        Self { socket: Socket::Tcp(tcp), address, host: None, file: None, private: false }
                    }
                    Err(_) => {
                        let unix = UnixListener::from(std::os::fd::OwnedFd::from(tcp));
                        let address =
                            unix.local_addr().map_err(|e| Error::io("the inherited listener is no socket", e))?;
                        let address = LocalAddr::Unix(address.as_pathname().unwrap_or(Path::new("")).to_owned());
                        Self { socket: Socket::Unix(unix), address, host: None, file: None, private: false }
                    }
                }
            }
        };
        let prepared = socket::set_backlog(listener.as_fd(), backlog.max(1)).and_then(|()| match &listener.socket {
            Socket::Tcp(socket) => socket.set_nonblocking(true),
            Socket::Unix(socket) => socket.set_nonblocking(true),
        });
        prepared.map_err(|e| Error::io(format!("cannot listen at {}", listener.address), e))?;
        Ok(listener)
    }

    /// The next connection, ready for use; `None` for one that is not to be served.
    pub(super) fn accept(&self) -> io::Result<Option<(Stream, Peer)>> {
        match &self.socket {
            Socket::Tcp(listener) => {
                let (stream, peer) = listener.accept()?;
                // A connection that is gone already fails here; that is its own affair.
                if stream.set_nonblocking(true).and_then(|()| stream.set_nodelay(true)).is_err() {
                    return Ok(None);
                }
                Ok(Some((Stream::Tcp(stream), Peer::Tcp(peer))))
            }
            Socket::Unix(listener) => {
                let (stream, _) = listener.accept()?;
                let (uid, pid) = socket::peer_credentials(stream.as_fd());
                // Between bind(2) and chmod(2) the file had the permissions of the umask.
                let stranger = self.private && uid.is_some_and(|uid| uid != 0 && uid != socket::effective_uid());
                if stranger || stream.set_nonblocking(true).is_err() {
                    return Ok(None);
                }
                Ok(Some((Stream::Unix(stream), Peer::Unix { uid, pid })))
            }
        }
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match &self.socket {
            Socket::Tcp(socket) => socket.as_fd(),
            Socket::Unix(socket) => socket.as_fd(),
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if let (LocalAddr::Unix(path), Some(ours)) = (&self.address, self.file) {
            if identity(path).is_ok_and(|there| there == ours) {
                // Nothing is lost if it stays: the next server takes it over.
                let _ = fs::remove_file(path);
            }
        }
    }
}

fn bind_tcp(host: String, port: u16, insecure: bool) -> Result<Listener> {
    let cannot = |e| Error::io(format!("cannot listen at {host}:{port}"), e);
    let addresses: Vec<_> = (host.as_str(), port).to_socket_addrs().map_err(cannot)?.collect();
    for &address in &addresses {
        check_public(address, insecure)?;
    }
    let socket = TcpListener::bind(&addresses[..]).map_err(|e| match e.kind() {
        io::ErrorKind::AddrInUse => match holder::of_tcp_port(port) {
            Some(who) => in_use(format!("{host}:{port}"), &format!(" by {who}")),
            None => in_use(format!("{host}:{port}"), ""),
        },
        _ => cannot(e),
    })?;
    let address = LocalAddr::Tcp(socket.local_addr().map_err(cannot)?);
    Ok(Listener { socket: Socket::Tcp(socket), address, host: Some(host), file: None, private: false })
}

fn in_use(what: impl fmt::Display, by: &str) -> Error {
    Error::new(ErrorKind::Conflict, format!("cannot listen at {what}: the address is in use{by}"))
}

/// Spec section 11: without keys only loopback and unix sockets.
fn check_public(address: SocketAddr, insecure: bool) -> Result<()> {
    if insecure || address.ip().to_canonical().is_loopback() {
        return Ok(());
    }
    let message = format!(
        "refusing to listen at {address}: whoever reaches it could run programs here; listen at a loopback address or a unix socket, or allow it as insecure"
    );
    Err(Error::new(ErrorKind::Forbidden, message))
}

fn bind_unix(path: PathBuf, mode: u32) -> Result<Listener> {
    let cannot = |e| Error::io(format!("cannot listen at unix:{}", path.display()), e);
    socket::check_path(&path).map_err(cannot)?;
    let socket = match UnixListener::bind(&path) {
        Err(e) if e.kind() == io::ErrorKind::AddrInUse => {
            let is_socket = fs::symlink_metadata(&path).map_err(cannot)?.file_type().is_socket();
            let refused = UnixStream::connect(&path).is_err_and(|e| e.kind() == io::ErrorKind::ConnectionRefused);
            if !is_socket || !refused {
                return Err(in_use(format!("unix:{}", path.display()), ""));
            }
            fs::remove_file(&path).map_err(cannot)?;
            UnixListener::bind(&path)
        }
        bound => bound,
    };
    let socket = socket.map_err(cannot)?;
    fs::set_permissions(&path, fs::Permissions::from_mode(mode & 0o777)).map_err(cannot)?;
    let file = Some(identity(&path).map_err(cannot)?);
    let address = LocalAddr::Unix(path);
    Ok(Listener { socket: Socket::Unix(socket), address, host: None, file, private: mode & 0o066 == 0 })
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    fs::symlink_metadata(path).map(|file| (file.dev(), file.ino()))
}
