//! `$NAME`, `${NAME}` and `$$` in commands.
#![forbid(unsafe_code)]

use std::fmt;

use crate::{Error, ErrorKind, Result};

/// Replaces `$NAME` and `${NAME}` by what `lookup` gives, and `$$` by one `$`.
///
/// A name is `[A-Za-z_][A-Za-z0-9_]*` and, without braces, as long as it can be. What is put in is not looked at again.
/// Commands get it after they are [split](crate::words::split), so a value with blanks stays one argument and quotes in
/// the command do not protect a `$`.
///
/// ```
/// use gaffer::substitute::substitute;
///
/// let lookup = |name: &str| (name == "PORT").then_some("8000");
/// assert_eq!(substitute("0.0.0.0:$PORT ${PORT}1 $$", lookup)?, "0.0.0.0:8000 80001 $");
/// let e = substitute("$HOST", lookup).unwrap_err();
/// assert_eq!(e.to_string(), "column 1: the variable HOST is not set ($$ is a plain $)");
/// # Ok::<(), gaffer::Error>(())
/// ```
///
/// # Errors
///
/// [`ErrorKind::Invalid`] where a name is not known to `lookup`, and where a `$` begins none of the three forms. The
/// message begins with the column of the `$` (in characters, from 1).
pub fn substitute<V: AsRef<str>>(text: &str, lookup: impl Fn(&str) -> Option<V>) -> Result<String> {
    let mut out = String::with_capacity(text.len());
    for piece in pieces(text) {
        match piece? {
            Piece::Text(text) => out.push_str(text),
            Piece::Variable { name, at } => match lookup(name) {
                Some(value) => out.push_str(value.as_ref()),
                None => {
                    return Err(fault(text, at, format_args!("the variable {name} is not set ($$ is a plain $)")));
                }
            },
        }
    }
    Ok(out)
}

/// A part of a text with variables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Piece<'a> {
    /// As it is. None is empty; what surrounds a `$$` comes in several.
    Text(&'a str),
    /// A variable, and at which byte its `$` stands.
    Variable { name: &'a str, at: usize },
}

/// The parts of a text, as [`substitute`] reads it; ends with the first error.
pub(crate) fn pieces(text: &str) -> impl Iterator<Item = Result<Piece<'_>>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let rest = &text[at..];
        let (piece, len) = match rest.find('$') {
            _ if rest.is_empty() => return None,
            None => (Ok(Piece::Text(rest)), rest.len()),
            Some(0) if rest.starts_with("$$") => (Ok(Piece::Text("$")), 2),
            Some(0) => match variable(rest) {
                Some((name, len)) => (Ok(Piece::Variable { name, at }), len),
                None => (Err(fault(text, at, "expected $NAME, ${NAME}, or $$ for a dollar sign")), rest.len()),
            },
            Some(dollar) => (Ok(Piece::Text(&rest[..dollar])), dollar),
        };
        at += len;
        Some(piece)
    })
}

/// The name of the variable that `text` begins with, and how long `$NAME` or `${NAME}` is.
fn variable(text: &str) -> Option<(&str, usize)> {
    let start = text[1..].strip_prefix('{').unwrap_or(&text[1..]);
    let (name, after) = start.split_at(name_len(start));
    match (text.as_bytes()[1..].first(), name) {
        (_, "") => None,
        (Some(b'{'), _) => after.starts_with('}').then_some((name, name.len() + 3)),
        _ => Some((name, name.len() + 1)),
    }
}

fn fault(text: &str, at: usize, what: impl fmt::Display) -> Error {
    let column = text[..at].chars().count() + 1;
    Error::new(ErrorKind::Invalid, format!("column {column}: {what}"))
}

/// The length of the variable name that `text` begins with, 0 where it begins with none.
pub(crate) fn name_len(text: &str) -> usize {
    match text.bytes().next() {
        Some(b) if b.is_ascii_alphabetic() || b == b'_' => {
            text.bytes().position(|b| !(b.is_ascii_alphanumeric() || b == b'_')).unwrap_or(text.len())
        }
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words::tests::Rng;

    fn lookup(name: &str) -> Option<&'static str> {
        [("A", "1"), ("LONG_NAME", "$A"), ("_x9", ""), ("É", "no")].iter().find(|(n, _)| *n == name).map(|(_, v)| *v)
    }

    #[test]
    fn replaces() {
        for (text, want) in [
            ("", ""),
            ("plain", "plain"),
            ("$A", "1"),
            ("x$A-${A}y", "x1-1y"),
            ("$LONG_NAME", "$A"),
            ("a$_x9.b", "a.b"),
            ("$$A $$$A", "$A $1"),
            ("100%", "100%"),
            ("$Aé", "1é"),
        ] {
            assert_eq!(substitute(text, lookup).expect(text), want, "{text}");
        }
    }

    #[test]
    fn refuses() {
        let form = "expected $NAME, ${NAME}, or $$ for a dollar sign";
        for (text, column, what) in [
            ("é $NOPE", 3, "the variable NOPE is not set ($$ is a plain $)"),
            ("${B}", 1, "the variable B is not set ($$ is a plain $)"),
            ("$AB", 1, "the variable AB is not set ($$ is a plain $)"),
            ("a$", 2, form),
            ("$1", 1, form),
            ("a $ b", 3, form),
            ("${A", 1, form),
            ("${}", 1, form),
            ("${A:-x}", 1, form),
            ("$É", 1, form),
        ] {
            let e = substitute(text, lookup).expect_err(text);
            assert_eq!(e.to_string(), format!("column {column}: {what}"), "{text}");
        }
    }

    #[test]
    fn survives_anything() {
        for seed in 0..200_000 {
            let mut rng = Rng(seed);
            let text = rng.text(&["$", "{", "}", "A", "_", "9", "é", " ", "$$", "${A}", "\0"], 12);
            if let Ok(out) = substitute(&text, |_| Some("")) {
                assert!(out.len() <= text.len(), "seed {seed}");
            }
            let garbage = rng.garbage(32);
            let doubled = garbage.replace('$', "$$");
            assert_eq!(substitute(&doubled, |_| None::<&str>).expect("only $$"), garbage, "seed {seed}");
        }
    }
}
