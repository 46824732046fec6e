//! Running the tool.

use std::io::Write;
use std::process::{Command, Stdio};

/// What a run has left.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ran {
    /// It has ended well, and this is all it has said.
    #[track_caller]
    pub(crate) fn says(&self, out: &str) {
        assert_eq!((self.code, self.out.as_str(), self.err.as_str()), (0, out, ""), "{self:?}");
    }

    /// It has failed with this code, one line on standard error that has these words, and nothing on standard output.
    #[track_caller]
    pub(crate) fn fails(&self, code: i32, words: &[&str]) {
        assert_eq!((self.code, self.out.as_str()), (code, ""), "{self:?}");
        assert_eq!(self.err.lines().count(), 1, "one line: {}", self.err);
        for word in words {
            assert!(self.err.contains(word), "{word:?} is missing: {}", self.err);
        }
    }

    #[track_caller]
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.out).unwrap_or_else(|e| panic!("{e}: {self:?}"))
    }
}

pub(crate) fn command(address: &str, line: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gafferctl"));
    command.args(["--connect", address]).args(line.split_whitespace());
    for name in ["GAFFER_ENDPOINT", "GAFFER_API_KEY", "NO_COLOR", "CLICOLOR_FORCE"] {
        command.env_remove(name);
    }
    // Nothing of whoever runs the tests.
    command.env("GAFFER_CONFIG", "/dev/null");
    command
}

pub(crate) fn run(address: &str, line: &str) -> Ran {
    run_with(command(address, line), "")
}

pub(crate) fn run_with(mut command: Command, input: &str) -> Ran {
    let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the tool");
    // A tool that does not read has closed the pipe.
    let _ = child.stdin.take().expect("a pipe").write_all(input.as_bytes());
    let output = child.wait_with_output().expect("an end");
    Ran {
        code: output.status.code().expect("a code"),
        out: String::from_utf8(output.stdout).expect("text"),
        err: String::from_utf8(output.stderr).expect("text"),
    }
}
