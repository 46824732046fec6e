//! `gaffer recv`: what a process writes, byte for byte.

use std::io::{self, Read, Write};

use gaffer::cli::node::failure;
use gaffer::cli::{Code, Command, Failure, end_with_reader};
use gaffer::client::Process;

use crate::remote::{self, Remote, has_remote, no_process};

/// What `gaffer recv` is asked to do.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Recv {
    remote: Remote,
    name: Option<String>,
    label: Option<String>,
}

has_remote!(Recv);

const DETAILS: &str = "\
LABEL is one of the job's `redirect_output` (`out` and `err` for the programs
of a Procfile) or `custom_streams`; without it the first one is read.
`PID.LABEL` is the same in one word. What was written before is not repeated.
It ends when the process has ended, and without a word when nobody reads what
it prints.";

pub(crate) fn command() -> Command<Recv> {
    let help = "A process by its number, or a job that has one process; and the label of the stream.";
    let command = Command::new("recv", "Print what a process of the node writes, byte for byte.")
        .words("NAME|PID [LABEL]", help, |a: &mut Recv, v| {
            match (&a.name, &a.label) {
                (None, _) => a.name = Some(v.string()?),
                (Some(_), None) => a.label = Some(v.string()?),
                _ => return Err(Failure::usage(format!("unexpected argument `{}`", v.string()?))),
            }
            Ok(())
        })
        .check(|a| match a.name {
            None => Err(Failure::usage("NAME or PID is missing")),
            Some(_) if a.remote.node.json => Err(Failure::usage("--json: what is printed are the bytes of a program")),
            Some(_) => Ok(()),
        });
    remote::options(command).details(DETAILS)
}

pub(crate) fn run(asked: &Recv) -> Result<Code, Failure> {
    let server = asked.remote.server()?;
    let (word, label) = in_one_word(asked.name.as_deref().unwrap_or_default(), asked.label.as_deref());
    let process = remote::process(&asked.remote, &server, word)?;
    let label = match label {
        Some(label) => label.to_owned(),
        None => first_label(&process, word)?,
    };
    let mut output = process.stream(&label).map_err(|e| match e.kind() {
        gaffer::ErrorKind::NotFound | gaffer::ErrorKind::Invalid => no_stream(&process, word, &label, e),
        _ => failure(e),
    })?;
    end_with_reader();
    copy(&mut output)
}

/// `12.err` is a process and a label.
fn in_one_word<'a>(word: &'a str, label: Option<&'a str>) -> (&'a str, Option<&'a str>) {
    match word.split_once('.') {
        Some((pid, own)) if label.is_none() && !pid.is_empty() && pid.bytes().all(|b| b.is_ascii_digit()) => {
            (pid, Some(own))
        }
        _ => (word, label),
    }
}

fn first_label(process: &Process, word: &str) -> Result<String, Failure> {
    let info = process.info().map_err(|e| no_process(process.pid(), e))?;
    let labels = ["redirect_output", "custom_streams"];
    let first = labels.iter().find_map(|key| info.fields[key].as_array()?.first()?.as_str());
    first.map(str::to_owned).ok_or_else(|| {
        Failure::new(Code::Failed, format!("can't read on '{word}': its output is not redirected (redirect_output)"))
    })
}

/// What is not there: the process, or its stream.
fn no_stream(process: &Process, word: &str, label: &str, error: gaffer::Error) -> Failure {
    match process.info() {
        Ok(_) => Failure::new(Code::Failed, format!("can't read on '{word}': stream '{label}' not found")),
        Err(e) if e.kind() == gaffer::ErrorKind::NotFound => no_process(process.pid(), e),
        Err(_) => failure(error),
    }
}

fn copy(output: &mut impl Read) -> Result<Code, Failure> {
    let mut stdout = io::stdout().lock();
    let mut buffer = vec![0; 64 << 10];
    loop {
        let n = match output.read(&mut buffer) {
            Ok(0) => return Ok(Code::Ok),
            Ok(n) => n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            Err(e) => return Err(Failure::new(Code::Unreachable, format!("the stream broke: {e}"))),
        };
        // What has come is shown at once.
        match stdout.write_all(&buffer[..n]).and_then(|()| stdout.flush()) {
            Ok(()) => {}
            Err(e) if e.kind() == io::ErrorKind::BrokenPipe => return Err(Failure::quiet()),
            Err(e) => return Err(Failure::new(Code::Failed, format!("cannot write to standard output: {e}"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gaffer::cli::Asked;

    #[test]
    fn words() {
        for (line, name, label) in [("web", "web", None), ("12 err", "12", Some("err"))] {
            let Ok(Asked::Run(recv)) = command().parse(line.split_whitespace().map(Into::into)) else {
                panic!("{line}")
            };
            assert_eq!((recv.name.as_deref(), recv.label.as_deref()), (Some(name), label));
        }
        assert!(command().parse([]).is_err());
        assert_eq!(in_one_word("12.err", None), ("12", Some("err")));
        assert_eq!(in_one_word("shop.web", None), ("shop.web", None));
        assert_eq!(in_one_word("12", Some("err")), ("12", Some("err")));
    }
}
