//! A job's command line, taken apart.

use std::collections::BTreeMap;

use super::invalid;
use crate::process::JobConfig;
use crate::substitute::name_len;
use crate::{Result, words};

/// A part of a word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Piece {
    /// As it is.
    Text(String),
    /// The value of a variable that the job does not define.
    Variable(String),
}

/// The words of a command. With `env`, variables that it has are put in.
pub(super) fn words(job: &JobConfig, env: &BTreeMap<String, String>) -> Result<Vec<Vec<Piece>>> {
    if job.cmd.trim().is_empty() {
        return Err(invalid(job, "cmd: it is empty"));
    }
    let plain = |word: &str| vec![Piece::Text(word.to_owned())];
    if job.shell {
        let mut all = vec![plain("/bin/sh"), plain("-c"), plain(&job.cmd)];
        if !job.args.is_empty() {
            all.push(plain("sh"));
            all.extend(job.args.iter().map(|arg| plain(arg)));
        }
        return Ok(all);
    }
    let split = words::split(&job.cmd).map_err(|e| invalid(job, format!("cmd: {e}")))?;
    split.iter().chain(&job.args).map(|word| pieces(word, env).map_err(|what| invalid(job, what))).collect()
}

/// As [`substitute`](crate::substitute::substitute) reads them.
fn pieces(word: &str, env: &BTreeMap<String, String>) -> Result<Vec<Piece>, String> {
    let (mut pieces, mut text, mut rest) = (Vec::new(), String::new(), word);
    while let Some(at) = rest.find('$') {
        text.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('$') {
            text.push('$');
            rest = after;
            continue;
        }
        let braced = rest.strip_prefix('{');
        let start = braced.unwrap_or(rest);
        let (name, after) = start.split_at(name_len(start));
        let after = if braced.is_some() { after.strip_prefix('}') } else { Some(after) };
        rest = match after {
            Some(after) if !name.is_empty() => after,
            _ => return Err(format!("{word:?}: expected $NAME, ${{NAME}}, or $$ for a dollar sign")),
        };
        match env.get(name) {
            Some(value) => text.push_str(value),
            None => {
                if !text.is_empty() {
                    pieces.push(Piece::Text(std::mem::take(&mut text)));
                }
                pieces.push(Piece::Variable(name.to_owned()));
            }
        }
    }
    text.push_str(rest);
    if !text.is_empty() || pieces.is_empty() {
        pieces.push(Piece::Text(text));
    }
    Ok(pieces)
}

/// The variables that are left, each once.
pub(super) fn variables(words: &[Vec<Piece>]) -> Vec<&str> {
    let mut names: Vec<&str> = Vec::new();
    for piece in words.iter().flatten() {
        if let Piece::Variable(name) = piece {
            if !names.contains(&name.as_str()) {
                names.push(name);
            }
        }
    }
    names
}
