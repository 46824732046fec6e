//! Real Procfiles, `.env` and ini files against the reference parsers' readings: `check.py` of `$GAFFER_CORPORA`, or of
//! `../shared/corpora`, run over this very binary. Skipped, aloud, where the folder or Python is not there.
//!
//! The binary owns its `main`: called as `corpora --parse KIND FILE` it is the example `parse`, so the code that is
//! checked is always the code that was just built.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a test of its own main prints")]

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

#[path = "../examples/parse.rs"]
#[allow(dead_code, reason = "the example's own main is not used here")]
mod parse;

/// What is compared with what, and the files on which we do not follow the reference, each with its reason.
struct Check {
    flag: &'static str,
    kind: &'static str,
    reference: &'static [&'static str],
    excluded: &'static [&'static str],
}

const CHECKS: &[Check] = &[
    Check {
        flag: "--procfile-cmd",
        kind: "procfile",
        reference: &[],
        // A byte order mark is no part of the first name; honcho drops that line.
        excluded: &["syntax-bom.procfile"],
    },
    // All that honcho and python-dotenv agree on, with variables left as they are written.
    Check { flag: "--env-cmd", kind: "env", reference: &[], excluded: &[] },
    Check {
        flag: "--env-cmd",
        kind: "env-expanded",
        reference: &["--env-reference", "dotenv", "--extra-ok"],
        excluded: &[
            // $NAME without braces is a variable here, as in shells.
            "compose-go-dotenv-fixtures-substitutions-default.env",
            "compose-go-dotenv-fixtures-substitutions.env",
            "godotenv-fixtures-substitutions.env",
            "dotenv-tests-env.env",
            // The same, and \$ is a plain dollar, also outside of quotes.
            "syntax-interpolation.env",
            // Names are ASCII; ;G=1 is no assignment.
            "syntax-crlf-and-unicode.env",
            "syntax-export-and-comments.env",
            // Text after a closing quote is an error, not a line to skip.
            "syntax-quotes.env",
        ],
    },
    // RawConfigParser, which takes the last of what is given twice, without interpolation.
    Check { flag: "--ini-cmd", kind: "ini", reference: &["--ini-reference", "plain"], excluded: &[] },
];

fn main() -> ExitCode {
    let args: Vec<String> = env::args().skip(1).collect();
    if let [flag, kind, path] = &args[..] {
        if flag == "--parse" {
            return parse::run(kind, path);
        }
    }
    if args.iter().any(|arg| arg == "--list") {
        println!("corpora: test");
        return ExitCode::SUCCESS;
    }
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = env::var_os("GAFFER_CORPORA").map_or_else(|| here.join("../shared/corpora"), PathBuf::from);
    let check = folder.join("check.py");
    if !check.is_file() {
        eprintln!("corpora: SKIPPED, there is no {} (set GAFFER_CORPORA)", check.display());
        return ExitCode::SUCCESS;
    }
    if !Command::new("python3").arg("--version").output().is_ok_and(|out| out.status.success()) {
        eprintln!("corpora: SKIPPED, python3 does not run");
        return ExitCode::SUCCESS;
    }
    let exe = env::current_exe().expect("a running program has a path");
    let mut ok = true;
    for each in CHECKS {
        ok &= run(&check, &exe, each);
    }
    if ok { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn run(check: &Path, exe: &Path, what: &Check) -> bool {
    let parse = gaffer::words::join([exe.to_string_lossy()]);
    let mut python = Command::new("python3");
    python.arg(check).arg(what.flag).arg(format!("{parse} --parse {} {{file}}", what.kind)).args(what.reference);
    python.args(what.excluded.iter().flat_map(|file| ["--exclude", file]));
    println!("corpora: {} {}", what.kind, what.reference.join(" "));
    python.status().expect("python3 ran a moment ago").success()
}
