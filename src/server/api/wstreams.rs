//! `/wstreams/<pid>`: the input and output of a process by websocket.
//!
//! What comes, text or binary, is written to the process's standard input; its first output stream goes to the client, in text
//! messages as far as it is UTF-8, else in binary ones. The connection ends (1000) when the process and that
//! stream have ended.
//!
//! A client that is behind by half of the bound of what may be unsent makes the process wait, which is what a pipe would do;
//! one that has not caught up after [`PATIENCE`] is cut (1008), so that it costs itself only.

use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use super::params::pid;
use crate::ErrorKind;
use crate::events::SubscriptionId;
use crate::manager::{Cx, Flow, StreamData, StreamSelector, TapId};
use crate::process::{Pid, ProcessState};
use crate::proto::ws::CloseCode;
use crate::server::{Call, Refusal, Reply, Socket};
use crate::server::{Message, SocketOut};

/// So long a client may hold the process up.
const PATIENCE: Duration = Duration::from_secs(5);

/// How often is looked whether a client that is behind has caught up; only then.
const LOOK: Duration = Duration::from_millis(10);

pub(super) fn open(call: &mut Call<'_, '_>) -> Result<Reply, Refusal> {
    let pid = pid(call)?;
    let label = call.cx.process(pid)?.config.outlets().first().map(|outlet| outlet.label.to_owned());
    Ok(Reply::WebSocket(Box::new(Console {
        pid,
        label,
        tap: None,
        exit: None,
        split: Vec::new(),
        behind: None,
        hold: Arc::default(),
        output_ended: false,
        exited: false,
    })))
}

struct Console {
    pid: Pid,
    /// The stream that is sent; none if no output is redirected.
    label: Option<String>,
    tap: Option<TapId>,
    exit: Option<SubscriptionId>,
    /// The beginning of a character whose end has not come yet.
    split: Vec<u8>,
    /// Since when the process is held up.
    behind: Option<Instant>,
    /// The same for the closure that gets the output.
    hold: Arc<AtomicBool>,
    output_ended: bool,
    exited: bool,
}

/// What the closures tell.
enum Mail {
    Output(Vec<u8>),
    OutputEnded,
    Exited,
    /// See whether the client has caught up.
    Look,
}

impl Socket for Console {
    fn open(&mut self, cx: &mut Cx<'_>, out: &mut SocketOut<'_>) {
        let address = out.address();
        self.exited = cx.process(self.pid).map_or(true, |process| process.state == ProcessState::Exited);
        let topic = format!("proc.{}.exit", self.pid);
        self.exit = Some(cx.on(&topic, move |cx, _, _| address.send(cx, Mail::Exited)));
        match self.label.clone().filter(|label| cx.has_stream(self.pid, label)) {
            None => self.output_ended = true,
            Some(label) => {
                let which = StreamSelector::pid(self.pid).label(label);
                let hold = self.hold.clone();
                self.tap = Some(cx.tap(which, move |cx, chunk| {
                    match chunk.data {
                        StreamData::Bytes(bytes) => address.send(cx, Mail::Output(bytes.to_vec())),
                        StreamData::End => address.send(cx, Mail::OutputEnded),
                    }
                    if hold.load(Relaxed) { Flow::Pause } else { Flow::Continue }
                }));
            }
        }
        self.end_if_over(out);
    }

    fn message(&mut self, cx: &mut Cx<'_>, message: Message, out: &mut SocketOut<'_>) {
        let bytes = match message {
            Message::Text(text) => text.into_bytes(),
            Message::Binary(bytes) => bytes,
        };
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
        let Ok(mail) = message.downcast::<Mail>() else { return };
        let looked = matches!(*mail, Mail::Look);
        match *mail {
            Mail::Output(bytes) => {
                if let Some(message) = message_of(&mut self.split, &bytes) {
                    out.send(message);
                }
            }
            Mail::OutputEnded => {
                self.output_ended = true;
                let rest = std::mem::take(&mut self.split);
                if !rest.is_empty() {
                    out.send(Message::Binary(rest));
                }
            }
            Mail::Exited => self.exited = true,
            Mail::Look => {}
        }
        self.pace(cx, out, looked);
        self.end_if_over(out);
    }

    fn close(&mut self, cx: &mut Cx<'_>) {
        if let Some(tap) = self.tap.take() {
            cx.untap(tap);
        }
        if let Some(exit) = self.exit.take() {
            cx.unsubscribe(exit);
        }
    }
}

impl Console {
    fn end_if_over(&self, out: &mut SocketOut<'_>) {
        if self.exited && self.output_ended {
            out.close(CloseCode::NORMAL, "the process has ended");
        }
    }

    /// Holds the process up while the client is behind. There is one timer at most: only its own mail sets it again.
    fn pace(&mut self, cx: &mut Cx<'_>, out: &mut SocketOut<'_>, looked: bool) {
        let Some(tap) = self.tap else { return };
        match self.behind {
            None if out.is_full() => {
                self.behind = Some(Instant::now());
                self.hold.store(true, Relaxed);
            }
            None => return,
            Some(_) if !out.is_full() => {
                self.behind = None;
                self.hold.store(false, Relaxed);
                cx.resume(tap);
                return;
            }
            Some(since) if since.elapsed() >= PATIENCE => {
                self.close(cx);
                out.close(CloseCode::POLICY, "the client does not read");
                return;
            }
            Some(_) if !looked => return,
            Some(_) => {}
        }
        let address = out.address();
        cx.after(LOOK, move |cx| address.send(cx, Mail::Look));
    }
}

/// Output as messages: text as far as it is UTF-8. The beginning of a character that is cut in two waits for the rest.
fn message_of(split: &mut Vec<u8>, bytes: &[u8]) -> Option<Message> {
    let mut all = std::mem::take(split);
    all.extend_from_slice(bytes);
    let message = match String::from_utf8(all) {
        Ok(text) => Message::Text(text),
        Err(e) if e.utf8_error().error_len().is_some() => Message::Binary(e.into_bytes()),
        Err(e) => {
            let valid = e.utf8_error().valid_up_to();
            let mut text = e.into_bytes();
            *split = text.split_off(valid);
            Message::Text(String::from_utf8(text).ok()?)
        }
    };
    let empty = matches!(&message, Message::Text(text) if text.is_empty());
    (!empty).then_some(message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_are_not_cut() {
        let mut split = Vec::new();
        assert_eq!(message_of(&mut split, b"a\xe2\x82"), Some(Message::Text("a".to_owned())));
        assert_eq!(message_of(&mut split, b"\xac"), Some(Message::Text("€".to_owned())));
        assert_eq!(message_of(&mut split, b"\xe2"), None);
        assert_eq!(message_of(&mut split, b"x\0"), Some(Message::Binary(b"\xe2x\0".to_vec())));
        assert!(split.is_empty());
        assert_eq!(message_of(&mut split, b"\xff\xfe"), Some(Message::Binary(b"\xff\xfe".to_vec())));
    }
}
