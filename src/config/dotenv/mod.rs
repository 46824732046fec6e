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

#[cfg(test)]
mod tests;
mod value;

use std::collections::HashMap;
use std::fmt;

use super::{Origin, Position, Warnings, is_blank, without_bom};
use crate::Result;

/// The longest value, in bytes: Linux hands no longer string than 128 KiB to a program, name, `=` and NUL included
/// (`MAX_ARG_STRLEN` in execve(2)).
pub const MAX_VALUE: usize = 128 * 1024 - 256;

/// All names and values together, in bytes, replaced ones included. It is what execve(2) allows by default (a quarter of a
/// stack of 8 MiB), and it bounds files whose values multiply each other.
pub const MAX_TOTAL: usize = 2 * 1024 * 1024;

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
}
