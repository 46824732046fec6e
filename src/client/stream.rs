//! A socket that never blocks, waiting for it, and the handshake of a websocket over it.

use std::hash::{BuildHasher, RandomState};
use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use super::address::Address;
use super::answer;
use super::http::Http;
use crate::Result;
use crate::proto::ws::client::Handshake;
use crate::sys::writable;

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
}

impl Stream {
    fn connect(http: &Http, deadline: Instant) -> Result<Self> {
        let stream = match &http.address {
            // There is no connecting with a time-out; a socket whose owner does not accept takes some 4096 connections first.
            Address::Unix(path) => UnixStream::connect(path).map(Self::Unix),
            Address::Http(_) => connect(&http.address, deadline).map(Self::Tcp),
        };
        let stream = stream.map_err(|e| http.broken(e))?;
        let set = match &stream {
            Self::Tcp(tcp) => tcp.set_nodelay(true).and_then(|()| tcp.set_nonblocking(true)),
            Self::Unix(unix) => unix.set_nonblocking(true),
        };
        set.map_err(|e| http.broken(e))?;
        Ok(stream)
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
        while !rest.is_empty() {
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
        let mut chunk = [0; 4096];
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
    let port = authority.rsplit_once(':').is_some_and(|(_, port)| port.bytes().all(|b| b.is_ascii_digit()));
    let addresses = if port { authority.to_socket_addrs()? } else { format!("{authority}:80").to_socket_addrs()? };
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
        }
    }
}

impl Write for &Stream {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        match self {
            Stream::Tcp(tcp) => (&mut &*tcp).write(buf),
            Stream::Unix(unix) => (&mut &*unix).write(buf),
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
        }
    }
}
