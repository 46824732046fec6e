//! Command lines as words: split, joined, and whether a shell is needed at all.
//!
//! The rules are those of the POSIX shell (XCU 2.2 "Quoting") without what a shell does after it has split:
//! no variables, no patterns, no operators, and `#` begins no comment.
#![forbid(unsafe_code)]

use std::borrow::Cow;

use crate::{Error, ErrorKind, Result};

/// Splits a command line as a POSIX shell splits words.
///
/// Blanks, tabs and line ends separate words. Between single quotes everything stands for itself; between double
/// quotes a backslash quotes only `$`, `` ` ``, `"`, `\`; outside it quotes any character. A backslash before a line end
/// removes both. Quotes in the middle of a word do not end it, and `''` is an empty word.
///
/// ```
/// use gaffer::words;
///
/// assert_eq!(words::split(r#"sh -c 'echo "$1"' -- a\ b"#)?, ["sh", "-c", r#"echo "$1""#, "--", "a b"]);
/// assert_eq!(words::split("echo 'oops").unwrap_err().to_string(), "column 6: this single quote is never closed");
/// # Ok::<(), gaffer::Error>(())
/// ```
///
/// # Errors
///
/// [`ErrorKind::Invalid`] where a quote is never closed or nothing follows a backslash; the message begins with the
/// column (in characters, from 1) of that quote or backslash.
pub fn split(text: &str) -> Result<Vec<String>> {
    split_or_fault(text).map_err(|(column, what)| Error::new(ErrorKind::Invalid, format!("column {column}: {what}")))
}

/// [`split`], or the column of the fault and what it is.
pub(crate) fn split_or_fault(text: &str) -> Result<Vec<String>, (usize, &'static str)> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut chars = text.chars().zip(1_usize..);
    while let Some((c, column)) = chars.next() {
        match c {
            ' ' | '\t' | '\n' => words.extend(word.take()),
            '\\' => match chars.next() {
                Some(('\n', _)) => {}
                Some((c, _)) => word.get_or_insert_default().push(c),
                None => return Err((column, "nothing follows this backslash")),
            },
            '\'' => {
                let word = word.get_or_insert_default();
                loop {
                    match chars.next() {
                        Some(('\'', _)) => break,
                        Some((c, _)) => word.push(c),
                        None => return Err((column, "this single quote is never closed")),
                    }
                }
            }
            '"' => {
                let word = word.get_or_insert_default();
                let open = (column, "this double quote is never closed");
                loop {
                    match chars.next().ok_or(open)?.0 {
                        '"' => break,
                        // XCU 2.2.3: before any other character the backslash stays.
                        '\\' => match chars.next().ok_or(open)?.0 {
                            '\n' => {}
                            c @ ('$' | '`' | '"' | '\\') => word.push(c),
                            c => word.extend(['\\', c]),
                        },
                        c => word.push(c),
                    }
                }
            }
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    Ok(words)
}

/// Joins words to a command line that [`split`] takes apart into the same words.
///
/// Words of ordinary characters stay as they are, others are put between single quotes.
///
/// ```
/// assert_eq!(gaffer::words::join(["echo", "it's", ""]), r"echo 'it'\''s' ''");
/// ```
#[must_use]
pub fn join<S: AsRef<str>>(words: impl IntoIterator<Item = S>) -> String {
    let mut line = String::new();
    for word in words {
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(&quote(word.as_ref()));
    }
    line
}

/// A word as a POSIX shell would read it back, on one line: as [`join`] writes it, but what a terminal might obey is escaped
/// (`$'...'`, POSIX.1-2024, XCU 2.2.4).
///
/// ```
/// assert_eq!(gaffer::words::show("it's"), r"'it'\''s'");
/// assert_eq!(gaffer::words::show("a\x1b[2J"), r"$'a\033[2J'");
/// ```
#[must_use]
pub fn show(word: &str) -> Cow<'_, str> {
    if !word.contains(char::is_control) {
        return quote(word);
    }
    let escape = |c: char| match c {
        '\n' => "\\n".to_owned(),
        '\t' => "\\t".to_owned(),
        '\'' | '\\' => format!("\\{c}"),
        c if c.is_control() => c.to_string().bytes().map(|byte| format!("\\{byte:03o}")).collect(),
        c => c.to_string(),
    };
    format!("$'{}'", word.chars().map(escape).collect::<String>()).into()
}

fn quote(word: &str) -> Cow<'_, str> {
    let ordinary = |c: char| c.is_ascii_alphanumeric() || "_-./,:=@%+".contains(c);
    if !word.is_empty() && word.chars().all(ordinary) {
        Cow::Borrowed(word)
    } else {
        Cow::Owned(format!("'{}'", word.replace('\'', r"'\''")))
    }
}

/// What only a shell can run: its reserved words, its special built-ins (XCU 2.4, 2.14), and the built-ins of `dash` and
/// `bash` that are no programs or change the shell itself.
const OF_THE_SHELL: &[&str] = &[
    "!",
    ".",
    ":",
    "[",
    "alias",
    "bg",
    "bind",
    "break",
    "builtin",
    "caller",
    "case",
    "cd",
    "chdir",
    "command",
    "compgen",
    "complete",
    "compopt",
    "continue",
    "coproc",
    "declare",
    "dirs",
    "disown",
    "do",
    "done",
    "elif",
    "else",
    "enable",
    "esac",
    "eval",
    "exec",
    "exit",
    "export",
    "fc",
    "fg",
    "fi",
    "for",
    "function",
    "getopts",
    "hash",
    "help",
    "history",
    "if",
    "in",
    "jobs",
    "let",
    "local",
    "logout",
    "mapfile",
    "popd",
    "pushd",
    "read",
    "readarray",
    "readonly",
    "return",
    "select",
    "set",
    "shift",
    "shopt",
    "source",
    "suspend",
    "then",
    "time",
    "times",
    "trap",
    "type",
    "typeset",
    "ulimit",
    "umask",
    "unalias",
    "unset",
    "until",
    "wait",
    "while",
];

/// Built-ins that are programs as well but read their arguments a little differently there: `echo "a\nb"` prints two
/// lines in `dash`, one from `/bin/echo`. Without quotes and backslashes the two agree on what people write.
const ALSO_PROGRAMS: &[&str] = &["echo", "kill", "printf", "pwd", "test"];

/// Whether a command line means the same without a shell: [`split`] it and execute the first word.
///
/// It does where there is no operator, pattern, `~`, `$`, `` ` ``, comment, brace or line end outside of quotes (`$` also
/// inside), the first word is an ordinary name that is no assignment, and the shell has no command of its own by that
/// name (`cd`, `exec`, `if`, `!` …). When in doubt the answer is false, as `/bin/sh` is always right.
///
/// ```
/// use gaffer::words::is_plain;
///
/// assert!(is_plain("python3 -m http.server 8000"));
/// assert!(is_plain("psql -c 'select 1; select 2'"));
/// assert!(!is_plain("python3 -m http.server $PORT"));
/// assert!(!is_plain("RAILS_ENV=test rails server"));
/// assert!(!is_plain("cd app && make"));
/// ```
#[must_use]
pub fn is_plain(command: &str) -> bool {
    let command = command.trim_matches([' ', '\t']);
    let program = command.split([' ', '\t']).next().unwrap_or_default();
    let ordinary = |c: char| c.is_ascii_alphanumeric() || !c.is_ascii() || "_-./,:@+".contains(c);
    if program.is_empty() || !program.chars().all(ordinary) || OF_THE_SHELL.contains(&program) {
        return false;
    }
    if ALSO_PROGRAMS.contains(&program) && command.contains(['\'', '"', '\\']) {
        return false;
    }
    has_no_metacharacter(command)
}

fn has_no_metacharacter(command: &str) -> bool {
    let mut chars = command.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                None | Some('\n' | '$') => return false,
                Some(_) => {}
            },
            '\'' => loop {
                match chars.next() {
                    None | Some('$') => return false,
                    Some('\'') => break,
                    Some(_) => {}
                }
            },
            '"' => loop {
                match chars.next() {
                    None | Some('$' | '`') => return false,
                    Some('"') => break,
                    // An escaped dollar is no variable to the shell, but it would be one to `substitute`.
                    Some('\\') => {
                        if matches!(chars.next(), None | Some('$')) {
                            return false;
                        }
                    }
                    Some(_) => {}
                }
            },
            '\n' | '$' | '`' | '|' | '&' | ';' | '<' | '>' | '(' | ')' | '{' | '}' | '*' | '?' | '[' | ']' | '~'
            | '#' => {
                return false;
            }
            _ => {}
        }
    }
    true
}

#[cfg(test)]
pub(crate) mod tests;
