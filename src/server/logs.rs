//! Feeds of output: lines of many streams, what is kept of them first.
//!
//! What is kept is read and the subscription begins in one call, so there is no gap between them and nothing comes twice.
//! A line is told when it is complete, or after 64 KiB of it, or when it was silent for [`SILENCE`].

use std::collections::HashMap;
use std::io::Write;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::HttpServer;
use super::call::{FeedMode, FeedSource};
use super::conn::{Conn, Mode};
use super::feeds::{Feed, Record};
use crate::event_loop::SourceId;
use crate::history::{History, Query};
use crate::manager::{Cx, StreamChunk, StreamData, StreamOrigin, StreamSelector};
use crate::process::Pid;

/// So long an unfinished line waits for its rest.
const SILENCE: Duration = Duration::from_millis(100);

/// So much of an unfinished line waits for its rest.
const LONGEST: usize = 64 << 10;

/// The lines of a feed that are not finished.
#[derive(Default)]
pub(super) struct Tails {
    tails: HashMap<(Pid, i32), Tail>,
    /// A letter about them is on its way.
    pending: bool,
}

struct Tail {
    origin: StreamOrigin,
    bytes: Vec<u8>,
    time: SystemTime,
    last: Instant,
}

/// A letter: look at the unfinished lines of this feed, and whether it is over.
pub(super) struct TailsMail {
    pub(super) connection: SourceId,
}

/// Records for one feed, encoded.
struct Batch {
    mode: FeedMode,
    bytes: Vec<u8>,
    records: u64,
}

impl Batch {
    const fn new(mode: FeedMode) -> Self {
        Self { mode, bytes: Vec::new(), records: 0 }
    }

    fn add(&mut self, time: SystemTime, origin: &StreamOrigin, data: &[u8]) {
        self.records += 1;
        if self.mode == FeedMode::EventSource {
            let mut json = Vec::new();
            record_json(&mut json, time, origin, data);
            self.bytes.extend(Feed::encode(self.mode, false, &Record { id: "", event: "log", data: &json }));
        } else {
            record_json(&mut self.bytes, time, origin, data);
            self.bytes.push(b'\n');
        }
    }
}

/// A piece of output as JSON: `time name instance pid os_pid label fd data`, the last one `data_base64` if it is not UTF-8.
pub(super) fn record_json(out: &mut Vec<u8>, time: SystemTime, origin: &StreamOrigin, data: &[u8]) {
    const INFALLIBLE: &str = "a Vec takes everything";
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    // A job's name has no character that JSON escapes.
    write!(
        out,
        "{{\"time\":{}.{:06},\"name\":\"{}\",\"instance\":{},\"pid\":{},\"os_pid\":{},\"label\":",
        since.as_secs(),
        since.subsec_micros(),
        origin.name,
        origin.instance,
        origin.pid,
        origin.os_pid
    )
    .expect(INFALLIBLE);
    serde_json::to_writer(&mut *out, &*origin.label).expect(INFALLIBLE);
    write!(out, ",\"fd\":{},", origin.fd).expect(INFALLIBLE);
    match std::str::from_utf8(data) {
        Ok(text) => {
            out.extend_from_slice(b"\"data\":");
            serde_json::to_writer(&mut *out, text).expect(INFALLIBLE);
        }
        Err(_) => write!(out, "\"data_base64\":\"{}\"", STANDARD.encode(data)).expect(INFALLIBLE),
    }
    out.push(b'}');
}

impl HttpServer {
    /// Sends what is kept, and subscribes to what follows.
    pub(super) fn subscribe_logs(&mut self, cx: &mut Cx<'_>, conn: &mut Conn, feed: &mut Feed, query: &Query) {
        let kept = Query { bytes: query.bytes.min(self.config.unsent / 4), ..query.clone() };
        let snapshot = self.provided.get::<History>().map(|logs| logs.read_with_files(cx, &kept)).unwrap_or_default();
        if snapshot.is_cut {
            feed.tell_unknown_gap(&mut conn.out);
        }
        let mut batch = Batch::new(feed.spec.mode);
        for record in &snapshot.records {
            batch.add(record.time, &record.origin, &record.data);
        }
        self.push_batch(conn, feed, &batch);
        let mut which = match (query.pid, &query.jobs[..]) {
            (Some(pid), _) => StreamSelector::pid(pid),
            (None, [one]) => one.exact().map_or_else(StreamSelector::all, StreamSelector::job),
            _ => StreamSelector::all(),
        };
        which.label.clone_from(&query.label);
        let tap = cx.tap_to_app(which);
        self.taps.insert(tap, conn.id());
        feed.tap = Some(tap);
        feed.tails = Some(Box::default());
    }

    fn push_batch(&mut self, conn: &mut Conn, feed: &mut Feed, batch: &Batch) {
        if batch.records > 0 {
            let dropped = feed.push_records(&batch.bytes, batch.records, &mut conn.out, conn.sent, self.config.unsent);
            self.counters.dropped += dropped;
        }
    }

    /// A piece of output for a feed of them.
    pub(super) fn log_output(&mut self, cx: &mut Cx<'_>, conn: &mut Conn, chunk: &StreamChunk<'_>) {
        let Mode::Feed(feed) = &mut conn.mode else { return };
        let (FeedSource::Logs(query), Some(tails)) = (&feed.spec.source, &mut feed.tails) else { return };
        if !query.matches(chunk.origin) {
            return;
        }
        let mut batch = Batch::new(feed.spec.mode);
        let mut letter = None;
        match chunk.data {
            StreamData::Bytes(bytes) => {
                tails.take(chunk.origin, bytes, &mut batch);
                if !tails.pending && !tails.tails.is_empty() {
                    letter = Some(SILENCE);
                }
            }
            StreamData::End => {
                if let Some(tail) = tails.tails.remove(&(chunk.origin.pid, chunk.origin.fd)) {
                    batch.add(tail.time, &tail.origin, &tail.bytes);
                }
                // The stream counts as open until this call is over.
                letter = query.pid.map(|_| Duration::ZERO);
            }
        }
        if let Some(after) = letter {
            tails.pending = true;
            Self::write_letter(cx, conn.id(), after);
        }
        self.log_batch(cx, conn, &batch);
    }

    fn write_letter(cx: &mut Cx<'_>, connection: SourceId, after: Duration) {
        let Some(us) = cx.app_id() else { return };
        if after.is_zero() {
            cx.mail(us, TailsMail { connection });
        } else {
            cx.after(after, move |cx| cx.mail(us, TailsMail { connection }));
        }
    }

    fn log_batch(&mut self, cx: &mut Cx<'_>, conn: &mut Conn, batch: &Batch) {
        if batch.records == 0 {
            return;
        }
        let Mode::Feed(mut feed) = std::mem::replace(&mut conn.mode, Mode::Http) else { return };
        self.push_batch(conn, &mut feed, batch);
        let once = feed.spec.mode == FeedMode::LongPoll;
        conn.mode = Mode::Feed(feed);
        if once {
            self.end_feed(cx, conn);
        }
    }

    /// Tells the lines that were silent for long enough, and ends the feed of a process that is over.
    pub(super) fn log_tails(&mut self, cx: &mut Cx<'_>, conn: &mut Conn) {
        let Mode::Feed(feed) = &mut conn.mode else { return };
        let (mode, Some(tails)) = (feed.spec.mode, &mut feed.tails) else { return };
        let mut batch = Batch::new(mode);
        tails.pending = false;
        if let Some(after) = tails.tell(&mut batch, Instant::now()) {
            tails.pending = true;
            Self::write_letter(cx, conn.id(), after);
        }
        self.log_batch(cx, conn, &batch);
        self.end_feed_if_over(cx, conn);
    }
}

impl Tails {
    /// Takes what came from a stream and tells the lines that are complete.
    fn take(&mut self, origin: &StreamOrigin, bytes: &[u8], batch: &mut Batch) {
        let (now, key) = (SystemTime::now(), (origin.pid, origin.fd));
        let whole = bytes.iter().rposition(|&b| b == b'\n').map_or(0, |at| at + 1);
        let (lines, rest) = bytes.split_at(whole);
        let mut lines = lines.split_inclusive(|&b| b == b'\n');
        if let Some(mut tail) = if whole > 0 { self.tails.remove(&key) } else { None } {
            tail.bytes.extend_from_slice(lines.next().unwrap_or_default());
            batch.add(tail.time, origin, &tail.bytes);
        }
        lines.for_each(|line| batch.add(now, origin, line));
        if rest.is_empty() {
            return;
        }
        let new = || Tail { origin: origin.clone(), bytes: Vec::new(), time: now, last: Instant::now() };
        let tail = self.tails.entry(key).or_insert_with(new);
        tail.bytes.extend_from_slice(rest);
        tail.last = Instant::now();
        if tail.bytes.len() >= LONGEST {
            batch.add(tail.time, origin, &tail.bytes);
            self.tails.remove(&key);
        }
    }

    /// Tells what was silent for long enough; the time until the next one is due.
    fn tell(&mut self, batch: &mut Batch, now: Instant) -> Option<Duration> {
        let mut next: Option<Duration> = None;
        self.tails.retain(|_, tail| {
            let left = (tail.last + SILENCE).saturating_duration_since(now);
            if left.is_zero() {
                batch.add(tail.time, &tail.origin, &tail.bytes);
                return false;
            }
            next = Some(next.map_or(left, |next| next.min(left)));
            true
        });
        next
    }
}
