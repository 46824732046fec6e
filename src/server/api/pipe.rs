//! The far end of a websocket that is a process: its output, its end, and its patience with the client.
//!
//! A client that is behind by half of the bound of what may be unsent makes the process wait, which is what a pipe would do;
//! one that has not caught up after [`PATIENCE`] is cut (1008), so that it costs itself only.

use std::any::Any;
use std::mem;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use crate::events::SubscriptionId;
use crate::manager::{ClosureId, Cx, Flow, StreamData, StreamSelector, TapId};
use crate::process::{Pid, ProcessState};
use crate::proto::ws::CloseCode;
use crate::server::{Message, SocketOut};

/// So long a client may hold the process up.
const PATIENCE: Duration = Duration::from_secs(5);

pub(super) struct Pipe {
    pub(super) pid: Pid,
    /// The stream that is read, if one is.
    label: Option<String>,
    tap: Option<TapId>,
    exit: Option<SubscriptionId>,
    /// The beginning of a character whose end has not come yet.
    split: Vec<u8>,
    /// What rings when the client's time is over; the process is held up meanwhile.
    behind: Option<ClosureId>,
    /// Whether it is, for the closure that gets the output.
    hold: Arc<AtomicBool>,
    output_ended: bool,
    exited: bool,
}

/// What the closures tell.
enum Mail {
    Output(Vec<u8>),
    OutputEnded,
    Exited,
    /// The client's time is over.
    Late,
}

impl Pipe {
    /// Of a process, with the stream that is to be read.
    pub(super) fn new(pid: Pid, label: Option<String>) -> Self {
        Self {
            pid,
            label,
            tap: None,
            exit: None,
            split: Vec::new(),
            behind: None,
            hold: Arc::default(),
            output_ended: false,
            exited: false,
        }
    }

    pub(super) fn open(&mut self, cx: &mut Cx<'_>, out: &mut SocketOut<'_>) {
        let (address, pid) = (out.address(), self.pid);
        let process = cx.process(pid);
        self.exited = process.as_ref().map_or(true, |process| process.state == ProcessState::Exited);
        // The streams of one that is not started yet are to come.
        let is_new = process.is_ok_and(|process| process.os_pid.is_none()) && !self.exited;
        self.exit = Some(cx.on(&format!("proc.{pid}.exit"), move |cx, _, _| address.send(cx, Mail::Exited)));
        match self.label.clone().filter(|label| is_new || cx.has_stream(pid, label)) {
            None => self.output_ended = true,
            Some(label) => {
                let hold = self.hold.clone();
                self.tap = Some(cx.tap(StreamSelector::pid(pid).label(label), move |cx, chunk| {
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

    /// What the closures have told; `emit` sends a piece of output.
    pub(super) fn mail(
        &mut self,
        cx: &mut Cx<'_>,
        message: Box<dyn Any + Send>,
        out: &mut SocketOut<'_>,
        mut emit: impl FnMut(Message, &mut SocketOut<'_>),
    ) {
        let Ok(mail) = message.downcast::<Mail>() else { return };
        match *mail {
            Mail::Output(bytes) => {
                if let Some(message) = message_of(&mut self.split, bytes) {
                    emit(message, out);
                }
                if out.is_full() && self.behind.is_none() {
                    self.hold.store(true, Relaxed);
                    let address = out.address();
                    self.behind = Some(cx.after(PATIENCE, move |cx| address.send(cx, Mail::Late)));
                    out.wait_for_room();
                }
            }
            Mail::OutputEnded => {
                self.output_ended = true;
                let rest = mem::take(&mut self.split);
                if !rest.is_empty() {
                    emit(Message::Binary(rest), out);
                }
            }
            Mail::Exited => {
                self.exited = true;
                // One that could not be started has no streams.
                self.output_ended |= !self.label.as_ref().is_some_and(|label| cx.has_stream(self.pid, label));
            }
            Mail::Late if self.behind.is_some() => {
                self.close(cx);
                out.close(CloseCode::POLICY, "the client does not read");
                return;
            }
            Mail::Late => {}
        }
        self.end_if_over(out);
    }

    /// The client has caught up.
    pub(super) fn room(&mut self, cx: &mut Cx<'_>) {
        let Some(late) = self.behind.take() else { return };
        cx.remove(late);
        self.hold.store(false, Relaxed);
        if let Some(tap) = self.tap {
            cx.resume(tap);
        }
    }

    pub(super) fn close(&mut self, cx: &mut Cx<'_>) {
        if let Some(tap) = self.tap.take() {
            cx.untap(tap);
        }
        if let Some(exit) = self.exit.take() {
            cx.unsubscribe(exit);
        }
        if let Some(late) = self.behind.take() {
            cx.remove(late);
        }
    }

    fn end_if_over(&self, out: &mut SocketOut<'_>) {
        if self.exited && self.output_ended {
            out.close(CloseCode::NORMAL, "the process has ended");
        }
    }
}

/// Output as messages: text as far as it is UTF-8. The beginning of a character that is cut in two waits for the rest.
fn message_of(split: &mut Vec<u8>, bytes: Vec<u8>) -> Option<Message> {
    let mut all = std::mem::take(split);
    if all.is_empty() {
        all = bytes;
    } else {
        all.extend_from_slice(&bytes);
    }
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
        assert_eq!(message_of(&mut split, b"a\xe2\x82".to_vec()), Some(Message::Text("a".to_owned())));
        assert_eq!(message_of(&mut split, b"\xac".to_vec()), Some(Message::Text("€".to_owned())));
        assert_eq!(message_of(&mut split, b"\xe2".to_vec()), None);
        assert_eq!(message_of(&mut split, b"x\0".to_vec()), Some(Message::Binary(b"\xe2x\0".to_vec())));
        assert!(split.is_empty());
        assert_eq!(message_of(&mut split, b"\xff\xfe".to_vec()), Some(Message::Binary(b"\xff\xfe".to_vec())));
    }
}
