//! What the commands share that talk to a node: which one, which application, and which of its jobs.

pub(crate) use gaffer::cli::names::shown;
use gaffer::cli::names::{self, Target};
use gaffer::cli::node::{self, Node, failure};
use gaffer::cli::{self, Code, Command, Failure, Opt};
use gaffer::client::{Process, Server};
use gaffer::process::{DEFAULT_SESSION, JobName, Pid};
use gaffer::{Error, ErrorKind, suggest};

use crate::app::{self, App, set};
use crate::lookup::{self, Servers};

/// The options of all commands that talk to a node.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Remote {
    /// Which node.
    pub(crate) node: Node,
    /// `--lookup`, where a command has it.
    pub(crate) lookup: Servers,
    /// The application whose folder we are in.
    pub(crate) app: App,
    /// `--app`.
    pub(crate) session: Option<String>,
    /// `-q`.
    pub(crate) quiet: bool,
}

/// Lends [`Remote`] and its parts to the functions that add their options.
macro_rules! has_remote {
    ($owner:ty) => {
        impl AsMut<$crate::remote::Remote> for $owner {
            fn as_mut(&mut self) -> &mut $crate::remote::Remote {
                &mut self.remote
            }
        }

        impl AsMut<$crate::lookup::Servers> for $owner {
            fn as_mut(&mut self) -> &mut $crate::lookup::Servers {
                &mut self.remote.lookup
            }
        }

        impl AsMut<gaffer::cli::node::Node> for $owner {
            fn as_mut(&mut self) -> &mut gaffer::cli::node::Node {
                &mut self.remote.node
            }
        }

        impl AsMut<$crate::app::App> for $owner {
            fn as_mut(&mut self) -> &mut $crate::app::App {
                &mut self.remote.app
            }
        }
    };
}
pub(crate) use has_remote;

/// Adds the options of [`Remote`] but `-q`; of the application's those that say where it is.
pub(crate) fn options<T: AsMut<Remote> + AsMut<Node> + AsMut<App>>(command: Command<T>) -> Command<T> {
    node::options(app::place(session(command)))
}

/// `--app`.
pub(crate) fn session<T: AsMut<Remote>>(command: Command<T>) -> Command<T> {
    let help = "The application whose jobs are meant; `.` is that of the folder.";
    let option = Opt::value("app", "APP", help).default("that of the Procfile, else `default`");
    command.option(option, |a: &mut T, v| set(&mut AsMut::<Remote>::as_mut(a).session, Some(v.string()?)))
}

/// `--lookup`, for commands that act on all nodes of an application.
pub(crate) fn many<T: AsMut<Servers>>(command: Command<T>) -> Command<T> {
    lookup::trust(lookup::option(command, "one node, that of --endpoint"))
}

/// `-q`, for commands that say what they have done.
pub(crate) fn quiet<T: AsMut<Remote>>(command: Command<T>) -> Command<T> {
    command.option(Opt::switch("quiet", "Say nothing where all goes well.").short('q'), |a: &mut T, _| {
        set(&mut AsMut::<Remote>::as_mut(a).quiet, true)
    })
}

/// `--no-input`, for commands that may ask.
pub(crate) fn no_input() -> Opt {
    Opt::switch("no-input", "Ask nothing: the answer is yes. So it is where the input is no terminal.")
}

impl Remote {
    /// The node: that of the options or of the environment, else the `gaffer start` of this folder, if it runs and no other
    /// application is meant, else that of the configuration.
    pub(crate) fn server(&self) -> Result<Server, Failure> {
        let here = |name: &String| name == "." || self.app.session().is_ok_and(|(session, _)| session == *name);
        let attached = if self.session.as_ref().is_none_or(here) { self.app.attached() } else { None };
        self.node.server_or(attached.as_deref())
    }

    /// The session of names that have none: `--app`, else that of the Procfile, else `default`.
    pub(crate) fn session(&self) -> Result<String, Failure> {
        match self.session.as_deref() {
            Some(".") => Ok(self.app.session()?.0),
            Some(name) => JobName::new(name, "any").map(|_| name.to_owned()).map_err(|e| Failure::usage(e.to_string())),
            None => Ok(match self.app.session()? {
                (session, true) => session,
                (_, false) => DEFAULT_SESSION.to_owned(),
            }),
        }
    }

    /// What the words mean, each once: `name` in `session`, `app.name`, `app/name`, the number of a process, or a pattern
    /// with `*` and `?`. The node is asked only for patterns.
    pub(crate) fn targets(&self, server: &Server, session: &str, words: &[String]) -> Result<Vec<Target>, Failure> {
        let qualified: Vec<String> = words.iter().map(|word| qualify(session, word)).collect();
        names::targets(server, &qualified)
    }

    /// Says a sentence on standard output, unless `-q` or `--json` forbid.
    pub(crate) fn say(&self, sentence: &str) -> Result<(), Failure> {
        if self.quiet || self.node.json { Ok(()) } else { cli::print(format!("{sentence}\n")) }
    }
}

/// `session.word` unless the word has a session or is a number.
pub(crate) fn qualify(session: &str, word: &str) -> String {
    let number = !word.is_empty() && word.bytes().all(|b| b.is_ascii_digit());
    if number || word.contains(['.', '/', ':']) { word.to_owned() } else { format!("{session}.{word}") }
}

/// What to say of a job that the node has refused to do something with.
pub(crate) fn refused(server: &Server, name: &JobName, error: Error) -> Failure {
    if error.kind() != ErrorKind::NotFound {
        return failure(error);
    }
    let (label, session) = (name.label(), name.session());
    // Whether there is a hint must not change the outcome.
    let hint = match server.jobs_walk(Some(session)) {
        Ok(jobs) => {
            let known: Vec<String> = jobs.map(|job| job.name().label().to_owned()).collect();
            suggest::hint(label, known.iter().map(String::as_str))
        }
        Err(_) => other_app(server, label).unwrap_or_default(),
    };
    Failure::new(Code::NoSuch, format!("'{label}' not found in '{session}'{hint}"))
}

/// Where somebody names an application as if it were a job, as gaffer 0.4 had it.
fn other_app(server: &Server, word: &str) -> Option<String> {
    let sessions = server.sessions().ok()?;
    let found = sessions.iter().any(|session| session == word);
    found.then(|| format!("; there is an application '{word}': --app {word}"))
}

/// What to say of an application that the node does not have.
pub(crate) fn no_app(server: &Server, session: &str, error: Error) -> Failure {
    if error.kind() != ErrorKind::NotFound {
        return failure(error);
    }
    let known = server.sessions().unwrap_or_default();
    let hint = suggest::hint(session, known.iter().map(String::as_str));
    Failure::new(Code::NoSuch, format!("'{session}' not found{hint}"))
}

/// What to say of a process.
pub(crate) fn no_process(pid: Pid, error: Error) -> Failure {
    match error.kind() {
        ErrorKind::NotFound => Failure::new(Code::NoSuch, format!("process '{pid}' not found")),
        _ => failure(error),
    }
}

/// The one process that a word means: its number, or the name of a job that has no more than one.
pub(crate) fn process(remote: &Remote, server: &Server, word: &str) -> Result<Process, Failure> {
    let session = remote.session()?;
    let words = [word.to_owned()];
    match &remote.targets(server, &session, &words)?[..] {
        [Target::Process(pid)] => Ok(server.process(*pid)),
        [Target::Job(name)] => {
            let job = server.job(name.as_str()).map_err(failure)?;
            let info = job.info().map_err(|e| refused(server, name, e))?;
            match info.processes[..] {
                [pid] => Ok(server.process(pid)),
                [] => Err(Failure::new(Code::NoSuch, format!("'{}' has no process", shown(name, &session)))),
                ref several => {
                    let pids: Vec<String> = several.iter().map(Pid::to_string).collect();
                    let what =
                        format!("'{}' has several processes, name one: {}", shown(name, &session), pids.join(", "));
                    Err(Failure::usage(what))
                }
            }
        }
        _ => Err(Failure::usage(format!("`{word}` means several jobs; name one process"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_an_application() {
        for (word, want) in [
            ("web", "shop.web"),
            ("web*", "shop.web*"),
            ("blog.web", "blog.web"),
            ("blog/web", "blog/web"),
            ("12", "12"),
            ("12a", "shop.12a"),
        ] {
            assert_eq!(qualify("shop", word), want);
        }
        let name: JobName = "shop.web".parse().expect("a name");
        assert_eq!((shown(&name, "shop"), shown(&name, "default")), ("web", "shop.web"));
    }

    #[test]
    fn whose_names_they_are() {
        let here = env!("CARGO_MANIFEST_DIR");
        let app = |root: &str| App { root: Some(root.into()), ..App::default() };
        let session = |remote: &Remote| remote.session().expect("a session");
        let mut remote = Remote { app: app(&format!("{here}/examples")), ..Remote::default() };
        assert_eq!(session(&remote), "examples", "it has a Procfile");
        remote.app = app(&format!("{here}/src"));
        assert_eq!(session(&remote), "default", "it has none");
        remote.session = Some(".".to_owned());
        assert_eq!(session(&remote), "src");
        remote.session = Some("shop".to_owned());
        assert_eq!(session(&remote), "shop");
        remote.session = Some("a.b".to_owned());
        assert_eq!(remote.session().expect_err("a name").code(), Code::Usage);
        remote.session = None;
        remote.app = App { procfile: Some("/nonexistent/Procfile".into()), ..App::default() };
        let failure = remote.session().expect_err("it was promised");
        assert_eq!(failure.to_string(), "procfile '/nonexistent/Procfile' not found");
    }
}
