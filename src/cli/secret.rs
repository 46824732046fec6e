//! Questions whose answers are names and passwords.

use std::io::{self, BufRead, IsTerminal, Read, Write};

use super::Failure;
use crate::Error;
use crate::sys::tty::Modes;

/// Longer than any password may be.
const MAX_LINE: u64 = 4096;

/// A line of standard input, without its end; whoever is at a terminal is shown `what`. At most 4 KiB of it are read.
///
/// # Errors
///
/// Standard input has ended ([`Code::Usage`](super::Code::Usage)) or cannot be read.
pub fn ask(what: &str) -> Result<String, Failure> {
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
///
/// # Errors
///
/// As [`ask`], or the terminal does not take the change.
pub fn ask_secretly(what: &str) -> Result<String, Failure> {
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
