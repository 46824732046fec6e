//! One command: its table, and parsing by it.

use std::ffi::OsString;
use std::fmt;

use lexopt::Parser;

use super::opt::{self, Next};
use super::{Failure, Opt, Value, help};
use crate::suggest::nearest;

/// Stores what an option or word says.
type Set<T> = fn(&mut T, Value) -> Result<(), Failure>;

/// Looks at the whole.
type Check<T> = fn(&T) -> Result<(), Failure>;

/// A command and its options; what was read is a plain `T`.
///
/// ```
/// use gaffer::cli::{Asked, Command, Opt};
///
/// #[derive(Default)]
/// struct Greet { loud: bool, names: Vec<String> }
///
/// let greet = Command::<Greet>::new("greet", "Says hello.")
///     .option(Opt::switch("loud", "Shout.").short('l'), |greet, _| Ok(greet.loud = true))
///     .words("[NAME...]", "Whom to greet.", |greet, word| Ok(greet.names.push(word.string()?)));
/// let args = ["-l", "Ada", "Grace"].map(Into::into);
/// let Asked::Run(asked) = greet.parse(args)? else { panic!("no help was asked for") };
/// assert!(asked.loud);
/// assert_eq!(asked.names, ["Ada", "Grace"]);
/// # Ok::<(), gaffer::cli::Failure>(())
/// ```
pub struct Command<T> {
    pub(super) spec: Spec,
    setters: Vec<Set<T>>,
    word: Option<Set<T>>,
    check: Option<Check<T>>,
}

/// The part of a command that does not depend on what it reads into.
#[derive(Debug)]
pub(super) struct Spec {
    pub(super) name: &'static str,
    pub(super) aliases: &'static [&'static str],
    pub(super) summary: &'static str,
    pub(super) details: &'static str,
    pub(super) options: Vec<Opt>,
    pub(super) words: &'static str,
    pub(super) words_help: &'static str,
    /// The first word ends the options.
    pub(super) rest: bool,
}

/// What a command line asks for.
#[derive(Debug, PartialEq, Eq)]
pub enum Asked<T> {
    /// To do this.
    Run(T),
    /// To print this on standard output: help or the version.
    Print(String),
}

impl<T> Command<T> {
    /// A command without options or words.
    #[must_use]
    pub fn new(name: &'static str, summary: &'static str) -> Self {
        Self {
            spec: Spec {
                name,
                aliases: &[],
                summary,
                details: "",
                options: Vec::new(),
                words: "",
                words_help: "",
                rest: false,
            },
            setters: Vec::new(),
            word: None,
            check: None,
        }
    }

    /// Other names of it, of older versions.
    #[must_use]
    pub fn aliases(mut self, aliases: &'static [&'static str]) -> Self {
        self.spec.aliases = aliases;
        self
    }

    /// Text at the end of the help, in lines of its own.
    #[must_use]
    pub fn details(mut self, details: &'static str) -> Self {
        self.spec.details = details;
        self
    }

    /// An option and where its value goes. Where an option is given twice, both are stored in turn.
    #[must_use]
    pub fn option(mut self, option: Opt, set: Set<T>) -> Self {
        self.spec.options.push(option);
        self.setters.push(set);
        self
    }

    /// The words beside the options: how the help writes them (`[NAME...]`), what they are, and
    /// where each goes. Without this any word is refused.
    #[must_use]
    pub fn words(mut self, name: &'static str, help: &'static str, set: Set<T>) -> Self {
        self.spec.words = name;
        self.spec.words_help = help;
        self.word = Some(set);
        self
    }

    /// As [`words`](Self::words), but everything after the first word is a word, whatever it looks
    /// like: the arguments of another program.
    #[must_use]
    pub fn rest(mut self, name: &'static str, help: &'static str, set: Set<T>) -> Self {
        self.spec.rest = true;
        self.words(name, help, set)
    }

    /// A look at the whole when it is read.
    #[must_use]
    pub fn check(mut self, check: Check<T>) -> Self {
        self.check = Some(check);
        self
    }

    /// What the arguments (without the program's name) ask for.
    ///
    /// # Errors
    ///
    /// The command line is wrong: the message says what, suggests the nearest name and `--help`.
    pub fn parse(&self, args: impl IntoIterator<Item = OsString>) -> Result<Asked<T>, Failure>
    where
        T: Default,
    {
        self.parse_as(self.spec.name, self.spec.name, args)
    }

    /// The same, for the command written as `path` of the program `program`.
    pub(super) fn parse_as(
        &self,
        program: &str,
        path: &str,
        args: impl IntoIterator<Item = OsString>,
    ) -> Result<Asked<T>, Failure>
    where
        T: Default,
    {
        self.read(args)
            .map(|asked| match asked {
                Read::Run(value) => Asked::Run(value),
                Read::Help => Asked::Print(help::command(path, &self.spec)),
                Read::Version => Asked::Print(version(program)),
            })
            .map_err(|failure| failure.hint(format_args!("Try `{path} --help`.")))
    }

    fn read(&self, args: impl IntoIterator<Item = OsString>) -> Result<Read<T>, Failure>
    where
        T: Default,
    {
        let options: Vec<&Opt> = self.spec.options.iter().collect();
        let mut parser = Parser::from_args(args);
        let mut value = T::default();
        while let Some(next) = opt::next(&mut parser, &options)? {
            match next {
                Next::Help => return Ok(Read::Help),
                Next::Version => return Ok(Read::Version),
                Next::Opt(place, _, given) => self.setters[place](&mut value, given)?,
                Next::Word(word) => {
                    self.word(&mut value, word)?;
                    if self.spec.rest {
                        for word in parser.raw_args().map_err(|error| opt::grammar(&error))? {
                            self.word(&mut value, word)?;
                        }
                    }
                }
            }
        }
        self.check.map_or(Ok(()), |check| check(&value))?;
        Ok(Read::Run(value))
    }

    fn word(&self, value: &mut T, word: OsString) -> Result<(), Failure> {
        match self.word {
            Some(set) => set(value, Value::new(self.spec.words, word)),
            None => Err(Failure::usage(format!("unexpected argument `{}`", word.to_string_lossy()))),
        }
    }
}

enum Read<T> {
    Run(T),
    Help,
    Version,
}

/// The one line of `--version`.
pub(super) fn version(program: &str) -> String {
    format!("{program} {}\n", env!("CARGO_PKG_VERSION"))
}

impl Spec {
    /// All names of the command, its own first.
    pub(super) fn names(&self) -> impl Iterator<Item = &'static str> {
        std::iter::once(self.name).chain(self.aliases.iter().copied())
    }
}

/// The message for a command that does not exist.
pub(super) fn unknown<'a>(name: &str, commands: impl Iterator<Item = &'a str>) -> Failure {
    let hint = nearest(name, commands).map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
    Failure::usage(format!("unknown command `{name}`{hint}"))
}

impl<T> fmt::Debug for Command<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.spec.fmt(f)
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
