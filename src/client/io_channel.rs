//! The input and output of a process over one connection.

use std::collections::{HashMap, VecDeque};
use std::io::{self, Read, Write};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::address::encode;
use super::answer;
use super::http::Http;
use super::link::{Link, Receive, from_now};
use crate::process::Pid;
use crate::proto::frame::{Frame, Kind};
use crate::proto::ws::Event;
use crate::{Error, ErrorKind, Result};

/// Bytes of output that may wait here, while somebody waits for the answer to what was written.
const MAX_OUTPUT: usize = 16 << 20;

/// [`io::Write`] sends so much at a time.
const PIECE: usize = 64 << 10;

/// How long [`io::Write`] waits before it tries again where a process does not read.
const PAUSE: Duration = Duration::from_millis(20);

/// What an [`IoChannel`] is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// To read output.
    Read,
    /// To write input.
    Write,
    /// For both.
    #[default]
    Both,
}

impl Mode {
    const fn bits(self) -> u8 {
        match self {
            Self::Read => 1,
            Self::Write => 2,
            Self::Both => 3,
        }
    }

    /// Whether it is for reading.
    #[must_use]
    pub const fn reads(self) -> bool {
        matches!(self, Self::Read | Self::Both)
    }

    /// Whether it is for writing.
    #[must_use]
    pub const fn writes(self) -> bool {
        matches!(self, Self::Write | Self::Both)
    }
}

/// The input and output of a process: `/<pid>/channel` of a node; see [`Process::socket`](super::Process::socket).
///
/// As an iterator it yields pieces of output as they come, and ends when the process and its output have ended. It is also an [`io::Read`]
/// and an [`io::Write`], as is a reference to it, so that one thread can write while another one reads: it is `Send` and `Sync`, and has
/// no thread of its own. While somebody waits, a silent node is asked for a sign of life each [heartbeat](super::Server::heartbeat), and given
/// up after three.
///
/// Who does not read holds the process up, as with a pipe; the node closes the channel of one that has not taken its output for 5 s.
///
/// ```
/// # #[cfg(feature = "server")] include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/client/example.rs"));
/// # #[cfg(feature = "server")] fn main() -> Result<(), Box<dyn std::error::Error>> { let node = Node::start()?; let address = node.address();
/// use std::io::{BufRead, BufReader, Write};
/// use gaffer::client::{Mode, Server};
/// use serde_json::json;
///
/// let server = Server::new(address)?;
/// let started = server.socket()?.subscribe("EVENTS:spawn")?;
/// let cat = json!({"name": "cat", "cmd": "cat", "redirect_input": true, "redirect_output": ["out"]});
/// server.load(&cat, None, true, false)?;
/// let pid = started.recv()?.and_then(|event| event.pid).expect("it was started");
///
/// let cat = server.process(pid).socket(Mode::Both, None)?;
/// cat.send(b"there ")?; // returns when the node has queued it
/// writeln!(&cat, "and back")?;
/// let mut line = String::new();
/// BufReader::new(&cat).read_line(&mut line)?;
/// assert_eq!(line, "there and back\n");
/// # Ok(()) }
/// # #[cfg(not(feature = "server"))] fn main() {}
/// ```
#[derive(Debug)]
pub struct IoChannel {
    link: Link<Pipe>,
    mode: Mode,
    failed: bool,
}

/// What comes, sorted.
#[derive(Debug, Default)]
struct Pipe {
    output: VecDeque<Vec<u8>>,
    /// What was taken of the first piece.
    taken: usize,
    bytes: usize,
    last: u64,
    answers: HashMap<u64, Option<Result<()>>>,
    /// The node has said that there is such a channel.
    opened: bool,
}

impl Receive for Pipe {
    fn receive(&mut self, event: Event) -> Result<()> {
        let bytes = match event {
            Event::Text(text) => text.into_bytes(),
            Event::Binary(bytes) => bytes,
            Event::Pong(_) => {
                self.opened = true;
                return Ok(());
            }
            _ => return Ok(()),
        };
        let frame = Frame::decode(&bytes).map_err(|e| Error::new(ErrorKind::Invalid, e.to_string()))?;
        let body = frame.body;
        let outcome = match frame.kind {
            Kind::Message if body.is_empty() => return Ok(()),
            Kind::Message => {
                self.bytes += body.len();
                self.output.push_back(body.to_vec());
                return Ok(());
            }
            Kind::Response => Ok(()),
            Kind::Error => Err(fault(body)),
        };
        match u64::from_str_radix(frame.id, 16) {
            // An answer that nobody waits for has no place.
            Ok(id) => self.answers.get_mut(&id).map_or((), |place| *place = Some(outcome)),
            // It is about the channel itself.
            Err(_) => return outcome,
        }
        Ok(())
    }

    fn has_room(&self) -> bool {
        self.bytes < MAX_OUTPUT
    }
}

/// An error as it came.
fn fault(body: &[u8]) -> Error {
    let status = serde_json::from_slice::<Value>(body).ok().and_then(|value| value["errno"].as_u64());
    let mut error: Value = serde_json::from_slice(body).unwrap_or_default();
    if error["error"] == "EAGAIN" {
        error["error"] = "full".into();
    }
    let status = status.and_then(|status| u16::try_from(status).ok()).unwrap_or(500);
    answer::refusal(status, "channel", error.to_string().as_bytes())
}

impl Pipe {
    fn piece(&mut self) -> Option<Vec<u8>> {
        let mut piece = self.output.pop_front()?;
        piece.drain(..std::mem::take(&mut self.taken));
        self.bytes -= piece.len();
        Some(piece)
    }

    fn read(&mut self, buf: &mut [u8]) -> Option<usize> {
        let rest = &self.output.front()?[self.taken..];
        let n = rest.len().min(buf.len());
        buf[..n].copy_from_slice(&rest[..n]);
        self.bytes -= n;
        self.taken += n;
        if n == rest.len() {
            self.output.pop_front();
            self.taken = 0;
        }
        Some(n)
    }
}

impl IoChannel {
    pub(super) fn open(http: &Http, pid: Pid, mode: Mode, stream: Option<&str>) -> Result<Self> {
        let stream = stream.map_or_else(String::new, |stream| format!("/{}", encode(stream)));
        let link = Link::open(http, &format!("/{pid}/channel{stream}?mode={}", mode.bits()), Pipe::default())?;
        let deadline = link.deadline();
        // What is wrong with the channel comes before the answer to a ping.
        link.send(deadline, |state| state.ping())?;
        link.wait(Some(deadline), |state| (state.receiver.opened || !state.receiver.output.is_empty()).then_some(()))
            .or_else(|e| if e.kind() == ErrorKind::Closed { Ok(Some(())) } else { Err(e) })?
            .ok_or_else(|| link.late())?;
        Ok(Self { link, mode, failed: false })
    }

    /// What it was opened for.
    #[must_use]
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// Waits for the next piece of output; `None` when the process and its output have ended.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Forbidden`] `not_readable` if it was opened for writing only; the connection has failed.
    pub fn recv(&self) -> Result<Option<Vec<u8>>> {
        self.until(None, Pipe::piece)
    }

    /// The same, for so long at most. With a time of zero it takes what has come.
    ///
    /// # Errors
    ///
    /// Those of [`recv`](Self::recv); [`ErrorKind::TimedOut`] where nothing came.
    pub fn recv_timeout(&self, timeout: Duration) -> Result<Option<Vec<u8>>> {
        self.until(from_now(timeout), Pipe::piece)
    }

    fn until<T>(&self, deadline: Option<Instant>, mut take: impl FnMut(&mut Pipe) -> Option<T>) -> Result<Option<T>> {
        if !self.mode.reads() {
            return Err(Error::new(ErrorKind::Forbidden, "not_readable: the channel was opened for writing only"));
        }
        match self.link.wait(deadline, |state| take(&mut state.receiver)) {
            Ok(Some(found)) => Ok(Some(found)),
            Ok(None) => Err(Error::new(ErrorKind::TimedOut, format!("{}: no output came", self.link.address()))),
            // The process has ended.
            Err(e) if e.kind() == ErrorKind::Closed => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// Writes to the process, all or nothing, and waits until the node has queued it. At most 1 MiB less 64 bytes; for more
    /// there is [`io::Write`].
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Forbidden`] `not_writable` if it was opened for reading only; [`ErrorKind::Invalid`] for too
    /// many bytes; [`ErrorKind::Full`] while too much is queued at the node since the
    /// process does not read, or 16 MiB of its output were not read here; [`ErrorKind::Closed`] when it has ended; [`ErrorKind::Io`] with the
    /// node's words; [`ErrorKind::TimedOut`] without an answer within [`timeout`](super::Server::timeout): it may have been written then.
    pub fn send(&self, bytes: &[u8]) -> Result<()> {
        if !self.mode.writes() {
            return Err(Error::new(ErrorKind::Forbidden, "not_writable: the channel was opened for reading only"));
        }
        let deadline = self.link.deadline();
        let id = self.link.send(deadline, |state| {
            state.receiver.last += 1;
            let (id, mut wire) = (state.receiver.last, Vec::new());
            Frame::new(Kind::Message, &format!("{id:032x}"), bytes).encode(&mut wire);
            state.binary(&wire)?;
            state.receiver.answers.insert(id, None);
            Ok(id)
        })?;
        let answer = self.link.wait(Some(deadline), |state| {
            let pipe = &mut state.receiver;
            match pipe.answers.get_mut(&id).and_then(Option::take) {
                // Its answer stands behind output that nobody reads.
                None if !pipe.has_room() => {
                    let what =
                        "16 MiB of output wait to be read; a channel that is only written is opened for writing only";
                    Some(Err(Error::new(ErrorKind::Full, what)))
                }
                answer => answer,
            }
        });
        self.link.lock().receiver.answers.remove(&id);
        answer?.unwrap_or_else(|| Err(self.link.late()))
    }
}

impl Iterator for IoChannel {
    type Item = Result<Vec<u8>>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let next = self.recv().transpose();
        self.failed = matches!(next, Some(Err(_)));
        next
    }
}

/// 0 when the process and its output have ended.
impl Read for &IoChannel {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if buf.is_empty() {
            return Ok(0);
        }
        self.until(None, |pipe| pipe.read(buf)).map(Option::unwrap_or_default).map_err(of_io)
    }
}

/// At most 64 KiB a call. Where the process does not read and the node's queue is full, it tries again for up to [`timeout`](super::Server::timeout).
impl Write for &IoChannel {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let piece = &buf[..buf.len().min(PIECE)];
        if piece.is_empty() {
            return Ok(0);
        }
        let deadline = self.link.deadline();
        loop {
            match self.send(piece) {
                Ok(()) => return Ok(piece.len()),
                Err(e)
                    if e.kind() == ErrorKind::Full
                        && Instant::now() < deadline
                        && self.link.lock().receiver.has_room() =>
                {
                    // The connection is looked after meanwhile.
                    let again = Instant::now() + PAUSE;
                    self.link.wait(Some(again), |_| None::<()>).map_err(of_io)?;
                }
                Err(e) => return Err(of_io(e)),
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Read for IoChannel {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        (&mut &*self).read(buf)
    }
}

impl Write for IoChannel {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        (&mut &*self).write(buf)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn of_io(error: Error) -> io::Error {
    let kind = match error.kind() {
        ErrorKind::NotFound => io::ErrorKind::NotFound,
        ErrorKind::Forbidden => io::ErrorKind::PermissionDenied,
        ErrorKind::Closed => io::ErrorKind::BrokenPipe,
        ErrorKind::Unreachable | ErrorKind::Stopping => io::ErrorKind::ConnectionAborted,
        ErrorKind::TimedOut => io::ErrorKind::TimedOut,
        ErrorKind::Full => io::ErrorKind::WouldBlock,
        ErrorKind::Invalid => io::ErrorKind::InvalidInput,
        _ => io::ErrorKind::Other,
    };
    io::Error::new(kind, error)
}

const _: () = {
    const fn assert_send_sync<T: Send + Sync>() {}
    assert_send_sync::<IoChannel>();
};
