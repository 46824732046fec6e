//! `unload`, `reload`, `ps:start`, `stop` and `restart`: one verb for jobs that are named, or for a whole application.

use std::ffi::OsString;

use gaffer::cli::names::{Target, each};
use gaffer::cli::node::failure;
use gaffer::cli::wait::{self, State, Wait};
use gaffer::cli::{self, Code, Command, Failure, Opt, definitions};
use gaffer::client::{Job, Server};
use gaffer::process::{JobName, JobState, Pid};
use serde_json::json;

use crate::NAME;
use crate::app::set;
use crate::remote::{self, Remote, has_remote, no_app, no_process, qualify, refused, shown};

/// What one of them is asked to do.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Bulk {
    pub(crate) remote: Remote,
    pub(crate) wait: Wait,
    /// `--no-input`.
    no_input: bool,
    /// `--from-file`.
    from_file: Option<OsString>,
    /// None mean the whole application.
    pub(crate) names: Vec<String>,
}

has_remote!(Bulk);

impl AsMut<Wait> for Bulk {
    fn as_mut(&mut self) -> &mut Wait {
        &mut self.wait
    }
}

/// What is done, and how it is told.
pub(crate) struct Verb {
    /// `Unload`: begins the question.
    pub(crate) ask: &'static str,
    /// `unloaded`.
    pub(crate) done: &'static str,
    /// The sentences name what it is: `job 'web' unloaded`, `==> app 'shop' unloaded`. Else each job of an application has one,
    /// and they are `'web' stopped`, `job 'web' stopped`, `==> all jobs in 'shop' stopped`.
    pub(crate) as_app: bool,
    /// What is so afterwards.
    pub(crate) state: State,
    /// Does it.
    pub(crate) act: fn(&Job) -> gaffer::Result<()>,
    /// The processes that are gone afterwards.
    pub(crate) ends: Option<fn(&Job) -> Result<Vec<Pid>, Failure>>,
    /// A stopped job stays stopped.
    pub(crate) leaves_stopped: bool,
    /// Also done to processes by their numbers.
    pub(crate) to_processes: bool,
}

/// The end of their help is the same for all of them.
macro_rules! details {
    ($text:literal) => {
        concat!($text, "\n\nJSON: {\"ok\", \"jobs\": [NAME...], \"pids\": [N...]}, with those it was done to.")
    };
}
pub(crate) use details;

/// The words that name jobs.
pub(crate) const NAMES: &str = "Jobs; none means all of the application. `*` and `?` match any text and any character.";

/// Adds the options and words.
pub(crate) fn options(command: Command<Bulk>, words: &'static str, help: &'static str) -> Command<Bulk> {
    let command = command
        .words(words, help, |a: &mut Bulk, v| {
            a.names.push(v.string()?);
            Ok(())
        })
        .option(remote::no_input(), |a, _| set(&mut a.no_input, true));
    wait::option(remote::options(remote::quiet(command)))
}

/// Adds `--from-file`.
pub(crate) fn from_file(command: Command<Bulk>) -> Command<Bulk> {
    command.option(
        Opt::value("from-file", "FILE", "The jobs that this JSON file defines; `-` is standard input."),
        |a, v| set(&mut a.from_file, Some(v.os())),
    )
}

/// `NAME` and `--from-file` are two ways to say it.
pub(crate) fn check(bulk: &Bulk) -> Result<(), Failure> {
    match bulk.from_file {
        Some(_) if !bulk.names.is_empty() => Err(Failure::usage("NAME and --from-file exclude each other")),
        _ => Ok(()),
    }
}

pub(crate) fn run(asked: &Bulk, verb: &Verb) -> Result<Code, Failure> {
    let server = asked.remote.server()?;
    let session = asked.remote.session()?;
    let mut words = asked.names.clone();
    if let Some(file) = &asked.from_file {
        words = names_in(file, &session)?;
        if words.is_empty() {
            return Err(Failure::new(Code::Failed, format!("{}: there is no job in it", file.to_string_lossy())));
        }
    }
    let whole = words.is_empty();
    let targets = if whole { all(&server, &session)? } else { asked.remote.targets(&server, &session, &words)? };
    if whole && !asked.no_input && !cli::confirm(&format!("{} all jobs of '{session}'", verb.ask))? {
        return Ok(Code::Failed);
    }
    let deadline = wait::deadline(asked.remote.node.timeout);
    // All of them are told before any is waited for.
    let (told, code) = each(NAME, &targets, |target| {
        let old = tell(&server, target, verb, asked.wait, whole)?;
        Ok(old.map(|old| (target, old)))
    });
    let told: Vec<_> = told.into_iter().flatten().collect();
    let (done, waited) = each(NAME, &told, |(target, old)| {
        if let Some(state) = asked.wait.state(verb.state) {
            wait_for(&server, target, state, old, deadline)?;
        }
        let sentence = match target {
            Target::Process(pid) => format!("'{pid}' {}", verb.done),
            Target::Job(name) if whole || verb.as_app => format!("job '{}' {}", shown(name, &session), verb.done),
            Target::Job(name) => format!("'{}' {}", shown(name, &session), verb.done),
        };
        if !(whole && verb.as_app) {
            asked.remote.say(&sentence)?;
        }
        Ok(*target)
    });
    let code = if code == Code::Ok { waited } else { code };
    if whole && code == Code::Ok {
        let what = if verb.as_app { format!("app '{session}'") } else { format!("all jobs in '{session}'") };
        asked.remote.say(&format!("==> {what} {}", verb.done))?;
    }
    report(asked, &done, code)
}

/// The names of the jobs in a file.
fn names_in(file: &OsString, session: &str) -> Result<Vec<String>, Failure> {
    let name = |definition: &serde_json::Value| {
        let own = ["session", "group", "sessionid"].iter().find_map(|key| definition[key].as_str());
        let name = definition["name"].as_str().filter(|name| !name.is_empty());
        name.map(|name| qualify(own.unwrap_or(session), name))
    };
    let missing = || Failure::new(Code::Failed, format!("{}: a job has no `name`", file.to_string_lossy()));
    definitions::read(file)?.iter().map(|definition| name(definition).ok_or_else(missing)).collect()
}

fn all(server: &Server, session: &str) -> Result<Vec<Target>, Failure> {
    let jobs = server.jobs_walk(Some(session)).map_err(|e| no_app(server, session, e))?;
    Ok(jobs.map(|job| Target::Job(job.name().clone())).collect())
}

/// Tells a job or a process what to do: the processes that will be gone, if somebody waits; nothing if a job of a whole
/// application is to be left alone.
fn tell(server: &Server, target: &Target, verb: &Verb, wait: Wait, whole: bool) -> Result<Option<Vec<Pid>>, Failure> {
    let name = match target {
        Target::Job(name) => name,
        Target::Process(pid) if verb.to_processes => {
            server.process(*pid).stop().map_err(|e| no_process(*pid, e))?;
            return Ok(Some(vec![*pid]));
        }
        Target::Process(pid) => {
            return Err(Failure::usage(format!("{pid} is a process: only jobs can be {}", verb.done)));
        }
    };
    let job = server.job(name.as_str()).map_err(failure)?;
    let missing = |e| refused(server, name, e);
    let stays = verb.leaves_stopped && job.status().map_err(missing)?.state == JobState::Stopped;
    let old = match verb.ends {
        Some(ends) if wait.is_asked() => ends(&job)?,
        _ => Vec::new(),
    };
    (verb.act)(&job).map_err(missing)?;
    if stays && whole {
        return Ok(None);
    }
    if stays {
        let what = format!("'{}' is stopped, and stays so: ps:start starts it", name.label());
        return Err(Failure::new(Code::NotSo, what));
    }
    Ok(Some(old))
}

fn wait_for(
    server: &Server,
    target: &Target,
    state: State,
    old: &[Pid],
    deadline: std::time::Instant,
) -> Result<(), Failure> {
    match target {
        Target::Job(name) => {
            let job = server.job(name.as_str()).map_err(failure)?;
            wait::job(server, &job, state, old.to_vec(), deadline)
        }
        Target::Process(_) => wait::gone(server, old.to_vec(), deadline),
    }
}

fn report(asked: &Bulk, done: &[&Target], code: Code) -> Result<Code, Failure> {
    if asked.remote.node.json {
        let jobs = done.iter().filter_map(|target| match target {
            Target::Job(name) => Some(JobName::as_str(name)),
            Target::Process(_) => None,
        });
        let pids = done.iter().filter_map(|target| match target {
            Target::Process(pid) => Some(pid.0),
            Target::Job(_) => None,
        });
        let answer = json!({
            "ok": code == Code::Ok,
            "jobs": jobs.collect::<Vec<_>>(),
            "pids": pids.collect::<Vec<_>>(),
        });
        cli::print(format!("{answer}\n"))?;
    }
    Ok(code)
}
