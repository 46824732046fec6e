//! A sink that is no file to rotate: our own standard output, a fifo, a device. It gets the bytes as they come.

use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::SinkId;
use super::file::Failed;
use crate::event_loop::{EventLoop, Interest, Source};
use crate::manager::Owner;
use crate::process::JobConfig;
use crate::sys::stdio::{self, Moved};
use crate::sys::writable;

/// So much may wait for the sink: what one read of 64 KiB of empty lines makes as JSON. Then streams are not read; what
/// comes on top of it, as at the manager's end, is dropped.
const MAX_WAITING: usize = 16 * 1024 * 1024;

/// What a pipe takes without waiting once it is writable (`PIPE_BUF` of pipe(7)).
const PIECE: usize = 4096;

#[derive(Debug)]
pub(super) struct Pass {
    path: PathBuf,
    fd: Fd,
    /// Its flags are another program's as well, so that it may block.
    shared: bool,
    waiting: VecDeque<u8>,
}

#[derive(Debug)]
enum Fd {
    Polled(Source<OwnedFd>),
    /// The poller does not take it, so it is always ready.
    Ready(OwnedFd),
    /// A fifo that nobody reads.
    Absent,
}

impl Pass {
    /// A fifo without reader is no fault yet.
    pub(super) fn open(path: &Path, io: &mut EventLoop<Owner>, id: SinkId) -> io::Result<Self> {
        let mut pass = Self { path: path.to_owned(), fd: Fd::Absent, shared: false, waiting: VecDeque::new() };
        match pass.reopen(io, id) {
            Err(e) if e.raw_os_error() == Some(libc::ENXIO) => Ok(pass),
            other => other.map(|()| pass),
        }
    }

    fn reopen(&mut self, io: &mut EventLoop<Owner>, id: SinkId) -> io::Result<()> {
        let (fd, shared) = match JobConfig::standard_stream(&self.path) {
            Some(number) => standard(number)?,
            None => (open(&self.path)?.into(), false),
        };
        self.shared = shared;
        self.fd = match io.register(fd, Interest::NONE, Owner::Log(id)) {
            Ok(mut source) => {
                match source.set_interest(Interest::WRITE).and_then(|()| source.set_interest(Interest::NONE)) {
                    Ok(()) => Fd::Polled(source),
                    Err(_) => Fd::Ready(source.into_inner()),
                }
            }
            Err(e) => Fd::Ready(e.fd),
        };
        Ok(())
    }

    fn fd(&self) -> Option<BorrowedFd<'_>> {
        match &self.fd {
            Fd::Polled(source) => Some(source.get_ref().as_fd()),
            Fd::Ready(fd) => Some(fd.as_fd()),
            Fd::Absent => None,
        }
    }

    /// Whether it has to take what waits before it gets more.
    pub(super) fn is_behind(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Writes what it takes now; the rest waits.
    pub(super) fn write(&mut self, bytes: &[u8], io: &mut EventLoop<Owner>, id: SinkId) -> Result<(), Failed> {
        if matches!(self.fd, Fd::Absent) {
            self.reopen(io, id)?;
        }
        let written = if self.is_behind() { 0 } else { self.push(bytes)? };
        let rest = &bytes[written..];
        if rest.is_empty() {
            return Ok(());
        }
        let full = self.waiting.len() + rest.len() > MAX_WAITING || !matches!(self.fd, Fd::Polled(_));
        if full {
            let error = io::Error::new(io::ErrorKind::WouldBlock, "it takes no more");
            return Err(Failed { written, error });
        }
        self.waiting.extend(rest);
        self.ask(Interest::WRITE);
        Ok(())
    }

    /// Writes what waits, as far as it is taken; fails with the number of bytes that are lost.
    pub(super) fn flush(&mut self) -> Result<(), (usize, io::Error)> {
        let mut waiting = std::mem::take(&mut self.waiting);
        match self.push(waiting.make_contiguous()) {
            Ok(n) => {
                waiting.drain(..n);
                if waiting.is_empty() {
                    self.ask(Interest::NONE);
                } else {
                    self.waiting = waiting;
                }
                Ok(())
            }
            Err(Failed { written, error }) => {
                self.ask(Interest::NONE);
                Err((waiting.len() - written, error))
            }
        }
    }

    /// How much waits; it is forgotten.
    pub(super) fn give_up(&mut self) -> usize {
        self.ask(Interest::NONE);
        std::mem::take(&mut self.waiting).len()
    }

    fn ask(&mut self, interest: Interest) {
        if let Fd::Polled(source) = &mut self.fd {
            // It was in the poller before; if it cannot be there now, the streams end with their processes.
            let _ = source.set_interest(interest);
        }
    }

    fn push(&mut self, bytes: &[u8]) -> Result<usize, Failed> {
        let Some(fd) = self.fd() else { return Ok(0) };
        let (mut written, mut closed) = (0, false);
        while written < bytes.len() {
            let fail = |error| Failed { written, error };
            let mut piece = &bytes[written..];
            if self.shared {
                if !writable::is_writable(fd).map_err(fail)? {
                    break;
                }
                piece = &piece[..piece.len().min(PIECE)];
            }
            match stdio::write(fd, piece).map_err(fail)? {
                Moved::Bytes(n) => written += n,
                Moved::Blocked => break,
                Moved::Closed => {
                    closed = true;
                    break;
                }
            }
        }
        if closed {
            self.fd = Fd::Absent;
            return Err(Failed { written, error: io::Error::new(io::ErrorKind::BrokenPipe, "nobody reads it") });
        }
        Ok(written)
    }
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY).open(path)
}

/// Our own standard output or error, and whether its flags are shared with whoever gave it to us.
fn standard(number: i32) -> io::Result<(OwnedFd, bool)> {
    let ours = match number {
        1 => io::stdout().as_fd().try_clone_to_owned(),
        _ => io::stderr().as_fd().try_clone_to_owned(),
    }?;
    // A pipe or terminal that is opened again can be told not to wait, which others do not see.
    let anew = Path::new("/dev/fd").join(number.to_string());
    let can = fs::metadata(&anew).is_ok_and(|m| m.file_type().is_fifo() || m.file_type().is_char_device());
    match if can { open(&anew).ok() } else { None } {
        Some(file) => Ok((file.into(), false)),
        None => Ok((ours, true)),
    }
}
