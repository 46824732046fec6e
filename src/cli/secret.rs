//! Questions whose answers are names and passwords.

use std::io::{self, BufRead, IsTerminal, Read, Write};

use super::Failure;
use crate::Error;
use crate::sys::tty::Modes;

/// Longer than any password may be.
const MAX_LINE: u64 = 4096;

/// The name of a user: what was given, else a line of standard input, which whoever is at a terminal is asked for. At most 4 KiB
/// of it are read.
///
/// # Errors
///
/// Standard input has ended ([`Code::Usage`](super::Code::Usage)) or cannot be read.
pub fn user_name(given: Option<&str>) -> Result<String, Failure> {
    given.map_or_else(|| ask("User name: "), |name| Ok(name.to_owned()))
}

/// The password of a user, likewise. What is typed does not show on a terminal.
///
/// # Errors
///
/// As [`user_name`], or the terminal does not take the change.
pub fn password_of(user: &str, given: Option<&str>) -> Result<String, Failure> {
    given.map_or_else(|| ask_secretly(&format!("Password of {user}: ")), |password| Ok(password.to_owned()))
}

fn ask(what: &str) -> Result<String, Failure> {
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

fn ask_secretly(what: &str) -> Result<String, Failure> {
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
