//! `$NAME`, `${NAME}` and `$$` in commands.
#![forbid(unsafe_code)]

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
/// assert_eq!(e.to_string(), "column 1: the variable HOST is not set");
/// # Ok::<(), gaffer::Error>(())
/// ```
///
/// # Errors
///
/// [`ErrorKind::Invalid`] where a name is not known to `lookup`, and where a `$` begins none of the three forms. The
/// message begins with the column of the `$` (in characters, from 1).
pub fn substitute<V: AsRef<str>>(text: &str, lookup: impl Fn(&str) -> Option<V>) -> Result<String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        let dollar = text.len() - rest.len() + at;
        let fail = |what: String| {
            let column = text[..dollar].chars().count() + 1;
            Error::new(ErrorKind::Invalid, format!("column {column}: {what}"))
        };
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('$') {
            out.push('$');
            rest = after;
            continue;
        }
        let braced = rest.strip_prefix('{');
        let start = braced.unwrap_or(rest);
        let (name, after) = start.split_at(name_len(start));
        let after = if braced.is_some() { after.strip_prefix('}') } else { Some(after) };
        rest = match after {
            Some(after) if !name.is_empty() => after,
            _ => return Err(fail("expected $NAME, ${NAME}, or $$ for a dollar sign".to_owned())),
        };
        let value = lookup(name).ok_or_else(|| fail(format!("the variable {name} is not set")))?;
        out.push_str(value.as_ref());
    }
    out.push_str(rest);
    Ok(out)
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
            ("é $NOPE", 3, "the variable NOPE is not set"),
            ("${B}", 1, "the variable B is not set"),
            ("$AB", 1, "the variable AB is not set"),
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
