//! `gaffer send`: writes to a process.

use std::io::{self, BufRead, IsTerminal, Read};
use std::thread;
use std::time::{Duration, Instant};

use gaffer::ErrorKind;
use gaffer::cli::node::failure;
use gaffer::cli::{Code, Command, Failure, Opt};
use gaffer::client::Process;

use crate::app::set;
use crate::remote::{self, Remote, has_remote, no_process};

/// What `gaffer send` is asked to do.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Send {
    remote: Remote,
    stream: Option<String>,
    name: Option<String>,
    words: Vec<String>,
}

has_remote!(Send);

/// So much goes in one request.
const CHUNK: usize = 64 << 10;

/// How long a process may take to read what it was sent before, where nobody says otherwise.
const PATIENCE: Duration = Duration::from_secs(60);

const DETAILS: &str = "\
Options stand before the name: what follows it is text. The words are joined by
blanks, and a line end follows. `-` alone is standard input: at a terminal line
by line until a line that is `.` alone, else all bytes as they are. The job
must have `redirect_input` (GAFFER_REDIRECT_INPUT in .env names the programs of
a Procfile that have it), or the stream be one of its `custom_streams`. Where
the process does not read, it waits at most --timeout (60 s).";

pub(crate) fn command() -> Command<Send> {
    let help = "A process by its number, or a job that has one process; and what to write.";
    let command = Command::new("send", "Write to the input of a process of the node.").option(
        Opt::value("stream", "LABEL", "One of its custom streams.").short('s').default("standard input"),
        |a: &mut Send, v| set(&mut a.stream, Some(v.string()?)),
    );
    remote::options(command)
        .rest("NAME|PID TEXT...|-", help, |a, v| {
            if a.name.is_none() {
                return set(&mut a.name, Some(v.string()?));
            }
            a.words.push(v.string()?);
            Ok(())
        })
        .check(|a| match (&a.name, a.words.is_empty()) {
            (None, _) => Err(Failure::usage("NAME or PID is missing")),
            (_, true) => Err(Failure::usage("TEXT is missing; `-` is standard input")),
            _ => Ok(()),
        })
        .details(DETAILS)
}

pub(crate) fn run(asked: &Send) -> Result<Code, Failure> {
    let server = asked.remote.server()?;
    let word = asked.name.as_deref().unwrap_or_default();
    let to = Inlet { process: remote::process(&asked.remote, &server, word)?, asked };
    match &asked.words[..] {
        [word] if word == "-" && io::stdin().is_terminal() => lines(&to),
        [word] if word == "-" => bytes(&to),
        words => to.write(format!("{}\n", words.join(" ")).as_bytes()),
    }
}

fn unreadable(error: &io::Error) -> Failure {
    Failure::new(Code::Failed, format!("cannot read standard input: {error}"))
}

fn lines(to: &Inlet<'_>) -> Result<Code, Failure> {
    let mut stdin = io::stdin().lock();
    let mut line = Vec::new();
    loop {
        line.clear();
        let n = stdin.read_until(b'\n', &mut line).map_err(|e| unreadable(&e))?;
        if n == 0 || line == b".\n" {
            return Ok(Code::Ok);
        }
        to.write(&line)?;
    }
}

fn bytes(to: &Inlet<'_>) -> Result<Code, Failure> {
    let mut stdin = io::stdin().lock();
    let mut buffer = vec![0; CHUNK];
    loop {
        match stdin.read(&mut buffer) {
            Ok(0) => return Ok(Code::Ok),
            Ok(n) => to.write(&buffer[..n])?,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            Err(e) => return Err(unreadable(&e)),
        };
    }
}

/// Where it goes.
struct Inlet<'a> {
    process: Process,
    asked: &'a Send,
}

impl Inlet<'_> {
    /// Writes all of it; waits while too much is on its way already.
    fn write(&self, bytes: &[u8]) -> Result<Code, Failure> {
        let start = Instant::now();
        let mut pause = Duration::from_millis(2);
        loop {
            let sent = match self.asked.stream.as_deref() {
                Some(label) => self.process.write(label, bytes),
                None => self.process.send(bytes),
            };
            match sent {
                Ok(()) => return Ok(Code::Ok),
                Err(e) if e.kind() == ErrorKind::Full => {
                    if start.elapsed() >= self.asked.remote.node.timeout.unwrap_or(PATIENCE) {
                        return Err(Failure::new(Code::TimedOut, format!("{e} (--timeout gives it longer)")));
                    }
                    thread::sleep(pause);
                    pause = (pause * 2).min(Duration::from_millis(200));
                }
                Err(e) => return Err(self.refused(e)),
            }
        }
    }

    fn refused(&self, error: gaffer::Error) -> Failure {
        let stream = self.asked.stream.as_deref();
        match (error.kind(), self.process.info(), stream) {
            (ErrorKind::NotFound | ErrorKind::Closed, Err(e), _) if e.kind() == ErrorKind::NotFound => {
                no_process(self.process.pid(), e)
            }
            (ErrorKind::Forbidden, Ok(info), None) if info.fields["redirect_input"] == false => {
                Failure::new(Code::Failed, "can't write on this process, (no stdin): its job has no `redirect_input`")
            }
            (ErrorKind::NotFound, Ok(_), Some(label)) => {
                Failure::new(Code::Failed, format!("stream '{label}' not found"))
            }
            _ => failure(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gaffer::cli::Asked;

    #[test]
    fn words() {
        let args = ["-s", "ctl", "12", "hello", "-x", "--json"].map(Into::into);
        let Ok(Asked::Run(send)) = command().parse(args) else { panic!("a send") };
        assert_eq!((send.stream.as_deref(), send.name.as_deref()), (Some("ctl"), Some("12")));
        assert_eq!(send.words, ["hello", "-x", "--json"]);
        for line in ["", "12"] {
            assert!(command().parse(line.split_whitespace().map(Into::into)).is_err(), "{line}");
        }
    }
}
