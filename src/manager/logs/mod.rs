//! Output of jobs on disk: who writes to which file, and in which form.
//!
//! A [`Feed`] belongs to a stream of a child and makes lines of its output; a [`Sink`] is what several of them write
//! to: a [file] that is rotated, or something that gets the bytes [as they come](pass).
//!
//! Lines of several streams do not mix: where a sink has more than one, what is behind the last newline waits, up to
//! [`MAX_HELD`] bytes. Where it has one and the format is raw, bytes go on as they come, and if nobody else wants them
//! they do not pass through this program.

mod disposal;
mod file;
mod format;
mod pass;
mod sink;

use std::collections::BTreeMap;
use std::io;
use std::os::fd::BorrowedFd;
use std::path::{Component, Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use disposal::{Disposal, is_doomed_of};
use file::{LogFile, Rule, backup};
use format::{Head, Stamp};
use pass::Pass;
use sink::{Out, Sink};

use super::supervisor::no_process;
use super::{Owner, StreamOrigin, Supervisor};
use crate::event_loop::EventLoop;
use crate::process::{JobConfig, JobName, LogStatus, Outlet, Pid};
use crate::proto::lines::Lines;
use crate::sys::stdio::Moved;
use crate::{Error, ErrorKind, Result};

/// So long an unfinished line may get before it is written in pieces.
const MAX_HELD: usize = 64 * 1024;

/// Formatted lines are written when there are so many bytes of them.
const BATCH: usize = 64 * 1024;

/// So long the manager's end waits for old files to be deleted; those that are left are by the next start.
const LAST: Duration = Duration::from_secs(5);

/// A sink; never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct SinkId(u64);

/// All sinks.
#[derive(Debug)]
pub(super) struct Logs {
    last: u64,
    sinks: BTreeMap<SinkId, Sink>,
    /// Formatted lines, on their way.
    batch: Vec<u8>,
    stamp: Stamp,
    /// Deletes old files, once there is a log.
    disposal: Option<Disposal>,
    /// Jobs that have more old files than were taken away at once.
    unpruned: Vec<JobName>,
    /// Something is put off until an old file is gone.
    waits: bool,
}

impl Default for Logs {
    fn default() -> Self {
        Self {
            last: 0,
            sinks: BTreeMap::new(),
            batch: Vec::new(),
            stamp: Stamp::START,
            disposal: None,
            unpruned: Vec::new(),
            waits: false,
        }
    }
}

/// What makes lines of a stream's output.
#[derive(Debug)]
pub(super) struct Feed {
    sink: SinkId,
    form: Form,
}

#[derive(Debug)]
enum Form {
    Raw {
        /// The start of a line that others must not come into.
        held: Vec<u8>,
        /// The rest of the line is dropped, as its start was.
        torn: bool,
    },
    Lines {
        head: Head,
        lines: Lines,
    },
}

impl Feed {
    pub(super) const fn sink(&self) -> SinkId {
        self.sink
    }
}

/// The sinks that a job's definition leads to, opened but not its own yet.
pub(super) struct Claim(Vec<(PathBuf, SinkId)>);

/// The file itself: its folder must be there, links are followed.
pub(super) fn resolve(given: &Path) -> Result<PathBuf> {
    let fail = |e: io::Error, what: &Path| Error::io(format!("log '{}': '{}'", given.display(), what.display()), e);
    if JobConfig::standard_stream(given).is_some() {
        return Ok(given.to_owned());
    }
    let (folder, Some(Component::Normal(name))) = (given.parent(), given.components().next_back()) else {
        return Err(Error::new(ErrorKind::Invalid, format!("log '{}': it is not a file's name", given.display())));
    };
    let folder = folder.filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let folder = folder.canonicalize().map_err(|e| fail(e, folder))?;
    // A link to nowhere is made a file by opening it, and stands for itself.
    let path = given.canonicalize().unwrap_or_else(|_| folder.join(name));
    if path.is_dir() {
        return Err(Error::new(ErrorKind::Invalid, format!("log '{}': it is a folder", given.display())));
    }
    if !folder.is_dir() {
        return Err(fail(io::Error::from_raw_os_error(libc::ENOTDIR), &folder));
    }
    Ok(path)
}

/// Whether it may be renamed, and so belongs to one job.
fn is_regular(path: &Path) -> bool {
    JobConfig::standard_stream(path).is_none() && path.metadata().map_or(true, |metadata| metadata.is_file())
}

/// Whether two jobs would hurt each other's files: the same, or one that becomes an old one of the other.
fn clash(a: (&Path, u32), b: (&Path, u32)) -> bool {
    let is_backup = |file: &Path, (of, backups): (&Path, u32)| {
        let n = file.extension().and_then(|n| n.to_str()?.parse().ok()).filter(|n| (1..=backups).contains(n));
        n.is_some_and(|n| backup(of, n) == file)
    };
    a.0 == b.0 || is_backup(a.0, b) || is_backup(b.0, a) || is_doomed_of(a.0, b.0) || is_doomed_of(b.0, a.0)
}

impl Logs {
    /// Opens what the definition writes to, or nothing of it.
    pub(super) fn claim(&mut self, io: &mut EventLoop<Owner>, config: &JobConfig) -> Result<Claim> {
        let files = config.logfiles();
        let claimed: Result<Vec<_>> =
            files.into_iter().map(|given| Ok((given.to_owned(), self.open(io, config, given)?))).collect();
        claimed.map(Claim).map_err(|e| {
            self.sweep();
            e.context(format_args!("job '{}'", config.name))
        })
    }

    fn open(&mut self, io: &mut EventLoop<Owner>, config: &JobConfig, given: &Path) -> Result<SinkId> {
        let path = resolve(given)?;
        if is_regular(&path) {
            let theirs = |sink: &&Sink| sink.jobs.iter().any(|(name, _)| *name != config.name);
            let files = self.sinks.values().filter(|sink| matches!(sink.out, Out::File(_)));
            let other = files
                .filter(theirs)
                .find(|sink| clash((&path, config.logfile_backups), (&sink.status.path, sink.rule.backups)));
            if let Some(other) = other {
                let what = match other.jobs.first() {
                    Some((name, _)) => format!("log '{}' is that of job '{name}' already", other.status.path.display()),
                    None => format!("log '{}' is in use", other.status.path.display()),
                };
                return Err(Error::new(ErrorKind::Conflict, what));
            }
        }
        if let Some(sink) = self.sinks.values().find(|sink| sink.status.path == path) {
            return Ok(sink.id);
        }
        self.last += 1;
        let id = SinkId(self.last);
        let out = if is_regular(&path) {
            let disposal = self.disposal.get_or_insert_with(|| Disposal::new(io.waker()));
            LogFile::open(&path, disposal).map(Out::File)
        } else {
            Pass::open(&path, io, id).map(Out::Pass)
        };
        let out = out.map_err(|e| Error::io(format!("cannot open the log '{}'", path.display()), e))?;
        self.sinks.insert(id, Sink::new(id, path, rule(config), out));
        Ok(id)
    }

    /// The job writes there from now on, and nowhere else.
    pub(super) fn settle(&mut self, config: &JobConfig, claim: Claim) {
        self.disown(&config.name);
        for (given, id) in claim.0 {
            if let Some(sink) = self.sinks.get_mut(&id) {
                sink.jobs.push((config.name.clone(), given));
                sink.rule = rule(config);
            }
        }
        self.sweep();
        self.prune(&config.name);
    }

    /// The job is no more; its last processes still write.
    pub(super) fn release(&mut self, job: &JobName) {
        self.disown(job);
        self.sweep();
    }

    fn disown(&mut self, job: &JobName) {
        for sink in self.sinks.values_mut() {
            sink.jobs.retain(|(name, _)| name != job);
        }
    }

    /// Closes what nobody has to do with any more.
    pub(super) fn sweep(&mut self) {
        self.sinks.retain(|_, sink| sink.is_used());
    }

    fn find(&self, job: &JobName, given: &Path) -> Option<&Sink> {
        self.sinks.values().find(|sink| sink.jobs.iter().any(|(name, path)| name == job && path == given))
    }

    /// What makes lines of a new stream, if it has a log.
    pub(super) fn attach(
        &mut self,
        io: &mut EventLoop<Owner>,
        config: &JobConfig,
        origin: &StreamOrigin,
    ) -> Result<Option<Feed>> {
        let outlets = config.outlets();
        let is_its = |outlet: &&Outlet<'_>| outlet.fds[0] == origin.fd && *outlet.label == *origin.label;
        let Some(given) = outlets.iter().find(is_its).and_then(|outlet| outlet.logfile) else { return Ok(None) };
        let sink = match self.find(&config.name, given) {
            Some(sink) => sink.id,
            // The definition has changed since the process was announced. Its file is opened for it alone.
            None => self.open(io, config, given)?,
        };
        if let Some(sink) = self.sinks.get_mut(&sink) {
            sink.streams += 1;
        }
        let form = match Head::new(config.log_format, origin) {
            None => Form::Raw { held: Vec::new(), torn: false },
            Some(head) => Form::Lines { head, lines: Lines::default() },
        };
        Ok(Some(Feed { sink, form }))
    }

    /// The stream has ended: what is left of it is written.
    pub(super) fn detach(&mut self, io: &mut EventLoop<Owner>, mut feed: Feed) {
        self.feed(io, &mut feed, None);
        if let Some(sink) = self.sinks.get_mut(&feed.sink) {
            sink.streams -= 1;
            if !sink.is_used() {
                self.sinks.remove(&feed.sink);
            }
        }
    }

    /// Whether the stream may be read: its sink is not behind.
    pub(super) fn is_open(&self, feed: &Feed) -> bool {
        self.sinks.get(&feed.sink).is_none_or(|sink| !sink.is_behind())
    }

    /// Whether the stream may be read that is not about to end: not so many old files wait to be deleted. If not, the
    /// loop is woken when one is.
    pub(super) fn has_room(&mut self, feed: &Feed) -> bool {
        let Some(Sink { out: Out::File(file), .. }) = self.sinks.get(&feed.sink) else { return true };
        let is_full = file.bin().is_full();
        self.waits |= is_full;
        !is_full
    }

    /// The loop was woken, perhaps since an old file is gone: others follow. Whether anybody waits for that.
    pub(super) fn go_on(&mut self) -> bool {
        if !std::mem::take(&mut self.waits) {
            return false;
        }
        self.prune_more();
        true
    }

    fn prune_more(&mut self) {
        for job in std::mem::take(&mut self.unpruned) {
            self.prune(&job);
        }
    }

    /// Writes output of the stream; `None` is its end.
    pub(super) fn feed(&mut self, io: &mut EventLoop<Owner>, feed: &mut Feed, data: Option<&[u8]>) {
        let Some(sink) = self.sinks.get_mut(&feed.sink) else { return };
        let rotations = sink.status.rotations;
        match &mut feed.form {
            Form::Raw { held, torn } => raw(sink, io, held, torn, data),
            Form::Lines { head, lines } => {
                let (batch, stamp) = (&mut self.batch, &mut self.stamp);
                stamp.set(SystemTime::now());
                let mut each = |line: crate::proto::lines::Line<'_>| {
                    head.line(batch, stamp, line);
                    if batch.len() >= BATCH {
                        sink.write(batch, true, io);
                        batch.clear();
                    }
                };
                match data {
                    Some(bytes) => lines.feed(bytes, &mut each),
                    None => lines.flush(&mut each),
                }
                sink.write(batch, true, io);
                batch.clear();
            }
        }
        if sink.status.rotations != rotations {
            self.prune_of(feed.sink);
        }
    }

    /// Moves what the pipe holds to the file within the kernel, if that can be.
    pub(super) fn splice(&mut self, feed: &mut Feed, from: BorrowedFd<'_>, max: usize) -> Option<Moved> {
        let Form::Raw { held, torn: false } = &feed.form else { return None };
        let sink = self.sinks.get_mut(&feed.sink)?;
        if !held.is_empty() || sink.streams > 1 {
            return None;
        }
        sink.splice(from, max)
    }

    /// A sink that was behind takes more; whether it has caught up.
    pub(super) fn flush(&mut self, id: SinkId) -> bool {
        let Some(sink) = self.sinks.get_mut(&id) else { return true };
        sink.flush();
        let done = !sink.is_behind();
        if !sink.is_used() {
            self.sinks.remove(&id);
        }
        done
    }

    /// The manager ends: what is not taken now is lost.
    pub(super) fn finish(&mut self) {
        for sink in self.sinks.values_mut() {
            sink.flush();
            sink.give_up();
        }
        let until = Instant::now() + LAST;
        while self.disposal.as_ref().is_some_and(|disposal| disposal.wait(until)) && !self.unpruned.is_empty() {
            self.prune_more();
        }
    }

    /// Faults that were not told yet.
    pub(super) fn take_report(&mut self, id: SinkId) -> Option<(String, String)> {
        self.sinks.get_mut(&id)?.take_report()
    }

    fn prune_of(&mut self, id: SinkId) {
        let Some(sink) = self.sinks.get(&id) else { return };
        if let Some((job, _)) = sink.jobs.first().filter(|_| sink.rule.total.is_some()) {
            let job = job.clone();
            self.prune(&job);
        }
    }

    /// Deletes the oldest backups of a job until there is room for its files within its budget.
    fn prune(&mut self, job: &JobName) {
        let (mut backups, mut taken, mut total) = (Vec::new(), 0, None);
        for sink in self.sinks.values().filter(|sink| sink.jobs.iter().any(|(name, _)| name == job)) {
            if let (Out::File(file), Some(budget)) = (&sink.out, sink.rule.total) {
                total = Some(budget);
                // The file may grow so far.
                taken += sink.rule.maxbytes;
                backups.extend(file.backups(sink.rule.backups).into_iter().map(|backup| (file.bin(), backup)));
            }
        }
        let Some(total) = total else { return };
        taken += backups.iter().map(|(_, backup)| backup.bytes).sum::<u64>();
        backups.sort_by_key(|(_, backup)| backup.age);
        for (bin, backup) in backups {
            if taken <= total {
                break;
            }
            if bin.is_full() {
                self.waits = true;
                self.unpruned.retain(|known| known != job);
                self.unpruned.push(job.clone());
                break;
            }
            // One that cannot be deleted is tried again at the next rotation, and another goes in its place.
            if bin.dispose(&backup.path) {
                taken -= backup.bytes;
            }
        }
    }

    /// The sinks that cannot be written or rotated, each with every job that has it.
    pub(super) fn failing(&self) -> Vec<(JobName, LogStatus)> {
        let failing = self.sinks.values().filter(|sink| sink.status.failing.is_some());
        failing.flat_map(|sink| sink.jobs.iter().map(|(job, _)| (job.clone(), sink.status.clone()))).collect()
    }

    /// The job's sinks, as they stand.
    pub(super) fn status(&self, job: &JobName) -> Vec<LogStatus> {
        let sinks = self.sinks.values().filter(|sink| sink.jobs.iter().any(|(name, _)| name == job));
        sinks.map(|sink| sink.status.clone()).collect()
    }
}

fn rule(config: &JobConfig) -> Rule {
    Rule { maxbytes: config.logfile_maxbytes, backups: config.logfile_backups, total: config.logfile_total }
}

fn raw(sink: &mut Sink, io: &mut EventLoop<Owner>, held: &mut Vec<u8>, torn: &mut bool, data: Option<&[u8]>) {
    let Some(mut data) = data else {
        sink.write(held, false, io);
        return held.clear();
    };
    if *torn {
        let end = data.iter().position(|b| *b == b'\n');
        *torn = end.is_none();
        let lost = end.map_or(data.len(), |end| end + 1);
        sink.status.dropped += lost as u64;
        data = &data[lost..];
    }
    let mut go = |bytes: &[u8], sink: &mut Sink| {
        if !sink.write(bytes, false, io) {
            *torn = bytes.last() != Some(&b'\n');
        }
    };
    let (now, later) = match data.iter().rposition(|b| *b == b'\n') {
        _ if sink.streams == 1 => (data, &[][..]),
        Some(end) => data.split_at(end + 1),
        None => (&[][..], data),
    };
    if held.is_empty() {
        go(now, sink);
    } else if !now.is_empty() {
        held.extend_from_slice(now);
        go(held, sink);
        held.clear();
    }
    held.extend_from_slice(later);
    if held.len() > MAX_HELD {
        go(held, sink);
        *held = Vec::new();
    }
}

impl Supervisor {
    /// Opens all log files anew, by their paths: after another program has renamed them. What is written goes on in
    /// the new ones, from the end of the line that is being written. A sink that could not be written is tried again
    /// at once.
    ///
    /// # Errors
    ///
    /// Some cannot be opened; they stay as they were, the others are opened.
    pub fn reopen_logs(&mut self) -> Result<()> {
        let mut outcome = Ok(());
        for sink in self.logs.sinks.values_mut() {
            if let Err(e) = sink.reopen() {
                outcome = Err(Error::io(format!("cannot open the log '{}' again", sink.status.path.display()), e));
            }
        }
        outcome
    }

    /// The file that a stream is written to, where it is a regular one: of a process, given by its number, or of a
    /// job, given by its name. The labels are those of [`JobConfig::outlets`].
    #[must_use]
    pub fn logfile(&self, target: &str, label: &str) -> Option<&Path> {
        let config = match target.parse().map(Pid) {
            Ok(pid) => self.table.process(pid).ok_or_else(|| no_process(pid)).ok()?.config,
            Err(_) => self.table.job(self.job_id(target).ok()?, self.now())?.config,
        };
        let outlets = config.outlets();
        let given = outlets.iter().find(|outlet| outlet.label == label)?.logfile?;
        let sink = self.logs.find(&config.name, given)?;
        matches!(sink.out, Out::File(_)).then_some(sink.status.path.as_path())
    }

    /// Whether these jobs can be loaded together, as far as their log files go.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Conflict`] if two jobs write to the same file, or one to a backup of the other's.
    pub fn check_logs<'a>(jobs: impl IntoIterator<Item = &'a JobConfig>) -> Result<()> {
        let mut known: Vec<(&JobName, PathBuf, u32)> = Vec::new();
        for job in jobs {
            let own =
                job.logfiles().into_iter().filter_map(|given| resolve(given).ok()).filter(|path| is_regular(path));
            let own: Vec<PathBuf> = own.collect();
            for path in own {
                let backups = job.logfile_backups;
                let clash = |(name, other, n): &&(&JobName, PathBuf, u32)| {
                    **name != job.name && clash((&path, backups), (other, *n))
                };
                if let Some((name, other, _)) = known.iter().find(clash) {
                    let what = format!("job '{}': log '{}' is that of job '{name}'", job.name, other.display());
                    return Err(Error::new(ErrorKind::Conflict, what));
                }
                known.push((&job.name, path, backups));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_hurts_whom() {
        let clash = |a: &str, b: &str| clash((Path::new(a), 2), (Path::new(b), 10));
        assert!(clash("/a", "/a") && clash("/a.1", "/a") && clash("/a", "/a.2") && clash("/a.10", "/a"));
        assert!(!clash("/a", "/b") && !clash("/a", "/a.3") && !clash("/a.11", "/a") && !clash("/a.01", "/a"));
        assert!(!clash("/a.0", "/a") && !clash("/a.log", "/a"));
        assert!(clash("/b/.a.doomed-1", "/b/a") && clash("/a", "/.a.doomed-8") && !clash("/.a.doomed-9", "/a"));
    }

    #[test]
    fn paths() {
        assert_eq!(resolve(Path::new("/dev/stdout")).expect("ours"), Path::new("/dev/stdout"));
        assert_eq!(resolve(Path::new("/tmp/../dev/null")).expect("a device"), Path::new("/dev/null"));
        let here = Path::new(".").canonicalize().expect("here");
        assert_eq!(resolve(Path::new("not-there")).expect("to be made"), here.join("not-there"));
        for (bad, want) in [
            ("/not/there/a", "log '/not/there/a': '/not/there': No such file or directory (os error 2)"),
            ("/tmp", "log '/tmp': it is a folder"),
            ("/dev/null/a", "log '/dev/null/a': '/dev/null': Not a directory (os error 20)"),
            ("..", "log '..': it is not a file's name"),
        ] {
            assert_eq!(resolve(Path::new(bad)).expect_err(bad).to_string(), want);
        }
    }
}
