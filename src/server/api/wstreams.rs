//! `/wstreams/<pid>`: the input and output of a process by websocket.
//!
//! What comes, text or binary, is written to the process's standard input; its first output stream goes to the client, in text
//! messages as far as it is UTF-8, else in binary ones. The connection ends (1000) when the process and that
//! stream have ended.
//!
//! Where keys are asked for, a first message `AUTH:KEY` is no input but a key, and there has to be one if the request had none: nothing goes in or out
//! before. It is not answered; one that is not good ends the connection (1008).

use std::any::Any;

use super::params::pid;
use super::pipe::Pipe;
use crate::access::Right;
use crate::manager::Cx;
use crate::process::Pid;
use crate::proto::ws::CloseCode;
use crate::server::lock::{Lock, key_of};
use crate::server::{Call, Message, Refusal, Reply, Socket, SocketOut};
use crate::{ErrorKind, Result};

pub(super) fn open(call: &mut Call<'_, '_>) -> std::result::Result<Reply, Refusal> {
    let lock = Lock::new(call, Right::Write)?;
    let pid = pid(call)?;
    let is_open = lock.as_ref().is_none_or(Lock::is_open);
    let pipe = if is_open { Some(pipe(call.cx, pid)?) } else { None };
    Ok(Reply::WebSocket(Box::new(Console { pid, lock, pipe, is_first: true })))
}

fn pipe(cx: &Cx<'_>, pid: Pid) -> Result<Pipe> {
    let label = cx.process(pid)?.config.outlets().first().map(|outlet| outlet.label.to_owned());
    Ok(Pipe::new(pid, label))
}

struct Console {
    pid: Pid,
    /// Where keys are asked for.
    lock: Option<Lock>,
    /// None before the key has come.
    pipe: Option<Pipe>,
    is_first: bool,
}

impl Console {
    /// What has come is the key.
    fn unlock(&mut self, cx: &mut Cx<'_>, key: Option<&str>, out: &mut SocketOut<'_>) {
        let Some(lock) = &mut self.lock else { return };
        if let Err(refusal) = lock.open(cx, key) {
            return out.refuse(&refusal.reason);
        }
        if self.pipe.is_none() {
            match pipe(cx, self.pid) {
                Ok(pipe) => self.pipe = Some(pipe),
                Err(e) => return out.close(CloseCode::POLICY, &e.to_string()),
            }
            self.open(cx, out);
        }
    }
}

impl Socket for Console {
    fn open(&mut self, cx: &mut Cx<'_>, out: &mut SocketOut<'_>) {
        if let Some(pipe) = &mut self.pipe {
            pipe.open(cx, out);
        }
    }

    fn message(&mut self, cx: &mut Cx<'_>, message: Message, out: &mut SocketOut<'_>) {
        let bytes = message.into_bytes();
        let is_first = std::mem::replace(&mut self.is_first, false);
        let key = key_of(&bytes).filter(|_| is_first && self.lock.is_some());
        if key.is_some() || self.pipe.is_none() {
            return self.unlock(cx, key, out);
        }
        if let Err(e) = cx.send(self.pid, None, &bytes) {
            let code = match e.kind() {
                ErrorKind::Full => CloseCode::TRY_AGAIN_LATER,
                ErrorKind::Forbidden => CloseCode::POLICY,
                _ => CloseCode::NORMAL,
            };
            out.close(code, &e.to_string());
        }
    }

    fn mail(&mut self, cx: &mut Cx<'_>, message: Box<dyn Any + Send>, out: &mut SocketOut<'_>) {
        if let Some(pipe) = &mut self.pipe {
            pipe.mail(cx, message, out, |message, out| {
                out.send(message);
            });
        }
    }

    fn room(&mut self, cx: &mut Cx<'_>, _: &mut SocketOut<'_>) {
        if let Some(pipe) = &mut self.pipe {
            pipe.room(cx);
        }
    }

    fn recheck(&mut self, _: &mut Cx<'_>, out: &mut SocketOut<'_>) {
        if let Some(Err(refusal)) = self.lock.as_ref().map(Lock::recheck) {
            out.refuse(&refusal.reason);
        }
    }

    fn close(&mut self, cx: &mut Cx<'_>) {
        if let Some(pipe) = &mut self.pipe {
            pipe.close(cx);
        }
    }
}
