//! Log lines, for people or for machines.
//!
//! ```text
//! 2026-11-21 03:12:07 [4711] [INFO] web.1 (pid 4712) has started
//! 2026-11-21 03:12:09 [4711] [WARNING] web.1 (pid 4712) has ended: code 1, after 2.1 s; respawn in 0.1 s
//! ```
//!
//! or as JSON, with what the line is about in members of its own:
//!
//! ```json
//! {"event":"exit","exit_code":1,"job":"default.web","level":"warning","message":"web.1 (pid …","os_pid":4712,...}
//! ```
//!
//! A line is written at once and whole, so that the last line of a program that crashes is there. The writing
//! program never waits for a reader: what standard error cannot take at once is dropped, counted, and told with
//! the next line. A line has at most [`MAX_LINE`] bytes.

#![forbid(unsafe_code)]

mod events;
mod ration;

use std::borrow::Cow;
use std::fmt::{self, Display};
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Map, Value};

pub use crate::config::gafferd::{LogFormat, LogLevel};
pub use events::Logger;
pub use ration::Ration;

use crate::sys::clock::{self, Local};
use crate::sys::{daemon, writable};
use crate::{Error, Result};

/// What a pipe takes whole, or not at all (`PIPE_BUF` of pipe(7)); messages are cut to fit.
pub const MAX_LINE: usize = 4096;

/// A log. Clones write to the same one.
#[derive(Clone)]
pub struct Log(Arc<Mutex<Inner>>);

struct Inner {
    level: LogLevel,
    format: LogFormat,
    to: To,
    /// Lines that nobody took since the last that somebody did.
    dropped: u64,
    /// Whether there was room for the start of a line only, so that the next begins with the end of that one.
    torn: bool,
}

enum To {
    Stderr,
    File {
        path: PathBuf,
        file: File,
        /// Standard error goes there, too: this is a daemon.
        stderr: bool,
    },
}

impl Log {
    /// A log on standard error.
    #[must_use]
    pub fn stderr(level: LogLevel, format: LogFormat) -> Self {
        Self::new(level, format, To::Stderr)
    }

    /// A log at the end of the file at `path`, which is made if need be. With `stderr` standard error goes there
    /// as well, for the sake of panics.
    ///
    /// # Errors
    ///
    /// The file cannot be opened.
    pub fn file(path: impl Into<PathBuf>, stderr: bool, level: LogLevel, format: LogFormat) -> Result<Self> {
        let path = path.into();
        let file = open(&path, stderr)?;
        Ok(Self::new(level, format, To::File { path, file, stderr }))
    }

    fn new(level: LogLevel, format: LogFormat, to: To) -> Self {
        Self(Arc::new(Mutex::new(Inner { level, format, to, dropped: 0, torn: false })))
    }

    /// Changes what is worth a line, and its form.
    pub fn set(&self, level: LogLevel, format: LogFormat) {
        let mut inner = self.lock();
        (inner.level, inner.format) = (level, format);
    }

    /// Opens the file again, by its name: after a rotation has moved the old one away. Standard error stays.
    ///
    /// # Errors
    ///
    /// The file cannot be opened; the log goes on in the old one.
    pub fn reopen(&self) -> Result<()> {
        let inner = &mut *self.lock();
        if let To::File { path, file, stderr } = &mut inner.to {
            *file = open(path, *stderr)?;
            // What is new has no half a line.
            inner.torn &= !file.metadata().is_ok_and(|file| file.len() == 0);
        }
        Ok(())
    }

    /// Whether a line of this level is written.
    #[must_use]
    pub fn is_enabled(&self, level: LogLevel) -> bool {
        level <= self.lock().level
    }

    /// Writes a line.
    pub fn line(&self, level: LogLevel, message: impl Display) {
        self.record(level, message, Map::new());
    }

    /// Writes a line about what happens.
    pub fn info(&self, message: impl Display) {
        self.line(LogLevel::Info, message);
    }

    /// Writes a line about what should be looked at.
    pub fn warning(&self, message: impl Display) {
        self.line(LogLevel::Warning, message);
    }

    /// Writes a line about what failed.
    pub fn error(&self, message: impl Display) {
        self.line(LogLevel::Error, message);
    }

    /// Writes a line; as JSON it has these members as well.
    pub fn record(&self, level: LogLevel, message: impl Display, members: Map<String, Value>) {
        let mut inner = self.lock();
        if level > inner.level {
            return;
        }
        if inner.dropped > 0 {
            let lost = format!("{} lines are missing here: nobody took them", inner.dropped);
            let line = render(inner.format, LogLevel::Warning, &lost, Map::new(), SystemTime::now());
            if !inner.write(&line) {
                inner.dropped += 1;
                return;
            }
            inner.dropped = 0;
        }
        let line = render(inner.format, level, &message.to_string(), members, SystemTime::now());
        if !inner.write(&line) {
            inner.dropped += 1;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = self.lock();
        let to = match &inner.to {
            To::Stderr => Path::new("-"),
            To::File { path, .. } => path,
        };
        f.debug_struct("Log").field("level", &inner.level).field("to", &to).finish_non_exhaustive()
    }
}

impl Inner {
    /// Whether somebody took it.
    fn write(&mut self, line: &[u8]) -> bool {
        match &mut self.to {
            To::File { file, .. } => append(file, line, &mut self.torn),
            To::Stderr => {
                let mut stderr = io::stderr().lock();
                writable::is_writable(stderr.as_fd()).is_ok_and(|ready| ready)
                    && append(&mut stderr, line, &mut self.torn)
            }
        }
    }
}

/// Writes a line behind what may be the start of one, whose end it writes first; whether it is there, whole.
fn append(to: &mut impl Write, line: &[u8], torn: &mut bool) -> bool {
    let whole = if *torn { Cow::Owned([b"\n", line].concat()) } else { Cow::Borrowed(line) };
    let mut rest = &whole[..];
    while !rest.is_empty() {
        match to.write(rest) {
            Ok(0) => break,
            Ok(n) => rest = &rest[n..],
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            // A full disk has often room for a part (write(2)).
            Err(_) => break,
        }
    }
    if let Some(last) = whole[..whole.len() - rest.len()].last() {
        *torn = *last != b'\n';
    }
    rest.is_empty()
}

fn open(path: &Path, stderr: bool) -> Result<File> {
    let fail = |e| Error::io(format!("cannot open the log '{}'", path.display()), e);
    let file = OpenOptions::new().append(true).create(true).open(path).map_err(fail)?;
    if stderr {
        daemon::set_stderr(file.as_fd()).map_err(fail)?;
    }
    Ok(file)
}

/// The name of a level.
const fn name(level: LogLevel) -> (&'static str, &'static str) {
    match level {
        LogLevel::Critical => ("CRITICAL", "critical"),
        LogLevel::Error => ("ERROR", "error"),
        LogLevel::Warning => ("WARNING", "warning"),
        LogLevel::Info => ("INFO", "info"),
        LogLevel::Debug => ("DEBUG", "debug"),
    }
}

fn render(format: LogFormat, level: LogLevel, message: &str, members: Map<String, Value>, time: SystemTime) -> Vec<u8> {
    let mut max = MAX_LINE;
    loop {
        let mut line = match format {
            LogFormat::Text => text(level, &cut(message, max), time),
            LogFormat::Json => json(level, &cut(message, max), members.clone(), time),
        };
        line.push('\n');
        // Escapes make it longer than it was, but not more than six times.
        if line.len() <= MAX_LINE || max == 0 {
            return line.into_bytes();
        }
        max = if max == MAX_LINE { MAX_LINE - MAX_LINE / 8 } else { max / 2 };
    }
}

fn text(level: LogLevel, message: &str, time: SystemTime) -> String {
    let Local { year, month, day, hour, minute, second } = clock::local(time);
    let (level, pid) = (name(level).0, std::process::id());
    // What a program's name or error says must not look like another line, or move a terminal's cursor.
    let message = Plain(message);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02} [{pid}] [{level}] {message}")
}

fn json(level: LogLevel, message: &str, members: Map<String, Value>, time: SystemTime) -> String {
    let time = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    let mut all = Map::new();
    all.insert("time".to_owned(), (time.as_micros() as f64 / 1e6).into());
    all.insert("level".to_owned(), name(level).1.into());
    all.insert("pid".to_owned(), std::process::id().into());
    all.insert("message".to_owned(), message.into());
    all.extend(members);
    Value::Object(all).to_string()
}

/// The message, or as much of it as has `max` bytes.
fn cut(message: &str, max: usize) -> Cow<'_, str> {
    if message.len() <= max {
        return Cow::Borrowed(message);
    }
    let end = (0..=max).rev().find(|&end| message.is_char_boundary(end)).unwrap_or(0);
    Cow::Owned(format!("{}…", &message[..end]))
}

/// Text with its control characters escaped.
struct Plain<'a>(&'a str);

impl Display for Plain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use fmt::Write as _;
        for c in self.0.chars() {
            if c.is_control() { write!(f, "{}", c.escape_default())? } else { f.write_char(c)? }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::time::Duration;

    #[test]
    fn text_and_json() {
        let time = UNIX_EPOCH + Duration::from_micros(1_700_000_000_123_456);
        let text = render(LogFormat::Text, LogLevel::Warning, "a\nb\x1b[2J ü", Map::new(), time);
        let text = String::from_utf8(text).expect("UTF-8");
        let (date, rest) = text.split_at(19);
        assert!(date.starts_with("2023-11-1") && date.as_bytes()[10] == b' ', "{date}");
        assert_eq!(rest, format!(" [{}] [WARNING] a\\nb\\u{{1b}}[2J ü\n", std::process::id()));

        let members = Map::from_iter([("event".to_owned(), json!("exit"))]);
        let line = render(LogFormat::Json, LogLevel::Info, "a\nb", members, time);
        assert_eq!(line.iter().filter(|b| **b == b'\n').count(), 1);
        let line: Value = serde_json::from_slice(&line).expect("JSON");
        let pid = std::process::id();
        let want =
            json!({"time": 1_700_000_000.123_456, "level": "info", "pid": pid, "message": "a\nb", "event": "exit"});
        assert_eq!(line, want);
    }

    /// A disk with room for so many bytes.
    struct Disk(Vec<u8>, usize);

    impl Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let n = bytes.len().min(self.1 - self.0.len());
            self.0.extend_from_slice(&bytes[..n]);
            if n == 0 { Err(io::Error::from_raw_os_error(libc::ENOSPC)) } else { Ok(n) }
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn what_did_not_fit_ends_before_the_next_line() {
        for (room, more, want) in [
            (0, 100, "three\n"),
            (4, 100, "one\nthree\n"),
            (6, 100, "one\ntw\nthree\n"),
            (6, 1, "one\ntw\n"),
            (6, 2, "one\ntw\nt"),
            (8, 100, "one\ntwo\nthree\n"),
        ] {
            let (mut disk, mut torn) = (Disk(Vec::new(), room), false);
            let fits = ["one\n", "two\n"].map(|line| append(&mut disk, line.as_bytes(), &mut torn));
            assert_eq!(fits, [room >= 4, room >= 8]);
            disk.1 += more;
            assert_eq!(append(&mut disk, b"three\n", &mut torn), more == 100);
            assert_eq!((String::from_utf8_lossy(&disk.0).as_ref(), torn), (want, want.ends_with('t')));
        }
    }

    #[test]
    fn lines_are_bounded() {
        for message in ["x".repeat(5000), "ü".repeat(5000), "\0".repeat(5000), "x".repeat(MAX_LINE - 20)] {
            for format in [LogFormat::Text, LogFormat::Json] {
                let line = render(format, LogLevel::Info, &message, Map::new(), SystemTime::now());
                assert!(line.len() <= MAX_LINE && line.len() > MAX_LINE / 4, "{}", line.len());
                assert!(String::from_utf8(line).expect("UTF-8").contains('…'));
            }
        }
    }
}
