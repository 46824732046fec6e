//! `.env` files, as foreman, honcho and python-dotenv understand them where they agree.
//!
//! | line | value |
//! |---|---|
//! | `KEY=some text # comment` | `some text`; a `#` begins a comment only after a blank |
//! | `KEY = text`, `export KEY=text` | `text` |
//! | `KEY=` | empty |
//! | `KEY='it is $5 \n'` | as it stands; `\'` is a quote where the value goes on after it |
//! | `KEY="a\tb \"c\" \$5"` | with `\n`, `\t`, `\"`, `\\`, `\$`; another backslash stands for itself |
//! | `KEY=$A/${B}`, `KEY="${A:-none}"` | with the variables' values, unless single-quoted or written `\$` |
//!
//! Values in quotes may go on over lines. `${A:-x}` is `x` where `A` is not set or empty, `${A-x}` where it is not set; a
//! variable that is not set is empty, with a warning. A `$` that begins no variable stands for itself (`$5`, `$$`, `a$`).

use std::collections::HashMap;
use std::fmt;

use super::{Origin, Position, Warnings, is_blank, without_bom};
use crate::Result;
use crate::substitute::name_len;

/// The longest value, in bytes: Linux hands no longer string than 128 KiB to a program, name, `=` and NUL included
/// (`MAX_ARG_STRLEN` in execve(2)).
pub const MAX_VALUE: usize = 128 * 1024 - 256;

/// All names and values together, in bytes, replaced ones included. It is what execve(2) allows by default (a quarter of a
/// stack of 8 MiB), and it bounds files whose values multiply each other.
pub const MAX_TOTAL: usize = 2 * 1024 * 1024;

/// How deep `${A:-${B:-…}}` may go.
const MAX_DEPTH: usize = 16;

/// What a `.env` file says, or several.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Dotenv {
    /// The variables in the order of their first lines; of several lines with one name the last counts.
    pub vars: Vec<(String, String)>,
    /// Lines that were skipped and variables that are not set, one message a line (at most
    /// [`MAX_WARNINGS`](super::MAX_WARNINGS) a file).
    pub warnings: Vec<String>,
}

/// Where the variables in values come from.
#[derive(Clone, Copy)]
pub enum Expand<'a> {
    /// Nowhere: a `$` is a character as any other, as foreman and honcho have it.
    Off,
    /// From earlier lines (and files), then from the environment.
    FileFirst(&'a dyn Fn(&str) -> Option<String>),
    /// From the environment, then from earlier lines: for files that lose to it.
    EnvironmentFirst(&'a dyn Fn(&str) -> Option<String>),
}

impl fmt::Debug for Expand<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Off => "Off",
            Self::FileFirst(_) => "FileFirst",
            Self::EnvironmentFirst(_) => "EnvironmentFirst",
        })
    }
}

impl Dotenv {
    /// Reads a `.env` file; messages begin with `origin`, the line and the column.
    ///
    /// Lines that are no assignment (of a name of `A-Z a-z 0-9 _ . -`) are skipped with a warning, as the other readers do.
    ///
    /// ```
    /// use gaffer::config::{Dotenv, Expand};
    ///
    /// let home = |name: &str| (name == "HOME").then(|| "/root".to_owned());
    /// let env = Dotenv::parse("export DIR=$HOME/app # here\nLOG=\"$DIR/log\"\n", ".env", Expand::FileFirst(&home))?;
    /// assert_eq!(env.vars[1], ("LOG".to_owned(), "/root/app/log".to_owned()));
    /// # Ok::<(), gaffer::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) where the rest cannot be read for certain: a quote or `${` that
    /// is never closed, text after a closing quote, another `${…}` than those [above](self), a NUL, a value over
    /// [`MAX_VALUE`] or all of them over [`MAX_TOTAL`].
    pub fn parse(text: &str, origin: &str, expand: Expand<'_>) -> Result<Self> {
        let mut file = Self::default();
        file.add(text, origin, expand)?;
        Ok(file)
    }

    /// Reads another file on top of this: its lines are later lines.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) as for [`parse`](Self::parse); then nothing is added.
    pub fn add(&mut self, text: &str, origin: &str, expand: Expand<'_>) -> Result<()> {
        let text = without_bom(text).replace("\r\n", "\n");
        let origin = Origin(origin);
        let mut parser = Parser {
            text: &text,
            at: 0,
            line: 1,
            line_start: 0,
            expand,
            index: self.vars.iter().zip(0..).map(|((name, _), index)| (name.clone(), index)).collect(),
            total: self.vars.iter().map(|(name, value)| name.len() + value.len()).sum(),
            vars: self.vars.clone(),
            warnings: Warnings::new(origin),
            origin,
        };
        while parser.at < text.len() {
            parser.statement()?;
        }
        self.vars = parser.vars;
        self.warnings.extend(parser.warnings.finish());
        Ok(())
    }
}

struct Parser<'a> {
    text: &'a str,
    /// What is read next, in bytes.
    at: usize,
    line: usize,
    line_start: usize,
    expand: Expand<'a>,
    vars: Vec<(String, String)>,
    index: HashMap<String, usize>,
    total: usize,
    warnings: Warnings<'a>,
    origin: Origin<'a>,
}

impl<'a> Parser<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += c.len_utf8();
        if c == '\n' {
            self.line += 1;
            self.line_start = self.at;
        }
        Some(c)
    }

    /// Goes on while `wanted`, which must not want a line end, and returns what was passed.
    fn take(&mut self, wanted: impl Fn(char) -> bool) -> &'a str {
        let rest = self.rest();
        let taken = &rest[..rest.find(|c| !wanted(c)).unwrap_or(rest.len())];
        self.at += taken.len();
        taken
    }

    fn position(&self) -> Position<'a> {
        Position { line: self.line, before: &self.text[self.line_start..self.at] }
    }

    fn error<T>(&self, at: Position<'_>, what: &str) -> Result<T> {
        Err(self.origin.error(at, what))
    }

    /// One line, or more where a quoted value goes on.
    fn statement(&mut self) -> Result<()> {
        self.take(is_blank);
        if !matches!(self.peek(), None | Some('#' | '\n')) {
            self.assignment()?;
        }
        self.take(|c| c != '\n');
        self.next();
        Ok(())
    }

    fn assignment(&mut self) -> Result<()> {
        let start = self.position();
        let mut name = self.name();
        let exported = name == "export" && !self.take(is_blank).is_empty();
        if exported && self.peek() != Some('=') {
            name = self.name();
        }
        self.take(is_blank);
        if !name.is_empty() && self.peek() == Some('=') {
            self.next();
            let value = self.value()?;
            return self.set(name, value, start);
        }
        if exported && !name.is_empty() && matches!(self.peek(), None | Some('#' | '\n')) {
            // `export NAME` of a shell: children get the variable as it is, as they do here anyway.
            return Ok(());
        }
        // The text of a line is never shown: secrets live here.
        self.warnings.push(start, "expected `NAME=value`; the line is skipped");
        Ok(())
    }

    fn name(&mut self) -> &'a str {
        self.take(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-'))
    }

    fn set(&mut self, name: &str, value: String, at: Position<'_>) -> Result<()> {
        if value.contains('\0') {
            return self.error(at, &format!("the value of {name} has a NUL, which no environment can hold"));
        }
        // Values that are replaced count as well: it is the work that is bounded.
        self.total += name.len() + value.len();
        if self.total > MAX_TOTAL {
            return self.error(at, &format!("all values together are longer than {MAX_TOTAL} bytes"));
        }
        match self.index.get(name) {
            Some(&index) => self.vars[index].1 = value,
            None => {
                self.index.insert(name.to_owned(), self.vars.len());
                self.vars.push((name.to_owned(), value));
            }
        }
        Ok(())
    }

    /// The value after the `=`, up to the comment or the line end.
    fn value(&mut self) -> Result<String> {
        let blanks = self.take(is_blank);
        let quote = match self.peek() {
            Some(quote @ ('\'' | '"')) => quote,
            first => return if first == Some('#') && !blanks.is_empty() { Ok(String::new()) } else { self.unquoted() },
        };
        let value = if quote == '"' { self.double_quoted()? } else { self.single_quoted()? };
        self.take(is_blank);
        if !matches!(self.peek(), None | Some('#' | '\n')) {
            return self.error(self.position(), "expected the end of the line after the closing quote");
        }
        Ok(value)
    }

    fn unquoted(&mut self) -> Result<String> {
        let mut value = String::new();
        // How much of the value stands when blanks at its end are cut.
        let mut solid = 0;
        while let Some(c) = self.peek() {
            match c {
                '\n' => break,
                '#' if value.len() > solid => break,
                '$' => self.dollar(&mut value, 0)?,
                '\\' => self.escape(&mut value, &['$']),
                c => {
                    self.next();
                    value.push(c);
                    if is_blank(c) {
                        continue;
                    }
                }
            }
            solid = value.len();
            self.check_length(&value)?;
        }
        value.truncate(solid);
        Ok(value)
    }

    fn single_quoted(&mut self) -> Result<String> {
        let open = self.position();
        self.next();
        let mut value = String::new();
        let mut escapes = false;
        loop {
            match self.next() {
                Some('\'') => return Ok(value),
                Some('\\') if self.peek() == Some('\'') => {
                    // A shell ends the value here. Where it cannot end here, or did not before, python-dotenv's `\'` is meant.
                    let after = self.rest()[1..].trim_start_matches(is_blank);
                    escapes |= !(after.is_empty() || after.starts_with(['#', '\n']));
                    if escapes {
                        self.next();
                    }
                    value.push(if escapes { '\'' } else { '\\' });
                }
                Some(c) => value.push(c),
                None => return self.error(open, "this single quote is never closed"),
            }
            self.check_length(&value)?;
        }
    }

    fn double_quoted(&mut self) -> Result<String> {
        let open = self.position();
        self.next();
        let mut value = String::new();
        loop {
            match self.peek() {
                Some('"') => {
                    self.next();
                    return Ok(value);
                }
                Some('$') => self.dollar(&mut value, 0)?,
                Some('\\') => self.escape(&mut value, &['n', 't', '"', '\\', '$']),
                Some(c) => {
                    self.next();
                    value.push(c);
                }
                None => return self.error(open, "this double quote is never closed"),
            }
            self.check_length(&value)?;
        }
    }

    /// A backslash, which stands for itself unless one of `known` follows.
    fn escape(&mut self, value: &mut String, known: &[char]) {
        self.next();
        match self.peek() {
            // Where a dollar is nothing special, it needs no escape either.
            Some('$') if matches!(self.expand, Expand::Off) => value.push('\\'),
            Some(c) if known.contains(&c) => {
                self.next();
                value.push(match c {
                    'n' => '\n',
                    't' => '\t',
                    c => c,
                });
            }
            _ => value.push('\\'),
        }
    }

    /// A `$` and what it begins, if it begins anything.
    fn dollar(&mut self, value: &mut String, depth: usize) -> Result<()> {
        let at = self.position();
        self.next();
        if matches!(self.expand, Expand::Off) {
            value.push('$');
            return Ok(());
        }
        let rest = self.rest();
        if rest.starts_with('$') {
            self.next();
            value.push_str("$$");
        } else if rest.starts_with('{') {
            self.next();
            value.push_str(&self.braced(at, depth)?);
        } else if name_len(rest) > 0 {
            let name = &rest[..name_len(rest)];
            self.at += name.len();
            value.push_str(&self.variable(name, at));
        } else {
            value.push('$');
        }
        Ok(())
    }

    /// `NAME}`, `NAME:-default}` or `NAME-default}`.
    fn braced(&mut self, at: Position<'_>, depth: usize) -> Result<String> {
        let rest = self.rest();
        let name = &rest[..name_len(rest)];
        self.at += name.len();
        let after = self.rest();
        let operator = [":-", "-", "}"].into_iter().find(|operator| after.starts_with(operator));
        let Some(operator) = operator.filter(|_| !name.is_empty()) else {
            let what =
                "expected ${NAME}, ${NAME:-default} or ${NAME-default}; write \\${ or use single quotes for a plain ${";
            return self.error(at, what);
        };
        self.at += operator.len();
        if operator == "}" {
            return Ok(self.variable(name, at));
        }
        if depth == MAX_DEPTH {
            return self.error(at, &format!("${{NAME:-default}} is nested more than {MAX_DEPTH} deep"));
        }
        let set = self.lookup(name).filter(|value| operator == "-" || !value.is_empty());
        let (kept, more) = (self.warnings.kept.len(), self.warnings.more);
        let mut default = String::new();
        loop {
            match self.peek() {
                Some('}') => break,
                Some('$') => self.dollar(&mut default, depth + 1)?,
                Some('\\') => self.escape(&mut default, &['}', '$', '"', '\\']),
                Some(c) if c != '\n' && c != '"' => {
                    self.next();
                    default.push(c);
                }
                _ => return self.error(at, "this ${ is never closed by a }"),
            }
            self.check_length(&default)?;
        }
        self.next();
        if set.is_some() {
            // Nothing is amiss with a default that is not used.
            self.warnings.kept.truncate(kept);
            self.warnings.more = more;
        }
        Ok(set.unwrap_or(default))
    }

    fn variable(&mut self, name: &str, at: Position<'_>) -> String {
        self.lookup(name).unwrap_or_else(|| {
            self.warnings.push(at, &format!("the variable {name} is not set: nothing is put in its place"));
            String::new()
        })
    }

    fn lookup(&self, name: &str) -> Option<String> {
        let file = || self.index.get(name).map(|&index| self.vars[index].1.clone());
        match self.expand {
            Expand::Off => None,
            Expand::FileFirst(environment) => file().or_else(|| environment(name)),
            Expand::EnvironmentFirst(environment) => environment(name).or_else(file),
        }
    }

    fn check_length(&self, value: &str) -> Result<()> {
        if value.len() > MAX_VALUE {
            return self.error(self.position(), &format!("the value is longer than {MAX_VALUE} bytes"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::MAX_WARNINGS;
    use crate::words::tests::Rng;

    fn environment(name: &str) -> Option<String> {
        [("HOME", "/root"), ("A", "env"), ("EMPTY", "")].iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned())
    }

    fn parse(text: &str) -> Result<Dotenv> {
        Dotenv::parse(text, ".env", Expand::FileFirst(&environment))
    }

    /// The value of the last variable of `text`.
    #[track_caller]
    fn value(text: &str) -> String {
        parse(text).expect(text).vars.pop().expect(text).1
    }

    #[test]
    fn values() {
        for (text, want) in [
            ("X=a", "a"),
            ("X = a  b \t", "a  b"),
            ("  export  X=a", "a"),
            ("export\tX = a", "a"),
            ("export=a", "a"),
            ("X=", ""),
            ("X=   ", ""),
            ("X= # c", ""),
            ("X=#c", "#c"),
            ("X=a#c", "a#c"),
            ("X=a\t# c", "a"),
            ("X=a=b", "a=b"),
            ("X={\"a\": \"b\"}", "{\"a\": \"b\"}"),
            ("X=a\\nb", "a\\nb"),
            ("X='a $HOME \\n # b'# c", "a $HOME \\n # b"),
            ("X='a\n\nb' # c", "a\n\nb"),
            ("X='it\\'s'", "it's"),
            ("X='a\\'b\\'\nc'", "a'b'\nc"),
            ("X='C:\\'", "C:\\"),
            ("X='C:\\' # c", "C:\\"),
            ("X=\"a\\n\\t\\\"\\\\\\$\\d#\"", "a\n\t\"\\$\\d#"),
            ("X=\"a\r\nb\"\r", "a\nb"),
            ("X=\"it's\"#c", "it's"),
            ("X=`a`", "`a`"),
            ("\u{feff}X=1", "1"),
            ("X.y-Z9=1", "1"),
            ("X=é ✓", "é ✓"),
        ] {
            assert_eq!(value(text), want, "{text:?}");
        }
    }

    #[test]
    fn expansion() {
        for (text, want) in [
            ("X=$HOME/a", "/root/a"),
            ("X=\"${HOME}a\"", "/roota"),
            ("X='$HOME'", "$HOME"),
            ("X=\\$HOME \\${HOME}", "$HOME ${HOME}"),
            ("A=file\nX=$A", "file"),
            ("X=$A", "env"),
            ("A=$A:more\nX=$A", "env:more"),
            ("Y=$LATER.\nLATER=1\nX=${Y}", "."),
            ("X=$5 $ $$ a$", "$5 $ $$ a$"),
            ("X=pa$$HOME", "pa$$HOME"),
            ("X=${NO:-a b}", "a b"),
            ("X=${NO-a}${EMPTY-b}${EMPTY:-c}${A:-d}", "acenv"),
            ("X=${NO:-${NO:-$HOME}}", "/root"),
            ("X=\"${NO:-\\\"\\}}\"", "\"}"),
            ("B='a '\nX=$B # c", "a "),
            ("B='$HOME'\nX=$B", "$HOME"),
        ] {
            assert_eq!(value(text), want, "{text:?}");
        }
        let first = Dotenv::parse("A=file\nX=$A", ".env", Expand::EnvironmentFirst(&environment)).expect("valid");
        assert_eq!(first.vars[1].1, "env");
        let off = Dotenv::parse("A=1\nX=$A${A:-\nY=\"\\$A\\n\"", ".env", Expand::Off).expect("valid");
        assert_eq!((&*off.vars[1].1, &*off.vars[2].1), ("$A${A:-", "\\$A\n"));
    }

    #[test]
    fn the_last_line_counts_and_the_first_has_the_place() {
        let mut env = parse("A=1\nB=2\nA=3\n").expect("valid");
        env.add("C=$A\nB=4", "other.env", Expand::FileFirst(&environment)).expect("valid");
        let want = [("A", "3"), ("B", "4"), ("C", "3")].map(|(n, v)| (n.to_owned(), v.to_owned()));
        assert_eq!(env.vars, want);
        let before = env.clone();
        assert!(env.add("A=9\nB='", "bad.env", Expand::Off).is_err());
        assert_eq!(env, before);
    }

    #[test]
    fn refuses_what_cannot_be_read_for_certain() {
        let form =
            "expected ${NAME}, ${NAME:-default} or ${NAME-default}; write \\${ or use single quotes for a plain ${";
        for (text, want) in [
            ("A=1\n X = 'a\nb", "2:6: this single quote is never closed"),
            ("é\nX=\"a\\\"", "2:3: this double quote is never closed"),
            ("X=\"a\"b # c", "1:6: expected the end of the line after the closing quote"),
            ("X='a'b", "1:6: expected the end of the line after the closing quote"),
            ("X=é${A", &format!("1:4: {form}")),
            ("X=${}", &format!("1:3: {form}")),
            ("X=${1}", &format!("1:3: {form}")),
            ("X=${A:?no}", &format!("1:3: {form}")),
            ("X=${A:-no\nY=1}", "1:3: this ${ is never closed by a }"),
            ("A=1\nX='a\0'", "2:1: the value of X has a NUL, which no environment can hold"),
        ] {
            assert_eq!(parse(text).expect_err(text).to_string(), format!(".env:{want}"));
        }
        assert!(parse(&format!("X={}1{}", "${N-".repeat(16), "}".repeat(16))).is_ok());
        let e = parse(&format!("X={}1{}", "${N-".repeat(17), "}".repeat(17))).expect_err("too deep").to_string();
        assert!(e.ends_with("nested more than 16 deep"), "{e}");
    }

    #[test]
    fn skips_other_lines_aloud() {
        let env =
            parse("A=1\nVAR\nexport HOME # fine\n=x\n;B=1\nÜ=1\nC: 1\nD=$NO${NO:-$NO}${A:-$NO}\n").expect("valid");
        assert_eq!(env.vars.len(), 2);
        let skipped = |place: &str| format!(".env:{place}: expected `NAME=value`; the line is skipped");
        let unset = |place: &str| format!(".env:{place}: the variable NO is not set: nothing is put in its place");
        let want = [
            skipped("2:1"),
            skipped("4:1"),
            skipped("5:1"),
            skipped("6:1"),
            skipped("7:1"),
            unset("8:3"),
            unset("8:12"),
        ];
        assert_eq!(env.warnings, want);
        let many = parse(&"x\n".repeat(MAX_WARNINGS + 2)).expect("valid");
        assert_eq!(many.warnings.last().map(String::as_str), Some(".env: 2 more warnings"));
    }

    #[test]
    fn values_that_multiply_are_bounded() {
        let mut text = "A=0123456789abcdef\n".to_owned();
        for _ in 0..10 {
            text.push_str(&format!("A={}\n", "$A".repeat(16)));
        }
        let e = parse(&text).expect_err("16 to the 11th bytes").to_string();
        assert!(e.contains("the value is longer than"), "{e}");
        let text: String = (0..40).map(|n| format!("B{n}={}\n", "x".repeat(100_000))).collect();
        let e = parse(&text).expect_err("4 MB").to_string();
        assert!(e.starts_with(".env:21:1: all values together are longer"), "{e}");
    }

    /// The line that gives `name` this value.
    fn write(name: &str, value: &str, rng: &mut Rng) -> String {
        let escaped = value.replace('\\', "\\\\").replace('"', "\\\"").replace('$', "\\$").replace('\t', "\\t");
        let escaped = if rng.below(2) == 0 && !value.contains('\r') { escaped } else { escaped.replace('\n', "\\n") };
        let single = !value.contains(['\'', '\r']) && !value.ends_with('\\') && rng.below(2) == 0;
        let quoted = if single { format!("'{value}'") } else { format!("\"{escaped}\"") };
        let [export, around, comment] = [["", "export "], ["", " "], ["", " # 'c"]].map(|choice| choice[rng.below(2)]);
        format!("{export}{name}{around}={around}{quoted}{comment}\n")
    }

    #[test]
    fn what_is_written_is_read_again() {
        let pieces =
            &["a", " ", "'", "\"", "\\", "$", "${", "}", "#", "=", "\n", "\t", "\r", "é", "\\n", "A", "`", "$A"];
        for seed in 0..20_000 {
            let mut rng = Rng(seed);
            let vars: Vec<(String, String)> =
                (0..rng.below(4)).map(|n| (format!("V{n}"), rng.text(pieces, 8))).collect();
            let text: String = vars.iter().map(|(name, value)| write(name, value, &mut rng)).collect();
            let read = parse(&text).unwrap_or_else(|e| panic!("seed {seed}: {e}: {text:?}"));
            assert_eq!(read.vars, vars, "seed {seed}: {text:?}");
        }
    }

    #[test]
    fn survives_anything() {
        let pieces = &[
            "A", "B=", "=", "$", "${", "}", ":-", "-", "'", "\"", "\\", "\n", "\r\n", " ", "#", "export ", "é", "\0",
            "x", "$A", "\u{feff}",
        ];
        for seed in 0..200_000 {
            let mut rng = Rng(seed);
            let text = if seed % 2 == 0 { rng.text(pieces, 20) } else { rng.garbage(48) };
            for expand in [Expand::Off, Expand::FileFirst(&environment), Expand::EnvironmentFirst(&environment)] {
                if let Ok(env) = Dotenv::parse(&text, ".env", expand) {
                    let mut names: Vec<_> = env.vars.iter().map(|(name, _)| name).collect();
                    names.sort();
                    names.dedup();
                    assert_eq!(names.len(), env.vars.len(), "seed {seed}: a name is there twice");
                    assert!(
                        env.vars.iter().all(|(name, value)| !name.is_empty() && !value.contains('\0')),
                        "seed {seed}"
                    );
                }
            }
        }
    }
}
