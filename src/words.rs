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
pub(crate) mod tests {
    use super::*;
    use std::process::Command;

    /// SplitMix64: good enough to mix test inputs, and a case is named by one number.
    pub(crate) struct Rng(pub(crate) u64);

    impl Rng {
        pub(crate) fn next(&mut self) -> u64 {
            self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            z ^ (z >> 31)
        }

        pub(crate) fn below(&mut self, n: usize) -> usize {
            (self.next() % n as u64) as usize
        }

        /// Up to `max` pieces, each one of `pieces`.
        pub(crate) fn text(&mut self, pieces: &[&str], max: usize) -> String {
            (0..self.below(max + 1)).map(|_| pieces[self.below(pieces.len())]).collect()
        }

        /// Up to `max` random bytes, made text as a lenient reader would.
        pub(crate) fn garbage(&mut self, max: usize) -> String {
            let bytes: Vec<u8> = (0..self.below(max + 1)).map(|_| self.next() as u8).collect();
            String::from_utf8_lossy(&bytes).into_owned()
        }
    }

    const PIECES: &[&str] = &[
        "a", "b c", " ", "\t", "\n", "'", "\"", "\\", "$", "`", "é", "#", "=", "\\\n", "''", "\"\"", "x'y z'", "|", "~",
    ];

    #[test]
    fn splits_as_documented() {
        for (text, words) in [
            ("", &[][..]),
            (" \t\n ", &[]),
            ("a  b\tc\nd", &["a", "b", "c", "d"]),
            ("''", &[""]),
            ("a'' ''b \"\"", &["a", "b", ""]),
            (r#"a'b c'"d e"\ f"#, &["ab cd e f"]),
            (r#"'a\b' "a\b" a\b"#, &[r"a\b", r"a\b", "ab"]),
            (r#""\$ \` \" \\ \n""#, &[r#"$ ` " \ \n"#]),
            ("a\\\nb \\\n c \"d\\\ne\"", &["ab", "c", "de"]),
            ("redis-server # no comment", &["redis-server", "#", "no", "comment"]),
            ("é'ü'", &["éü"]),
        ] {
            assert_eq!(split(text).expect(text), words, "{text}");
        }
    }

    #[test]
    fn shown_words_are_on_one_line() {
        for (word, want) in [
            ("plain-1.2/x", "plain-1.2/x"),
            ("", "''"),
            ("two words", "'two words'"),
            ("a\nb\t'\\", r"$'a\nb\t\'\\'"),
            ("\x1b[31m1\x7f", r"$'\033[31m1\177'"),
            ("\u{9b}1m", r"$'\302\2331m'"),
        ] {
            assert_eq!(show(word), want, "{word:?}");
        }
    }

    #[test]
    fn names_the_column_of_what_is_open() {
        for (text, message) in [
            ("é 'a", "column 3: this single quote is never closed"),
            ("a b\"c", "column 4: this double quote is never closed"),
            ("a \"b\\", "column 3: this double quote is never closed"),
            ("a b\\", "column 4: nothing follows this backslash"),
        ] {
            let e = split(text).expect_err(text);
            assert_eq!((e.kind(), e.to_string().as_str()), (ErrorKind::Invalid, message));
        }
    }

    #[test]
    fn joined_words_split_again() {
        for seed in 0..50_000 {
            let mut rng = Rng(seed);
            let words: Vec<String> = (0..rng.below(5)).map(|_| rng.text(PIECES, 4)).collect();
            assert_eq!(split(&join(&words)).expect("joined words split"), words, "seed {seed}");
            let text = rng.text(PIECES, 12);
            if let Ok(words) = split(&text) {
                assert_eq!(split(&join(&words)).expect("joined words split"), words, "seed {seed}: {text:?}");
            }
        }
    }

    #[test]
    fn survives_anything() {
        for seed in 0..200_000 {
            let text = Rng(seed).garbage(48);
            let split = split(&text);
            assert!(!is_plain(&text) || split.is_ok_and(|w| !w.is_empty()), "seed {seed}: plain, but cannot be split");
        }
    }

    /// Lets `/bin/sh` itself split `line`; none where it refuses.
    fn split_by_sh(line: &str) -> Option<Vec<String>> {
        let out =
            Command::new("/bin/sh").arg("-c").arg(format!("printf '%s\\0' . {line}")).output().expect("/bin/sh runs");
        let text = String::from_utf8(out.stdout).expect("words of UTF-8 are UTF-8");
        out.status.success().then(|| text.split_terminator('\0').skip(1).map(str::to_owned).collect())
    }

    #[test]
    fn agrees_with_the_shell() {
        // Nothing here has a meaning to the shell beyond quoting; a line end would begin the next command.
        let quoting = &[
            "a", "b c", " ", "\t", "'", "\"", "'d e'", "\"f g\"", "\\a", "\\ ", "\\\"", "\\'", "\\\\", "\\\n", "é",
            "=", "''",
        ];
        let mut compared = 0;
        for seed in 0..600 {
            let line = Rng(seed).text(quoting, 10);
            // `dash` reads a trailing backslash as itself, `bash` too; we refuse it on purpose.
            if let Ok(words) = split(&line) {
                assert_eq!(
                    split_by_sh(&line).expect("the shell accepts what we split"),
                    words,
                    "seed {seed}: {line:?}"
                );
                compared += 1;
            }
        }
        assert!(compared > 200, "only {compared} lines were worth comparing");
    }

    #[test]
    fn plain_commands_mean_the_same_to_the_shell() {
        let pieces = &[
            "a", " ", "'b c'", "\"d e\"", "\\ ", "\\*", "'$'", "\"$\"", "*", "~", "$HOME", "{a,b}", "#", "%", "=", "!",
            "^", "é", "\"\\d\"", "-", "`", ";", "'`;|&'", "\"`\"",
        ];
        let mut compared = 0;
        for seed in 0..3_000 {
            let arguments = Rng(seed).text(pieces, 6);
            if is_plain(&format!("true {arguments}")) && compared < 300 {
                let words = split(&arguments).expect("a plain command splits");
                assert_eq!(split_by_sh(&arguments).expect("a plain command runs"), words, "seed {seed}: {arguments:?}");
                compared += 1;
            }
        }
        assert!(compared > 100, "only {compared} plain lines");
    }

    #[test]
    fn knows_what_needs_a_shell() {
        for plain in [
            "web",
            "bin/web",
            "./a --b=c -d",
            "psql -c \"select 1::int\"",
            "python3 -c 'print(1); print(2)'",
            "env A=1 B=2 cmd",
            "echo hi",
            "  java -jar a.jar  ",
            r"cat a\ b",
            "časovač --teď",
        ] {
            assert!(is_plain(plain), "{plain}");
        }
        for shell in [
            "",
            "   ",
            "A=1 cmd",
            "a=b",
            "cmd $PORT",
            "cmd '$PORT'",
            r"cmd \$PORT",
            r#"cmd "\$PORT""#,
            "cmd ${PORT}",
            "cmd `date`",
            "cmd \"`date`\"",
            "cmd > f",
            "cmd < f",
            "cmd 2>&1",
            "a | b",
            "a && b",
            "a &",
            "a; b",
            "(a)",
            "{ a; }",
            "cmd *.c",
            "cmd file?",
            "cmd [ab]",
            "cmd ~/x",
            "~/bin/x",
            "cmd a#b",
            "cmd # comment",
            "cmd {a,b}",
            "cd /tmp",
            "exec cmd",
            "export A",
            "source f",
            ". f",
            ": x",
            "[ -f x ]",
            "[[ -f x ]]",
            "! cmd",
            "if true",
            "while true",
            "time cmd",
            "%1",
            "echo 'a\\nb'",
            "'my prog' x",
            "cmd 'open",
            "cmd \\",
            "a\nb",
        ] {
            assert!(!is_plain(shell), "{shell}");
        }
    }
}
