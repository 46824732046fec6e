//! `/wstreams/<pid>`: the input and output of a process by websocket.
//!
//! What comes, text or binary, is written to the process's standard input; its first output stream goes to the client, in text
//! messages as far as it is UTF-8, else in binary ones. The connection ends (1000) when the process and that
//! stream have ended.

use std::any::Any;

use super::params::pid;
use super::pipe::Pipe;
use crate::ErrorKind;
use crate::manager::Cx;
use crate::proto::ws::CloseCode;
use crate::server::{Call, Message, Refusal, Reply, Socket, SocketOut};

pub(super) fn open(call: &mut Call<'_, '_>) -> Result<Reply, Refusal> {
    let pid = pid(call)?;
    let label = call.cx.process(pid)?.config.outlets().first().map(|outlet| outlet.label.to_owned());
    Ok(Reply::WebSocket(Box::new(Console(Pipe::new(pid, label)))))
}

struct Console(Pipe);

impl Socket for Console {
    fn open(&mut self, cx: &mut Cx<'_>, out: &mut SocketOut<'_>) {
        self.0.open(cx, out);
    }

    fn message(&mut self, cx: &mut Cx<'_>, message: Message, out: &mut SocketOut<'_>) {
        let bytes = match message {
            Message::Text(text) => text.into_bytes(),
            Message::Binary(bytes) => bytes,
        };
        if let Err(e) = cx.send(self.0.pid, None, &bytes) {
            let code = match e.kind() {
                ErrorKind::Full => CloseCode::TRY_AGAIN_LATER,
                ErrorKind::Forbidden => CloseCode::POLICY,
                _ => CloseCode::NORMAL,
            };
            out.close(code, &e.to_string());
        }
    }

    fn mail(&mut self, cx: &mut Cx<'_>, message: Box<dyn Any + Send>, out: &mut SocketOut<'_>) {
        self.0.mail(cx, message, out, |message, out| {
            out.send(message);
        });
    }

    fn room(&mut self, cx: &mut Cx<'_>, _: &mut SocketOut<'_>) {
        self.0.room(cx);
    }

    fn close(&mut self, cx: &mut Cx<'_>) {
        self.0.close(cx);
    }
}
