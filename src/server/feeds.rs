//! Feeds: answers that go on.
//!
//! The server keeps the last events with a number each, so that a client of server-sent events that comes back with a `Last-Event-ID` gets what it has
//! missed; if that is too long ago, or from before a restart, a `gap` event says so. Events come from [`App::event`](crate::manager::App::event), once each, and are
//! written once for all feeds that want them in the same form.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use super::call::{FeedMode, FeedSource, FeedSpec, Refusal};
use super::json::event_json;
use super::logs::Tails;
use crate::manager::{MonitorId, TapId, Target};
use crate::process::topics::{Pattern, Topic, topics};
use crate::process::{Event, What};
use crate::proto::h1::BodyWriter;
use crate::proto::sse;

/// One feed.
pub(super) struct Feed {
    pub(super) spec: FeedSpec,
    pub(super) pattern: Pattern,
    /// `None` once it has ended.
    writer: Option<BodyWriter>,
    pub(super) tap: Option<TapId>,
    pub(super) monitor: Option<MonitorId>,
    /// Unfinished lines, of a feed of them.
    pub(super) tails: Option<Box<Tails>>,
    /// What was left out since the client was last told.
    gap: u64,
    /// The start of a character whose rest is to come.
    partial: Vec<u8>,
    pub(super) overflow: bool,
}

/// A piece of a feed, in the forms it may be needed in.
pub(super) struct Record<'a> {
    pub(super) id: &'a str,
    pub(super) event: &'a str,
    pub(super) data: &'a [u8],
}

impl<'a> Record<'a> {
    /// A piece of a stream.
    const fn output(label: &'a str, data: &'a [u8]) -> Self {
        Self { id: "", event: label, data }
    }
}

impl Feed {
    pub(super) fn new(spec: FeedSpec, writer: BodyWriter) -> Self {
        let pattern = match &spec.source {
            FeedSource::Events { pattern } => Pattern::new(pattern),
            _ => Pattern::default(),
        };
        let (tap, monitor, partial) = (None, None, Vec::new());
        Self { spec, pattern, writer: Some(writer), tap, monitor, tails: None, gap: 0, partial, overflow: false }
    }

    /// The media type of this feed.
    pub(super) const fn media_type(spec: &FeedSpec) -> &'static str {
        match (spec.mode, &spec.source) {
            (FeedMode::EventSource, _) => sse::MEDIA_TYPE,
            (_, FeedSource::Stream { .. }) => "application/octet-stream",
            (FeedMode::LongPoll, FeedSource::Logs(_)) => "application/x-ndjson",
            (FeedMode::LongPoll, _) => "application/json",
            (FeedMode::Continuous, _) => "application/x-ndjson",
        }
    }

    /// A sign of life has no place in raw output.
    pub(super) fn heartbeat(&self) -> Option<Duration> {
        let raw = matches!(self.spec.source, FeedSource::Stream { .. }) && self.spec.mode != FeedMode::EventSource;
        self.spec.heartbeat.filter(|_| !raw)
    }

    pub(super) fn beat(&mut self, out: &mut Vec<u8>) {
        if self.spec.mode == FeedMode::EventSource {
            let mut comment = Vec::new();
            sse::write_comment("", &mut comment);
            self.write(&comment, out);
        } else {
            self.write(b"\n", out);
        }
    }

    pub(super) const fn has_ended(&self) -> bool {
        self.writer.is_none()
    }

    /// Ends it; whether the connection stays open.
    pub(super) fn end(&mut self, out: &mut Vec<u8>) -> bool {
        if !self.partial.is_empty() {
            let rest = std::mem::take(&mut self.partial);
            let text = String::from_utf8_lossy(&rest).into_owned();
            let bytes = Self::encode(self.spec.mode, self.is_raw(), &Record::output(self.label(), text.as_bytes()));
            self.write(&bytes, out);
        }
        // A chunked content has no length it could contradict.
        self.writer.take().is_some_and(|writer| writer.finish(out).unwrap_or(false))
    }

    /// Says why it ends before its time; false for raw output, in which there is no place for that.
    pub(super) fn refuse(&mut self, refusal: &Refusal, out: &mut Vec<u8>) -> bool {
        if self.is_raw() && self.spec.mode != FeedMode::EventSource {
            return false;
        }
        self.partial = Vec::new();
        let data = refusal.to_json().to_string();
        self.record(&Record { id: "", event: "error", data: data.as_bytes() }, out);
        true
    }

    fn label(&self) -> &str {
        match &self.spec.source {
            FeedSource::Stream { label, .. } => label,
            _ => "",
        }
    }

    pub(super) fn write(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        if let Some(writer) = &mut self.writer {
            // As above.
            let _ = writer.write(bytes, out);
        }
    }

    /// The bytes of a record in this feed's form.
    pub(super) fn encode(mode: FeedMode, raw: bool, record: &Record<'_>) -> Vec<u8> {
        let mut bytes = Vec::new();
        if mode == FeedMode::EventSource {
            let data = String::from_utf8_lossy(record.data);
            let message = sse::Message::new(&data).event(record.event);
            let message = if record.id.is_empty() { message } else { message.id(record.id) };
            // Topics and labels have no line ends; should an embedder's have one, the event goes without its name.
            if message.write(&mut bytes).is_err() {
                let _ = sse::Message::new(&data).write(&mut bytes);
            }
        } else {
            bytes.extend_from_slice(record.data);
            if !raw {
                bytes.push(b'\n');
            }
        }
        bytes
    }

    pub(super) fn is_raw(&self) -> bool {
        matches!(self.spec.source, FeedSource::Stream { .. })
    }

    fn record(&mut self, record: &Record<'_>, out: &mut Vec<u8>) {
        let bytes = Self::encode(self.spec.mode, self.is_raw(), record);
        self.write(&bytes, out);
    }

    /// Whether a record could go to a client of which so much is unsent. Once something was left out, half of the
    /// room must be there again before the feed goes on.
    fn has_room(&self, unsent: usize, limit: usize) -> bool {
        unsent <= if self.gap > 0 { limit / 2 } else { limit }
    }

    /// Leaves a record of events out, which is not even written then, if the client is too far behind for any.
    pub(super) fn pass_over(&mut self, unsent: usize, limit: usize) -> bool {
        let over = !self.has_ended() && !self.has_room(unsent, limit);
        self.gap += u64::from(over);
        over
    }

    /// Writes an encoded record, unless the client is too far behind; how many were left out.
    pub(super) fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>, sent: usize, limit: usize) -> u64 {
        self.push_records(bytes, 1, out, sent, limit)
    }

    /// The same for several records.
    pub(super) fn push_records(
        &mut self,
        bytes: &[u8],
        records: u64,
        out: &mut Vec<u8>,
        sent: usize,
        limit: usize,
    ) -> u64 {
        if self.has_ended() {
            return 0;
        }
        if !self.has_room((out.len() - sent).saturating_add(bytes.len()), limit) {
            self.gap += records;
            // There is no place in raw output to tell of a gap.
            self.overflow = self.is_raw() && self.spec.mode != FeedMode::EventSource;
            return records;
        }
        self.tell_gap(out);
        self.write(bytes, out);
        0
    }

    /// Tells the client what it has missed, if there is room again.
    pub(super) fn tell_gap_if_room(&mut self, out: &mut Vec<u8>, sent: usize, limit: usize) {
        if self.gap > 0 && out.len() - sent <= limit / 2 {
            self.tell_gap(out);
        }
    }

    fn tell_gap(&mut self, out: &mut Vec<u8>) {
        if self.gap > 0 {
            let data = format!("{{\"event\":\"gap\",\"dropped\":{}}}", self.gap);
            self.gap = 0;
            self.record(&Record { id: "", event: "gap", data: data.as_bytes() }, out);
        }
    }

    /// Events before those kept were missed; nobody knows how many.
    pub(super) fn tell_unknown_gap(&mut self, out: &mut Vec<u8>) {
        self.record(&Record { id: "", event: "gap", data: br#"{"event":"gap","dropped":null}"# }, out);
    }

    /// A piece of output, in the form of this feed. Server-sent events are text: what is no UTF-8 becomes U+FFFD, and a character
    /// that is split between two pieces goes with the second.
    pub(super) fn output<'a>(&mut self, bytes: &'a [u8]) -> Option<Cow<'a, [u8]>> {
        if self.spec.mode != FeedMode::EventSource {
            return Some(Cow::Borrowed(bytes));
        }
        let mut joined = std::mem::take(&mut self.partial);
        let text = if joined.is_empty() {
            bytes
        } else {
            joined.extend_from_slice(bytes);
            &joined
        };
        let whole = match std::str::from_utf8(text) {
            Err(e) if e.error_len().is_none() => e.valid_up_to(),
            Err(e) => whole_characters(text, e.valid_up_to()),
            Ok(text) => text.len(),
        };
        let (data, rest) = text.split_at(whole);
        self.partial = rest.to_vec();
        let record = Record::output(self.label(), data);
        (!data.is_empty()).then(|| Cow::Owned(Self::encode(self.spec.mode, true, &record)))
    }

    /// Whether the process this feed is about has ended with this event; for a stream its end of output is to come first.
    pub(super) fn ends_with(&self, event: &Event) -> bool {
        let FeedSource::Stats { target, .. } = &self.spec.source else { return false };
        match (&event.what, target) {
            (What::Exit { pid, .. }, Target::Process(ours)) => pid == ours,
            (What::Delete, Target::Job(name)) => event.job.as_deref() == Some(name),
            _ => false,
        }
    }
}

/// Where an unfinished character at the end of bad text begins, or the text's end.
fn whole_characters(bytes: &[u8], from: usize) -> usize {
    let mut at = from;
    loop {
        match std::str::from_utf8(&bytes[at..]) {
            Ok(_) => return bytes.len(),
            Err(e) => match e.error_len() {
                None => return at + e.valid_up_to(),
                Some(bad) => at += e.valid_up_to() + bad,
            },
        }
    }
}

/// The last events.
pub(super) struct History {
    /// Tells ids of this run from those of another.
    run: u64,
    /// The number of the next event.
    next: u64,
    limit: usize,
    events: VecDeque<Arc<Event>>,
}

/// What a client that comes back has missed.
pub(super) struct Missed {
    /// More than is kept.
    pub(super) gap: bool,
    /// The number of the first one to send, and the first of its topics.
    pub(super) from: (u64, usize),
}

impl History {
    pub(super) fn new(run: u64, limit: usize) -> Self {
        Self { run, next: 0, limit, events: VecDeque::new() }
    }

    /// Keeps an event and gives it a number.
    pub(super) fn add(&mut self, event: &Arc<Event>) -> u64 {
        if self.limit > 0 {
            if self.events.len() == self.limit {
                self.events.pop_front();
            }
            self.events.push_back(Arc::clone(event));
        }
        self.next += 1;
        self.next - 1
    }

    pub(super) fn id(&self, number: u64, topic: usize) -> String {
        format!("{:x}-{number}.{topic}", self.run)
    }

    /// What follows the event of this id.
    pub(super) fn since(&self, id: &str) -> Missed {
        let first = self.next - self.events.len() as u64;
        match parse_id(id).filter(|&(run, number, _)| run == self.run && number < self.next) {
            Some((_, number, topic)) if number >= first => Missed { gap: false, from: (number, topic + 1) },
            Some((_, number, _)) => Missed { gap: number + 1 < first, from: (first, 0) },
            None => Missed { gap: true, from: (self.next, 0) },
        }
    }

    /// The kept events from that number on.
    pub(super) fn from(&self, number: u64) -> impl Iterator<Item = (u64, &Arc<Event>)> {
        let first = self.next - self.events.len() as u64;
        let skip = usize::try_from(number.saturating_sub(first)).unwrap_or(usize::MAX);
        (first..).zip(&self.events).skip(skip)
    }
}

fn parse_id(id: &str) -> Option<(u64, u64, usize)> {
    let (run, rest) = id.split_once('-')?;
    let (number, topic) = rest.split_once('.')?;
    let topic: u8 = topic.parse().ok()?;
    Some((u64::from_str_radix(run, 16).ok()?, number.parse().ok()?, usize::from(topic)))
}

/// An event under one of its names, written at most once for each form.
pub(super) struct Encoded {
    topic: Topic,
    id: String,
    json: Option<Vec<u8>>,
    line: Option<Vec<u8>>,
    sse: Option<Vec<u8>>,
}

impl Encoded {
    pub(super) fn all(event: &Event, number: u64, history: &History) -> Vec<Self> {
        let each = |(n, topic)| Self { topic, id: history.id(number, n), json: None, line: None, sse: None };
        topics(event).into_iter().enumerate().map(each).collect()
    }

    pub(super) fn is_for(&self, feed: &Feed) -> bool {
        feed.pattern.matches(&self.topic)
    }

    /// The bytes in the form of a feed.
    pub(super) fn bytes(&mut self, event: &Event, feed: &Feed) -> &[u8] {
        let Self { topic, id, json, line, sse } = self;
        let json = json.get_or_insert_with(|| event_json(event, &topic.name).to_string().into_bytes());
        let slot = if feed.spec.mode == FeedMode::EventSource { sse } else { line };
        let record = Record { id, event: &topic.name, data: json };
        slot.get_or_insert_with(|| Feed::encode(feed.spec.mode, false, &record))
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;
    use crate::process::{JobName, OsPid, Pid};

    fn spawn() -> Arc<Event> {
        let job = Arc::new(JobName::new("default", "web").expect("valid"));
        let what = What::Spawn { pid: Pid(12), os_pid: OsPid(1), detach: false };
        Arc::new(Event::new(SystemTime::UNIX_EPOCH, Some(job), what))
    }

    #[test]
    fn history_goes_on_after_an_id() {
        let mut history = History::new(0xab, 2);
        let missed = |history: &History, id: &str| {
            let Missed { gap, from } = history.since(id);
            (gap, from, history.from(from.0).map(|(n, _)| n).collect::<Vec<_>>())
        };
        assert_eq!(history.id(history.next, 1), "ab-0.1");
        for _ in 0..5 {
            history.add(&spawn());
        }
        assert_eq!(missed(&history, "ab-4.1"), (false, (4, 2), vec![4]));
        assert_eq!(missed(&history, "ab-3.0"), (false, (3, 1), vec![3, 4]));
        assert_eq!(missed(&history, "ab-2.1"), (false, (3, 0), vec![3, 4]));
        assert_eq!(missed(&history, "ab-1.1"), (true, (3, 0), vec![3, 4]));
        for other in ["ac-4.1", "ab-9.0", "", "x", "ab-1", "ab-1.999", "-1.1"] {
            assert_eq!(missed(&history, other), (true, (5, 0), vec![]), "{other}");
        }
    }

    #[test]
    fn output_is_cut_between_characters() {
        let writer = {
            use crate::proto::h1::{Body, Exchange, HttpDate, ResponseHead};
            let date = HttpDate::new(SystemTime::UNIX_EPOCH);
            ResponseHead::new(200).encode(Exchange::REFUSED, Body::Stream, &date, &mut Vec::new())
        };
        let source = FeedSource::Stream { pid: Pid(1), label: "out".to_owned() };
        let spec = FeedSpec { source, mode: FeedMode::EventSource, heartbeat: None };
        let mut feed = Feed::new(spec, writer);
        let mut text = |bytes: &[u8]| feed.output(bytes).map(|b| String::from_utf8(b.into_owned()).expect("text"));
        assert_eq!(text(b"a\xe2\x82").as_deref(), Some("event: out\ndata: a\n\n"));
        assert_eq!(text(b"\xac").as_deref(), Some("event: out\ndata: €\n\n"));
        assert_eq!(text(b"\xf0"), None);
        assert_eq!(text(b"x\xff\xe2").as_deref(), Some("event: out\ndata: \u{fffd}x\u{fffd}\n\n"));
    }
}
