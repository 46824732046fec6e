//! Prints what a file says, as a JSON list of `[name, value]` pairs: `parse KIND FILE`.
//!
//! KIND is `procfile` (read leniently), `env` (values as they are written, no variable replaced), `env-expanded`
//! (variables replaced, from the file alone), or `ini` (an object of objects, nothing replaced). Warnings and errors go to standard error; after an error the exit code is 1.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program prints")]

use std::process::ExitCode;

use gaffer::config::ini::Ini;
use gaffer::config::{Dotenv, Expand, Procfile};

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [kind, path] = &args[..] else {
        eprintln!("usage: parse procfile|env|env-expanded|ini FILE");
        return ExitCode::from(2);
    };
    run(kind, path)
}

/// Also called by the test over the corpora.
pub(crate) fn run(kind: &str, path: &str) -> ExitCode {
    match std::fs::read_to_string(path).map_err(|e| format!("{path}: {e}")).and_then(|text| parse(kind, path, &text)) {
        Ok((json, warnings)) => {
            for warning in warnings {
                eprintln!("warning: {warning}");
            }
            println!("{json}");
            ExitCode::SUCCESS
        }
        Err(e) => {
            eprintln!("error: {e}");
            ExitCode::FAILURE
        }
    }
}

/// The JSON, and the warnings.
type Read = (String, Vec<String>);

fn parse(kind: &str, path: &str, text: &str) -> Result<Read, String> {
    let nothing = |_: &str| None;
    let expand = match kind {
        "procfile" => {
            let file = Procfile::parse_lenient(text, path).map_err(|e| e.to_string())?;
            return Ok((pairs(file.entries.iter().map(|e| (&e.name, &e.command))), file.warnings));
        }
        "ini" => return Ok((sections(&Ini::parse(text, path).map_err(|e| e.to_string())?), Vec::new())),
        "env" => Expand::Off,
        "env-expanded" => Expand::FileFirst(&nothing),
        _ => return Err(format!("unknown kind {kind:?}: expected procfile, env, env-expanded or ini")),
    };
    let file = Dotenv::parse(text, path, expand).map_err(|e| e.to_string())?;
    Ok((pairs(file.vars.iter().map(|(name, value)| (name, value))), file.warnings))
}

fn pairs<'a>(pairs: impl Iterator<Item = (&'a String, &'a String)>) -> String {
    let pairs: Vec<String> = pairs.map(|(n, v)| format!("[{}, {}]", json(n), json(v))).collect();
    format!("[{}]", pairs.join(",\n "))
}

fn sections(ini: &Ini) -> String {
    let sections = ini.sections.iter().map(|section| {
        let entries = section.entries.iter().map(|e| format!("{}: {}", json(&e.key), json(&e.value)));
        format!("{}: {{{}}}", json(&section.name), entries.collect::<Vec<_>>().join(", "))
    });
    format!("{{{}}}", sections.collect::<Vec<_>>().join(",\n "))
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
