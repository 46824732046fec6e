//! What the daemons share: how they start, in the background or not, what their log is, and where they refuse to listen.

use std::path::Path;

use super::{Code, Failure};
use crate::config::Address;
use crate::log::{Log, LogFormat, LogLevel};
use crate::sys::daemon::{self, Side};
use crate::sys::{limits, title};
use crate::{Error, ErrorKind, Result};

/// Whatever it is, the code is 1: scripts of service managers know no other.
#[must_use]
pub fn failed(error: Error) -> Failure {
    Failure::new(Code::Failed, error.to_string())
}

/// Runs a daemon to its end: `start` opens everything or fails, `work` is all that comes after. In the background, whoever has called waits until the start has
/// succeeded or failed, and learns why. `own` is what both sides of the fork have and the daemon alone keeps.
///
/// # Errors
///
/// Those of `start` and `work`, and that of the operating system if there is no way into the background.
pub fn run<O, R>(
    background: bool,
    own: O,
    start: impl FnOnce(O) -> Result<R>,
    work: impl FnOnce(R) -> Result<()>,
) -> std::result::Result<Code, Failure> {
    if !background {
        start(own).and_then(work).map_err(failed)?;
        return Ok(Code::Ok);
    }
    match daemon::daemonize().map_err(|e| failed(Error::io("cannot go to the background", e)))? {
        Side::Caller(waiting) => {
            drop(own);
            waiting.outcome().map(|()| Code::Ok).map_err(|why| Failure::new(Code::Failed, why))
        }
        Side::Daemon(report) => match start(own) {
            Ok(running) => {
                report.ready();
                work(running).map(|()| Code::Ok).map_err(failed)
            }
            Err(e) => {
                report.failed(&e.to_string());
                Err(Failure::new(Code::Failed, ""))
            }
        },
    }
}

/// The log: the file, else standard error. A daemon in the background has its file as standard error, too.
///
/// # Errors
///
/// The file cannot be opened.
pub fn open_log(file: Option<&Path>, background: bool, level: LogLevel, format: LogFormat) -> Result<Log> {
    match file {
        Some(path) => Log::file(path, background, level, format),
        None => Ok(Log::stderr(level, format)),
    }
}

/// Gives the process its name, and as many open files as it may have; how many it had before, if that is known.
pub fn settle(name: &str, log: &Log) -> Option<(u64, u64)> {
    if let Err(e) = title::set(name) {
        log.warning(format_args!("cannot set the process's name: {e}"));
    }
    match limits::raise_nofile() {
        Ok(before) => Some(before),
        Err(e) => {
            log.warning(format_args!("cannot raise the number of open files: {e}"));
            None
        }
    }
}

/// Opens the log again, under its name; one that cannot be opened goes on as it is.
pub fn reopen<'a>(logs: impl IntoIterator<Item = &'a Log>, tell: &Log) {
    match logs.into_iter().try_for_each(Log::reopen) {
        Ok(()) => tell.info("the log was opened again"),
        Err(e) => tell.error(format_args!("{e}; going on in the old one")),
    }
}

/// How whoever comes is met at an address.
#[derive(Clone, Copy, Debug)]
pub struct Protection<'a> {
    /// Whether keys are asked for.
    pub keys: bool,
    /// Whether nobody can listen.
    pub tls: bool,
    /// What whoever reaches it could do without a key: `run any program here`.
    pub danger: &'a str,
    /// The setting by which keys are asked for.
    pub key_setting: &'a str,
}

impl Protection<'_> {
    /// Whether an address may be public.
    #[must_use]
    pub const fn is_whole(&self) -> bool {
        self.keys && self.tls
    }

    /// Refuses the first address that others can reach, unless the protection is whole.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`] with what to do about it.
    pub fn check<'a>(&self, bind: impl IntoIterator<Item = &'a Address>) -> Result<()> {
        let Some(public) = bind.into_iter().find(|address| !self.is_whole() && address.is_public()) else {
            return Ok(());
        };
        let keys = self.key_setting;
        let could = format!("whoever reaches it could {}", self.danger);
        let (why, advice) = match (self.keys, self.tls) {
            (true, _) => (
                "whoever is on the way to it could read the keys".to_owned(),
                "Give it a certificate (certfile)".to_owned(),
            ),
            (_, true) => (could, format!("Ask for keys ({keys})")),
            _ => (could, format!("Ask for keys ({keys}) and by TLS (certfile)")),
        };
        let what = format!(
            "refusing to listen on {public}: {why}. {advice}, bind 127.0.0.1 or unix:PATH and put a proxy that does \
             both before it, or say --insecure"
        );
        Err(Error::new(ErrorKind::Invalid, what))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_is_served_without_protection() {
        let bind: Vec<Address> = ["127.0.0.1:1", "unix:x", "10.0.0.1:1"].map(|text| text.parse().expect(text)).into();
        let check = |keys, tls| {
            let protection = Protection { keys, tls, danger: "do harm", key_setting: "key_file" };
            protection.check(&bind).map_err(|e| e.to_string())
        };
        assert_eq!(check(true, true), Ok(()));
        for (keys, tls, want) in [
            (
                false,
                false,
                "refusing to listen on 10.0.0.1:1: whoever reaches it could do harm. Ask for keys (key_file) and by TLS (certfile), bind",
            ),
            (false, true, "could do harm. Ask for keys (key_file), bind"),
            (true, false, "read the keys. Give it a certificate (certfile), bind"),
        ] {
            let e = check(keys, tls).expect_err(want);
            assert!(e.contains(want) && e.ends_with("or say --insecure"), "{e}");
        }
        let open = Protection { keys: false, tls: false, danger: "", key_setting: "" };
        open.check(&bind[..2]).expect("nobody else reaches them");
    }
}
