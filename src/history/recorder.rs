//! What fills a history.

use std::any::Any;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::SystemTime;

use super::{History, wants_history};
use crate::Result;
use crate::manager::{App, Cx, Flow, StreamChunk, StreamData, StreamSelector, TapId};
use crate::process::{Event, JobName, Pid, ProcessInfo, What};

/// The app that writes what all programs say into a [`History`]; it never makes a program wait.
///
/// Made by [`History::recorder`].
#[derive(Debug)]
pub struct Recorder {
    history: History,
    processes: HashMap<Pid, Recorded>,
}

#[derive(Debug)]
struct Recorded {
    name: Arc<JobName>,
    /// The job's own bound.
    limit: Option<usize>,
    taps: Vec<TapId>,
    labels: Vec<String>,
    exited: bool,
}

/// A letter to itself: see whether this process has nothing more to say.
struct Look(Pid);

impl Recorder {
    pub(super) fn new(history: History) -> Self {
        Self { history, processes: HashMap::new() }
    }

    fn record(&mut self, cx: &mut Cx<'_>, process: &ProcessInfo) {
        let config = &process.config;
        let limit = config.log_history.map(|bytes| usize::try_from(bytes).unwrap_or(usize::MAX));
        if self.processes.contains_key(&process.pid) || limit.unwrap_or(self.history.limits().stream) == 0 {
            return;
        }
        let outlets = config.outlets();
        let custom = config.custom_streams.iter().map(String::as_str);
        let mut labels: Vec<String> = outlets.iter().map(|o| o.label).chain(custom).map(str::to_owned).collect();
        labels.sort_unstable();
        labels.dedup();
        labels.retain(|label| wants_history(config, label));
        let tap = |label: &String| cx.tap_to_app(StreamSelector::pid(process.pid).label(label));
        let taps: Vec<TapId> = labels.iter().map(tap).collect();
        if !taps.is_empty() {
            let recorded = Recorded { name: Arc::clone(&process.name), limit, taps, labels, exited: false };
            self.processes.insert(process.pid, recorded);
        }
    }

    /// Forgets a process that has ended, if its streams have.
    fn forget_if_over(&mut self, cx: &mut Cx<'_>, pid: Pid) {
        let over =
            |recorded: &Recorded| recorded.exited && !recorded.labels.iter().any(|label| cx.has_stream(pid, label));
        if self.processes.get(&pid).is_some_and(over) {
            if let Some(recorded) = self.processes.remove(&pid) {
                for tap in recorded.taps {
                    cx.untap(tap);
                }
                self.history.lock().end(pid, &recorded.name);
            }
        }
    }
}

impl App for Recorder {
    fn name(&self) -> &str {
        "output history"
    }

    fn start(&mut self, cx: &mut Cx<'_>) -> Result<()> {
        // Those that were there before.
        for pid in cx.list().into_iter().chain(cx.ending()) {
            if let Ok(process) = cx.process(pid) {
                self.record(cx, &process);
            }
        }
        Ok(())
    }

    fn event(&mut self, cx: &mut Cx<'_>, event: &Arc<Event>) {
        match event.what {
            // Told before the first byte is read: streams are read in later turns.
            What::Spawn { pid, .. } => {
                if let Ok(process) = cx.process(pid) {
                    self.record(cx, &process);
                }
            }
            What::Exit { pid, .. } => {
                if let Some(recorded) = self.processes.get_mut(&pid) {
                    recorded.exited = true;
                }
                self.forget_if_over(cx, pid);
            }
            _ => {}
        }
    }

    fn output(&mut self, cx: &mut Cx<'_>, _: TapId, chunk: &StreamChunk<'_>) -> Flow {
        let pid = chunk.origin.pid;
        match chunk.data {
            StreamData::Bytes(bytes) => {
                let limit = self.processes.get(&pid).and_then(|recorded| recorded.limit);
                self.history.lock().push(chunk.origin, limit, bytes, SystemTime::now());
            }
            // The stream counts as open until this call is over.
            StreamData::End => {
                if let Some(us) = cx.app_id() {
                    cx.mail(us, Look(pid));
                }
            }
        }
        Flow::Continue
    }

    fn mail(&mut self, cx: &mut Cx<'_>, message: Box<dyn Any + Send>) {
        if let Ok(look) = message.downcast::<Look>() {
            self.forget_if_over(cx, look.0);
        }
    }
}
