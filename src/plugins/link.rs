//! The conversation with one process of a plugin.

use std::collections::VecDeque;
use std::sync::Arc;

use serde_json::json;

use super::Notice;
use crate::controller::Session;
use crate::manager::{AppId, Cx, Flow, TapId};
use crate::process::Pid;
use crate::proto::lines::{LineEnd, Lines};

/// The longest message of a plugin, in bytes: 1 MiB. A longer line is answered with an error.
pub const MAX_MESSAGE: usize = 1 << 20;

/// The longest line of a plugin's standard error that is told whole.
const MAX_STDERR: usize = 4096;

/// While so many answers wait for a plugin, it is not listened to.
const MAX_ANSWERS: usize = 64;

/// So many bad lines of a process are told; the others are counted only.
const MAX_TOLD: u64 = 10;

/// The mail that says: something waits for this process.
pub(super) struct Wake(pub(super) Pid);

pub(super) struct Link {
    pid: Pid,
    session: Session,
    stdout: Lines,
    stderr: Lines,
    /// What is to be sent before events: greetings and answers.
    answers: VecDeque<String>,
    /// The process has not read what was sent; it is told when it has.
    blocked: bool,
    /// Its output waits until it has read answers.
    paused: Option<TapId>,
    /// In the middle of a line that is too long.
    overlong: bool,
    invalid: u64,
}

impl Link {
    /// `us` gets [`Wake`] by mail when events wait.
    pub(super) fn new(pid: Pid, us: AppId) -> Self {
        Self {
            pid,
            session: Session::new(move |cx| cx.mail(us, Wake(pid))),
            stdout: Lines::new(MAX_MESSAGE),
            stderr: Lines::new(MAX_STDERR),
            answers: VecDeque::new(),
            blocked: false,
            paused: None,
            overlong: false,
            invalid: 0,
        }
    }

    /// Says something first.
    pub(super) fn greet(&mut self, cx: &mut Cx<'_>, message: String) {
        self.answers.push_back(message);
        self.pump(cx);
    }

    /// The process has read everything.
    pub(super) fn taken(&mut self, cx: &mut Cx<'_>) {
        self.blocked = false;
        self.pump(cx);
        if let Some(tap) = self.paused.take_if(|_| self.answers.len() < MAX_ANSWERS) {
            cx.resume(tap);
        }
    }

    /// Sends what waits, as long as the process takes it: answers, then events. The events that wait longer are with the
    /// session, which drops the oldest and says so.
    pub(super) fn pump(&mut self, cx: &mut Cx<'_>) {
        while !self.blocked {
            // One that has ended, or has no input, is never told of again.
            if !cx.notify_taken(self.pid, None).unwrap_or(false) {
                self.blocked = true;
                return;
            }
            let next = match self.answers.pop_front() {
                Some(answer) => Some(Arc::from(answer)),
                None => self.session.next(cx),
            };
            let Some(message) = next else { return };
            // One that has closed its input wants nothing: that is no fault, and its end is told elsewhere.
            self.blocked = cx.send(self.pid, None, format!("{message}\n").as_bytes()).is_err();
        }
    }

    /// What the process says.
    pub(super) fn said(&mut self, cx: &mut Cx<'_>, tap: TapId, bytes: &[u8], tell: &mut dyn FnMut(Told)) -> Flow {
        let mut stdout = std::mem::take(&mut self.stdout);
        stdout.feed(bytes, &mut |line| {
            if line.end == LineEnd::Cut {
                if !std::mem::replace(&mut self.overlong, true) {
                    let message = format!("a message has at most {MAX_MESSAGE} bytes");
                    self.refuse("too_long", &message, tell);
                }
            } else if self.overlong {
                self.overlong = !line.end.is_complete();
            } else {
                self.line(cx, line.bytes, tell);
            }
        });
        self.stdout = stdout;
        self.pump(cx);
        if self.answers.len() >= MAX_ANSWERS {
            self.paused = Some(tap);
            return Flow::Pause;
        }
        Flow::Continue
    }

    fn line(&mut self, cx: &mut Cx<'_>, line: &[u8], tell: &mut dyn FnMut(Told)) {
        if line.trim_ascii().is_empty() {
            return;
        }
        let Ok(text) = std::str::from_utf8(line) else {
            return self.refuse("invalid_json", "the line is not UTF-8", tell);
        };
        let mut answers = Vec::new();
        self.session.message(cx, text, &mut |answer| answers.push(answer));
        for answer in answers {
            // Within a text the quotes are escaped, so this is the member itself.
            if answer.contains(r#""event":"gaffer:error""#) {
                self.count(&answer, tell);
            }
            self.answers.push_back(answer);
        }
    }

    fn refuse(&mut self, reason: &str, message: &str, tell: &mut dyn FnMut(Told)) {
        let data = json!({"error": "invalid_msg", "reason": reason, "message": message});
        let answer = json!({"event": "gaffer:error", "data": data}).to_string();
        self.count(&answer, tell);
        self.answers.push_back(answer);
    }

    fn count(&mut self, answer: &str, tell: &mut dyn FnMut(Told)) {
        self.invalid += 1;
        let why = if self.invalid <= MAX_TOLD { Some(answer.to_owned()) } else { None };
        tell(Told::Invalid { why, last: self.invalid == MAX_TOLD });
    }

    /// What the process complains about.
    pub(super) fn complained(&mut self, bytes: &[u8], tell: &mut dyn FnMut(Told)) {
        self.stderr.feed(bytes, &mut |line| tell(Told::Stderr(String::from_utf8_lossy(line.bytes).into_owned())));
    }

    /// The last words.
    pub(super) fn end(&mut self, cx: &mut Cx<'_>, tell: &mut dyn FnMut(Told)) {
        self.stderr.flush(&mut |line| tell(Told::Stderr(String::from_utf8_lossy(line.bytes).into_owned())));
        self.session.close(cx);
        // What it has said after that is nobody's, but is to be read to its end.
        if let Some(tap) = self.paused.take() {
            cx.resume(tap);
        }
    }
}

/// What is told of a process, without the name of its plugin.
pub(super) enum Told {
    Stderr(String),
    Invalid { why: Option<String>, last: bool },
}

impl Told {
    pub(super) fn notice(self, plugin: &str) -> Option<Notice> {
        let plugin = plugin.to_owned();
        match self {
            Self::Stderr(line) => Some(Notice::Stderr { plugin, line }),
            Self::Invalid { why, last } => Some(Notice::Invalid { plugin, answer: why?, last }),
        }
    }

    pub(super) const fn is_invalid(&self) -> bool {
        matches!(self, Self::Invalid { .. })
    }
}
