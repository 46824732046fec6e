//! A job's command line, taken apart.

use std::collections::BTreeMap;

use super::invalid;
use crate::process::JobConfig;
use crate::{Result, substitute, words};

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
    split
        .iter()
        .chain(&job.args)
        .map(|word| pieces(word, env).map_err(|e| invalid(job, format!("{word:?}: {e}"))))
        .collect()
}

/// As [`substitute`](substitute::substitute) reads them.
fn pieces(word: &str, env: &BTreeMap<String, String>) -> Result<Vec<Piece>> {
    let (mut pieces, mut text) = (Vec::new(), String::new());
    for piece in substitute::pieces(word) {
        match piece? {
            substitute::Piece::Text(piece) => text.push_str(piece),
            substitute::Piece::Variable { name, .. } => match env.get(name) {
                Some(value) => text.push_str(value),
                None => {
                    if !text.is_empty() {
                        pieces.push(Piece::Text(std::mem::take(&mut text)));
                    }
                    pieces.push(Piece::Variable(name.to_owned()));
                }
            },
        }
    }
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
