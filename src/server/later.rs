//! Answers that take more than one turn of the loop.

use std::collections::HashMap;
use std::fmt;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::HttpServer;
use super::call::{Refusal, Reply};
use super::conn::{Conn, Mode};
use crate::event_loop::SourceId;
use crate::manager::{AppId, Cx};
use crate::proto::h1::RequestHead;

/// Where an answer goes that a handler could not give at once.
///
/// The handler takes it from its [call](super::Call::later), hands it to whatever will know the answer, and replies
/// [`Reply::Later`]. Until the answer comes, the connection takes up no further request, so answers keep the order of their requests; other
/// connections are served. Any reply will do as the answer, a feed or another `Later` too.
///
/// The closure of [`Reply::Later`] is the place to give up the work. It is called when the client has gone, when it has closed its side and no answer came
/// within two seconds, when the server stops, and after [`Config::answer_timeout`](super::Config::answer_timeout), which is answered 504. It is not called
/// once there was an answer. What comes after that is thrown away.
///
/// ```
/// use std::time::Duration;
/// use gaffer::server::{Config, HttpServer, Reply};
///
/// let mut server = HttpServer::bind(Config::default())?;
/// server.route("GET", "/slow", |call| {
///     let later = call.later();
///     let work = call.cx.after(Duration::from_secs(1), move |cx| {
///         later.answer(cx, Ok(Reply::Text(200, "at last".to_owned())));
///     });
///     Ok(Reply::Later(Box::new(move |cx| drop(cx.remove(work)))))
/// })?;
/// # Ok::<(), gaffer::Error>(())
/// ```
///
/// What is known on another thread comes by a [`Handle`](crate::manager::Handle): `handle.post(move |cx| later.answer(cx, reply))`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Later {
    pub(super) server: Option<AppId>,
    /// Of the request; never used twice by a server.
    pub(super) number: u64,
}

impl Later {
    /// Answers, within this turn. Nothing happens if nobody waits for it, or not any more.
    pub fn answer(&self, cx: &mut Cx<'_>, reply: Result<Reply, Refusal>) {
        if let Some(server) = self.server {
            cx.mail(server, Answer { number: self.number, reply });
        }
    }
}

/// The mail that brings an answer.
pub(super) struct Answer {
    pub(super) number: u64,
    pub(super) reply: Result<Reply, Refusal>,
}

/// A request whose answer is to come.
pub(super) struct Waiting {
    number: u64,
    head: RequestHead,
    give_up: Box<dyn FnOnce(&mut Cx<'_>) + Send>,
}

/// Requests that are counted, and those of them that wait, by connection.
#[derive(Default)]
pub(super) struct Requests {
    last: u64,
    waiting: HashMap<u64, SourceId>,
}

impl Requests {
    pub(super) fn next(&mut self) -> u64 {
        self.last += 1;
        self.last
    }
}

impl fmt::Debug for Requests {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(&self.waiting).finish()
    }
}

impl HttpServer {
    /// The handler of a request answers later.
    pub(super) fn wait(
        &mut self,
        conn: &mut Conn,
        number: u64,
        head: RequestHead,
        give_up: Box<dyn FnOnce(&mut Cx<'_>) + Send>,
    ) {
        self.requests.waiting.insert(number, conn.id());
        conn.mode = Mode::Waiting(Box::new(Waiting { number, head, give_up }));
    }

    /// An answer has come.
    pub(super) fn answered(&mut self, cx: &mut Cx<'_>, answer: Answer) {
        let Some(connection) = self.requests.waiting.remove(&answer.number) else { return };
        self.with(cx, connection, |server, cx, conn| {
            if let Mode::Waiting(waiting) = mem::replace(&mut conn.mode, Mode::Http) {
                server.respond(cx, conn, waiting.number, waiting.head, answer.reply);
            }
        });
    }

    /// Nobody waits for the answer any more.
    pub(super) fn give_up(&mut self, cx: &mut Cx<'_>, waiting: Waiting) {
        self.requests.waiting.remove(&waiting.number);
        // The work is lost either way.
        let _ = catch_unwind(AssertUnwindSafe(|| (waiting.give_up)(cx)));
    }

    /// This is the answer, whatever the work brings.
    pub(super) fn answer_instead(&mut self, cx: &mut Cx<'_>, conn: &mut Conn, refusal: Refusal) {
        let Mode::Waiting(waiting) = mem::replace(&mut conn.mode, Mode::Http) else { return };
        let (number, head) = (waiting.number, waiting.head.clone());
        self.give_up(cx, *waiting);
        self.respond(cx, conn, number, head, Err(refusal));
    }

    /// No answer came in time, or none will come.
    pub(super) fn no_answer(&mut self, cx: &mut Cx<'_>, conn: &mut Conn, status: u16, error: &'static str) {
        let Mode::Waiting(waiting) = &conn.mode else { return };
        let reason = format!("there was no answer to {} {}", waiting.head.method(), waiting.head.path());
        self.answer_instead(cx, conn, Refusal::new(status, error, reason));
    }
}
