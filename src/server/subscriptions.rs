//! What feeds hang on: events, output, figures.

use std::any::Any;
use std::mem;
use std::sync::Arc;

use super::HttpServer;
use super::call::{FeedMode, FeedSource};
use super::conn::{Conn, Mode};
use super::feeds::{Encoded, Feed};
use super::json::stats_json;
use super::logs::TailsMail;
use crate::event_loop::SourceId;
use crate::manager::{Cx, StreamChunk, StreamData, StreamSelector, TapId, Target};
use crate::process::{Event, Pid, What};
use crate::proto::h1::RequestHead;
use crate::proto::sse;

/// A sample for a feed.
struct SampleMail {
    connection: SourceId,
    json: String,
}

impl HttpServer {
    pub(super) fn subscribe(&mut self, cx: &mut Cx<'_>, conn: &mut Conn, feed: &mut Feed, head: &RequestHead) {
        if feed.spec.mode == FeedMode::EventSource {
            let mut retry = Vec::new();
            sse::write_retry(self.config.retry, &mut retry);
            feed.write(&retry, &mut conn.out);
        }
        let id = conn.id();
        match feed.spec.source.clone() {
            FeedSource::Events { .. } => {
                self.event_feeds.push(id);
                if let Some(last) = head.headers().text("last-event-id").filter(|last| !last.is_empty()) {
                    self.catch_up(conn, feed, last);
                }
            }
            FeedSource::Stream { pid, label } => {
                let tap = cx.tap_to_app(StreamSelector::pid(pid).label(label));
                self.taps.insert(tap, id);
                feed.tap = Some(tap);
            }
            FeedSource::Logs(query) => {
                let last = head.headers().text("last-event-id").filter(|last| !last.is_empty());
                self.subscribe_logs(cx, conn, feed, &query, last);
            }
            FeedSource::Stats { target, interval } => {
                let Some(us) = cx.app_id() else { return };
                let monitor = cx.monitor(target, interval, move |cx, sample| {
                    cx.mail(us, SampleMail { connection: id, json: stats_json(sample).to_string() });
                });
                feed.monitor = Some(monitor);
            }
        }
    }

    /// Sends what a client that comes back has missed.
    fn catch_up(&mut self, conn: &mut Conn, feed: &mut Feed, last: &str) {
        let missed = self.history.since(last);
        if missed.gap {
            feed.tell_unknown_gap(&mut conn.out);
        }
        let (first, topic) = missed.from;
        for (number, event) in self.history.from(first) {
            let skip = if number == first { topic } else { 0 };
            for encoded in Encoded::all(event, number, &self.history).iter_mut().skip(skip) {
                if encoded.is_for(feed) {
                    let bytes = encoded.bytes(event, feed);
                    self.counters.dropped += feed.push(bytes, &mut conn.out, conn.sent, self.config.unsent);
                }
            }
        }
    }

    pub(super) fn unsubscribe(&mut self, cx: &mut Cx<'_>, id: SourceId, feed: &mut Feed) {
        self.event_feeds.retain(|&feed| feed != id);
        if let Some(tap) = feed.tap.take() {
            self.taps.remove(&tap);
            cx.untap(tap);
        }
        if let Some(monitor) = feed.monitor.take() {
            cx.unmonitor(monitor);
        }
    }

    /// Ends a feed whose last piece was written; the connection takes up its next request.
    pub(super) fn end_feed(&mut self, cx: &mut Cx<'_>, conn: &mut Conn) {
        let Mode::Feed(mut feed) = mem::replace(&mut conn.mode, Mode::Http) else { return };
        self.unsubscribe(cx, conn.id(), &mut feed);
        if !feed.end(&mut conn.out) {
            conn.mode = Mode::Closing;
        }
    }

    /// A feed of something that has ended meanwhile.
    pub(super) fn end_feed_if_over(&mut self, cx: &mut Cx<'_>, conn: &mut Conn) {
        let Mode::Feed(feed) = &conn.mode else { return };
        let over = match &feed.spec.source {
            FeedSource::Events { .. } => false,
            FeedSource::Stream { pid, label } => !cx.has_stream(*pid, label) && cx.process(*pid).is_err(),
            FeedSource::Logs(query) => query.pid.is_some_and(|pid| cx.process(pid).is_err() && !cx.has_output(pid)),
            FeedSource::Stats { target: Target::Process(pid), .. } => cx.process(*pid).is_err(),
            FeedSource::Stats { target: Target::Job(name), .. } => !cx.is_loaded(name.as_str()),
            FeedSource::Stats { .. } => false,
        };
        if over {
            self.end_feed(cx, conn);
        }
    }

    /// Brings encoded bytes to a feed; what follows from that is seen to when it is flushed.
    fn push(&mut self, cx: &mut Cx<'_>, conn: &mut Conn, bytes: &[u8]) {
        let Mode::Feed(feed) = &mut conn.mode else { return };
        self.counters.dropped += feed.push(bytes, &mut conn.out, conn.sent, self.config.unsent);
        if feed.overflow {
            conn.dead = true;
            return;
        }
        if feed.spec.mode == FeedMode::LongPoll {
            self.end_feed(cx, conn);
        }
    }

    /// There may be room again to tell of a gap.
    pub(super) fn after_flush(&mut self, conn: &mut Conn) {
        let limit = self.config.unsent;
        if let Mode::Feed(feed) = &mut conn.mode {
            feed.tell_gap_if_room(&mut conn.out, conn.sent, limit);
        }
    }

    pub(super) fn feed_event(&mut self, cx: &mut Cx<'_>, event: &Arc<Event>) {
        let number = self.history.add(event);
        if !self.event_feeds.is_empty() {
            let mut encoded = Encoded::all(event, number, &self.history);
            for id in self.event_feeds.clone() {
                let Some(mut conn) = self.connections.remove(&id) else { continue };
                let before = conn.out.len();
                for one in &mut encoded {
                    let unsent = conn.unsent();
                    let Mode::Feed(feed) = &mut conn.mode else { break };
                    if !one.is_for(feed) {
                        continue;
                    }
                    if feed.pass_over(unsent, self.config.unsent) {
                        self.counters.dropped += 1;
                    } else {
                        let bytes = one.bytes(event, feed);
                        self.push(cx, &mut conn, bytes);
                    }
                }
                if (conn.out.len() > before || conn.is_dead()) && !mem::replace(&mut conn.dirty, true) {
                    self.mark_dirty(cx, id);
                }
                self.connections.insert(id, conn);
            }
        }
        match &event.what {
            What::Exit { pid, .. } => self.process_ended(cx, *pid, event),
            What::Delete => self.end_feeds(cx, |feed| feed.ends_with(event)),
            _ => {}
        }
    }

    fn process_ended(&mut self, cx: &mut Cx<'_>, pid: Pid, event: &Event) {
        let open = |cx: &Cx<'_>, label: &str| cx.has_stream(pid, label);
        self.end_feeds_with(cx, |cx, feed| match &feed.spec.source {
            // Somebody else may hold the stream's other end; its own end comes as output.
            FeedSource::Stream { pid: ours, label } => *ours == pid && !open(cx, label),
            FeedSource::Logs(query) => query.pid == Some(pid) && !cx.has_output(pid),
            _ => feed.ends_with(event),
        });
    }

    fn end_feeds(&mut self, cx: &mut Cx<'_>, over: impl Fn(&Feed) -> bool) {
        self.end_feeds_with(cx, |_, feed| over(feed));
    }

    fn end_feeds_with(&mut self, cx: &mut Cx<'_>, over: impl Fn(&Cx<'_>, &Feed) -> bool) {
        let ends = |conn: &Conn| matches!(&conn.mode, Mode::Feed(feed) if over(cx, feed));
        let ids: Vec<_> = self.connections.values().filter(|conn| ends(conn)).map(|conn| conn.id()).collect();
        for id in ids {
            self.with(cx, id, |server, cx, conn| server.end_feed(cx, conn));
        }
    }

    pub(super) fn feed_output(&mut self, cx: &mut Cx<'_>, tap: TapId, chunk: &StreamChunk<'_>) {
        let Some(&id) = self.taps.get(&tap) else { return };
        self.with(cx, id, |server, cx, conn| match chunk.data {
            _ if matches!(&conn.mode, Mode::Feed(feed) if feed.tails.is_some()) => server.log_output(cx, conn, chunk),
            StreamData::Bytes(bytes) => {
                let Mode::Feed(feed) = &mut conn.mode else { return };
                if let Some(bytes) = feed.output(bytes) {
                    server.push(cx, conn, &bytes);
                }
            }
            StreamData::End => {
                // The stream counts as open until this call is over.
                if cx.process(chunk.origin.pid).is_err() {
                    server.end_feed(cx, conn);
                }
            }
        });
    }

    pub(super) fn feed_mail(&mut self, cx: &mut Cx<'_>, message: Box<dyn Any + Send>) {
        let message = match message.downcast::<TailsMail>() {
            Ok(mail) => return self.with(cx, mail.connection, |server, cx, conn| server.log_tails(cx, conn)),
            Err(message) => message,
        };
        let Ok(mail) = message.downcast::<SampleMail>() else { return };
        self.with(cx, mail.connection, |server, cx, conn| {
            let Mode::Feed(feed) = &conn.mode else { return };
            let record = super::feeds::Record { id: "", event: "stat", data: mail.json.as_bytes() };
            let bytes = Feed::encode(feed.spec.mode, false, &record);
            server.push(cx, conn, &bytes);
        });
    }
}
