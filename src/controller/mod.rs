//! Every operation as a command with a name, arguments and an answer in JSON; and topics that can be subscribed.
//!
//! One [table](COMMANDS) serves the channel of the HTTP server, the process plugins and, by [`Controller`], other threads
//! of an embedder; [`run`] is all of it. What the manager tells without being asked comes by topics: see [`Topic`] and
//! [`Subscriptions`]. A [`Session`] is both over messages, whatever carries them.

#![forbid(unsafe_code)]

mod command;
mod error;
mod hub;
pub mod json;
mod pieces;
mod session;
pub mod shapes;
mod subscriptions;
mod table;
mod texts;
mod topic;
pub mod values;

#[cfg(test)]
mod tests;

use std::sync::mpsc::sync_channel;

use serde_json::{Map, Value};

use command::Run;
use shapes::Figures;

use crate::manager::{Cx, Handle, Target};
use crate::{Error, ErrorKind, Result, suggest};

pub use command::{Access, Command, On, Param, Scope};
pub use error::CommandError;
#[cfg(feature = "server")]
pub(crate) use error::status;
pub use session::{Gate, Session};
pub use subscriptions::{MAX_QUEUE, MAX_TOPICS, Subscriptions};
pub use table::{COMMANDS, is_stdin};
pub use topic::{Subject, Topic};

/// The command of this name or alias.
///
/// # Errors
///
/// 404 `command_not_found`, with the nearest name.
pub fn command(name: &str) -> Result<&'static Command, CommandError> {
    let found = COMMANDS.iter().find(|command| command.name == name || command.aliases.contains(&name));
    found.ok_or_else(|| {
        let hint = suggest::hint(name, COMMANDS.iter().map(|command| command.name));
        CommandError::new(404, "command_not_found", format!("there is no command `{name}`{hint}"))
    })
}

/// Carries a command out and gives its answer, an object.
///
/// Arguments may be given by their place or by their name.
///
/// ```
/// use gaffer::controller;
/// use serde_json::{Map, json};
///
/// let mut manager = gaffer::Manager::new()?;
/// let mut run = |name: &str, args: Vec<serde_json::Value>| controller::run(&mut manager.cx(), name, &args, &Map::new());
/// assert_eq!(run("load", vec![json!({"name": "web", "cmd": "sleep 100", "start": false})])?, json!({"ok": true}));
/// assert_eq!(run("scale", vec![json!("web"), json!("+2")])?, json!({"numprocesses": 3}));
/// assert_eq!(run("info", vec![json!("wep")]).unwrap_err().reason, "not_found");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// 404 `command_not_found`, `not_found`, `stream_not_found`; 409 `process_conflict`; 400 `bad_command` (arguments that are missing,
/// too many, unknown or wrong), `config_missing`, `invalid_config`; 403 `forbidden`; 410 `closed`; 503 `stopping`, `full`;
/// 500 `io_error`. Nothing was done then.
pub fn run(cx: &mut Cx<'_>, name: &str, args: &[Value], kwargs: &Map<String, Value>) -> Result<Value, CommandError> {
    let command = command(name)?;
    let args = command.bind(args, kwargs)?;
    match command.run {
        Run::Now(run) => run(cx, &args),
        Run::Figures(target) => {
            let target = target(&args)?;
            let samples = cx.stats(&target)?;
            table::figures(&target, samples.iter().map(Figures::new).collect())
        }
    }
}

/// As [`run`], with the answer given to `done`: before this returns, or in a later turn for `stats` and `process_stats`. However
/// many processes there are, sampling holds the loop for about a millisecond at a time, where `run` takes it all at once.
pub fn run_later(
    cx: &mut Cx<'_>,
    name: &str,
    args: &[Value],
    kwargs: &Map<String, Value>,
    done: impl FnOnce(&mut Cx<'_>, Result<Value, CommandError>) + Send + 'static,
) {
    let whose = || {
        let command = command(name)?;
        match command.run {
            Run::Now(_) => Ok(None),
            Run::Figures(target) => target(&command.bind(args, kwargs)?).map(Some),
        }
    };
    match whose() {
        Err(e) => done(cx, Err(e)),
        Ok(None) => {
            let answer = run(cx, name, args, kwargs);
            done(cx, answer);
        }
        Ok(Some(target)) => {
            // `survey` checks it too, but would have the closure by then.
            if let Err(e) = is_there(cx, &target) {
                return done(cx, Err(e.into()));
            }
            let whose = target.clone();
            let survey = cx.survey(target, Figures::new, move |cx, outcome| {
                let answer = outcome.map_err(CommandError::from).and_then(|made| table::figures(&whose, made));
                done(cx, answer);
            });
            debug_assert!(survey.is_ok(), "the target was there");
        }
    }
}

fn is_there(cx: &Cx<'_>, target: &Target) -> Result<()> {
    match target {
        Target::Job(name) => cx.info(name.as_str()).map(drop),
        Target::Process(pid) => cx.process(*pid).map(drop),
        Target::All => Ok(()),
    }
}

/// What somebody must be allowed for a command with these arguments.
///
/// # Errors
///
/// As [`run`], for a command or arguments that cannot be.
pub fn required(
    cx: &Cx<'_>,
    name: &str,
    args: &[Value],
    kwargs: &Map<String, Value>,
) -> Result<(Access, Scope), CommandError> {
    let command = command(name)?;
    let args = command.bind(args, kwargs)?;
    Ok((command.access, command.scope(cx, &args)?))
}

/// Carries commands out for other threads.
///
/// ```
/// use gaffer::controller::Controller;
/// use gaffer::Manager;
/// use serde_json::{Map, json};
///
/// let mut manager = Manager::new()?;
/// let (controller, handle) = (Controller::new(manager.handle()), manager.handle());
/// let other = std::thread::spawn(move || {
///     controller.run("load", &[json!({"name": "idle", "cmd": "sleep 1000", "numprocesses": 2})], &Map::new())?;
///     let pids = controller.run("pids", &[json!("idle")], &Map::new())?;
///     // Without waiting: the answer comes to a closure, on the manager's thread.
///     let (sender, receiver) = std::sync::mpsc::channel();
///     controller.post("jobs", vec![], Map::new(), move |answer| sender.send(answer).expect("it waits"))?;
///     let jobs = receiver.recv().expect("an answer")?;
///     handle.stop()?;
///     Ok::<_, Box<dyn std::error::Error + Send + Sync>>((pids, jobs))
/// });
/// manager.run()?;
/// let (pids, jobs) = other.join().expect("the thread ends").expect("it works");
/// assert_eq!(pids, json!({"name": "default.idle", "pids": [1, 2]}));
/// assert_eq!(jobs, json!({"jobs": ["default.idle"]}));
/// # Ok::<(), gaffer::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Controller {
    handle: Handle,
}

impl Controller {
    /// One for the manager of this handle.
    #[must_use]
    pub const fn new(handle: Handle) -> Self {
        Self { handle }
    }

    /// Carries a command out and waits for its answer.
    ///
    /// # Errors
    ///
    /// As [`run`](fn@run); 503 `stopping` if the manager has stopped; 400 `bad_command` on the manager's own thread, which
    /// has a [`Cx`].
    pub fn run(&self, name: &str, args: &[Value], kwargs: &Map<String, Value>) -> Result<Value, CommandError> {
        let (name, args, kwargs) = (name.to_owned(), args.to_vec(), kwargs.clone());
        let (sender, receiver) = sync_channel(1);
        self.handle.call(move |cx| {
            // We wait for it; if not any more, nobody needs it.
            run_later(cx, &name, &args, &kwargs, move |_, answer| drop(sender.send(answer)));
        })?;
        receiver.recv().map_err(|_| Error::new(ErrorKind::Stopping, "the manager has stopped"))?
    }

    /// Carries a command out some time later, and gives the answer to `reply`, on the manager's thread: it must not block.
    /// If the manager stops before, `reply` is dropped.
    ///
    /// # Errors
    ///
    /// The manager has stopped, or too many calls wait.
    pub fn post(
        &self,
        name: &str,
        args: Vec<Value>,
        kwargs: Map<String, Value>,
        reply: impl FnOnce(Result<Value, CommandError>) + Send + 'static,
    ) -> Result<()> {
        let name = name.to_owned();
        self.handle.post(move |cx| run_later(cx, &name, &args, &kwargs, move |_, answer| reply(answer)))
    }
}

const _: () = {
    const fn assert_send_sync<T: Send + Sync>() {}
    const fn assert_send<T: Send>() {}
    assert_send_sync::<Controller>();
    assert_send::<Session>();
    assert_send::<Subscriptions>();
};
