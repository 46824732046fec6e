//! What a command is, and how its arguments find their places.

use std::fmt;

use serde_json::{Map, Value};

use super::CommandError;
use super::values::job_name;
use crate::config::job_from_json;
use crate::manager::{Cx, Target};
use crate::process::{JobName, Pid};
use crate::suggest;

/// A line of the [table](super::COMMANDS).
#[non_exhaustive]
pub struct Command {
    /// What it is called.
    pub name: &'static str,
    /// What the 0.4 generation calls it.
    pub aliases: &'static [&'static str],
    /// Its arguments, in the order in which they may be given without their names.
    pub params: &'static [Param],
    /// What may be done to `on` for it.
    pub access: Access,
    /// What it is about.
    pub on: On,
    /// What it does and answers.
    pub doc: &'static str,
    pub(super) run: Run,
}

/// How it is done.
pub(super) enum Run {
    /// At once.
    Now(fn(&mut Cx<'_>, &Args<'_>) -> Result<Value, CommandError>),
    /// By sampling whom it says.
    Figures(fn(&Args<'_>) -> Result<Target, CommandError>),
}

/// An argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Param {
    /// Its name among the keyword arguments, and other names for it.
    pub names: &'static [&'static str],
    /// Whether it must be there.
    pub required: bool,
}

/// What one must be allowed to do; each includes those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Access {
    /// To look.
    Read,
    /// To write to processes.
    Write,
    /// To change.
    Manage,
}

/// Which argument says what a command is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum On {
    /// None: all of the node.
    Node,
    /// A session by its name; all of the node where it is left out.
    Session(usize),
    /// A job by its name; all of the node where it is left out.
    Job(usize),
    /// The session of a definition that is new.
    New(usize),
    /// The session of a job by the job's name.
    SessionOf(usize),
    /// The job of a definition.
    Definition(usize),
    /// The job of a process by its number.
    Process(usize),
}

/// What a command of certain arguments is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// All of the node.
    Node,
    /// The jobs of a session.
    Session(String),
    /// A job and its processes.
    Job(JobName),
}

/// Arguments in their places.
#[derive(Debug)]
pub(super) struct Args<'a> {
    command: &'a Command,
    values: Vec<Option<&'a Value>>,
}

pub(super) const fn required(names: &'static [&'static str]) -> Param {
    Param { names, required: true }
}

pub(super) const fn optional(names: &'static [&'static str]) -> Param {
    Param { names, required: false }
}

impl Command {
    /// How it is called: `scale name n`, `jobs [session]`.
    #[must_use]
    pub fn usage(&self) -> String {
        let params = self.params.iter().map(|param| match param.required {
            true => format!(" {}", param.names[0]),
            false => format!(" [{}]", param.names[0]),
        });
        params.fold(self.name.to_owned(), |usage, param| usage + &param)
    }

    /// Puts arguments into their places; `null` is as good as nothing.
    pub(super) fn bind<'a>(
        &'a self,
        args: &'a [Value],
        kwargs: &'a Map<String, Value>,
    ) -> Result<Args<'a>, CommandError> {
        if args.len() > self.params.len() {
            let (given, most) = (args.len(), self.params.len());
            return Err(self.bad(format_args!("{given} arguments, but it takes at most {most}")));
        }
        let mut values: Vec<Option<&Value>> = vec![None; self.params.len()];
        for (slot, value) in values.iter_mut().zip(args) {
            *slot = Some(value);
        }
        for (name, value) in kwargs {
            let Some(i) = self.params.iter().position(|param| param.names.contains(&name.as_str())) else {
                let known = self.params.iter().flat_map(|param| param.names).copied();
                return Err(self.bad(format_args!("there is no `{name}`{}", suggest::hint(name, known))));
            };
            if values[i].replace(value).is_some() {
                return Err(self.bad(format_args!("`{name}` is given twice")));
            }
        }
        for (slot, param) in values.iter_mut().zip(self.params) {
            *slot = slot.filter(|value| !value.is_null());
            if param.required && slot.is_none() {
                let word = if param.names[0] == "config" { "config_missing" } else { "bad_command" };
                let mut error = self.bad(format_args!("`{}` is missing", param.names[0]));
                error.reason = word.into();
                return Err(error);
            }
        }
        Ok(Args { command: self, values })
    }

    /// Whether its answer takes more than this turn.
    pub(super) const fn is_later(&self) -> bool {
        matches!(self.run, Run::Figures(_))
    }

    fn bad(&self, what: fmt::Arguments<'_>) -> CommandError {
        CommandError::bad(format!("{}: {what}; usage: {}", self.name, self.usage()))
    }

    /// What it is about with these arguments. A process that is not there is nobody's, so all of the node is
    /// meant: who may not see everything does not learn which numbers are used.
    pub(super) fn scope(&self, cx: &Cx<'_>, args: &Args<'_>) -> Result<Scope, CommandError> {
        Ok(match self.on {
            On::Node => Scope::Node,
            On::Session(i) => args.text(i)?.map_or(Scope::Node, |session| Scope::Session(session.to_owned())),
            On::Job(i) if args.get(i).is_none() => Scope::Node,
            On::Job(i) => Scope::Job(args.job(i, self.session_param())?),
            On::SessionOf(i) => Scope::Session(args.job(i, self.session_param())?.session().to_owned()),
            On::New(i) | On::Definition(i) => {
                let session = self.session_param().map_or(Ok(None), |i| args.text(i))?;
                let config = args.get(i).unwrap_or(&Value::Null);
                let name = job_from_json(config, session).map_err(CommandError::of_config)?.0.name;
                if matches!(self.on, On::New(_)) { Scope::Session(name.session().to_owned()) } else { Scope::Job(name) }
            }
            On::Process(i) => {
                let pid = args.pid(i)?;
                cx.process(pid).map_or(Scope::Node, |process| Scope::Job(JobName::clone(&process.name)))
            }
        })
    }

    fn session_param(&self) -> Option<usize> {
        self.params.iter().position(|param| param.names[0] == "sessionid")
    }
}

impl Args<'_> {
    pub(super) fn get(&self, i: usize) -> Option<&Value> {
        self.values.get(i).copied().flatten()
    }

    /// One that must be there: the table says so, so it is.
    pub(super) fn need(&self, i: usize) -> &Value {
        self.get(i).unwrap_or(&Value::Null)
    }

    fn wrong(&self, i: usize, expected: &str) -> CommandError {
        let (name, found) = (self.command.params[i].names[0], self.need(i));
        self.command.bad(format_args!("{name}: expected {expected}, found {found}"))
    }

    pub(super) fn text(&self, i: usize) -> Result<Option<&str>, CommandError> {
        match self.get(i) {
            None => Ok(None),
            Some(value) => value.as_str().map(Some).ok_or_else(|| self.wrong(i, "a text")),
        }
    }

    /// A job's name, whose session may be an argument of its own.
    pub(super) fn job(&self, i: usize, session: Option<usize>) -> Result<JobName, CommandError> {
        let name = self.text(i)?.ok_or_else(|| self.wrong(i, "a job's name"))?;
        let session = session.map_or(Ok(None), |i| self.text(i))?;
        Ok(job_name(name, session)?)
    }

    /// The manager's number of a process, as a number or as a text of digits.
    pub(super) fn pid(&self, i: usize) -> Result<Pid, CommandError> {
        let value = self.need(i);
        let number = value.as_u64().or_else(|| value.as_str()?.parse().ok());
        number.map(Pid).ok_or_else(|| self.wrong(i, "the number of a process"))
    }

    pub(super) fn count(&self, i: usize, default: u32) -> Result<u32, CommandError> {
        match self.get(i) {
            None => Ok(default),
            Some(value) => {
                let number = value.as_u64().and_then(|n| u32::try_from(n).ok());
                number.ok_or_else(|| self.wrong(i, "a whole number, 0 or more"))
            }
        }
    }

    pub(super) fn object(&self, i: usize) -> Result<&Map<String, Value>, CommandError> {
        self.need(i).as_object().ok_or_else(|| {
            let mut error = self.wrong(i, "an object");
            error.reason = "invalid_config".into();
            error
        })
    }
}

impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({:?} on {:?})", self.usage(), self.access, self.on)
    }
}
