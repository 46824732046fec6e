//! `/channel/websocket`: commands and topics; `/<pid>/channel`: the input and output of a process in [frames](crate::proto::frame).
//!
//! `/<pid>/channel/<stream>?mode=` has a bit for reading (1) and one for writing (2); default 3, both. Without a stream the
//! first output stream is read and standard input is written; with the label of an output stream, that one is read and standard
//! input is written; a custom stream is read and written itself; `stdin` is only written.
//!
//! A message is answered with a response of its id and the body `OK` when it was queued, or with an error. Output comes
//! in messages with ids of ours, as text as far as it is UTF-8, else binary. What is wrong with the channel itself is an error with the id
//! `gaffer_error`, then the end (1008); when the process and the stream have ended, so does the channel (1000).
//!
//! A first message with the body `AUTH:key` is answered `OK` and is no input. Where keys are asked for and the request had none, it has to come
//! first, and nothing goes in or out before.

use std::any::Any;

use serde_json::json;

use super::params::bad;
use super::pipe::Pipe;
use crate::ErrorKind;
use crate::access::Right;
use crate::controller::is_stdin;
use crate::manager::Cx;
use crate::process::Pid;
use crate::proto::frame::{Frame, Kind};
use crate::proto::ws::CloseCode;
use crate::server::channel::with_gate;
use crate::server::guard::gate_of;
use crate::server::lock::{Lock, key_of};
use crate::server::{Call, Message, Refusal, Reply, Socket, SocketOut};

pub(super) fn open(call: &mut Call<'_, '_>) -> Result<Reply, Refusal> {
    Ok(Reply::WebSocket(with_gate(gate_of(call.guard, call.request)?)))
}

const READ: u8 = 1;
const WRITE: u8 = 2;

pub(super) fn of_process(call: &mut Call<'_, '_>) -> Result<Reply, Refusal> {
    let mode = match call.query("mode") {
        None => READ | WRITE,
        Some(text @ ("1" | "2" | "3")) => text.as_bytes()[0] - b'0',
        Some(text) => return Err(bad(format!("mode: expected 1 (read), 2 (write) or 3 (both), found {text:?}"))),
    };
    let (pid, stream) = (call.param("pid").to_owned(), call.param("stream").to_owned());
    let right = if mode & WRITE == 0 { Right::Read } else { Right::Write };
    let lock = Lock::new(call, right)?;
    let (fault, pipe, target) = (None, None, None);
    let mut channel = IoChannel { fault, pipe, lock, mode, pid, stream, target, sent: 0, is_first: true };
    if channel.lock.as_ref().is_none_or(Lock::is_open) {
        channel.connect(call.cx);
    }
    Ok(Reply::WebSocket(Box::new(channel)))
}

/// An error as it is sent.
struct Fault {
    error: &'static str,
    errno: u16,
    reason: String,
}

impl Fault {
    fn new(error: &'static str, errno: u16, reason: impl Into<String>) -> Self {
        Self { error, errno, reason: reason.into() }
    }

    fn to_json(&self) -> String {
        json!({"error": self.error, "errno": self.errno, "reason": self.reason}).to_string()
    }
}

/// Where output comes from, and the custom stream that is written instead of standard input.
type Ends = (Pid, Option<String>, Option<String>);

fn ends(cx: &Cx<'_>, pid: Pid, stream: Option<&str>, mode: u8) -> Result<Ends, Fault> {
    let (reads, writes) = (mode & READ != 0, mode & WRITE != 0);
    let process = cx.process(pid).map_err(|e| Fault::new("not_found", 404, e.to_string()))?;
    let config = &process.config;
    let forbidden = |what: &str| Fault::new("EPERM", 403, format!("process {pid}: {what} is not redirected"));
    if let Some(custom) = stream.filter(|stream| config.custom_streams.iter().any(|label| label == stream)) {
        return Ok((pid, reads.then(|| custom.to_owned()), Some(custom.to_owned())));
    }
    let outlets: Vec<&str> = config.outlets().iter().map(|outlet| outlet.label).collect();
    let label = match stream {
        None => outlets.first(),
        Some(stream) if is_stdin(stream) => None,
        Some(stream) => match outlets.iter().find(|label| **label == stream) {
            None => return Err(Fault::new("ENOENT", 404, format!("process {pid}: no stream `{stream}`"))),
            found => found,
        },
    };
    if reads && label.is_none() {
        return Err(forbidden("its output"));
    }
    if writes && !config.redirect_input {
        return Err(forbidden("its standard input"));
    }
    Ok((pid, label.filter(|_| reads).map(|label| (*label).to_owned()), None))
}

struct IoChannel {
    /// Where keys are asked for.
    lock: Option<Lock>,
    /// Why there is none.
    fault: Option<Fault>,
    pipe: Option<Pipe>,
    mode: u8,
    pid: String,
    /// Empty for none.
    stream: String,
    /// The stream that is written; standard input if `None`.
    target: Option<String>,
    /// Messages so far: their ids.
    sent: u64,
    is_first: bool,
}

/// Frames with a text as their body are text.
fn frame(kind: Kind, id: &str, body: &str) -> String {
    let mut out = Vec::new();
    Frame::new(kind, id, body.as_bytes()).encode(&mut out);
    String::from_utf8(out).expect("head and body are text")
}

/// Says why the client is not allowed, or not any more, and ends it.
fn refuse(id: &str, refusal: Refusal, out: &mut SocketOut<'_>) {
    let fault = Fault::new("EPERM", refusal.status, refusal.reason);
    out.text(&frame(Kind::Error, id, &fault.to_json()));
    out.refuse(&fault.reason);
}

impl IoChannel {
    /// Finds both ends, or why there are none.
    fn connect(&mut self, cx: &Cx<'_>) {
        let stream = Some(&*self.stream).filter(|stream| !stream.is_empty());
        // A number that is too large for a process's is that of no process.
        match ends(cx, Pid(self.pid.parse().unwrap_or(u64::MAX)), stream, self.mode) {
            Ok((pid, label, target)) => (self.pipe, self.target) = (Some(Pipe::new(pid, label)), target),
            Err(fault) => self.fault = Some(fault),
        }
    }

    /// The first message of somebody who has shown no key: anything but a good one ends it.
    fn unlock(&mut self, cx: &mut Cx<'_>, bytes: &[u8], out: &mut SocketOut<'_>) {
        let Some(lock) = &mut self.lock else { return };
        let message = Frame::decode(bytes).ok().filter(|frame| frame.kind == Kind::Message);
        let (id, key) = message.map_or(("gaffer_error", None), |frame| (frame.id, key_of(frame.body)));
        match lock.open(cx, key) {
            Ok(()) => {
                out.text(&frame(Kind::Response, id, "OK"));
                self.connect(cx);
                self.open(cx, out);
            }
            Err(refusal) => refuse(id, refusal, out),
        }
    }

    fn write(&self, cx: &mut Cx<'_>, body: &[u8]) -> Result<(), Fault> {
        let Some(pipe) = &self.pipe else { return Err(Fault::new("not_found", 404, "there is no process")) };
        if self.mode & WRITE == 0 {
            return Err(Fault::new("EPERM", 403, "this channel was opened for reading only"));
        }
        cx.send(pipe.pid, self.target.as_deref(), body).map_err(|e| {
            let (error, errno) = match e.kind() {
                ErrorKind::Full => ("EAGAIN", 503),
                ErrorKind::Forbidden => ("EPERM", 403),
                _ => ("EIO", 500),
            };
            Fault::new(error, errno, e.to_string())
        })
    }
}

impl Socket for IoChannel {
    fn open(&mut self, cx: &mut Cx<'_>, out: &mut SocketOut<'_>) {
        if let Some(fault) = &self.fault {
            out.text(&frame(Kind::Error, "gaffer_error", &fault.to_json()));
            out.close(CloseCode::POLICY, &fault.reason);
        } else if let Some(pipe) = &mut self.pipe {
            pipe.open(cx, out);
        }
    }

    fn message(&mut self, cx: &mut Cx<'_>, message: Message, out: &mut SocketOut<'_>) {
        let bytes = message.into_bytes();
        let is_first = std::mem::replace(&mut self.is_first, false);
        if self.lock.as_ref().is_some_and(|lock| !lock.is_open()) {
            return self.unlock(cx, &bytes, out);
        }
        let answer = match Frame::decode(&bytes) {
            Ok(Frame { kind: Kind::Message, id, body }) => {
                let is_key = is_first && key_of(body).is_some();
                match if is_key { Ok(()) } else { self.write(cx, body) } {
                    Ok(()) => frame(Kind::Response, id, "OK"),
                    Err(fault) => frame(Kind::Error, id, &fault.to_json()),
                }
            }
            Ok(Frame { id, .. }) => {
                frame(Kind::Error, id, &Fault::new("EINVAL", 400, "expected a frame of the type message").to_json())
            }
            Err(e) => frame(Kind::Error, "gaffer_error", &Fault::new("EINVAL", 400, e.to_string()).to_json()),
        };
        out.text(&answer);
    }

    fn mail(&mut self, cx: &mut Cx<'_>, message: Box<dyn Any + Send>, out: &mut SocketOut<'_>) {
        let (Some(pipe), sent) = (&mut self.pipe, &mut self.sent) else { return };
        pipe.mail(cx, message, out, |piece, out| {
            *sent += 1;
            let id = format!("{sent:032x}");
            match piece {
                Message::Text(text) => {
                    out.text(&frame(Kind::Message, &id, &text));
                }
                Message::Binary(bytes) => {
                    let mut wire = Vec::new();
                    Frame::new(Kind::Message, &id, &bytes).encode(&mut wire);
                    out.binary(&wire);
                }
            }
        });
    }

    fn room(&mut self, cx: &mut Cx<'_>, _: &mut SocketOut<'_>) {
        if let Some(pipe) = &mut self.pipe {
            pipe.room(cx);
        }
    }

    fn recheck(&mut self, _: &mut Cx<'_>, out: &mut SocketOut<'_>) {
        if let Some(Err(refusal)) = self.lock.as_ref().map(Lock::recheck) {
            refuse("gaffer_error", refusal, out);
        }
    }

    fn close(&mut self, cx: &mut Cx<'_>) {
        if let Some(pipe) = &mut self.pipe {
            pipe.close(cx);
        }
    }
}
