//! A socket that never blocks, waiting for it, and the handshake of a websocket over it.

use std::hash::{BuildHasher, RandomState};
use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
#[cfg(feature = "tls")]
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::address::Address;
use super::answer;
use super::http::Http;
use crate::Result;
use crate::proto::ws::client::Handshake;
use crate::sys::{socket, writable};
#[cfg(feature = "tls")]
use crate::tls::Session;

/// The longest head of an answer.
const MAX_HEAD: usize = 16 << 10;

/// The most fields in it.
const MAX_FIELDS: usize = 64;

/// The longest refusal that is read.
const MAX_REFUSAL: usize = 64 << 10;

/// A connection.
#[derive(Debug)]
pub(super) enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
    /// The socket to wait for, and what reads and writes it.
    #[cfg(feature = "tls")]
    Tls(TcpStream, Box<Mutex<Session>>),
}

impl Stream {
    fn connect(http: &Http, deadline: Instant) -> Result<Self> {
        let stream = match &http.address {
            // There is no connecting with a time-out; a socket whose owner does not accept takes some 4096 connections first.
            Address::Unix(path) => socket::check_path(path).and_then(|()| UnixStream::connect(path)).map(Self::Unix),
            Address::Http(_) => connect(&http.address, deadline).map(Self::Tcp),
        };
        let stream = stream.map_err(|e| http.broken(e))?;
        let set = match &stream {
            Self::Tcp(tcp) => tcp.set_nodelay(true).and_then(|()| tcp.set_nonblocking(true)),
            Self::Unix(unix) => unix.set_nonblocking(true),
            #[cfg(feature = "tls")]
            Self::Tls(..) => Ok(()),
        };
        set.map_err(|e| http.broken(e))?;
        #[cfg(feature = "tls")]
        if let Self::Tcp(tcp) = stream {
            return if http.address.is_tls() { Self::secured(http, tcp, deadline) } else { Ok(Self::Tcp(tcp)) };
        }
        Ok(stream)
    }

    /// The same after a handshake.
    #[cfg(feature = "tls")]
    fn secured(http: &Http, tcp: TcpStream, deadline: Instant) -> Result<Self> {
        let (authority, _) = http.address.authority();
        let host = authority.rsplit_once(':').filter(|(_, port)| is_port(port)).map_or(authority, |(host, _)| host);
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        let client = http.tls()?;
        let session = tcp.try_clone().and_then(|tcp| Session::connected(tcp, &client, host));
        let stream = Self::Tls(tcp, Box::new(Mutex::new(session.map_err(|e| http.broken(e))?)));
        while let Self::Tls(_, session) = &stream {
            let shaken = lock(session).shake();
            match shaken {
                Ok(()) => break,
                Err(e) => stream.again(http, e, Wait { read: true, write: stream.is_pending() }, deadline)?,
            }
        }
        Ok(stream)
    }

    /// Whether something was taken that is not sent yet; writing nothing sends it.
    pub(super) fn is_pending(&self) -> bool {
        match self {
            #[cfg(feature = "tls")]
            Self::Tls(_, session) => lock(session).is_pending(),
            _ => false,
        }
    }

    /// Opens a websocket at this path; what came after the node's answer.
    pub(super) fn open(http: &Http, path: &str) -> Result<(Self, Vec<u8>)> {
        let deadline = http.deadline();
        let (host, prefix) = http.address.authority();
        let mut handshake = Handshake::new(host, format!("{prefix}{path}"), nonce())?;
        if let Some(key) = &http.api_key {
            handshake = handshake.header("X-Api-Key", key)?;
        }
        let mut request = Vec::new();
        handshake.write(&mut request);
        let stream = Self::connect(http, deadline)?;
        let mut rest = &request[..];
        while !rest.is_empty() || stream.is_pending() {
            match (&stream).write(rest) {
                Ok(n) => rest = &rest[n..],
                Err(e) => stream.again(http, e, Wait { read: false, write: true }, deadline)?,
            }
        }
        let mut input = Vec::new();
        let end = loop {
            if let Some(end) = input.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
                break end + 4;
            }
            if input.len() > MAX_HEAD || !stream.more(http, &mut input, deadline)? {
                return Err(http.strange(path, "websocket"));
            }
        };
        let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
        let mut head = httparse::Response::new(&mut fields);
        let whole = head.parse(&input[..end]).is_ok_and(|status| status.is_complete());
        let status = head.code.filter(|_| whole).ok_or_else(|| http.strange(path, "websocket"))?;
        if status == 101 {
            handshake.check(status, head.headers.iter().map(|field| (field.name, field.value)))?;
            return Ok((stream, input.split_off(end)));
        }
        let length = head.headers.iter().find(|field| field.name.eq_ignore_ascii_case("content-length"));
        let length = length.and_then(|field| std::str::from_utf8(field.value).ok()?.trim().parse::<usize>().ok());
        let mut body = input.split_off(end);
        // The words of the refusal; the status alone will do where they do not come.
        let wanted = length.unwrap_or(0).min(MAX_REFUSAL);
        while body.len() < wanted && stream.more(http, &mut body, deadline).unwrap_or(false) {}
        Err(answer::refusal(status, path, &body))
    }

    /// Reads more; false at the end.
    fn more(&self, http: &Http, to: &mut Vec<u8>, deadline: Instant) -> Result<bool> {
        // A record of TLS finds room.
        let mut chunk = vec![0; 32 << 10];
        let mut stream = self;
        loop {
            match stream.read(&mut chunk) {
                Ok(n) => {
                    to.extend_from_slice(&chunk[..n]);
                    return Ok(n > 0);
                }
                Err(e) => self.again(http, e, Wait { read: true, write: false }, deadline)?,
            }
        }
    }

    /// Waits after an error that says so; every other one is one.
    fn again(&self, http: &Http, error: io::Error, wait: Wait, deadline: Instant) -> Result<()> {
        match error.kind() {
            io::ErrorKind::Interrupted => return Ok(()),
            io::ErrorKind::WouldBlock => {}
            _ => return Err(http.broken(error)),
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(http.broken(io::ErrorKind::TimedOut.into()));
        }
        self.wait(wait, left).map_err(|e| http.broken(e))
    }

    /// Blocks until it can be read or written as asked, has failed, or the time is over. It may return earlier.
    pub(super) fn wait(&self, wait: Wait, timeout: Duration) -> io::Result<()> {
        writable::wait(self.as_fd(), wait.read, wait.write, timeout)
    }
}

/// What is waited for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wait {
    pub(super) read: bool,
    pub(super) write: bool,
}

/// Each address in its turn; none has more than what is left.
fn connect(address: &Address, deadline: Instant) -> io::Result<TcpStream> {
    let (authority, _) = address.authority();
    let port = authority.rsplit_once(':').is_some_and(|(_, port)| is_port(port));
    let usual = if address.is_tls() { 443 } else { 80 };
    let addresses =
        if port { authority.to_socket_addrs()? } else { format!("{authority}:{usual}").to_socket_addrs()? };
    let mut last = io::Error::from(io::ErrorKind::NotFound);
    for address in addresses {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        match TcpStream::connect_timeout(&address, left) {
            Ok(stream) => return Ok(stream),
            Err(e) => last = e,
        }
    }
    Err(last)
}

/// What is behind the last colon may also be the end of a numeric address.
fn is_port(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(feature = "tls")]
fn lock(session: &Mutex<Session>) -> MutexGuard<'_, Session> {
    session.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Something nobody foresees: each `RandomState` has a key of its own, drawn from the system.
fn nonce() -> [u8; 16] {
    let (a, b) = (RandomState::new().hash_one(0), RandomState::new().hash_one(1));
    (u128::from(a) << 64 | u128::from(b)).to_ne_bytes()
}

impl Read for &Stream {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match self {
            Stream::Tcp(tcp) => (&mut &*tcp).read(buf),
            Stream::Unix(unix) => (&mut &*unix).read(buf),
            #[cfg(feature = "tls")]
            Stream::Tls(_, session) => lock(session).read(buf),
        }
    }
}

impl Write for &Stream {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        match self {
            Stream::Tcp(tcp) => (&mut &*tcp).write(buf),
            Stream::Unix(unix) => (&mut &*unix).write(buf),
            #[cfg(feature = "tls")]
            Stream::Tls(_, session) => lock(session).write(buf),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(tcp) => tcp.as_fd(),
            Self::Unix(unix) => unix.as_fd(),
            #[cfg(feature = "tls")]
            Self::Tls(tcp, _) => tcp.as_fd(),
        }
    }
}
