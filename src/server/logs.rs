//! Feeds of output: lines of many streams, what is kept of them first.
//!
//! What is kept is read and the subscription begins in one call, so there is no gap between them and nothing comes twice.
//! A line is told when it is complete, or after 64 KiB of it, or when it was silent for [`SILENCE`].
//!
//! Server-sent events have an `id` that tells up to where the output was told, of all streams; who comes back with it
//! gets what has come since.

use std::collections::{BTreeMap, HashMap};
use std::io::Write;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::HttpServer;
use super::call::{FeedMode, FeedSource};
use super::conn::{Conn, Mode};
use super::feeds::{Feed, Record};
use crate::event_loop::SourceId;
use crate::history::{History, Key, Position, Query, Record as Kept, Snapshot};
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
    /// Up to where they were told, where the client is told that.
    track: Option<Track>,
}

struct Tail {
    origin: StreamOrigin,
    bytes: Vec<u8>,
    time: SystemTime,
    last: Instant,
}

/// Up to where the output was told.
struct Track {
    history: History,
    /// How many bytes of each stream have come.
    ends: HashMap<Key, u64>,
    /// Streams that are within a line, and up to where they were told.
    open: BTreeMap<Key, u64>,
}

impl Track {
    /// The id of a line, of which this is the end.
    fn id(&self, key: Key, end: u64) -> String {
        let mut position = self.history.now();
        position.ends.clone_from(&self.open);
        position.ends.insert(key, end);
        position.to_string()
    }
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

    fn add(&mut self, time: SystemTime, origin: &StreamOrigin, data: &[u8], id: impl FnOnce() -> String) {
        self.records += 1;
        if self.mode == FeedMode::EventSource {
            let mut json = Vec::new();
            record_json(&mut json, time, origin, data);
            self.bytes.extend(Feed::encode(self.mode, false, &Record { id: &id(), event: "log", data: &json }));
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
    /// Sends what is kept, of that what is new to a client that comes back with an id, and subscribes to what follows.
    pub(super) fn subscribe_logs(
        &mut self,
        cx: &mut Cx<'_>,
        conn: &mut Conn,
        feed: &mut Feed,
        query: &Query,
        last: Option<&str>,
    ) {
        let history = self.provided.get::<History>().cloned();
        let kept = Query { bytes: query.bytes.min(self.config.unsent / 4), ..query.clone() };
        let all = Query { lines: usize::MAX, since: None, ..kept.clone() };
        let since = |history: &History| history.read_after(cx, &all, &last?.parse::<Position>().ok()?);
        let (snapshot, is_known) = match (history.as_ref().and_then(since), &history) {
            (Some(snapshot), _) => (snapshot, true),
            (None, Some(history)) => (history.read_with_files(cx, &kept), false),
            (None, None) => (Snapshot::default(), false),
        };
        if snapshot.is_cut || last.is_some() && !is_known {
            feed.tell_unknown_gap(&mut conn.out);
        }
        let track = history.filter(|_| feed.spec.mode == FeedMode::EventSource);
        let (track, batch) = Self::batch_of(feed.spec.mode, track, query, &snapshot.records);
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
        feed.tails = Some(Box::new(Tails { track, ..Tails::default() }));
    }

    /// The records, each with its id where there are ids; and up to where all streams are told then.
    fn batch_of(mode: FeedMode, history: Option<History>, query: &Query, records: &[Kept]) -> (Option<Track>, Batch) {
        let mut batch = Batch::new(mode);
        let Some(history) = history else {
            records.iter().for_each(|record| batch.add(record.time, &record.origin, &record.data, String::new));
            return (None, batch);
        };
        let now = history.now();
        let mut tips = history.tips(query);
        let mut track =
            Track { history, ends: tips.iter().map(|tip| (tip.key, tip.end)).collect(), open: BTreeMap::new() };
        // Those whose line has begun before are told, or not asked for.
        tips.sort_by_key(|tip| tip.unfinished);
        let mut unfinished = tips.iter().filter_map(|tip| Some((tip.unfinished?, tip))).peekable();
        for record in records {
            let id = || {
                // What was in a file has no place: the last one stands.
                let Some((order, end)) = record.place else { return String::new() };
                while let Some((_, tip)) = unfinished.next_if(|(began, _)| *began < order) {
                    track.open.insert(tip.key, tip.end);
                }
                let mut ends = track.open.clone();
                ends.insert((record.origin.pid, record.origin.fd), end);
                Position { order, ends, ..now.clone() }.to_string()
            };
            batch.add(record.time, &record.origin, &record.data, id);
        }
        track.open.extend(unfinished.map(|(_, tip)| (tip.key, tip.end)));
        (Some(track), batch)
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
                let key = (chunk.origin.pid, chunk.origin.fd);
                if let Some(tail) = tails.tails.remove(&key) {
                    tails.add(&mut batch, tail.time, &tail.origin, &tail.bytes, 0);
                }
                if let Some(track) = &mut tails.track {
                    track.ends.remove(&key);
                    track.open.remove(&key);
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
        if let Some(track) = &mut self.track {
            *track.ends.entry(key).or_default() += bytes.len() as u64;
        }
        let whole = bytes.iter().rposition(|&b| b == b'\n').map_or(0, |at| at + 1);
        let (lines, rest) = bytes.split_at(whole);
        let mut lines = lines.split_inclusive(|&b| b == b'\n');
        let mut left = bytes.len();
        if let Some(mut tail) = if whole > 0 { self.tails.remove(&key) } else { None } {
            let line = lines.next().unwrap_or_default();
            tail.bytes.extend_from_slice(line);
            left -= line.len();
            self.add(batch, tail.time, origin, &tail.bytes, left);
        }
        for line in lines {
            left -= line.len();
            self.add(batch, now, origin, line, left);
        }
        if rest.is_empty() {
            return;
        }
        let new = || Tail { origin: origin.clone(), bytes: Vec::new(), time: now, last: Instant::now() };
        let tail = self.tails.entry(key).or_insert_with(new);
        tail.bytes.extend_from_slice(rest);
        tail.last = Instant::now();
        let held = tail.bytes.len();
        if held < LONGEST {
            if let Some(track) = &mut self.track {
                let end = track.ends.get(&key).copied().unwrap_or_default();
                track.open.insert(key, end.saturating_sub(held as u64));
            }
        } else if let Some(tail) = self.tails.remove(&key) {
            self.add(batch, tail.time, origin, &tail.bytes, 0);
        }
    }

    /// Tells a line, behind which so many bytes of its stream have come.
    fn add(&mut self, batch: &mut Batch, time: SystemTime, origin: &StreamOrigin, line: &[u8], behind: usize) {
        let Some(track) = &mut self.track else { return batch.add(time, origin, line, String::new) };
        let key = (origin.pid, origin.fd);
        let end = track.ends.get(&key).copied().unwrap_or_default().saturating_sub(behind as u64);
        if line.ends_with(b"\n") {
            track.open.remove(&key);
        } else {
            track.open.insert(key, end);
        }
        batch.add(time, origin, line, || track.id(key, end));
    }

    /// Tells what was silent for long enough; the time until the next one is due.
    fn tell(&mut self, batch: &mut Batch, now: Instant) -> Option<Duration> {
        let mut next: Option<Duration> = None;
        let mut silent = Vec::new();
        for (key, tail) in &self.tails {
            let left = (tail.last + SILENCE).saturating_duration_since(now);
            if left.is_zero() {
                silent.push(*key);
            } else {
                next = Some(next.map_or(left, |next| next.min(left)));
            }
        }
        for tail in silent.iter().filter_map(|key| self.tails.remove(key)).collect::<Vec<_>>() {
            self.add(batch, tail.time, &tail.origin, &tail.bytes, 0);
        }
        next
    }
}
