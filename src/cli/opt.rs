//! Options, and how one is taken from the command line.

use std::ffi::{OsStr, OsString};
use std::fmt::Display;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use lexopt::{Arg, Parser};

use super::{Failure, parse_duration};
use crate::suggest::nearest;

/// An option of a command: its names, what it takes, and what it is for.
#[derive(Clone, Debug)]
pub struct Opt {
    pub(super) long: &'static str,
    pub(super) short: Option<char>,
    pub(super) aliases: &'static [&'static str],
    pub(super) takes: Takes,
    pub(super) default: &'static str,
    pub(super) help: &'static str,
    /// Only behind the name of its command.
    pub(super) behind: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Takes {
    Nothing,
    /// A value, under this name in the help.
    Value(&'static str),
    /// A value or nothing: only `--option=value` gives it one.
    Maybe(&'static str),
}

impl Opt {
    const fn new(long: &'static str, takes: Takes, help: &'static str) -> Self {
        Self { long, short: None, aliases: &[], takes, default: "", help, behind: false }
    }

    /// An option without a value.
    #[must_use]
    pub const fn switch(long: &'static str, help: &'static str) -> Self {
        Self::new(long, Takes::Nothing, help)
    }

    /// An option with a value, called `name` in the help.
    #[must_use]
    pub const fn value(long: &'static str, name: &'static str, help: &'static str) -> Self {
        Self::new(long, Takes::Value(name), help)
    }

    /// An option that may have a value, as `--option=value` only. It has no short form.
    #[must_use]
    pub const fn maybe(long: &'static str, name: &'static str, help: &'static str) -> Self {
        Self::new(long, Takes::Maybe(name), help)
    }

    /// A letter for it.
    #[must_use]
    pub const fn short(mut self, short: char) -> Self {
        self.short = Some(short);
        self
    }

    /// It stands only behind the name of its command, so that its letter may be another option's of other commands.
    #[must_use]
    pub const fn behind_command(mut self) -> Self {
        self.behind = true;
        self
    }

    /// Other names, of older versions and other tools; one of a single letter is a short one.
    #[must_use]
    pub const fn aliases(mut self, aliases: &'static [&'static str]) -> Self {
        self.aliases = aliases;
        self
    }

    /// What holds without it, for the help.
    #[must_use]
    pub const fn default(mut self, default: &'static str) -> Self {
        self.default = default;
        self
    }

    pub(super) fn is(&self, name: &str) -> bool {
        match name.strip_prefix("--") {
            Some(long) => self.named(long),
            None => name.strip_prefix('-').is_some_and(|short| {
                let short_alias = self.aliases.iter().any(|alias| alias.len() == 1 && *alias == short);
                short_alias || self.short.is_some_and(|c| short.chars().eq([c]))
            }),
        }
    }

    /// Whether this is one of its long names.
    pub(super) fn named(&self, long: &str) -> bool {
        self.names().any(|known| known == long)
    }

    /// The long names.
    pub(super) fn names(&self) -> impl Iterator<Item = &'static str> {
        std::iter::once(self.long).chain(self.aliases.iter().copied().filter(|alias| alias.len() > 1))
    }
}

/// The value of an option or a word of the command line.
#[derive(Debug)]
pub struct Value {
    /// What it belongs to, as the user wrote it (`--port`, `-p`), or the name of the word.
    of: String,
    text: OsString,
}

impl Value {
    pub(super) fn new(of: impl Into<String>, text: OsString) -> Self {
        Self { of: of.into(), text }
    }

    /// What it belongs to, as the user wrote it.
    pub(super) fn of(&self) -> &str {
        &self.of
    }

    /// As it came.
    #[must_use]
    pub fn os(self) -> OsString {
        self.text
    }

    /// As a path.
    #[must_use]
    pub fn path(self) -> PathBuf {
        self.text.into()
    }

    /// As text.
    ///
    /// # Errors
    ///
    /// It is not UTF-8.
    pub fn string(self) -> Result<String, Failure> {
        self.text.into_string().map_err(|text| refused(&self.of, &text, &"it is not UTF-8"))
    }

    /// As whatever `T` reads.
    ///
    /// # Errors
    ///
    /// `T` refuses it; the message ends with its words.
    pub fn parse<T: FromStr<Err: Display>>(self) -> Result<T, Failure> {
        self.read(|text| text.parse().map_err(|error: T::Err| error.to_string()))
    }

    /// As whatever `read` makes of it.
    ///
    /// # Errors
    ///
    /// `read` refuses it; the message ends with its words.
    pub fn read<T, E: Display>(self, read: impl FnOnce(&str) -> Result<T, E>) -> Result<T, Failure> {
        let of = self.of.clone();
        let text = self.string()?;
        read(&text).map_err(|error| refused(&of, text.as_ref(), &error))
    }

    /// As a duration, by [`parse_duration`].
    ///
    /// # Errors
    ///
    /// It is none.
    pub fn duration(self) -> Result<Duration, Failure> {
        self.read(parse_duration)
    }

    /// As yes or no; nothing is yes.
    ///
    /// # Errors
    ///
    /// It is neither.
    pub fn boolean(self) -> Result<bool, Failure> {
        self.read(|text| match text {
            "" | "true" | "yes" | "on" | "1" => Ok(true),
            "false" | "no" | "off" | "0" => Ok(false),
            _ => Err("expected true or false"),
        })
    }
}

fn refused(of: &str, text: &OsStr, why: &dyn Display) -> Failure {
    Failure::usage(format!("invalid value `{}` for {of}: {why}", text.to_string_lossy()))
}

/// What comes next on a command line.
pub(super) enum Next<'a> {
    /// An option: its place in the table, and its value.
    Opt(usize, &'a Opt, Value),
    /// Anything else.
    Word(OsString),
    Help,
    Version,
}

/// Takes the next option or word.
pub(super) fn next<'a>(parser: &mut Parser, options: &[&'a Opt]) -> Result<Option<Next<'a>>, Failure> {
    let name = match parser.next().map_err(|error| grammar(&error))? {
        None => return Ok(None),
        Some(Arg::Value(word)) => return Ok(Some(Next::Word(word))),
        Some(Arg::Long(name)) => format!("--{name}"),
        Some(Arg::Short(name)) => format!("-{name}"),
    };
    let Some((place, option)) = options.iter().enumerate().find(|(_, option)| option.is(&name)) else {
        return match name.as_str() {
            "-h" | "--help" => Ok(Some(Next::Help)),
            "--version" => Ok(Some(Next::Version)),
            _ => Err(unknown(&name, options)),
        };
    };
    let text = match option.takes {
        Takes::Nothing => OsString::new(),
        Takes::Value(value) => parser.value().map_err(|_| Failure::usage(format!("{name} needs a value: {value}")))?,
        Takes::Maybe(_) => parser.optional_value().unwrap_or_default(),
    };
    Ok(Some(Next::Opt(place, option, Value::new(name, text))))
}

fn unknown(name: &str, options: &[&Opt]) -> Failure {
    let known = options.iter().flat_map(|option| option.names()).chain(["help", "version"]);
    // Letters are all alike; only long names are near each other.
    let near = name.strip_prefix("--").and_then(|long| nearest(long, known));
    let hint = near.map(|near| format!("; did you mean `--{near}`?")).unwrap_or_default();
    Failure::usage(format!("unknown option `{name}`{hint}"))
}

/// A fault against the grammar itself.
pub(super) fn grammar(error: &lexopt::Error) -> Failure {
    match error {
        lexopt::Error::UnexpectedValue { option, value } => {
            Failure::usage(format!("{option} takes no value, but got `{}`", value.to_string_lossy()))
        }
        other => Failure::usage(other.to_string()),
    }
}
