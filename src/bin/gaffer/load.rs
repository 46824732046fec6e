//! `gaffer load`: gives a node the jobs of a Procfile or of a JSON file.

use std::ffi::OsString;

use gaffer::ErrorKind;
use gaffer::cli::names::each;
use gaffer::cli::node::{self, failure};
use gaffer::cli::wait::{self, State, Wait};
use gaffer::cli::{self, Code, Command, Failure, Opt, definitions};
use gaffer::client::{Job, Server};
use gaffer::config::{Application, job_to_json};
use gaffer::process::JobName;
use serde_json::{Value, json};

use crate::NAME;
use crate::app::{self, set};
use crate::ports::Ports;
use crate::remote::{self, Remote, has_remote, qualify};

/// What `gaffer load` is asked to do.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Load {
    remote: Remote,
    wait: Wait,
    /// The values of `-c`, in order.
    concurrency: Vec<String>,
    no_start: bool,
    replace: bool,
    file: Option<OsString>,
}

has_remote!(Load);

impl AsMut<Wait> for Load {
    fn as_mut(&mut self) -> &mut Wait {
        &mut self.wait
    }
}

const DETAILS: &str = "\
The jobs of a Procfile run on the node as `gaffer start` runs them here: in the
application's folder, with the variables of its .env files, PORT and PS, their
output under the labels `out` and `err`. The rest of their environment is the
node's.

The ports begin at -p, or at PORT of .env or the environment. Where none of them
says it, an application keeps the ports that it has on the node, and a new one
gets those from 5000 on, or from 6000, 7000 ... on where another application of
the node, or the node itself, has one of them: each type has a hundred ports. It
is said on standard error if it is not 5000, and if jobs have the same ports in
spite of that. The jobs that this key may not read are not seen.

FILE is JSON: an object with `name`, `cmd` and any other settings, a list of
such objects, or {\"jobs\": [...]}; names without an application get that of
--app.

A job that is loaded already stays as it is, and that is no failure; where its
definition is another one, that is said. --replace gives it the new definition.
JSON: {\"ok\", \"app\", \"loaded\": [NAME...], \"already\": [NAME...]}.";

pub(crate) fn command() -> Command<Load> {
    let command = Command::new("load", "Load the jobs of the Procfile, or of a JSON file, on the node.")
        .words("[FILE|-]", "A JSON file; `-` is standard input.", |a: &mut Load, v| {
            let word = v.os();
            if a.file.is_some() {
                return Err(Failure::usage(format!("unexpected argument `{}`", word.to_string_lossy())));
            }
            set(&mut a.file, Some(word))
        })
        .option(app::concurrency(), |a, v| {
            a.concurrency.push(v.string()?);
            Ok(())
        })
        .option(Opt::switch("nostart", "Do not start them.").aliases(&["no-start"]), |a, _| set(&mut a.no_start, true))
        .option(Opt::switch("replace", "Replace jobs that are loaded already, and their processes."), |a, _| {
            set(&mut a.replace, true)
        });
    node::options(wait::option(app::options(remote::quiet(remote::session(command)))))
        .check(|a| match (&a.file, a.concurrency.is_empty()) {
            (Some(_), false) => Err(Failure::usage("--concurrency is for Procfiles: in FILE it is `numprocesses`")),
            _ if a.no_start && a.wait.is_asked() => Err(Failure::usage("--nostart and --wait exclude each other")),
            _ => Ok(()),
        })
        .details(DETAILS)
}

pub(crate) fn run(asked: &Load) -> Result<Code, Failure> {
    let server = asked.remote.node.server()?;
    match &asked.file {
        Some(file) => of_file(asked, &server, file),
        None => of_procfile(asked, &server),
    }
}

fn of_procfile(asked: &Load, server: &Server) -> Result<Code, Failure> {
    let (mut application, warnings) = read_procfile(asked)?;
    for warning in warnings {
        cli::complain(NAME, warning);
    }
    if asked.remote.session.is_some() {
        application.session = asked.remote.session()?;
    }
    let app = application.session.clone();
    let ports = Ports::of(server);
    let chosen = if application.is_port_given() { None } else { ports.choose(&mut application) };
    let jobs = app::jobs(&application, &asked.concurrency, &[])?;
    for warning in chosen.into_iter().chain(ports.clashes(&jobs)) {
        cli::complain(NAME, warning);
    }
    let jobs: Vec<Value> = jobs.iter().map(|job| with_name(job_to_json(job), &app)).collect();
    let outcome = load(asked, server, &jobs, |name| name.label().to_owned());
    if outcome.code == Code::Ok && !outcome.loaded.is_empty() {
        asked.remote.say(&format!("==> '{app}' has been loaded in {}", server.address()))?;
    }
    report(asked, &app, &outcome)
}

fn read_procfile(asked: &Load) -> Result<(Application, Vec<String>), Failure> {
    let missing = asked.remote.app.procfile.is_none() && !asked.remote.app.session()?.1;
    if missing {
        let what = "procfile or job file is missing: there is no Procfile here (-f names another, -d its folder)";
        return Err(Failure::new(Code::Failed, what));
    }
    asked.remote.app.load(false)
}

fn of_file(asked: &Load, server: &Server, file: &OsString) -> Result<Code, Failure> {
    let app = asked.remote.session()?;
    let mut jobs = Vec::new();
    for definition in definitions::read(file)? {
        let name = definition["name"].as_str().unwrap_or_default();
        if name.is_empty() || !definition["cmd"].is_string() {
            let what = format!("invalid job config: expected `name` and `cmd`, found {definition}");
            return Err(Failure::new(Code::Failed, what));
        }
        let own = ["session", "group", "sessionid"].iter().find_map(|key| definition[key].as_str());
        let full = qualify(own.unwrap_or(&app), name);
        jobs.push(with_name(definition, &full));
    }
    let outcome = load(asked, server, &jobs, |name| name.as_str().to_owned());
    if file != "-" && outcome.code == Code::Ok {
        asked.remote.say(&format!("'{}' has been loaded", file.to_string_lossy()))?;
    }
    report(asked, &app, &outcome)
}

/// A definition under this name, or in this session.
fn with_name(mut definition: Value, name: &str) -> Value {
    if let Value::Object(members) = &mut definition {
        for key in ["session", "group", "sessionid"] {
            members.remove(key);
        }
        let label = members.get("name").and_then(Value::as_str).unwrap_or_default();
        let full = if name.contains(['.', '/', ':']) { name.to_owned() } else { format!("{name}.{label}") };
        members.insert("name".to_owned(), full.into());
    }
    definition
}

struct Outcome {
    loaded: Vec<JobName>,
    already: Vec<JobName>,
    code: Code,
}

/// Loads them one after the other; one that is refused does not keep the others away.
fn load(asked: &Load, server: &Server, jobs: &[Value], shown: impl Fn(&JobName) -> String) -> Outcome {
    let deadline = wait::deadline(asked.remote.node.timeout);
    let mut already = Vec::new();
    let (loaded, code) = each(NAME, jobs, |definition| {
        let start = !asked.no_start && definition["start"].as_bool() != Some(false);
        match server.load(definition, None, start, asked.replace) {
            Ok(job) => {
                if asked.file.is_some() {
                    let sentence = format!("'{}' has been loaded in {}", shown(job.name()), server.address());
                    asked.remote.say(&sentence)?;
                }
                Ok(Some((job, start)))
            }
            Err(e) if e.kind() == ErrorKind::Conflict => {
                let name: JobName = definition["name"].as_str().unwrap_or_default().replacen(':', ".", 1).parse()?;
                asked.remote.say(&format!("'{}' already loaded", shown(&name)))?;
                if is_other(server, &name, definition) {
                    let what = "has another definition there; --replace gives it this one";
                    cli::complain(NAME, format!("'{}' {what}", shown(&name)));
                }
                already.push(name);
                Ok(None)
            }
            Err(e) if asked.file.is_some() && e.kind() == ErrorKind::Invalid => {
                Err(Failure::new(Code::Failed, format!("invalid job config: {e}")))
            }
            Err(e) => Err(failure(e)),
        }
    });
    let loaded: Vec<(Job, bool)> = loaded.into_iter().flatten().collect();
    let (_, waited) = each(NAME, &loaded, |(job, start)| match asked.wait.state(State::Running) {
        Some(state) if *start => wait::job(server, job, state, Vec::new(), deadline),
        _ => Ok(()),
    });
    let loaded = loaded.into_iter().map(|(job, _)| job.name().clone()).collect();
    Outcome { loaded, already, code: if code == Code::Ok { waited } else { code } }
}

/// Whether the node has another definition under this name. Both are written by one function, if they come from a Procfile.
fn is_other(server: &Server, name: &JobName, definition: &Value) -> bool {
    let Ok(there) = server.job(name.as_str()).and_then(|job| job.config()) else { return false };
    let (there, here) = (with_name(there, name.as_str()), with_name(definition.clone(), name.as_str()));
    let members = here.as_object().into_iter().flatten().filter(|(key, _)| key.as_str() != "start");
    // What is written by hand may leave defaults out or write them down.
    members.into_iter().any(|(key, value)| there.get(key).is_some_and(|old| old != value))
        || (there.as_object().into_iter().flatten()).any(|(key, _)| key != "numprocesses" && here.get(key).is_none())
}

fn report(asked: &Load, app: &str, outcome: &Outcome) -> Result<Code, Failure> {
    if asked.remote.node.json {
        let names = |names: &[JobName]| names.iter().map(|name| name.as_str().into()).collect::<Vec<Value>>();
        let ok = outcome.code == Code::Ok;
        let answer =
            json!({"ok": ok, "app": app, "loaded": names(&outcome.loaded), "already": names(&outcome.already)});
        cli::print(format!("{answer}\n"))?;
    }
    Ok(outcome.code)
}

#[cfg(test)]
mod tests {
    use super::*;
    use gaffer::cli::Asked;

    #[test]
    fn flags() {
        let args = ["-c", "web=2", "-c", "worker=0", "--nostart", "--app", "shop", "-p", "6000", "--replace"];
        let Ok(Asked::Run(load)) = command().parse(args.map(Into::into)) else { panic!("a load") };
        assert_eq!((load.concurrency.len(), load.no_start, load.replace), (2, true, true));
        assert_eq!((load.remote.session.as_deref(), load.remote.app.port), (Some("shop"), Some(6000)));
        let Ok(Asked::Run(load)) = command().parse(["-".into(), "-q".into()]) else { panic!("a load") };
        assert_eq!((load.file, load.remote.quiet), (Some("-".into()), true));
        for line in ["a b", "-c web=2 jobs.json", "--nostart --wait"] {
            assert!(command().parse(line.split_whitespace().map(Into::into)).is_err(), "{line}");
        }
    }

    #[test]
    fn names_of_definitions() {
        for (definition, name, want) in [
            (json!({"name": "web"}), "shop", "shop.web"),
            (json!({"name": "web", "session": "old"}), "shop", "shop.web"),
            (json!({"name": "web"}), "a/web", "a/web"),
        ] {
            assert_eq!(with_name(definition, name), json!({"name": want}));
        }
    }
}
