//! The ends of log files, for streams that have no ring.
//!
//! What goes to a file as it is may not pass through this process. A raw file has no times and no numbers of processes, so its lines
//! have the time at which the file was last written, and belong to the newest process of the job.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::Arc;

use super::{History, Query, Record, Snapshot, wants_history};
use crate::manager::{StreamOrigin, Supervisor};
use crate::process::{JobInfo, OsPid};

/// So many files are read for one answer.
const MAX_FILES: usize = 64;

impl History {
    /// What [`read`](Self::read) finds, with the ends of log files in place of streams that go there as they are.
    ///
    /// Of each file as much is read as a ring would have, of 64 files at most. They are local files, read at once.
    #[must_use]
    pub fn read_with_files(&self, manager: &Supervisor, query: &Query) -> Snapshot {
        let mut snapshot = self.read(query);
        let default = self.limits().stream as u64;
        let mut files = 0;
        manager.walk(|job| {
            for outlet in job.config.outlets().iter().filter(|outlet| !wants_history(&job.config, outlet.label)) {
                let Some(origin) = origin(manager, &job, outlet.label, outlet.fds) else { continue };
                let Some(path) = manager.logfile(job.name.as_str(), outlet.label) else { continue };
                let limit = job.config.log_history.unwrap_or(default);
                if limit > 0 && files < MAX_FILES && query.matches(&origin) {
                    files += 1;
                    // A file that cannot be read now has nothing to show.
                    snapshot.records.extend(tail(path, limit, &origin).unwrap_or_default());
                }
            }
        });
        if files > 0 {
            snapshot.records.retain(|record| query.since.is_none_or(|since| record.time >= since));
            // What came from memory is in order already, and stays so where times are equal.
            snapshot.records.sort_by_key(|record| record.time);
            snapshot.cut(query);
        }
        snapshot
    }
}

/// The newest process of a job stands for all that have written to its file.
pub(super) fn origin(manager: &Supervisor, job: &JobInfo, label: &str, fds: &[i32]) -> Option<StreamOrigin> {
    let process = manager.process(*job.processes.last()?).ok()?;
    Some(StreamOrigin {
        name: Arc::clone(&job.name),
        pid: process.pid,
        os_pid: process.os_pid.unwrap_or(OsPid(0)),
        instance: process.instance,
        label: label.into(),
        fd: *fds.first()?,
    })
}

fn tail(path: &Path, limit: u64, origin: &StreamOrigin) -> std::io::Result<Vec<Record>> {
    let mut file = File::open(path)?;
    let metadata = file.metadata()?;
    let start = metadata.len().saturating_sub(limit);
    // One byte more tells whether a line begins there.
    let _ = file.seek(SeekFrom::Start(start.saturating_sub(1)))?;
    let mut bytes = Vec::new();
    let _ = file.take(limit + 1).read_to_end(&mut bytes)?;
    let skip = if start == 0 { 0 } else { bytes.iter().position(|&b| b == b'\n').map_or(0, |at| at + 1) };
    let time = metadata.modified()?;
    let lines = bytes[skip..].split_inclusive(|&b| b == b'\n');
    Ok(lines.map(|line| Record { time, origin: origin.clone(), data: line.to_vec(), place: None }).collect())
}
