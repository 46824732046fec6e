//! Who wants output, and hands out what came.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use crate::manager::{AppId, Cx, Owner, Supervisor, panic_message};
use crate::process::{JobName, OsPid, Pid};
use crate::proto::lines::{Line, Lines};

/// Which streams a subscriber wants: of all jobs, one job or one process; all labels or one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct StreamSelector {
    /// Only this job's processes.
    pub job: Option<JobName>,
    /// Only this process.
    pub pid: Option<Pid>,
    /// Only streams with this label.
    pub label: Option<String>,
    /// None but those that the subscription is put on one by one.
    chosen: bool,
}

impl StreamSelector {
    /// Every stream of every process.
    #[must_use]
    pub fn all() -> Self {
        Self::default()
    }

    /// The streams of one job.
    #[must_use]
    pub fn job(name: JobName) -> Self {
        Self { job: Some(name), ..Self::default() }
    }

    /// The streams of one process.
    #[must_use]
    pub fn pid(pid: Pid) -> Self {
        Self { pid: Some(pid), ..Self::default() }
    }

    /// Only streams with this label.
    #[must_use]
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = Some(label.into());
        self
    }

    /// None but those that [`Supervisor::tap_streams`] puts the subscription on.
    #[cfg(feature = "server")]
    pub(crate) fn chosen() -> Self {
        Self { chosen: true, ..Self::default() }
    }

    pub(super) fn matches(&self, origin: &StreamOrigin) -> bool {
        !self.chosen
            && self.job.as_ref().is_none_or(|job| *job == *origin.name)
            && self.pid.is_none_or(|pid| pid == origin.pid)
            && self.label.as_deref().is_none_or(|label| label == &*origin.label)
    }
}

/// Where a piece of output comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StreamOrigin {
    /// The job.
    pub name: Arc<JobName>,
    /// The process.
    pub pid: Pid,
    /// The system's number of the process.
    pub os_pid: OsPid,
    /// The N of `label.N`.
    pub instance: u32,
    /// The stream's label.
    pub label: Arc<str>,
    /// The child's descriptor: 1, 2, or 3 and up for custom streams.
    pub fd: i32,
}

/// A piece of output.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct StreamChunk<'a> {
    /// Where it comes from.
    pub origin: &'a StreamOrigin,
    /// What came.
    pub data: StreamData<'a>,
}

/// What came from a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamData<'a> {
    /// Bytes, as they came; never empty.
    Bytes(&'a [u8]),
    /// The end: nothing follows from this stream.
    End,
}

/// A subscriber's answer to a piece of output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// More, please.
    Continue,
    /// This piece was taken; read no more of this stream until [`Supervisor::resume`].
    ///
    /// When the manager ends, what the pipe still holds comes all the same: nobody could ask for it later.
    Pause,
}

/// A subscription to output; never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TapId(u64);

/// Who gets the output.
pub(in crate::manager) enum Receiver {
    /// A closure; out of its slot while it is called.
    Closure(Option<Box<dyn FnMut(&mut Cx<'_>, &StreamChunk<'_>) -> Flow + Send>>),
    /// The app that asked.
    App(Owner),
}

/// The subscriptions, in the order in which they came.
#[derive(Default)]
pub(in crate::manager) struct Taps {
    last: u64,
    pub(super) slots: BTreeMap<TapId, (StreamSelector, Receiver)>,
    /// The buffer all streams are read into, kept while nobody reads.
    pub(super) buffer: Vec<u8>,
}

impl fmt::Debug for Taps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.slots.iter().map(|(id, (which, _))| (id, which))).finish()
    }
}

impl Taps {
    /// Ends all subscriptions: nothing comes any more.
    pub(in crate::manager) fn close(&mut self) {
        self.slots.clear();
    }
}

impl Supervisor {
    pub(in crate::manager) fn add_tap(&mut self, which: StreamSelector, receiver: Receiver) -> TapId {
        self.taps.last += 1;
        let id = TapId(self.taps.last);
        for stream in self.children.streams_mut() {
            if which.matches(&stream.origin) {
                stream.add_tap(id);
            }
        }
        self.taps.slots.insert(id, (which, receiver));
        id
    }

    /// Puts a subscription on those streams of a process whose label is wanted; returns how many these are.
    #[cfg(feature = "server")]
    pub(crate) fn tap_streams(&mut self, id: TapId, pid: Pid, is_wanted: impl Fn(&str) -> bool) -> u32 {
        let mut n = 0;
        for stream in self.children.streams_of_mut(pid).filter(|stream| is_wanted(&stream.origin.label)) {
            if !stream.taps.contains(&id) {
                stream.add_tap(id);
            }
            n += 1;
        }
        n
    }

    /// How many subscriptions to output there are.
    #[must_use]
    pub fn taps(&self) -> usize {
        self.taps.slots.len()
    }

    /// Ends a subscription to output; false if it had ended.
    pub fn untap(&mut self, id: TapId) -> bool {
        let known = self.taps.slots.remove(&id).is_some();
        for stream in self.children.streams_mut() {
            stream.taps.retain(|&tap| tap != id);
            stream.unpause(id);
        }
        known
    }

    /// Ends the subscriptions of an app that has gone; what it has paused goes on.
    pub(in crate::manager) fn untap_app(&mut self, app: AppId) {
        let is_its = |receiver: &Receiver| matches!(receiver, Receiver::App(Owner::App(id)) if *id == app);
        let slots = self.taps.slots.iter();
        let ids: Vec<TapId> = slots.filter(|(_, (_, receiver))| is_its(receiver)).map(|(&id, _)| id).collect();
        for id in ids {
            self.untap(id);
        }
    }

    /// Goes on with every stream that this subscriber has paused.
    pub fn resume(&mut self, id: TapId) {
        for stream in self.children.streams_mut() {
            stream.unpause(id);
        }
    }
}

/// Hands a piece of output to everybody who wants it.
pub(super) fn deliver(cx: &mut Cx<'_>, pid: Pid, index: usize, data: StreamData<'_>) {
    let Some(stream) = cx.children.stream_mut(pid, index) else { return };
    if stream.taps.is_empty() {
        return;
    }
    // Lent out: the callbacks may do anything to the stream, also end it.
    let taps = std::mem::take(&mut stream.taps);
    let origin = stream.origin.clone();
    let chunk = StreamChunk { origin: &origin, data };
    for &id in &taps {
        if call(cx, id, &chunk) == Flow::Pause {
            if let Some(stream) = cx.children.stream_mut(pid, index) {
                stream.pause(id);
            }
        }
    }
    if let Some(stream) = cx.children.stream_mut(pid, index) {
        // Those that came meanwhile follow; those that ended meanwhile are gone from the slots.
        let new = std::mem::replace(&mut stream.taps, taps);
        stream.taps.extend(new);
        let slots = &cx.supervisor.taps.slots;
        if let Some(stream) = cx.supervisor.children.stream_mut(pid, index) {
            stream.taps.retain(|id| slots.contains_key(id));
        }
    }
}

/// Calls one subscriber. One that panics is removed; one that has ended wants nothing.
fn call(cx: &mut Cx<'_>, id: TapId, chunk: &StreamChunk<'_>) -> Flow {
    let f = match cx.taps.slots.get_mut(&id) {
        Some((_, Receiver::Closure(f))) => f.take(),
        Some(&mut (_, Receiver::App(Owner::App(app)))) => {
            let answer = cx.with_app(app, |app, cx| app.output(cx, id, chunk));
            // An app that has gone meanwhile, or has ended the subscription, wants nothing any more.
            return answer.filter(|_| cx.taps.slots.contains_key(&id)).unwrap_or(Flow::Continue);
        }
        _ => None,
    };
    let Some(mut f) = f else { return Flow::Continue };
    let mut lent = cx.lend(Owner::Nobody);
    match catch_unwind(AssertUnwindSafe(|| (f(&mut lent, chunk), f))) {
        Ok((flow, f)) => match cx.taps.slots.get_mut(&id) {
            Some((_, Receiver::Closure(slot))) => {
                *slot = Some(f);
                flow
            }
            // It has ended itself.
            _ => Flow::Continue,
        },
        Err(panic) => {
            cx.fault("output subscriber", &panic_message(&*panic));
            cx.untap(id);
            Flow::Continue
        }
    }
}

impl Cx<'_> {
    /// Like [`tap`](Self::tap), line by line: complete lines without their end, pieces of at most
    /// `max` bytes of longer ones, and what is left at the end of the stream.
    pub fn tap_lines(
        &mut self,
        which: StreamSelector,
        max: usize,
        mut f: impl FnMut(&mut Cx<'_>, &StreamOrigin, Line<'_>) -> Flow + Send + 'static,
    ) -> TapId {
        let mut splitters: HashMap<(Pid, i32), Lines> = HashMap::new();
        self.tap(which, move |cx, chunk| {
            let key = (chunk.origin.pid, chunk.origin.fd);
            let lines = splitters.entry(key).or_insert_with(|| Lines::new(max));
            let mut flow = Flow::Continue;
            let mut each = |line: Line<'_>| {
                if f(cx, chunk.origin, line) == Flow::Pause {
                    flow = Flow::Pause;
                }
            };
            match chunk.data {
                StreamData::Bytes(bytes) => lines.feed(bytes, &mut each),
                StreamData::End => {
                    lines.flush(&mut each);
                    splitters.remove(&key);
                }
            }
            flow
        })
    }
}
