//! The commands, one line each, and what each does.

use serde_json::{Value, json};

use super::command::{Access, Args, Command, On, Param, Run, optional, required};
use super::shapes::Figures;
use super::values;
use super::{CommandError, shapes};
use crate::ErrorKind;
use crate::config::job_from_json;
use crate::manager::{Cx, Target};
use crate::process::{JobConfig, Pid, Scale};

type Answer = Result<Value, CommandError>;

const NAME: Param = required(&["name", "job"]);
const PID: Param = required(&["pid", "id"]);
const SIGNAL: Param = required(&["sig", "signal"]);
const SESSION: Param = optional(&["sessionid", "session", "group"]);
const CONFIG: Param = required(&["config"]);
const GROUP: Param = required(&["sessionid", "session", "group", "name"]);
const ENV: Param = optional(&["env"]);

macro_rules! table {
    ($($name:literal $(or $alias:literal)* ($($param:expr),*) $access:ident $on:expr, $kind:ident $run:expr, $doc:literal;)*) => {
        &[$(Command {
            name: $name,
            aliases: &[$($alias),*],
            params: &[$($param),*],
            access: Access::$access,
            on: $on,
            doc: $doc,
            run: Run::$kind($run),
        }),*]
    };
}

/// All commands. Names and answers are those of the original where it had the command; the last ones are new.
///
/// A job's name is `label`, `session.label`, `session/label` or `session:label`.
#[rustfmt::skip]
pub static COMMANDS: &[Command] = table! {
    "sessions" or "get_groups" () Manage On::Node, Now |cx, _| Ok(json!({"sessions": cx.sessions()})),
        "The sessions that have a job: `{sessions}`";
    "jobs" or "get_group" (SESSION) Manage On::Session(0), Now jobs,
        "The jobs of all sessions, `{jobs}`, or of one, `{sessionid, jobs}`";
    "pids" (optional(&["name", "job"])) Read On::Job(0), Now pids,
        "The numbers of all processes, `{pids}`, or of those of a job that are kept alive, `{name, pids}`";
    "load" or "add_process" (CONFIG, SESSION, ENV, optional(&["start"])) Manage On::New(0), Now load,
        "Loads a job and, unless `start` is false, starts it: `{ok}`";
    "unload" or "remove_process" (NAME, SESSION) Manage On::Job(0), Now |cx, a| done(cx.unload(a.job(0, Some(1))?.as_str())),
        "Stops a job and forgets it: `{ok}`";
    "reload" (NAME, SESSION) Manage On::Job(0), Now |cx, a| done(cx.reload(a.job(0, Some(1))?.as_str())),
        "Replaces a job's processes, the old ones first: `{ok}`";
    "update" or "update_process" (CONFIG, SESSION, ENV, optional(&["start"])) Manage On::Definition(0), Now update,
        "Replaces a job's definition and its processes: `{ok}`";
    "start_job" or "start_process" (NAME, SESSION) Manage On::Job(0), Now |cx, a| done(cx.start_job(a.job(0, Some(1))?.as_str())),
        "Starts a job: `{ok}`";
    "stop_job" (NAME, SESSION) Manage On::Job(0), Now |cx, a| done(cx.stop_job(a.job(0, Some(1))?.as_str())),
        "Stops a job: `{ok}`";
    "scale" (NAME, required(&["n", "numprocesses", "scale"])) Manage On::Job(0), Now scale,
        "Changes how many processes a job has, by 2 or \"-1\" or to \"=3\": `{numprocesses}`";
    "info" or "get_process" or "get" (NAME) Read On::Job(0), Now |cx, a| Ok(json!({"info": shapes::job(&cx.info(a.job(0, None)?.as_str())?)})),
        "A job as it stands: `{info}`";
    "stats" (NAME) Read On::Job(0), Figures job_target,
        "What a job's processes use: `{stats}`";
    "stopall" (NAME) Manage On::Job(0), Now |cx, a| done(cx.stopall(a.job(0, None)?.as_str())),
        "Stops a job's processes, which are replaced: `{ok}`";
    "killall" (NAME, SIGNAL) Manage On::Job(0), Now killall,
        "Sends a signal to a job's processes: `{ok}`";
    "commit" (NAME, optional(&["graceful_timeout"]), ENV) Manage On::SessionOf(0), Now commit,
        "Runs one more process of a job, once: `{ok, pid}`";
    "process_info" (PID) Read On::Process(0), Now |cx, a| Ok(json!({"info": shapes::process(&cx.process(a.pid(0)?)?)})),
        "A process as it stands: `{info}`";
    "process_stats" (PID) Read On::Process(0), Figures process_target,
        "What a process uses: `{stats}`";
    "stop_process" (PID) Manage On::Process(0), Now |cx, a| done(cx.stop_process(a.pid(0)?)),
        "Stops a process; one that is kept alive is replaced: `{ok}`";
    "kill" (PID, SIGNAL) Manage On::Process(0), Now kill,
        "Sends a signal to a process: `{ok}`";
    "send" (PID, required(&["data", "lines", "text"]), optional(&["stream"])) Write On::Process(0), Now send,
        "Writes a text, or a list of texts, to a process's standard input or to a stream of its own: `{ok}`";

    "close_input" (PID, optional(&["stream"])) Write On::Process(0), Now close_input,
        "The end of file for a process's standard input or a stream of its own: `{ok}`";
    "status" (NAME) Read On::Job(0), Now |cx, a| Ok(json!({"status": shapes::status(&cx.info(a.job(0, None)?.as_str())?)})),
        "How a job stands, in few words: `{status}`";
    "restart_job" or "restart_process" (NAME) Manage On::Job(0), Now |cx, a| done(cx.restart_job(a.job(0, None)?.as_str())),
        "Replaces a job's processes, new ones first: `{ok}`";
    "restart" () Manage On::Node, Now |cx, _| done(cx.restart()),
        "Restarts every active job: `{ok}`";
    "ttin" (NAME, optional(&["n"])) Manage On::Job(0), Now |cx, a| by(cx, a, 1),
        "0.4 for scaling up, by 1 or `n`: `{numprocesses}`";
    "ttou" (NAME, optional(&["n"])) Manage On::Job(0), Now |cx, a| by(cx, a, -1),
        "0.4 for scaling down, by 1 or `n`: `{numprocesses}`";
    "start_session" or "start_group" (GROUP) Manage On::Session(0), Now |cx, a| done(cx.start_session(session(a)?)),
        "Starts all jobs of a session: `{ok}`";
    "stop_session" or "stop_group" (GROUP) Manage On::Session(0), Now |cx, a| done(cx.stop_session(session(a)?)),
        "Stops all jobs of a session: `{ok}`";
    "restart_session" or "restart_group" (GROUP) Manage On::Session(0), Now |cx, a| done(cx.restart_session(session(a)?)),
        "Restarts the active jobs of a session: `{ok}`";
    "remove_session" or "remove_group" (GROUP) Manage On::Session(0), Now |cx, a| done(cx.remove_session(session(a)?)),
        "Unloads all jobs of a session: `{ok}`";
};

fn done(outcome: crate::Result<()>) -> Answer {
    outcome?;
    Ok(json!({"ok": true}))
}

fn session<'a>(args: &'a Args<'_>) -> Result<&'a str, CommandError> {
    Ok(args.text(0)?.unwrap_or_default())
}

fn jobs(cx: &mut Cx<'_>, args: &Args<'_>) -> Answer {
    Ok(match args.text(0)? {
        None => json!({"jobs": shapes::names(&cx.jobs())}),
        Some(session) => json!({"sessionid": session, "jobs": shapes::names(&cx.jobs_of(session)?)}),
    })
}

fn pids(cx: &mut Cx<'_>, args: &Args<'_>) -> Answer {
    if args.get(0).is_none() {
        return Ok(json!({"pids": shapes::pids(&cx.list())}));
    }
    let name = args.job(0, None)?;
    Ok(json!({"name": name.as_str(), "pids": shapes::pids(&cx.pids(name.as_str())?)}))
}

fn definition(args: &Args<'_>) -> Result<(JobConfig, bool), CommandError> {
    let value = values::definition(args.object(0)?, args.get(2), args.get(3));
    job_from_json(&value, args.text(1)?).map_err(CommandError::of_config)
}

fn load(cx: &mut Cx<'_>, args: &Args<'_>) -> Answer {
    let (config, start) = definition(args)?;
    cx.load(config, start).map_err(CommandError::of_config)?;
    done(Ok(()))
}

fn update(cx: &mut Cx<'_>, args: &Args<'_>) -> Answer {
    let (config, start) = definition(args)?;
    cx.update(config, start).map_err(CommandError::of_config)?;
    done(Ok(()))
}

fn scale(cx: &mut Cx<'_>, args: &Args<'_>) -> Answer {
    let (name, scale) = (args.job(0, None)?, values::scale(args.need(1))?);
    Ok(json!({"numprocesses": cx.scale(name.as_str(), scale)?}))
}

fn by(cx: &mut Cx<'_>, args: &Args<'_>, sign: i64) -> Answer {
    let (name, n) = (args.job(0, None)?, args.count(1, 1)?);
    Ok(json!({"numprocesses": cx.scale(name.as_str(), Scale::By(sign * i64::from(n)))?}))
}

fn job_target(args: &Args<'_>) -> Result<Target, CommandError> {
    args.job(0, None).map(Target::Job)
}

fn process_target(args: &Args<'_>) -> Result<Target, CommandError> {
    args.pid(0).map(Target::Process)
}

/// The figures of a job or of one process. A process that the system does not know (any more) uses nothing.
pub(super) fn figures(target: &Target, figures: Vec<Figures>) -> Answer {
    match target {
        Target::Job(name) => Ok(json!({"stats": shapes::job_stats(name, figures)})),
        _ => match figures.into_iter().next() {
            Some(figures) => Ok(json!({"stats": figures.into_json()})),
            None => Err(CommandError::new(404, "not_found", "the process does not run")),
        },
    }
}

fn killall(cx: &mut Cx<'_>, args: &Args<'_>) -> Answer {
    let (name, signal) = (args.job(0, None)?, values::signal(args.need(1))?);
    done(cx.killall(name.as_str(), signal))
}

fn commit(cx: &mut Cx<'_>, args: &Args<'_>) -> Answer {
    let (name, commit) = (args.job(0, None)?, values::commit(args.get(1), args.get(2))?);
    Ok(json!({"ok": true, "pid": cx.commit(name.as_str(), commit)?.0}))
}

fn kill(cx: &mut Cx<'_>, args: &Args<'_>) -> Answer {
    let (pid, signal) = (args.pid(0)?, values::signal(args.need(1))?);
    done(cx.kill(pid, signal))
}

fn send(cx: &mut Cx<'_>, args: &Args<'_>) -> Answer {
    let (pid, data, stream) = (args.pid(0)?, values::input(args.need(1))?, stream(args, 2)?);
    cx.process(pid)?;
    cx.send(pid, stream, &data).map_err(of_stream)?;
    done(Ok(()))
}

fn close_input(cx: &mut Cx<'_>, args: &Args<'_>) -> Answer {
    let (pid, stream) = (args.pid(0)?, stream(args, 1)?);
    cx.process(pid)?;
    cx.close_input(pid, stream).map_err(of_stream)?;
    done(Ok(()))
}

fn stream<'a>(args: &'a Args<'_>, i: usize) -> Result<Option<&'a str>, CommandError> {
    Ok(args.text(i)?.filter(|label| !is_stdin(label)))
}

/// The process is there, so it is the stream that is not.
fn of_stream(error: crate::Error) -> CommandError {
    let missing = error.kind() == ErrorKind::NotFound;
    let mut error = CommandError::from(error);
    if missing {
        error.reason = "stream_not_found".into();
    }
    error
}

/// Whether a label means standard input; 0.4's documentation has both.
#[must_use]
pub fn is_stdin(label: &str) -> bool {
    matches!(label, "stdin" | "ttin")
}

/// The stream a process's output is read from when none is named: the first of its redirected output.
pub(super) fn first_stream(cx: &Cx<'_>, pid: Pid) -> crate::Result<Option<String>> {
    let config = cx.process(pid)?.config;
    let outlets = config.outlets();
    let first = outlets.first().map(|outlet| outlet.label);
    Ok(first.or(config.custom_streams.first().map(String::as_str)).map(str::to_owned))
}
