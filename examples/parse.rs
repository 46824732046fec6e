//! Prints what a file says, as a JSON list of `[name, value]` pairs: `parse KIND FILE`.
//!
//! KIND is `procfile` (read leniently), `env` (values as they are written, no variable replaced), or `env-expanded`
//! (variables replaced, from the file alone). Warnings and errors go to standard error; after an error the exit code is 1.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program prints")]

use std::process::ExitCode;

use gaffer::config::{Dotenv, Expand, Procfile};

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [kind, path] = &args[..] else {
        eprintln!("usage: parse procfile|env|env-expanded FILE");
        return ExitCode::from(2);
    };
    run(kind, path)
}

/// Also called by the test over the corpora.
pub(crate) fn run(kind: &str, path: &str) -> ExitCode {
    match std::fs::read_to_string(path).map_err(|e| format!("{path}: {e}")).and_then(|text| parse(kind, path, &text)) {
        Ok((pairs, warnings)) => {
            for warning in warnings {
                eprintln!("warning: {warning}");
            }
            let pairs: Vec<String> = pairs.iter().map(|(n, v)| format!("[{}, {}]", json(n), json(v))).collect();
            println!("[{}]", pairs.join(",\n "));
            ExitCode::SUCCESS
        }
        Err(e) => {
            eprintln!("error: {e}");
            ExitCode::FAILURE
        }
    }
}

type Read = (Vec<(String, String)>, Vec<String>);

fn parse(kind: &str, path: &str, text: &str) -> Result<Read, String> {
    let nothing = |_: &str| None;
    let expand = match kind {
        "procfile" => {
            let file = Procfile::parse_lenient(text, path).map_err(|e| e.to_string())?;
            return Ok((file.entries.into_iter().map(|e| (e.name, e.command)).collect(), file.warnings));
        }
        "env" => Expand::Off,
        "env-expanded" => Expand::FileFirst(&nothing),
        _ => return Err(format!("unknown kind {kind:?}: expected procfile, env or env-expanded")),
    };
    let file = Dotenv::parse(text, path, expand).map_err(|e| e.to_string())?;
    Ok((file.vars, file.warnings))
}

/// A JSON string (RFC 8259, section 7).
fn json(text: &str) -> String {
    let escape = |c: char| match c {
        '"' => "\\\"".to_owned(),
        '\\' => "\\\\".to_owned(),
        c if c < ' ' => format!("\\u{:04x}", u32::from(c)),
        c => c.to_string(),
    };
    format!("\"{}\"", text.chars().map(escape).collect::<String>())
}
