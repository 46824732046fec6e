//! What fills a history.

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
    /// One for all: there may be thousands of streams. It is put on those that are kept.
    tap: Option<TapId>,
    processes: HashMap<Pid, Recorded>,
}

#[derive(Debug)]
struct Recorded {
    /// The job's own bound.
    limit: Option<usize>,
    /// Streams that are kept and have not ended.
    open: u32,
    exited: bool,
}

impl Recorder {
    pub(super) fn new(history: History) -> Self {
        Self { history, tap: None, processes: HashMap::new() }
    }

    fn record(&mut self, cx: &mut Cx<'_>, process: &ProcessInfo) {
        let config = &process.config;
        let limit = config.log_history.map(|bytes| usize::try_from(bytes).unwrap_or(usize::MAX));
        let Some(tap) = self.tap.filter(|_| limit.unwrap_or(self.history.limits().stream) > 0) else { return };
        if self.processes.contains_key(&process.pid) {
            return;
        }
        let open = cx.tap_streams(tap, process.pid, |label| wants_history(config, label));
        if open > 0 {
            self.processes.insert(process.pid, Recorded { limit, open, exited: false });
        }
    }

    fn forget_if_over(&mut self, pid: Pid, name: &Arc<JobName>) {
        if self.processes.get(&pid).is_some_and(|recorded| recorded.exited && recorded.open == 0) {
            self.processes.remove(&pid);
            self.history.lock().end(pid, name);
        }
    }
}

impl App for Recorder {
    fn name(&self) -> &str {
        "output history"
    }

    fn start(&mut self, cx: &mut Cx<'_>) -> Result<()> {
        self.tap = Some(cx.tap_to_app(StreamSelector::chosen()));
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
                if let (Some(recorded), Some(name)) = (self.processes.get_mut(&pid), &event.job) {
                    recorded.exited = true;
                    self.forget_if_over(pid, name);
                }
            }
            _ => {}
        }
    }

    fn output(&mut self, _: &mut Cx<'_>, _: TapId, chunk: &StreamChunk<'_>) -> Flow {
        let pid = chunk.origin.pid;
        match chunk.data {
            StreamData::Bytes(bytes) => {
                let limit = self.processes.get(&pid).and_then(|recorded| recorded.limit);
                self.history.lock().push(chunk.origin, limit, bytes, SystemTime::now());
            }
            StreamData::End => {
                if let Some(recorded) = self.processes.get_mut(&pid) {
                    recorded.open = recorded.open.saturating_sub(1);
                    self.forget_if_over(pid, &chunk.origin.name);
                }
            }
        }
        Flow::Continue
    }
}
