//! Where a job's output goes on disk.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::JobConfig;
use crate::{Error, ErrorKind, Result};

/// The default of [`JobConfig::logfile_maxbytes`]: 50 MiB.
pub const LOGFILE_MAXBYTES: u64 = 50 * 1024 * 1024;

/// The default of [`JobConfig::logfile_backups`].
pub const LOGFILE_BACKUPS: u32 = 10;

/// The most backups a log file can have.
pub const MAX_BACKUPS: u32 = 1_000;

/// The smallest size that a log file can be rotated at: 1 KiB. Each rotation renames every backup.
pub const MIN_MAXBYTES: u64 = 1024;

/// How the lines of a log file look.
///
/// ```text
/// raw     listening on 8000
/// prefix  2026-11-21T12:00:00.123Z web.1[4711] out | listening on 8000
/// json    {"time":1795262400.123000,"name":"web.1","pid":1,"os_pid":4711,"stream":"stdout","text":"listening on 8000"}
/// ```
///
/// Times are UTC. With `prefix` and `json` a line of more than 64 KiB becomes several: `prefix` marks those that
/// continue one by a `+` in place of the `|`, `json` as the console's JSON does, which also has `base64` in
/// place of `text` where bytes are not UTF-8.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum LogFormat {
    /// The bytes as they come.
    #[default]
    Raw,
    /// A line with time, process and stream before it.
    Prefix,
    /// A line is a JSON object.
    Json,
}

/// One output stream of a job's processes.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Outlet<'a> {
    /// The stream's label.
    pub label: &'a str,
    /// The child's descriptors behind it: 1, 2 or both.
    pub fds: &'static [i32],
    /// Where it is written to.
    pub logfile: Option<&'a Path>,
}

/// A log file of a job, as it stands. The figures count since it was opened.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LogStatus {
    /// Its path, absolute and without links; `/dev/stdout` and `/dev/stderr` as they are.
    pub path: PathBuf,
    /// Bytes written.
    pub bytes: u64,
    /// Of these, bytes that went from the process's pipe to the file within the kernel.
    pub spliced: u64,
    /// Bytes of output that were lost because the file could not be written.
    pub dropped: u64,
    /// How often it was rotated.
    pub rotations: u64,
    /// Why it cannot be written, or not be rotated, now.
    pub failing: Option<String>,
}

impl LogStatus {
    pub(crate) const fn new(path: PathBuf) -> Self {
        Self { path, bytes: 0, spliced: 0, dropped: 0, rotations: 0, failing: None }
    }
}

/// The labels of streams that are only named by a log file.
const LABELS: [&str; 2] = ["stdout", "stderr"];

/// Names of this program's own standard output and error, wherever those lead.
const STDOUT: &str = "/dev/stdout";
const STDERR: &str = "/dev/stderr";

/// `-` is the manager's own stream of the same name.
fn place<'a>(path: Option<&'a Path>, own: &'static str) -> Option<&'a Path> {
    path.map(|path| if path.as_os_str() == "-" { Path::new(own) } else { path })
}

impl JobConfig {
    /// The streams that are read from the job's processes, custom ones aside: those of
    /// [`redirect_output`](Self::redirect_output), and those that only have a log file, with the labels `stdout` and
    /// `stderr`.
    ///
    /// Both descriptors are one stream where they have the same label, with a [`tty`](Self::tty), and where both
    /// only have the same log file and its format is [`LogFormat::Raw`]: then what comes first is first in the file,
    /// as with `> file 2>&1`.
    #[must_use]
    pub fn outlets(&self) -> Vec<Outlet<'_>> {
        let out = place(self.stdout_logfile.as_deref(), STDOUT);
        let err = place(self.stderr_logfile.as_deref(), STDERR);
        let label = |n: usize, file: Option<&Path>| {
            let given = self.redirect_output.get(n).map(String::as_str);
            given.or(file.map(|_| LABELS[n]))
        };
        let (out_label, err_label) = (label(0, out), label(1, err));
        let is_one = match (out_label, err_label) {
            (Some(out_label), Some(err_label)) => {
                let plain = self.redirect_output.is_empty() && self.log_format == LogFormat::Raw && out == err;
                out_label == err_label || plain
            }
            _ => false,
        };
        if let (true, Some(label)) = (is_one || self.tty, out_label) {
            return vec![Outlet { label, fds: &[1, 2], logfile: out }];
        }
        let out = out_label.map(|label| Outlet { label, fds: &[1], logfile: out });
        let err = err_label.map(|label| Outlet { label, fds: &[2], logfile: err });
        out.into_iter().chain(err).collect()
    }

    /// The log files, each once, as they are given; `-` as `/dev/stdout` or `/dev/stderr`.
    #[must_use]
    pub fn logfiles(&self) -> Vec<&Path> {
        let mut files: Vec<&Path> = self.outlets().into_iter().filter_map(|outlet| outlet.logfile).collect();
        files.dedup();
        files
    }

    /// The descriptor of a log file that is one of the manager's own streams, which are not opened but shared.
    pub(crate) fn standard_stream(path: &Path) -> Option<i32> {
        let is = |own: &str| path.as_os_str() == OsStr::new(own);
        if is(STDOUT) { Some(1) } else { is(STDERR).then_some(2) }
    }

    /// What cannot be, as far as the definition alone tells.
    pub(crate) fn check_logs(&self) -> Result<()> {
        let invalid = |what: String| Err(Error::new(ErrorKind::Invalid, what));
        let files = [("stdout_logfile", &self.stdout_logfile), ("stderr_logfile", &self.stderr_logfile)];
        for (key, path) in files {
            let bytes = path.as_ref().map(|path| path.as_os_str().as_bytes());
            if bytes.is_some_and(|bytes| bytes.is_empty() || bytes.contains(&0) || bytes.ends_with(b"/")) {
                return invalid(format!("{key}: it is not a file's name"));
            }
        }
        if let (Some(err), [outlet]) = (&self.stderr_logfile, &self.outlets()[..]) {
            let err = place(Some(err), STDERR);
            if outlet.fds.len() == 2 && outlet.logfile != err {
                let why = if self.tty { "a terminal has" } else { "both labels are the same, so there is" };
                return invalid(format!("stderr_logfile: {why} one output stream only, which is stdout's"));
            }
            if self.tty && outlet.fds.len() < 2 {
                return invalid("stderr_logfile: a terminal has one output stream only, which is stdout's".to_owned());
            }
        }
        if self.logfile_maxbytes > 0 && self.logfile_maxbytes < MIN_MAXBYTES {
            let n = self.logfile_maxbytes;
            return invalid(format!("logfile_maxbytes: expected 0 or at least {MIN_MAXBYTES}, found {n}"));
        }
        if self.logfile_backups > MAX_BACKUPS {
            let n = self.logfile_backups;
            return invalid(format!("logfile_backups: expected a number from 0 to {MAX_BACKUPS}, found {n}"));
        }
        if let Some(total) = self.logfile_total {
            let files = self.logfiles().len().max(1) as u64;
            if self.logfile_maxbytes == 0 {
                return invalid(
                    "logfile_total: files that are not rotated (logfile_maxbytes = 0) have no bound".into(),
                );
            }
            if total < self.logfile_maxbytes.saturating_mul(files) {
                let what = if files == 1 { "logfile_maxbytes" } else { "two files of logfile_maxbytes" };
                return invalid(format!(
                    "logfile_total: {total} bytes are less than {what} ({})",
                    self.logfile_maxbytes
                ));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job() -> JobConfig {
        JobConfig::new("a", "x").expect("a name")
    }

    fn shown(job: &JobConfig) -> Vec<String> {
        let file = |file: Option<&Path>| file.map_or("-".to_owned(), |file| file.display().to_string());
        job.outlets().iter().map(|o| format!("{} {:?} {}", o.label, o.fds, file(o.logfile))).collect()
    }

    #[test]
    fn who_is_read() {
        assert!(shown(&job()).is_empty());
        assert_eq!(shown(&job().redirect_output(["o"])), ["o [1] -"]);
        assert_eq!(shown(&job().redirect_output(["o", "e"])), ["o [1] -", "e [2] -"]);
        assert_eq!(shown(&job().redirect_output(["o", "o"])), ["o [1, 2] -"]);
        assert_eq!(shown(&job().redirect_output(["o", "e"]).tty(true)), ["o [1, 2] -"]);
        assert_eq!(shown(&job().stdout_logfile("a")), ["stdout [1] a"]);
        assert_eq!(shown(&job().stderr_logfile("a")), ["stderr [2] a"]);
        assert_eq!(shown(&job().stdout_logfile("a").stderr_logfile("b")), ["stdout [1] a", "stderr [2] b"]);
        let both = job().stdout_logfile("a").stderr_logfile("a");
        assert_eq!(shown(&both), ["stdout [1, 2] a"]);
        assert_eq!(shown(&both.clone().log_format(LogFormat::Json)), ["stdout [1] a", "stderr [2] a"]);
        assert_eq!(shown(&both.redirect_output(["o", "e"])), ["o [1] a", "e [2] a"]);
        assert_eq!(shown(&job().redirect_output(["o"]).stderr_logfile("b")), ["o [1] -", "stderr [2] b"]);
        assert_eq!(shown(&job().redirect_output(["o", "o"]).stdout_logfile("a")), ["o [1, 2] a"]);
        assert_eq!(
            shown(&job().stdout_logfile("-").stderr_logfile("-")),
            ["stdout [1] /dev/stdout", "stderr [2] /dev/stderr"]
        );
    }

    #[test]
    fn what_cannot_be() {
        let fails = |job: JobConfig, want: &str| {
            let e = job.check_logs().expect_err(want).to_string();
            assert!(e.contains(want), "{e}");
        };
        fails(job().stdout_logfile("a/"), "stdout_logfile: it is not a file's name");
        fails(job().stderr_logfile(""), "stderr_logfile: it is not a file's name");
        fails(job().redirect_output(["o", "o"]).stderr_logfile("b"), "both labels are the same");
        fails(job().tty(true).stdout_logfile("a").stderr_logfile("b"), "a terminal has one");
        fails(job().tty(true).stderr_logfile("b"), "a terminal has one");
        fails(job().stdout_logfile("a").logfile_maxbytes(1023), "expected 0 or at least 1024, found 1023");
        fails(job().logfile_backups(1001), "from 0 to 1000");
        fails(job().logfile_total(1), "1 bytes are less than logfile_maxbytes (52428800)");
        let two = job().stdout_logfile("a").stderr_logfile("b").logfile_maxbytes(2000);
        fails(two.clone().logfile_total(3999), "less than two files");
        fails(two.clone().logfile_maxbytes(0).logfile_total(5000), "have no bound");
        two.logfile_total(4000).check_logs().expect("enough");
    }
}
