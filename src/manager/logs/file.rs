//! A log file: grows at its end, and is renamed at the end of a line before it is too long.
//!
//! It is written at an offset of ours and not with `O_APPEND`, which splice(2) refuses. So before each round of
//! writes its size is looked at: it may have been truncated (logrotate's `copytruncate`), appended to, or deleted.
//!
//! When it is renamed, no file is replaced by another: ext4 writes the new one to the disk at once then (`auto_da_alloc`
//! of ext4(5)), and frees the blocks of the old one. That goes to the [bin](super::disposal) before.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use super::disposal::{Bin, Disposal};
use crate::process::MAX_BACKUPS;
use crate::sys::splice;
use crate::sys::stdio::Moved;

/// The mode of a new file, less the umask: its owner writes, its group reads.
const MODE: u32 = 0o640;

/// So much longer than it may be a file gets for the sake of one line; then the line is split.
const MAX_LINE: u64 = 1024 * 1024;

/// So near to the size at which the file is renamed, output passes through this program, which finds the end of the
/// last line that fits.
const MARGIN: u64 = 64 * 1024;

/// What cannot be done is tried again after this time.
pub(super) const RETRY: Duration = Duration::from_secs(1);

/// When a file is renamed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rule {
    /// 0: never.
    pub(super) maxbytes: u64,
    pub(super) backups: u32,
    pub(super) total: Option<u64>,
}

/// A write that failed after so many bytes.
#[derive(Debug)]
pub(super) struct Failed {
    pub(super) written: usize,
    pub(super) error: io::Error,
}

impl From<io::Error> for Failed {
    fn from(error: io::Error) -> Self {
        Self { written: 0, error }
    }
}

/// What the last byte of the file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Last {
    /// The end of a line, or there is none.
    Newline,
    Other,
    /// It has passed us by, or was there before us.
    Unknown,
}

#[derive(Debug)]
pub(super) struct LogFile {
    path: PathBuf,
    file: File,
    /// Where the next byte goes: the size, as far as it is known.
    offset: u64,
    last: Last,
    /// Takes over at the end of the line.
    next: Option<File>,
    /// A write has failed, and may have left half a line.
    torn: bool,
    can_splice: bool,
    /// Why it could not be renamed, and when that is tried again.
    stuck: Option<(Instant, String)>,
    rotations: u64,
    /// Where its old files go.
    bin: Bin,
}

/// A renamed file.
pub(super) struct Backup {
    pub(super) path: PathBuf,
    pub(super) bytes: u64,
    /// When it was last written, then by its number: the order in which they are deleted.
    pub(super) age: (SystemTime, std::cmp::Reverse<u32>),
}

fn open(path: &Path) -> io::Result<File> {
    // Should it be a fifo by now, the open must not wait.
    let flags = libc::O_NONBLOCK | libc::O_NOCTTY;
    OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(MODE).custom_flags(flags).open(path)
}

/// `PATH.n`.
pub(super) fn backup(path: &Path, n: u32) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(format!(".{n}"));
    name.into()
}

impl LogFile {
    /// At the end of what is there.
    pub(super) fn open(path: &Path, disposal: &Disposal) -> io::Result<Self> {
        let file = open(path)?;
        let offset = file.metadata()?.len();
        let mut log = Self {
            path: path.to_owned(),
            file,
            offset,
            last: Last::Unknown,
            next: None,
            torn: false,
            can_splice: true,
            stuck: None,
            rotations: 0,
            bin: disposal.bin(path),
        };
        // Whoever has written half a line was killed, and its rest does not come.
        log.torn = log.is_inside_line()?;
        Ok(log)
    }

    pub(super) const fn rotations(&self) -> u64 {
        self.rotations
    }

    pub(super) const fn bin(&self) -> &Bin {
        &self.bin
    }

    /// Why it cannot be renamed.
    pub(super) fn stuck(&self) -> Option<&str> {
        self.stuck.as_ref().map(|(_, why)| why.as_str())
    }

    /// Opens the path anew; what is written goes on there from the end of the line.
    pub(super) fn reopen(&mut self) -> io::Result<()> {
        let next = open(&self.path)?;
        let (ours, new) = (self.file.metadata()?, next.metadata()?);
        self.stuck = None;
        if (ours.dev(), ours.ino()) != (new.dev(), new.ino()) {
            self.next = Some(next);
            if !self.is_inside_line()? {
                self.take_next()?;
            }
        }
        Ok(())
    }

    /// Goes on in the next file; the one before.
    fn take_next(&mut self) -> io::Result<Option<File>> {
        let Some(next) = self.next.take() else { return Ok(None) };
        self.offset = next.metadata()?.len();
        self.last = Last::Unknown;
        self.can_splice = true;
        self.torn = false;
        Ok(Some(std::mem::replace(&mut self.file, next)))
    }

    /// Learns what others have done to the file.
    fn look(&mut self) -> io::Result<()> {
        let metadata = self.file.metadata()?;
        if metadata.len() != self.offset {
            self.offset = metadata.len();
            self.last = Last::Unknown;
        }
        // Deleted: what is written now nobody could read.
        if metadata.nlink() == 0 && self.next.is_none() {
            self.next = Some(open(&self.path)?);
            if let Some(deleted) = self.take_next()? {
                self.bin.close(deleted);
            }
        }
        Ok(())
    }

    fn is_inside_line(&mut self) -> io::Result<bool> {
        if self.last == Last::Unknown {
            let mut byte = [b'\n'];
            if self.offset > 0 {
                self.file.read_at(&mut byte, self.offset - 1)?;
            }
            self.last = if byte == [b'\n'] { Last::Newline } else { Last::Other };
        }
        Ok(self.last == Last::Other)
    }

    /// Writes lines. With `whole` they begin at the start of a line, whatever stands before.
    pub(super) fn write(&mut self, mut bytes: &[u8], whole: bool, rule: &Rule) -> Result<(), Failed> {
        self.look()?;
        if (whole || self.torn) && self.is_inside_line()? {
            self.put(b"\n").map_err(|e| e.error)?;
        }
        self.torn = false;
        let mut written = 0;
        while !bytes.is_empty() {
            let after = |e: Failed| Failed { written: written + e.written, error: e.error };
            let n = self.share(bytes, rule).map_err(|e| after(e.into()))?;
            if n > 0 {
                self.put(&bytes[..n]).map_err(after)?;
                bytes = &bytes[n..];
                written += n;
            } else if self.next.is_some() {
                self.take_next().map_err(|e| after(e.into()))?;
            } else {
                self.rotate(rule.backups);
            }
        }
        Ok(())
    }

    /// How much of `bytes` goes into the file before the next one takes over; 0 if that is its turn.
    fn share(&mut self, bytes: &[u8], rule: &Rule) -> io::Result<usize> {
        let line = || bytes.iter().position(|b| *b == b'\n').map_or(bytes.len(), |end| end + 1);
        if self.next.is_some() {
            return Ok(if self.is_inside_line()? { line() } else { 0 });
        }
        let stuck = self.stuck.as_ref().is_some_and(|(retry, _)| Instant::now() < *retry);
        if rule.maxbytes == 0 || stuck {
            return Ok(bytes.len());
        }
        let room = rule.maxbytes.saturating_sub(self.offset);
        let fits = usize::try_from(room).unwrap_or(usize::MAX);
        if bytes.len() <= fits {
            return Ok(bytes.len());
        }
        if let Some(end) = bytes[..fits].iter().rposition(|b| *b == b'\n') {
            return Ok(end + 1);
        }
        let inside = self.is_inside_line()?;
        if self.offset > 0 && (!inside || self.offset >= rule.maxbytes.saturating_add(MAX_LINE)) {
            return Ok(0);
        }
        Ok(line())
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), Failed> {
        let mut written = 0;
        while written < bytes.len() {
            match self.file.write_at(&bytes[written..], self.offset) {
                Ok(n) if n > 0 => {
                    written += n;
                    self.offset += n as u64;
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                other => {
                    (self.last, self.torn) = (Last::Unknown, true);
                    let error = other.err().unwrap_or_else(|| io::ErrorKind::WriteZero.into());
                    return Err(Failed { written, error });
                }
            }
        }
        if let Some(last) = bytes.last() {
            self.last = if *last == b'\n' { Last::Newline } else { Last::Other };
        }
        Ok(())
    }

    /// Moves up to `max` bytes from a pipe to the file; none if they must pass through this program.
    pub(super) fn splice(&mut self, from: BorrowedFd<'_>, max: usize, rule: &Rule) -> Option<io::Result<Moved>> {
        if !self.can_splice || self.torn {
            return None;
        }
        if let Err(e) = self.look() {
            return Some(Err(e));
        }
        let room = if rule.maxbytes == 0 { u64::MAX } else { rule.maxbytes.saturating_sub(self.offset + MARGIN) };
        if room < MARGIN || self.next.is_some() {
            return None;
        }
        let max = usize::try_from(room).map_or(max, |room| room.min(max));
        match splice::splice(from, self.file.as_fd(), self.offset, max) {
            Ok(Moved::Bytes(n)) => {
                self.offset += n as u64;
                self.last = Last::Unknown;
                Some(Ok(Moved::Bytes(n)))
            }
            Err(e) if matches!(e.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported) => {
                self.can_splice = false;
                None
            }
            Err(e) => {
                // It may have moved some before it failed.
                (self.last, self.torn) = (Last::Unknown, true);
                Some(Err(e))
            }
            other => Some(other),
        }
    }

    /// Renames the file and goes on in a new one. Where that cannot be done it goes on in the old one.
    fn rotate(&mut self, backups: u32) {
        match self.try_rotate(backups) {
            Ok(()) => {
                self.rotations += 1;
                self.stuck = None;
            }
            Err(e) => self.stuck = Some((Instant::now() + RETRY, format!("it cannot be rotated: {e}"))),
        }
    }

    fn try_rotate(&mut self, backups: u32) -> io::Result<()> {
        let ours = self.file.metadata()?;
        let there = fs::metadata(&self.path);
        // Somebody else may have renamed it already.
        let is_ours = there.is_ok_and(|there| (there.dev(), there.ino()) == (ours.dev(), ours.ino()));
        if is_ours && backups == 0 {
            return self.start_anew();
        }
        if is_ours {
            let is_free = |n: &u32| fs::symlink_metadata(backup(&self.path, *n)).is_err();
            let (end, oldest) = match (1..=backups).find(is_free) {
                Some(free) => (free, None),
                None => (backups, self.bin.doom(&backup(&self.path, backups))),
            };
            let renamed = (1..end).rev().try_for_each(|n| fs::rename(backup(&self.path, n), backup(&self.path, n + 1)));
            let renamed = renamed.and_then(|()| fs::rename(&self.path, backup(&self.path, 1)));
            if let Some(oldest) = oldest {
                self.bin.delete(oldest);
            }
            renamed?;
        }
        match open(&self.path) {
            Ok(file) => {
                self.next = Some(file);
                self.take_next().map(drop)
            }
            Err(e) => {
                if is_ours {
                    // So that the name leads to what is written; if not, the next try finds it gone.
                    let _ = fs::rename(backup(&self.path, 1), &self.path);
                }
                Err(e)
            }
        }
    }

    /// What was written goes.
    fn start_anew(&mut self) -> io::Result<()> {
        let Some(doomed) = self.bin.doom(&self.path) else {
            // In a folder where nothing can be renamed.
            self.file.set_len(0)?;
            (self.offset, self.last) = (0, Last::Newline);
            return Ok(());
        };
        let opened = open(&self.path);
        if let Ok(file) = opened {
            self.next = Some(file);
            // Closed before it is deleted, as the one who is last has to free its blocks.
            let outcome = self.take_next().map(drop);
            self.bin.delete(doomed);
            return outcome;
        }
        // What is written goes on into it until there is another.
        self.bin.restore(doomed, &self.path);
        opened.map(drop)
    }

    /// The renamed files, those beyond `backups` too as long as there is no gap.
    pub(super) fn backups(&self, backups: u32) -> Vec<Backup> {
        let mut found = Vec::new();
        for n in 1..=MAX_BACKUPS {
            let path = backup(&self.path, n);
            match fs::symlink_metadata(&path) {
                Ok(metadata) if metadata.is_file() => {
                    let time = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
                    found.push(Backup { path, bytes: metadata.len(), age: (time, std::cmp::Reverse(n)) });
                }
                _ if n > backups => break,
                _ => {}
            }
        }
        found
    }
}
