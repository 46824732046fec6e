//! Procfiles: one `name: command` a line.

use std::collections::HashMap;

use super::{Origin, Position, Warnings, is_blank, without_bom};
use crate::Result;
use crate::suggest::excerpt;

/// What a Procfile says, in the order of its lines.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Procfile {
    /// The process types; their names differ.
    pub entries: Vec<Entry>,
    /// What was skipped, one message a line (at most [`MAX_WARNINGS`](super::MAX_WARNINGS)); empty unless
    /// [read leniently](Procfile::parse_lenient).
    pub warnings: Vec<String>,
}

/// A line of a Procfile.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Entry {
    /// The process type, `[A-Za-z0-9_-]+`.
    pub name: String,
    /// The command as it is written, without blanks around it.
    pub command: String,
    /// The number of the line, from 1.
    pub line: usize,
    /// The column the command begins at, in characters from 1.
    pub column: usize,
}

impl Procfile {
    /// Reads a Procfile; messages begin with `origin`, the line and the column.
    ///
    /// A line is `name: command` from its first column on, the name `[A-Za-z0-9_-]+`; the blanks after the colon may be
    /// missing. Blank lines and lines that begin with `#` (also after blanks) are skipped. Lines end with LF or CRLF, and
    /// the text may begin with a byte order mark. A command is not looked into: quotes and a `#` in it belong to it.
    ///
    /// ```
    /// use gaffer::config::Procfile;
    ///
    /// let procfile = Procfile::parse("web: bin/web -p $PORT\n# not yet\n", "Procfile")?;
    /// assert_eq!((&*procfile.entries[0].name, &*procfile.entries[0].command), ("web", "bin/web -p $PORT"));
    ///
    /// let e = Procfile::parse("web = bin/web\n", "Procfile").unwrap_err().to_string();
    /// assert_eq!(e, r#"Procfile:1:5: expected `name: command`, found "web = bin/web"; did you mean `web: bin/web`?"#);
    /// # Ok::<(), gaffer::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) for any other line, a name that is given twice, and a NUL.
    pub fn parse(text: &str, origin: &str) -> Result<Self> {
        parse(text, Origin(origin), false)
    }

    /// Reads a Procfile as foreman and honcho do: lines that are not understood are skipped, with a warning each.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) for a name that is given twice.
    pub fn parse_lenient(text: &str, origin: &str) -> Result<Self> {
        parse(text, Origin(origin), true)
    }
}

fn parse(text: &str, origin: Origin<'_>, lenient: bool) -> Result<Procfile> {
    let mut entries = Vec::new();
    let mut warnings = Warnings::new(origin);
    let mut lines: HashMap<&str, usize> = HashMap::new();
    for (line, content) in (1..).zip(without_bom(text).split('\n')) {
        let content = content.trim_end_matches(is_blank);
        let start = content.trim_start_matches(is_blank);
        if start.is_empty() || start.starts_with('#') {
            continue;
        }
        match parse_line(content) {
            Ok((name, command)) => {
                if let Some(first) = lines.insert(name, line) {
                    let what = format!("the name `{name}` is taken: line {first} has it already");
                    return Err(origin.error(Position { line, before: "" }, &what));
                }
                let column = Position { line, before: &content[..content.len() - command.len()] }.column();
                entries.push(Entry { name: name.to_owned(), command: command.to_owned(), line, column });
            }
            Err((before, what)) => {
                let at = Position { line, before: &content[..before] };
                if !lenient {
                    return Err(origin.error(at, &what));
                }
                warnings.push(at, &format!("{what}; the line is skipped"));
            }
        }
    }
    Ok(Procfile { entries, warnings: warnings.finish() })
}

fn is_name_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == '-'
}

/// The name and the command, or the number of bytes before the fault and what it is.
fn parse_line(line: &str) -> Result<(&str, &str), (usize, String)> {
    let name_end = line.find(|c| !is_name_char(c)).unwrap_or(line.len());
    let (name, rest) = line.split_at(name_end);
    let command = rest.strip_prefix(':').map(|command| command.trim_start_matches(is_blank));
    match command {
        Some("") if !name.is_empty() => Err((line.len(), format!("expected a command after `{name}:`"))),
        Some(command) if command.contains('\0') => {
            Err((line.find('\0').unwrap_or_default(), "a NUL cannot be part of a command".to_owned()))
        }
        Some(command) if !name.is_empty() => Ok((name, command)),
        _ => Err(explain(line, name_end)),
    }
}

/// What is wrong with a line that is no `name: command`, and what was probably meant.
fn explain(line: &str, name_end: usize) -> (usize, String) {
    let expected = format!("expected `name: command`, found {}", excerpt(line));
    let (name, rest) = line.split_at(name_end);
    if ["<<<<<<<", "=======", ">>>>>>>"].iter().any(|marker| line.starts_with(marker)) {
        return (0, format!("{expected}; this looks like the mark of a merge conflict"));
    }
    if line.starts_with(is_blank) {
        let hint = match parse_line(line.trim_start_matches(is_blank)) {
            Ok(_) => "; a name begins in the first column, and a command ends with its line",
            Err(_) => "",
        };
        return (0, format!("{expected}{hint}"));
    }
    let after = rest.trim_start_matches(is_blank);
    let fault = line.len() - after.len();
    let meant = |command: &str| {
        let command = command.trim_matches(is_blank);
        let short = command.len() <= 60 && !command.is_empty() && !command.contains(char::is_control);
        if short && !name.is_empty() { format!("; did you mean `{name}: {command}`?") } else { String::new() }
    };
    match after.chars().next() {
        Some(':' | '=') => (fault, expected + &meant(&after[1..])),
        Some(_) if after.len() < rest.len() => (name_end, expected + &meant(after)),
        Some(c) if rest.contains(':') => (fault, format!("{expected}: a name has no {c:?}, only A-Z a-z 0-9 _ -")),
        _ => (name_end, expected),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;
    use crate::config::MAX_WARNINGS;
    use crate::words::tests::Rng;

    fn read(text: &str) -> Vec<(String, String)> {
        let procfile = Procfile::parse(text, "Procfile").expect(text);
        procfile.entries.into_iter().map(|e| (e.name, e.command)).collect()
    }

    #[test]
    fn reads_what_foreman_reads() {
        let text =
            "\u{feff}web: bin/web -p $PORT # kept \t\r\n\n  # comment: no\n#x: no\ntight:a:b: c\ntab:\t\tx  y\n-1_A: z";
        let want = [("web", "bin/web -p $PORT # kept"), ("tight", "a:b: c"), ("tab", "x  y"), ("-1_A", "z")];
        assert_eq!(read(text), want.map(|(n, c)| (n.to_owned(), c.to_owned())));
        assert_eq!(read(""), []);
        let entry = Procfile::parse("\nwéb: no\nweb:  é x", "P").expect_err("é is in no name");
        assert!(entry.to_string().starts_with("P:2:2: "), "{entry}");
        let entry = &Procfile::parse("\n\nweb:  é x", "P").expect("a Procfile").entries[0];
        assert_eq!((entry.line, entry.column), (3, 7));
    }

    #[test]
    fn says_what_was_expected_and_meant() {
        for (line, column, what) in [
            ("web = bin/web", 5, "; did you mean `web: bin/web`?"),
            ("web=bin/web", 4, "; did you mean `web: bin/web`?"),
            ("web :bin/web", 5, "; did you mean `web: bin/web`?"),
            ("web bin/web x", 4, "; did you mean `web: bin/web x`?"),
            ("  web: x", 1, "; a name begins in the first column, and a command ends with its line"),
            ("we.b: x", 3, ": a name has no '.', only A-Z a-z 0-9 _ -"),
            (": x", 1, ""),
            ("web", 4, ""),
            ("<<<<<<< HEAD", 1, "; this looks like the mark of a merge conflict"),
        ] {
            let e = Procfile::parse(&format!("a: b\n{line}\n"), "dir/Procfile").expect_err(line);
            assert_eq!(e.kind(), ErrorKind::Invalid);
            let want = format!("dir/Procfile:2:{column}: expected `name: command`, found {line:?}{what}");
            assert_eq!(e.to_string(), want);
        }
        for (text, want) in [
            ("web:  \n", "P:1:5: expected a command after `web:`"),
            ("web: a\0b", "P:1:7: a NUL cannot be part of a command"),
            ("web: a\n\nweb: b", "P:3:1: the name `web` is taken: line 1 has it already"),
        ] {
            assert_eq!(Procfile::parse(text, "P").expect_err(text).to_string(), want);
        }
    }

    #[test]
    fn lenient_skips_aloud() {
        let procfile = Procfile::parse_lenient("web: a\nnonsense\nx=1\nworker: b", "P").expect("lenient");
        assert_eq!(procfile.entries.len(), 2);
        assert_eq!(procfile.warnings.len(), 2);
        assert!(procfile.warnings[0].starts_with("P:2:9: expected `name: command`"), "{:?}", procfile.warnings);
        assert!(procfile.warnings[0].ends_with("; the line is skipped"), "{:?}", procfile.warnings);
        assert!(Procfile::parse_lenient("a: 1\na: 2", "P").is_err());

        let procfile = Procfile::parse_lenient(&"?\n".repeat(MAX_WARNINGS + 7), "P").expect("lenient");
        assert_eq!(procfile.warnings.len(), MAX_WARNINGS + 1);
        assert_eq!(procfile.warnings[MAX_WARNINGS], "P: 7 more warnings");
    }

    #[test]
    fn survives_anything_and_writes_back() {
        let pieces =
            &["a", "web", ":", ": ", " ", "\n", "\r\n", "#", "=", "é", "\0", "\t", "x'", "<<<<<<<", "\u{feff}"];
        for seed in 0..200_000 {
            let mut rng = Rng(seed);
            let text = if seed % 2 == 0 { rng.text(pieces, 16) } else { rng.garbage(48) };
            let strict = Procfile::parse(&text, "P");
            let Ok(lenient) = Procfile::parse_lenient(&text, "P") else {
                assert!(strict.is_err(), "seed {seed}");
                continue;
            };
            if let Ok(strict) = strict {
                assert_eq!(strict, lenient, "seed {seed}");
            }
            let written: String = lenient.entries.iter().map(|e| format!("{}: {}\n", e.name, e.command)).collect();
            let again = Procfile::parse(&written, "P").expect("what was read can be written");
            assert!(
                again.entries.iter().zip(&lenient.entries).all(|(a, b)| a.name == b.name && a.command == b.command)
            );
            assert_eq!(again.entries.len(), lenient.entries.len(), "seed {seed}");
        }
    }
}
