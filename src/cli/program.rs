//! Several commands under one name.

use std::ffi::OsString;
use std::fmt;

use lexopt::Parser;

use super::command::{self, Spec};
use super::opt::{self, Next, Takes};
use super::{Asked, Command, Failure, Opt, help};

/// A program with sub-commands; each reads into what `I` is made of.
pub struct Program<I> {
    name: &'static str,
    summary: &'static str,
    commands: Vec<Box<dyn Sub<I>>>,
}

/// A command whose type was forgotten.
trait Sub<I> {
    fn spec(&self) -> &Spec;
    fn parse(&self, program: &str, args: Vec<OsString>) -> Result<Asked<I>, Failure>;
}

struct Mapped<T, I> {
    command: Command<T>,
    map: fn(T) -> I,
}

impl<T: Default, I> Sub<I> for Mapped<T, I> {
    fn spec(&self) -> &Spec {
        &self.command.spec
    }

    fn parse(&self, program: &str, args: Vec<OsString>) -> Result<Asked<I>, Failure> {
        let path = format!("{program} {}", self.command.spec.name);
        self.command.parse_as(program, &path, args).map(|asked| match asked {
            Asked::Run(value) => Asked::Run((self.map)(value)),
            Asked::Print(text) => Asked::Print(text),
        })
    }
}

impl<I> Program<I> {
    /// A program without commands but `help`.
    #[must_use]
    pub fn new(name: &'static str, summary: &'static str) -> Self {
        Self { name, summary, commands: Vec::new() }
    }

    /// Adds a command; `map` makes an `I` of what it reads (often a variant of an enum).
    ///
    /// # Panics
    ///
    /// An option of the command that may stand before it takes a value where one of the same name in another command takes none, or
    /// the other way: before the command's name nobody could tell what follows it.
    #[must_use]
    pub fn command<T: Default + 'static>(mut self, command: Command<T>, map: fn(T) -> I) -> Self
    where
        I: 'static,
    {
        for old in self.commands.iter().flat_map(|command| &command.spec().options) {
            for new in &command.spec.options {
                let shared =
                    new.short.is_some_and(|short| old.short == Some(short)) || new.names().any(|n| old.named(n));
                let same = std::mem::discriminant(&new.takes) == std::mem::discriminant(&old.takes);
                let apart = new.behind || old.behind;
                assert!(!shared || same || apart, "--{} and --{} cannot be told apart", new.long, old.long);
            }
        }
        self.commands.push(Box::new(Mapped { command, map }));
        self
    }

    /// What the arguments (without the program's name) ask for.
    ///
    /// Options may stand before the command as well; they are the command's. `help`, `help COMMAND`,
    /// `--help` and `--version` are answered with text.
    ///
    /// # Errors
    ///
    /// The command line is wrong: the message says what, suggests the nearest name and the help.
    pub fn parse(&self, args: impl IntoIterator<Item = OsString>) -> Result<Asked<I>, Failure> {
        // Options of one name are alike in that they take a value or not, as `command` asserts; which is meant is
        // known with the command.
        let options: Vec<&Opt> =
            self.commands.iter().flat_map(|command| &command.spec().options).filter(|option| !option.behind).collect();
        let try_help = |failure: Failure| failure.hint(format_args!("Try `{} --help`.", self.name));
        let mut parser = Parser::from_args(args);
        let mut before: Vec<OsString> = Vec::new();
        loop {
            match opt::next(&mut parser, &options).map_err(try_help)? {
                None => return Err(try_help(Failure::usage("a command is missing"))),
                Some(Next::Help) => return Ok(Asked::Print(self.help())),
                Some(Next::Version) => return Ok(Asked::Print(command::version(self.name))),
                Some(Next::Opt(_, option, value)) => {
                    let mut written = OsString::from(value.of());
                    let value = value.os();
                    if option.takes != Takes::Nothing && !(value.is_empty() && matches!(option.takes, Takes::Maybe(_)))
                    {
                        written.push("=");
                        written.push(value);
                    }
                    before.push(written);
                }
                Some(Next::Word(word)) => {
                    let word = word.to_string_lossy();
                    let rest = parser.raw_args().map_err(|error| opt::grammar(&error)).map_err(try_help)?;
                    before.extend(rest);
                    return match self.find(&word) {
                        Some(command) => command.parse(self.name, before),
                        None if word == "help" => self.answer(&before).map_err(try_help),
                        None => Err(try_help(command::unknown(&word, self.names()))),
                    };
                }
            }
        }
    }

    fn find(&self, name: &str) -> Option<&dyn Sub<I>> {
        self.commands.iter().map(|command| &**command).find(|command| command.spec().names().any(|known| known == name))
    }

    fn names(&self) -> impl Iterator<Item = &'static str> {
        self.commands.iter().flat_map(|command| command.spec().names()).chain(["help"])
    }

    /// `help [COMMAND]`.
    fn answer(&self, about: &[OsString]) -> Result<Asked<I>, Failure> {
        match about {
            [] => Ok(Asked::Print(self.help())),
            [name] => {
                let name = name.to_string_lossy();
                match self.find(&name) {
                    Some(command) => {
                        let path = format!("{} {}", self.name, command.spec().name);
                        Ok(Asked::Print(help::command(&path, command.spec())))
                    }
                    None if matches!(&*name, "help" | "--help" | "-h") => Ok(Asked::Print(self.help())),
                    None => Err(command::unknown(&name, self.names())),
                }
            }
            [_, more, ..] => Err(Failure::usage(format!("unexpected argument `{}`", more.to_string_lossy()))),
        }
    }

    fn help(&self) -> String {
        help::program(self.name, self.summary, self.commands.iter().map(|command| command.spec()))
    }
}

impl<I> fmt::Debug for Program<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let commands: Vec<&str> = self.commands.iter().map(|command| command.spec().name).collect();
        f.debug_struct("Program").field("name", &self.name).field("commands", &commands).finish()
    }
}
