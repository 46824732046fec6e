//! `gafferctl load_process`: loads jobs from a file.

use std::ffi::OsString;
use std::fs;
use std::io::{self, Read};
use std::path::Path;

use gaffer::cli::{Code, Command, Failure, Opt};
use serde_json::Value;

use crate::NAME;
use crate::state;
use gaffer::cli::names::each;
use gaffer::cli::node::{self, Node, failure};
use gaffer::cli::wait::{self, State, Wait};

/// What `load_process` is asked to do.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct LoadProcess {
    node: Node,
    wait: Wait,
    file: Option<OsString>,
    start: bool,
    replace: bool,
}

impl AsMut<Node> for LoadProcess {
    fn as_mut(&mut self) -> &mut Node {
        &mut self.node
    }
}

impl AsMut<Wait> for LoadProcess {
    fn as_mut(&mut self) -> &mut Wait {
        &mut self.wait
    }
}

pub(crate) fn command() -> Command<LoadProcess> {
    let command = Command::new("load_process", "Load a job, or a list of jobs, from a JSON file.")
        .aliases(&["load"])
        .option(Opt::switch("start", "Start them, whatever the file says."), |a: &mut LoadProcess, _| {
            a.start = true;
            Ok(())
        })
        .option(Opt::switch("replace", "Replace jobs that are loaded already."), |a, _| {
            a.replace = true;
            Ok(())
        })
        .words("FILE", "The file; `-` is standard input.", |a, v| {
            let word = v.os();
            if a.file.is_some() {
                return Err(Failure::usage(format!("unexpected argument `{}`", word.to_string_lossy())));
            }
            a.file = Some(word);
            Ok(())
        })
        .check(|a| if a.file.is_none() { Err(Failure::usage("FILE is missing")) } else { Ok(()) });
    node::options(wait::option(command)).details(
        "The file has an object with `name`, `cmd` and any other settings, or a list of\n\
         such objects, or {\"jobs\": [...]}. A job is started if it says \"start\": true.\n\
         JSON: {\"ok\": true, \"jobs\": [NAME...], \"pids\": []}, with those that were loaded.",
    )
}

/// More than any definition needs.
const MAX_FILE: u64 = 4 << 20;

pub(crate) fn run(asked: &LoadProcess) -> Result<Code, Failure> {
    let server = asked.node.server()?;
    let file = asked.file.as_deref().unwrap_or_default();
    let definitions = read(file)?;
    let deadline = wait::deadline(asked.node.timeout);
    let (done, code) = each(NAME, &definitions, |definition| {
        let start = asked.start || definition["start"].as_bool() == Some(true);
        let job = server.load(definition, None, start, asked.replace).map_err(failure)?;
        if let Some(state) = asked.wait.state(State::Running).filter(|_| start) {
            wait::job(&server, &job, state, Vec::new(), deadline)?;
        }
        Ok(state::target(&job))
    });
    state::report(&asked.node, &done, code)
}

fn read(file: &std::ffi::OsStr) -> Result<Vec<Value>, Failure> {
    let shown = if file == "-" { "standard input".into() } else { file.to_string_lossy() };
    let failed = |why: String| Failure::new(Code::Failed, format!("cannot read {shown}: {why}"));
    let source: io::Result<Box<dyn Read>> = if file == "-" {
        Ok(Box::new(io::stdin()))
    } else {
        fs::File::open(Path::new(file)).map(|file| Box::new(file) as _)
    };
    let mut text = Vec::new();
    source.and_then(|source| source.take(MAX_FILE + 1).read_to_end(&mut text)).map_err(|e| failed(e.to_string()))?;
    if text.len() as u64 > MAX_FILE {
        return Err(failed(format!("it is longer than {MAX_FILE} bytes")));
    }
    definitions(&text).map_err(failed)
}

fn definitions(text: &[u8]) -> Result<Vec<Value>, String> {
    // A byte order mark, as some editors write it.
    let text = text.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(text);
    let mut value: Value = serde_json::from_slice(text).map_err(|e| format!("it is not JSON: {e}"))?;
    let list = match &mut value {
        Value::Object(members) if !members.contains_key("cmd") && members.contains_key("jobs") => {
            members["jobs"].take()
        }
        _ => value,
    };
    match list {
        Value::Array(jobs) if jobs.iter().all(Value::is_object) => Ok(jobs),
        Value::Object(_) => Ok(vec![list]),
        _ => Err("expected a job, which is an object, or a list of jobs".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gaffer::cli::Asked;

    #[test]
    fn flags() {
        let args = ["--start", "--replace", "-"].map(Into::into);
        let Ok(Asked::Run(asked)) = command().parse(args) else { panic!() };
        assert_eq!((asked.start, asked.replace, asked.file), (true, true, Some("-".into())));
        for line in ["", "a b"] {
            assert!(command().parse(line.split_whitespace().map(Into::into)).is_err(), "{line}");
        }
    }

    #[test]
    fn files() {
        for (text, want) in [
            (r#"{"name":"a","cmd":"b"}"#, 1),
            ("\u{feff}{\"name\":\"a\"}", 1),
            (r#"[{"name":"a"},{"name":"b"}]"#, 2),
            (r#"{"jobs":[{"name":"a"},{"name":"b"}]}"#, 2),
            ("[]", 0),
        ] {
            assert_eq!(definitions(text.as_bytes()).expect(text).len(), want, "{text}");
        }
        for bad in ["", "3", "[1]", r#"{"jobs":3}"#, "{"] {
            assert!(definitions(bad.as_bytes()).is_err(), "{bad}");
        }
        let failure = read("/nonexistent/job.json".as_ref()).expect_err("no file");
        assert_eq!(failure.code(), Code::Failed);
        assert!(failure.to_string().starts_with("cannot read /nonexistent/job.json: No such file"), "{failure}");
    }
}
