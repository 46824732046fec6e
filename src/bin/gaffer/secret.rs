//! Questions whose answers are names and passwords.

use std::io::{self, BufRead, IsTerminal, Read, Write};

use gaffer::Error;
use gaffer::cli::Failure;
use gaffer::sys::tty::Modes;

/// Longer than any password may be.
const MAX_LINE: u64 = 4096;

/// A line of standard input; who is there is told what for.
pub(crate) fn ask(what: &str) -> Result<String, Failure> {
    let stdin = io::stdin();
    if stdin.is_terminal() {
        let mut stderr = io::stderr();
        // Whoever cannot read it will see nothing else either.
        let _ = stderr.write_all(what.as_bytes()).and_then(|()| stderr.flush());
    }
    let mut line = String::new();
    let read = Read::take(stdin.lock(), MAX_LINE).read_line(&mut line);
    match read.map_err(|e| Error::io("standard input", e))? {
        0 => Err(Failure::usage(format!("{what}nothing came on standard input"))),
        _ => Ok(line.trim_end_matches(['\n', '\r']).to_owned()),
    }
}

/// The same, without showing on a terminal what is typed.
pub(crate) fn ask_secretly(what: &str) -> Result<String, Failure> {
    let modes = Modes::of_stdin();
    if let Some(modes) = &modes {
        modes.without_echo().map_err(|e| Error::io("the terminal", e))?;
    }
    let answer = ask(what);
    if let Some(modes) = &modes {
        modes.restore().map_err(|e| Error::io("the terminal", e))?;
        let _ = io::stderr().write_all(b"\n");
    }
    answer
}
