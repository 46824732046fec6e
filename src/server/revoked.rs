//! What goes on after its request ends with the key it was asked for by.

use std::mem;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::HttpServer;
use super::call::{Refusal, Reply, Request};
use super::conn::{Conn, Mode};
use super::exchange::what;
use super::guard::Guard;
use crate::access::{Right, Watch, Who};
use crate::controller::Scope;
use crate::manager::Cx;
use crate::proto::h1::Method;

/// Who has asked for what goes on, and what that needs.
pub(super) struct Permit {
    who: Who,
    needed: Option<(Right, Scope)>,
    what: String,
}

impl Permit {
    /// `None` for an answer that is all there, and for somebody without a key, whom nobody can take it from.
    pub(super) fn new(
        who: &Who,
        needed: Option<(Right, Scope)>,
        request: &Request,
        reply: &Result<Reply, Refusal>,
    ) -> Option<Box<Self>> {
        let goes_on = match reply {
            Ok(Reply::Feed(_) | Reply::WebSocket(_) | Reply::Streamed(_)) => true,
            // What changes something is done, and who has asked for it is told so: a key may remove itself.
            Ok(Reply::Later(_)) => matches!(request.head.method(), Method::Get | Method::Head),
            _ => false,
        };
        let permit = || Box::new(Self { who: who.clone(), needed, what: what(&request.head) });
        (goes_on && matches!(who, Who::Key(_))).then(permit)
    }

    fn check(&self, guard: &Guard) -> Result<(), Refusal> {
        guard.check_known(&self.who)?;
        self.needed.as_ref().map_or(Ok(()), |(right, on)| guard.check(&self.who, *right, on))
    }
}

/// A letter to itself: keys or rights have changed.
pub(super) struct KeysChanged;

/// Sends that letter.
pub(super) struct KeysWatch {
    /// Whether it is on its way, or could not be sent because too much was.
    changed: Arc<AtomicBool>,
    _watch: Watch,
}

impl HttpServer {
    /// From now on what is open is looked at when keys have changed.
    pub(super) fn watch_keys(&mut self, cx: &Cx<'_>) {
        let (Some(guard), Some(us)) = (&self.guard, cx.app_id()) else { return };
        let (handle, changed) = (cx.handle(), Arc::new(AtomicBool::new(false)));
        let told = Arc::clone(&changed);
        let watch = guard.access.on_change(move || {
            if !told.swap(true, Ordering::AcqRel) {
                // The next event brings it too. A manager that has ended has nothing open.
                let _ = handle.post(move |cx| cx.mail(us, KeysChanged));
            }
        });
        self.keys = Some(KeysWatch { changed, _watch: watch });
    }

    /// Something is about to be delivered: to whom, may be another process's decision.
    pub(super) fn look_at_keys(&mut self, cx: &mut Cx<'_>) {
        let Some(guard) = &self.guard else { return };
        guard.access.look_at_file();
        if self.keys.as_ref().is_some_and(|keys| keys.changed.load(Ordering::Acquire)) {
            self.recheck(cx);
        }
    }

    /// Ends what is not allowed any more.
    pub(super) fn recheck(&mut self, cx: &mut Cx<'_>) {
        // Before anything is asked: what changes from now on is another matter.
        if !self.keys.as_ref().is_some_and(|keys| keys.changed.swap(false, Ordering::AcqRel)) {
            return;
        }
        let Some(guard) = self.guard.clone() else { return };
        let asks = |conn: &Conn| conn.permit.is_some() || matches!(conn.mode, Mode::Socket(_));
        let ids: Vec<_> = self.connections.values().filter(|conn| asks(conn)).map(|conn| conn.id()).collect();
        for id in ids {
            self.with(cx, id, |server, cx, conn| server.recheck_one(cx, &guard, conn));
        }
        self.recheck_sessions(cx);
    }

    fn recheck_one(&mut self, cx: &mut Cx<'_>, guard: &Guard, conn: &mut Conn) {
        if matches!(conn.mode, Mode::Http | Mode::Closing | Mode::Linger) {
            // Its answer is complete.
            conn.permit = None;
            return;
        }
        let refusal = conn.permit.as_ref().and_then(|permit| permit.check(guard).err());
        let Some(refusal) = refusal else {
            return self.with_socket(cx, conn, |socket, cx, out| socket.recheck(cx, out));
        };
        if let Some(permit) = conn.permit.take() {
            let what = format!("{}, under way", permit.what);
            guard.audit(&permit.who, &what, &conn.peer, Some(&refusal.reason));
        }
        match &mut conn.mode {
            Mode::Feed(feed) => {
                if feed.refuse(&refusal, &mut conn.out) {
                    self.end_feed(cx, conn);
                } else {
                    self.break_feed_off(cx, conn);
                }
            }
            Mode::Socket(_) => self.with_socket(cx, conn, |_, _, out| out.refuse(&refusal.reason)),
            Mode::Waiting(_) => self.answer_instead(cx, conn, refusal),
            _ => conn.dead = true,
        }
    }

    /// Closes without the end of the content, so that what is missing does not look like the end of what it is about.
    fn break_feed_off(&mut self, cx: &mut Cx<'_>, conn: &mut Conn) {
        if let Mode::Feed(mut feed) = mem::replace(&mut conn.mode, Mode::Closing) {
            self.unsubscribe(cx, conn.id(), &mut feed);
        }
    }
}
