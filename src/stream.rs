//! A connection that does not block, whichever way it goes: to a client of the server, or to a lookup server.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;

#[cfg(feature = "lookup")]
use crate::sys::socket;
#[cfg(feature = "tls")]
use crate::tls::{self, Session};

/// One end of it.
#[derive(Debug)]
pub(crate) enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
    #[cfg(feature = "tls")]
    Tls(Box<Session>),
}

impl Stream {
    /// The server's side under TLS, if this is TCP.
    #[cfg(feature = "tls")]
    pub(crate) fn accepted(self, server: &tls::Server) -> io::Result<Self> {
        match self {
            Self::Tcp(tcp) => Ok(Self::Tls(Box::new(Session::accepted(tcp, server)?))),
            other => Ok(other),
        }
    }

    /// Reads what is there; nothing of it stays here if there is room for 32 KiB.
    pub(crate) fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.read(bytes),
            Self::Unix(stream) => stream.read(bytes),
            #[cfg(feature = "tls")]
            Self::Tls(session) => session.read(bytes),
        }
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.write(bytes),
            Self::Unix(stream) => stream.write(bytes),
            #[cfg(feature = "tls")]
            Self::Tls(session) => session.write(bytes),
        }
    }

    /// Nothing more is written.
    pub(crate) fn end(&mut self) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.shutdown(Shutdown::Write),
            Self::Unix(stream) => stream.shutdown(Shutdown::Write),
            #[cfg(feature = "tls")]
            Self::Tls(session) => session.end(),
        }
    }

    /// Whether it is still being agreed upon how to talk: nothing can be sent, and its time is that of a head.
    pub(crate) fn is_handshaking(&self) -> bool {
        match self {
            #[cfg(feature = "tls")]
            Self::Tls(session) => session.is_handshaking(),
            _ => false,
        }
    }

    /// Whether something was written that is not sent yet; [writing](Self::write) nothing sends it.
    pub(crate) fn is_pending(&self) -> bool {
        match self {
            #[cfg(feature = "tls")]
            Self::Tls(session) => session.is_pending(),
            _ => false,
        }
    }

    /// Tells a peer that can be told that nothing was cut off.
    pub(crate) fn say_goodbye(&mut self) {
        match self {
            #[cfg(feature = "tls")]
            Self::Tls(session) => session.say_goodbye(),
            _ => {}
        }
    }
}

/// The side that connects.
#[cfg(feature = "lookup")]
impl Stream {
    pub(crate) fn connect_tcp(address: std::net::SocketAddr) -> io::Result<Self> {
        let stream = socket::connect_tcp(address)?;
        // Small messages must not wait for each other. If it cannot be set they do, and that is all.
        let _ = stream.set_nodelay(true);
        Ok(Self::Tcp(stream))
    }

    pub(crate) fn connect_unix(path: &std::path::Path) -> io::Result<Self> {
        socket::connect_unix(path).map(Self::Unix)
    }

    /// Under TLS with a server of this name or address; nothing is sent yet.
    #[cfg(feature = "tls")]
    pub(crate) fn connected(self, client: &tls::Client, host: &str) -> io::Result<Self> {
        match self {
            Self::Tcp(tcp) => Ok(Self::Tls(Box::new(Session::connected(tcp, client, host)?))),
            other => Ok(other),
        }
    }

    /// Goes on with the handshake of TLS; whether it is over.
    pub(crate) fn shake(&mut self) -> io::Result<bool> {
        match self {
            #[cfg(feature = "tls")]
            Self::Tls(session) => match session.shake() {
                Ok(()) => Ok(true),
                Err(e) if matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => Ok(false),
                Err(e) => Err(e),
            },
            _ => Ok(true),
        }
    }

    /// The connection of TCP, if it is one.
    fn tcp(&self) -> Option<&TcpStream> {
        match self {
            Self::Tcp(stream) => Some(stream),
            Self::Unix(_) => None,
            #[cfg(feature = "tls")]
            Self::Tls(session) => Some(session.tcp()),
        }
    }

    /// When it is closed, what was not sent is forgotten, instead of being sent for minutes to come.
    pub(crate) fn abort_on_close(&self) {
        // Without it the system tries in vain for a while, and that is all.
        let _ = self.tcp().map(socket::abort_on_close);
    }

    /// Whether the connection stands; an error if it has failed.
    pub(crate) fn is_connected(&self) -> io::Result<bool> {
        let Some(stream) = self.tcp() else { return Ok(true) };
        if let Some(error) = stream.take_error()? {
            return Err(error);
        }
        match stream.peer_addr() {
            Ok(_) => Ok(true),
            Err(e) if e.kind() == io::ErrorKind::NotConnected => Ok(false),
            Err(e) => Err(e),
        }
    }
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(stream) => stream.as_fd(),
            Self::Unix(stream) => stream.as_fd(),
            #[cfg(feature = "tls")]
            Self::Tls(session) => session.as_fd(),
        }
    }
}
