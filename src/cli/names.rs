//! Names of jobs as people type them.

use std::fmt;

use super::node::failure;
use super::{Code, Failure, complain};
use crate::client::{Job, Server};
use crate::process::{JobName, Pid};
use crate::{Error, ErrorKind, suggest};

/// A job or a process.
#[derive(Clone, Debug, PartialEq)]
pub enum Target {
    /// A job, by its name.
    Job(JobName),
    /// A process, by the node's number of it.
    Process(Pid),
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Job(name) => f.write_str(name.short()),
            Self::Process(pid) => pid.fmt(f),
        }
    }
}

/// `label`, `session.label`, `session:label` or `session/label`.
///
/// # Errors
///
/// It is not a job's name.
pub fn job_name(text: &str) -> Result<JobName, Failure> {
    text.replacen(':', ".", 1).parse().map_err(|e: Error| Failure::usage(e.to_string()))
}

/// The jobs that the words name, each once; a word with `*` or `?` names all that match it. The node is asked only for
/// those.
///
/// # Errors
///
/// A word is no name, a pattern matches nothing, or the node does not answer.
pub fn jobs(server: &Server, words: &[String]) -> Result<Vec<Job>, Failure> {
    let targets = resolve(server, words, false)?;
    targets
        .into_iter()
        .map(|target| match target {
            Target::Job(name) => server.job(name.as_str()).map_err(failure),
            Target::Process(pid) => Err(Failure::usage(format!("{pid} is a process, not a job"))),
        })
        .collect()
}

/// The same, where digits are the number of a process.
///
/// # Errors
///
/// As for [`jobs`].
pub fn targets(server: &Server, words: &[String]) -> Result<Vec<Target>, Failure> {
    resolve(server, words, true)
}

fn resolve(server: &Server, words: &[String], numbers: bool) -> Result<Vec<Target>, Failure> {
    let mut targets = Vec::new();
    let mut loaded: Option<Vec<JobName>> = None;
    for word in words {
        if is_pattern(word) {
            if loaded.is_none() {
                loaded = Some(all(server)?);
            }
            let before = targets.len();
            let matching = loaded.iter().flatten().filter(|name| matches_name(word, name));
            targets.extend(matching.cloned().map(Target::Job));
            if targets.len() == before {
                return Err(Failure::new(Code::NoSuch, format!("no job matches `{word}`")));
            }
        } else if numbers && !word.is_empty() && word.bytes().all(|b| b.is_ascii_digit()) {
            let pid = word.parse().map_err(|_| Failure::new(Code::NoSuch, format!("no such process {word}")))?;
            targets.push(Target::Process(Pid(pid)));
        } else {
            targets.push(Target::Job(job_name(word)?));
        }
    }
    let mut once: Vec<Target> = Vec::with_capacity(targets.len());
    for target in targets {
        if !once.contains(&target) {
            once.push(target);
        }
    }
    Ok(once)
}

/// All jobs of the node.
///
/// # Errors
///
/// The node does not answer.
pub fn all(server: &Server) -> Result<Vec<JobName>, Failure> {
    let names = server.jobs(None).map_err(failure)?;
    names.iter().map(|name| job_name(name)).collect()
}

/// A job as people type it: the label in this session, else with its own.
#[must_use]
pub fn shown<'a>(name: &'a JobName, session: &str) -> &'a str {
    if name.session() == session { name.label() } else { name.as_str() }
}

/// Whether a word names all that match it.
#[must_use]
pub fn is_pattern(word: &str) -> bool {
    word.contains(['*', '?'])
}

/// Whether a pattern means a job: by what people type, or by its full name.
#[must_use]
pub fn matches_name(pattern: &str, name: &JobName) -> bool {
    let pattern = pattern.replace([':', '/'], ".");
    matches(pattern.as_bytes(), name.short().as_bytes()) || matches(pattern.as_bytes(), name.as_str().as_bytes())
}

/// Whether a pattern means this name, as it is.
#[must_use]
pub fn matches_text(pattern: &str, text: &str) -> bool {
    matches(pattern.as_bytes(), text.as_bytes())
}

/// `*` is any text, `?` any character. Remembers the last `*` only, so it takes at most pattern times name steps.
fn matches(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(c) if *c == b'?' || *c == text[t] => {
                p += 1;
                t += 1;
            }
            _ => match star {
                Some((at, from)) => {
                    star = Some((at, from + 1));
                    (p, t) = (at + 1, from + 1);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|c| *c == b'*')
}

/// Does something to each: what was made of those that did not fail, and the code of the first failure. Each failure is
/// complained about in the name of the `tool`, and the others have their turn.
pub fn each<'a, T, R>(
    tool: &str,
    targets: &'a [T],
    mut act: impl FnMut(&'a T) -> Result<R, Failure>,
) -> (Vec<R>, Code) {
    let (mut done, mut code) = (Vec::new(), Code::Ok);
    for target in targets {
        match act(target) {
            Ok(result) => done.push(result),
            Err(error) => {
                complain(tool, &error);
                if code == Code::Ok {
                    code = error.code();
                }
                // Nor would it hear the next one.
                if matches!(error.code(), Code::Unreachable) {
                    break;
                }
            }
        }
    }
    (done, code)
}

/// [`failure`], and where no such job is known, the one that was probably meant.
#[must_use]
pub fn unknown(server: &Server, name: &JobName, error: Error) -> Failure {
    if error.kind() != ErrorKind::NotFound {
        return failure(error);
    }
    // Whether there is a hint must not change the outcome.
    let known = all(server).unwrap_or_default();
    let hint = suggest::hint(name.short(), known.iter().map(JobName::short));
    Failure::new(Code::NoSuch, format!("no such job `{}`{hint}", name.short()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        for (pattern, name, want) in [
            ("web*", "default.web1", true),
            ("web*", "default.web", true),
            ("*", "shop.web", true),
            ("shop.*", "shop.web", true),
            ("shop:w?b", "shop.web", true),
            ("default.*", "default.web", true),
            ("web*", "shop.web", false),
            ("*b*b", "default.abcb", true),
            ("w?", "default.web", false),
            ("**", "default.web", true),
            ("?", "default.web", false),
        ] {
            assert_eq!(matches_name(pattern, &name.parse().expect(name)), want, "{pattern} {name}");
        }
        assert!(!matches(b"*a*a*a*a*a*a*a*b", "a".repeat(2000).as_bytes()), "and it ends");
    }

    #[test]
    fn names_without_a_question_to_the_node() {
        let server = Server::new("unix:/nonexistent/socket").expect("an address");
        let words = |list: &[&str]| list.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        let found = targets(&server, &words(&["web", "12", "shop:web", "default.web"])).expect("names");
        let texts: Vec<String> = found.iter().map(Target::to_string).collect();
        assert_eq!(texts, ["web", "12", "shop.web"], "twice the same is once");
        assert_eq!(jobs(&server, &words(&["12"])).expect_err("a number").code(), Code::Usage);
        assert_eq!(targets(&server, &words(&["ä"])).expect_err("a letter").code(), Code::Usage);
        assert_eq!(targets(&server, &words(&["w*"])).expect_err("nobody there").code(), Code::Unreachable);
        assert_eq!(targets(&server, &words(&[&"9".repeat(30)])).expect_err("too large").code(), Code::NoSuch);
    }
}
