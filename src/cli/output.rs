//! What a tool says: answers on standard output, everything else on standard error.

use std::ffi::OsString;
use std::fmt::Display;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::process::ExitCode;
use std::thread;

use super::{Code, Failure};
use crate::sys::writable;

/// Runs a tool: gives it the arguments without the program's name, says why it failed, and returns
/// the exit code.
pub fn main(name: &str, run: impl FnOnce(Vec<OsString>) -> Result<Code, Failure>) -> ExitCode {
    match run(std::env::args_os().skip(1).collect()) {
        Ok(code) => code.into(),
        Err(failure) => {
            let message = failure.to_string();
            if !message.is_empty() {
                complain(name, message);
            }
            failure.code().into()
        }
    }
}

/// Writes an answer to standard output.
///
/// # Errors
///
/// It cannot be written. If the reader has gone this is [`Failure::quiet`]: pass it on.
pub fn print(text: impl AsRef<[u8]>) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_ref()).and_then(|()| stdout.flush()).map_err(|error| match error.kind() {
        io::ErrorKind::BrokenPipe => Failure::quiet(),
        _ => Failure::new(Code::Failed, format!("cannot write to standard output: {error}")),
    })
}

/// Ends this process, with code 0, as soon as nobody reads its standard output any more. For what follows something: by itself it
/// would notice with the next line, and whoever waits for `gafferctl watch | head -1` would wait for that.
pub fn end_with_reader() {
    let wait = || {
        if writable::wait_unread(io::stdout().as_fd()).is_ok() {
            std::process::exit(Code::Ok.number().into());
        }
    };
    // Where there is no thread to be had, the next line tells.
    drop(thread::Builder::new().name("reader".to_owned()).spawn(wait));
}

/// Writes `name: message` to standard error.
pub fn complain(name: &str, message: impl Display) {
    // Whoever has closed standard error does not want to hear this.
    writeln!(io::stderr(), "{name}: {message}").unwrap_or(());
}
