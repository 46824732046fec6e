//! Lookup servers and nodes to test.

use std::process::{Command, Stdio};

pub(crate) use crate::daemon::{Daemon, Folder, eventually};

impl Daemon {
    pub(crate) fn lookupd(args: &[&str]) -> Self {
        let mut daemon = Self::run(env!("CARGO_BIN_EXE_gaffer_lookupd"), args);
        daemon.line("ready: listening on ");
        daemon
    }

    /// The same at an address that was another's before: somebody may have got that port for a moment.
    #[track_caller]
    pub(crate) fn lookupd_again(args: &[&str]) -> Self {
        eventually(&format!("a lookup server with {args:?}"), || {
            let mut daemon = Self::run(env!("CARGO_BIN_EXE_gaffer_lookupd"), args);
            let is_ready = eventually("it listens, or has ended", || {
                let ended = daemon.child.try_wait().expect("it is a child").is_some();
                let ready = daemon.log().iter().any(|line| line.contains("ready: listening on "));
                (ready || ended).then_some(ready)
            });
            is_ready.then_some(daemon)
        })
    }

    pub(crate) fn gafferd(args: &[&str]) -> Self {
        let mut daemon = Self::run(env!("CARGO_BIN_EXE_gafferd"), args);
        daemon.line("ready: ");
        daemon
    }

    fn run(program: &str, args: &[&str]) -> Self {
        let mut command = Command::new(program);
        command.args(args).stdin(Stdio::null()).env_remove("NOTIFY_SOCKET");
        Self::spawn(command)
    }
}

/// Runs the tool; its code and what it said.
pub(crate) fn gaffer(args: &[&str]) -> (i32, String, String) {
    tool(env!("CARGO_BIN_EXE_gaffer"), args, &[])
}

/// Runs something of ours that is to end by itself, with these variables.
pub(crate) fn tool(program: &str, args: &[&str], vars: &[(&str, &str)]) -> (i32, String, String) {
    let output = Command::new(program)
        .args(args)
        .env_remove("GAFFER_ENDPOINT")
        .env_remove("GAFFER_CONFIG")
        .env_remove("GAFFER_API_KEY")
        .env_remove("GAFFER_LOOKUP_KEY")
        .env("HOME", "/nonexistent")
        .envs(vars.iter().copied())
        .stdin(Stdio::null())
        .output()
        .expect(program);
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    (output.status.code().expect("it is not killed"), text(output.stdout), text(output.stderr))
}
