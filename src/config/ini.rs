//! Ini files: sections of `key = value`, as Python's configparser reads them.
//!
//! This is the raw reading: no key is known, nothing is replaced and the case of all names is kept. What the sections
//! of a `gafferd.ini` mean is the business of [`GafferdConfig`](super::GafferdConfig).

use std::collections::HashMap;
use std::fmt;

use super::{Origin, Position, without_bom};
use crate::Result;
use crate::suggest::excerpt;

/// What an ini file says, in the order of its lines.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Ini {
    /// The sections; their names differ.
    pub sections: Vec<Section>,
}

/// A section of an ini file.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Section {
    /// What stands between the brackets, as it stands there.
    pub name: String,
    /// The number of its line, from 1.
    pub line: usize,
    /// The column its name begins at, in characters from 1.
    pub column: usize,
    /// Its entries; their keys differ.
    pub entries: Vec<Entry>,
}

/// A `key = value`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Entry {
    /// The key, as it is written.
    pub key: String,
    /// The value without the blanks around it; its lines are joined by `\n`.
    pub value: String,
    /// The number of the key's line, from 1.
    pub line: usize,
    /// The column the key begins at, in characters from 1.
    pub column: usize,
    /// The column the value begins at (or would), in the same line.
    pub value_column: usize,
}

impl Ini {
    /// Reads an ini file; messages begin with `origin`, the line and the column.
    ///
    /// A line is a `[section]`, a `key = value` or `key: value` (the first `=` or `:` ends the key), blank, or a comment,
    /// which begins with `#` or `;`, also after blanks. A line that is indented deeper than its key goes on with the value;
    /// comments in between are left out, blank lines are kept, and those at the end are not. After a value there
    /// is no comment: a `#` or `;` in it belongs to it. Behind the bracket of a section there may be one. Lines end with LF or CRLF,
    /// and the text may begin with a byte order mark.
    ///
    /// ```
    /// use gaffer::config::ini::Ini;
    ///
    /// let ini = Ini::parse("[process:web]\ncmd = bin/web\n  --port 80\n", "gaffer.ini")?;
    /// assert_eq!(ini.sections[0].entries[0].value, "bin/web\n--port 80");
    ///
    /// let e = Ini::parse("[a]\nx = 1\nx: 2\n", "gaffer.ini").unwrap_err();
    /// assert_eq!(e.to_string(), "gaffer.ini:3:1: the key `x` is given twice: line 2 has it already");
    /// # Ok::<(), gaffer::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) for any other line, a key before the first section, a section
    /// or a key in a section that is given twice, and a NUL.
    pub fn parse(text: &str, origin: &str) -> Result<Self> {
        Parser {
            origin: Origin(origin),
            sections: Vec::new(),
            names: HashMap::new(),
            keys: HashMap::new(),
            indent: 0,
            open: false,
        }
        .parse(text)
    }
}

/// Writes what [`parse`](Ini::parse) reads into the same sections and entries.
impl fmt::Display for Ini {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (nth, section) in self.sections.iter().enumerate() {
            let gap = if nth > 0 { "\n" } else { "" };
            writeln!(f, "{gap}[{}]", section.name)?;
            for entry in &section.entries {
                let mut lines = entry.value.split('\n');
                writeln!(f, "{} = {}", entry.key, lines.next().unwrap_or_default())?;
                for line in lines {
                    let indent = if line.is_empty() { "" } else { "    " };
                    writeln!(f, "{indent}{line}")?;
                }
            }
        }
        Ok(())
    }
}

struct Parser<'a> {
    origin: Origin<'a>,
    sections: Vec<Section>,
    /// The lines of the sections.
    names: HashMap<&'a str, usize>,
    /// The lines of the keys of the current section.
    keys: HashMap<&'a str, usize>,
    /// How deep the last key or section is indented.
    indent: usize,
    /// Whether a deeper line would go on with a value.
    open: bool,
}

impl<'a> Parser<'a> {
    fn parse(mut self, text: &'a str) -> Result<Ini> {
        for (line, whole) in (1..).zip(without_bom(text).split('\n')) {
            let content = whole.trim();
            if let Some(at) = whole.find('\0') {
                return Err(self
                    .origin
                    .error(Position { line, before: &whole[..at] }, "a NUL cannot be part of the file"));
            }
            if content.starts_with(['#', ';']) {
                continue;
            }
            if content.is_empty() {
                if let Some(value) = self.value() {
                    value.push('\n');
                }
                continue;
            }
            let before = &whole[..whole.len() - whole.trim_start().len()];
            let indent = before.chars().count();
            if self.open && indent > self.indent {
                if let Some(value) = self.value() {
                    value.push('\n');
                    value.push_str(content);
                }
                continue;
            }
            self.indent = indent;
            self.end_value();
            match content.strip_prefix('[') {
                Some(rest) => self.section(rest, Position { line, before: &whole[..before.len() + 1] })?,
                None => self.entry(content, whole, Position { line, before })?,
            }
        }
        self.end_value();
        Ok(Ini { sections: self.sections })
    }

    /// The value that a deeper line would go on with.
    fn value(&mut self) -> Option<&mut String> {
        if !self.open {
            return None;
        }
        self.sections.last_mut()?.entries.last_mut().map(|entry| &mut entry.value)
    }

    /// Blank lines behind a value are not its own.
    fn end_value(&mut self) {
        if let Some(value) = self.value() {
            value.truncate(value.trim_end().len());
        }
        self.open = false;
    }

    fn section(&mut self, rest: &'a str, at: Position<'a>) -> Result<()> {
        let bracket = Position { line: at.line, before: &at.before[..at.before.len() - 1] };
        let Some((name, after)) = rest.split_once(']') else {
            return Err(self.origin.error(bracket, "this section is never closed: expected `]`"));
        };
        if name.trim().is_empty() {
            return Err(self.origin.error(bracket, "the section has no name"));
        }
        let after = after.trim_start();
        if !after.is_empty() && !after.starts_with(['#', ';']) {
            let what = format!("expected the end of the line after [{name}], found {}", excerpt(after));
            return Err(self.origin.error(bracket, &what));
        }
        if let Some(first) = self.names.insert(name, at.line) {
            let what = format!("the section [{name}] is given twice: line {first} has it already");
            return Err(self.origin.error(at, &what));
        }
        self.keys.clear();
        let column = at.column();
        self.sections.push(Section { name: name.to_owned(), line: at.line, column, entries: Vec::new() });
        Ok(())
    }

    fn entry(&mut self, content: &'a str, whole: &'a str, at: Position<'a>) -> Result<()> {
        let Some(delimiter) = content.find(['=', ':']) else {
            let what = format!("expected `key = value`, a [section] or a comment, found {}", excerpt(content));
            return Err(self.origin.error(at, &what));
        };
        let key = content[..delimiter].trim_end();
        if key.is_empty() {
            let what = format!("expected a key before `{}`", &content[..1]);
            return Err(self.origin.error(at, &what));
        }
        let Some(section) = self.sections.last_mut() else {
            let what = format!("expected a [section] before the first key, found {}", excerpt(content));
            return Err(self.origin.error(at, &what));
        };
        if let Some(first) = self.keys.insert(key, at.line) {
            let what = format!("the key `{key}` is given twice: line {first} has it already");
            return Err(self.origin.error(at, &what));
        }
        let value = content[delimiter + 1..].trim_start();
        let value_at = Position { line: at.line, before: &whole[..whole.trim_end().len() - value.len()] };
        section.entries.push(Entry {
            key: key.to_owned(),
            value: value.to_owned(),
            line: at.line,
            column: at.column(),
            value_column: value_at.column(),
        });
        self.open = true;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;
    use crate::words::tests::Rng;

    type Flat = Vec<(String, Vec<(String, String)>)>;

    fn flat(ini: &Ini) -> Flat {
        let entries = |s: &Section| s.entries.iter().map(|e| (e.key.clone(), e.value.clone())).collect();
        ini.sections.iter().map(|s| (s.name.clone(), entries(s))).collect()
    }

    #[track_caller]
    fn check(text: &str, want: &[(&str, &[(&str, &str)])]) {
        let own = |(k, v): &(&str, &str)| ((*k).to_owned(), (*v).to_owned());
        let want: Flat = want.iter().map(|(s, e)| ((*s).to_owned(), e.iter().map(own).collect())).collect();
        assert_eq!(flat(&Ini::parse(text, "f").expect(text)), want, "{text}");
    }

    #[test]
    fn reads_what_configparser_reads() {
        check("", &[]);
        check(
            "\u{feff}# c\r\n; c\r\n[A b] # c\r\nKey = V \r\nother: x=y ; z # w\r\n",
            &[("A b", &[("Key", "V"), ("other", "x=y ; z # w")])],
        );
        check("[a]\nx:y=z\ny=:\nz =\n[b]", &[("a", &[("x", "y=z"), ("y", ":"), ("z", "")]), ("b", &[])]);
        check("[a]\nx = 1\n  2\n # c\n\n\t3\n\n\ny = 4\n", &[("a", &[("x", "1\n2\n\n3"), ("y", "4")])]);
        check("[a]\nx =\n  1\n", &[("a", &[("x", "\n1")])]);
        // What is as deep as its key is the next key; a section ends a value.
        check("  [a]\n  x = 1\n  y = 2\n z = 3\n", &[("a", &[("x", "1"), ("y", "2"), ("z", "3")])]);
        check("[a]\n  x = 1\n[b]\n  y = 2\n", &[("a", &[("x", "1")]), ("b", &[("y", "2")])]);
        // The keys of another section are not taken.
        check("[a]\nx = 1\n[b]\nx = 2", &[("a", &[("x", "1")]), ("b", &[("x", "2")])]);
        check("[a]\nX = 1\nx = 2", &[("a", &[("X", "1"), ("x", "2")])]);
    }

    #[test]
    fn knows_where_everything_is() {
        let ini = Ini::parse("\n  [é]\n  ké =  v\nx:", "f").expect("an ini");
        let section = &ini.sections[0];
        assert_eq!((section.line, section.column), (2, 4));
        let places: Vec<_> = section.entries.iter().map(|e| (e.line, e.column, e.value_column)).collect();
        assert_eq!(places, [(3, 3, 9), (4, 1, 3)]);
    }

    #[test]
    fn says_what_is_wrong_and_where() {
        let long = "x".repeat(50);
        for (text, want) in [
            ("x = 1", "f:1:1: expected a [section] before the first key, found \"x = 1\""),
            ("[a]\n\n nonsense", "f:3:2: expected `key = value`, a [section] or a comment, found \"nonsense\""),
            ("[a]\n = 1", "f:2:2: expected a key before `=`"),
            ("[a]\n: 1", "f:2:1: expected a key before `:`"),
            ("[a", "f:1:1: this section is never closed: expected `]`"),
            (" [ ]", "f:1:2: the section has no name"),
            ("[a] b", "f:1:1: expected the end of the line after [a], found \"b\""),
            ("[a]\n[b]\n [a]", "f:3:3: the section [a] is given twice: line 1 has it already"),
            ("[a]\nx=1\n\nx : 2", "f:4:1: the key `x` is given twice: line 2 has it already"),
            ("[a]\né\0", "f:2:2: a NUL cannot be part of the file"),
        ] {
            let e = Ini::parse(text, "f").expect_err(text);
            assert_eq!((e.kind(), e.to_string().as_str()), (ErrorKind::Invalid, want), "{text}");
        }
        let e = Ini::parse(&long, "f").expect_err("a long line").to_string();
        assert!(e.ends_with(&format!("found {:?}…", &long[..40])), "{e}");
    }

    #[test]
    fn survives_anything_and_writes_back() {
        let pieces = &[
            "a", "[", "]", "[s]\n", "k = v\n", "\n", "\r\n", " ", "\t", "=", ":", ";", "#", "é", "\0", "\r",
            "\u{feff}", "  more\n", "\u{a0}",
        ];
        let mut read = 0;
        for seed in 0..200_000 {
            let mut rng = Rng(seed);
            let text = if seed % 4 == 0 { rng.garbage(48) } else { rng.text(pieces, 16) };
            let Ok(ini) = Ini::parse(&text, "f") else { continue };
            read += usize::from(!ini.sections.is_empty());
            let again = Ini::parse(&ini.to_string(), "again").expect("what was read can be written");
            assert_eq!(flat(&again), flat(&ini), "seed {seed}: {text:?}");
        }
        assert!(read > 1000, "only {read} texts had a section");
    }
}
