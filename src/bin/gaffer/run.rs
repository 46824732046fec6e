//! `gaffer run`: one command in the surroundings of the application.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command as Program;

use gaffer::cli::{self, Code, Command, Failure};
use gaffer::config::Concurrency;
use gaffer::sys::users;
use gaffer::words;

use crate::app::{self, App};

/// What `gaffer run` is asked to do.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Run {
    /// Which application.
    pub(crate) app: App,
    /// The command and its arguments; at least one.
    pub(crate) words: Vec<OsString>,
}

impl AsMut<App> for Run {
    fn as_mut(&mut self) -> &mut App {
        &mut self.app
    }
}

const DETAILS: &str = "\
The command takes the place of gaffer: the terminal, the signals and the exit
code are its own. A single word that is a process type of the Procfile runs that
type's command, with the PORT and PS of its first process; a single word with
blanks or other shell syntax in it goes to /bin/sh. GAFFER_UID and GAFFER_GID of
the .env files are whom it runs as.

Examples:
  gaffer run rake db:migrate
  gaffer run 'echo $DATABASE_URL'
  gaffer run web                    the command of `web`, on its own";

/// The table of `gaffer run`.
pub(crate) fn command() -> Command<Run> {
    app::options(Command::new("run", "Run one command with the application's variables, in its folder."))
        .aliases(&["dev:run"])
        .details(DETAILS)
        .rest("COMMAND [ARGS...]", "The command. What follows it belongs to it.", |a: &mut Run, v| {
            a.words.push(v.os());
            Ok(())
        })
        .check(|run| match run.words.is_empty() {
            true => Err(Failure::usage("COMMAND is missing")),
            false => Ok(()),
        })
}

/// Runs the command in the place of this process.
pub(crate) fn run(run: &Run) -> Result<Code, Failure> {
    let (application, warnings) = run.app.load(true)?;
    for warning in warnings {
        cli::complain("gaffer", warning);
    }
    let entry = |name: &str| application.entries.iter().find(|entry| entry.name == name);
    let mut env = application.env.clone();
    match &run.words[..] {
        // It is what `start` would run as the first of its type.
        [name] if name.to_str().is_some_and(|name| entry(name).is_some()) => {
            let name = name.to_string_lossy();
            let jobs = application.jobs(&Concurrency::default(), &[&*name])?;
            let port = jobs.iter().find_map(|job| job.port).unwrap_or(application.port);
            env.extend([("PORT".to_owned(), port.to_string()), ("PS".to_owned(), format!("{name}.1"))]);
        }
        _ => env.extend(run.app.port.map(|port| ("PORT".to_owned(), port.to_string()))),
    }
    let (user, group) = application.user();
    if let Some(credentials) = users::resolve(user.as_ref(), group.as_ref())? {
        // It is exec that follows: nothing of us goes on as that user.
        credentials.assume()?;
    }
    let words = resolve(&run.words, |name| entry(name).map(|entry| entry.command.clone()));
    Err(exec(&words, &application.root, &env))
}

/// The program and the arguments that `words` mean; `lookup` finds the command of a process type.
pub(crate) fn resolve(words: &[OsString], lookup: impl Fn(&str) -> Option<String>) -> Vec<OsString> {
    let [word] = words else { return words.to_vec() };
    let named = word.to_str().and_then(lookup);
    // A command of a Procfile is always a shell's to read; a file's name may have blanks in it only
    // where it is one.
    match named {
        Some(line) => shell(line.into()),
        None if is_program(word) || Path::new(word).is_file() => words.to_vec(),
        None => shell(word.clone()),
    }
}

fn shell(line: OsString) -> Vec<OsString> {
    vec!["/bin/sh".into(), "-c".into(), line]
}

/// Whether a shell would do nothing with the word but execute it. What is no text is no shell's syntax either.
fn is_program(word: &OsStr) -> bool {
    word.to_str().is_none_or(|word| !word.contains([' ', '\t']) && words::is_plain(word))
}

/// Becomes the program: returns only where that is not possible.
///
/// `env` is added to the environment. Signals are as the shell that started us had them: the
/// standard library, which ignores SIGPIPE in this process, puts that back.
pub(crate) fn exec(words: &[OsString], root: &Path, env: &[(String, String)]) -> Failure {
    let Some((program, args)) = words.split_first() else { return Failure::usage("COMMAND is missing") };
    // With the rights of the user it runs as, who may lack them here.
    if let Err(e) = std::env::set_current_dir(root) {
        return Failure::new(Code::Child(126), format!("cannot enter '{}': {e}", root.display()));
    }
    let error = Program::new(program).args(args).envs(env.iter().map(|(name, value)| (name, value))).exec();
    // As a shell would say it.
    let code = if error.kind() == io::ErrorKind::NotFound { 127 } else { 126 };
    Failure::new(Code::Child(code), format!("cannot run `{}`: {error}", program.to_string_lossy()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use gaffer::cli::Asked;

    fn os(words: &[&str]) -> Vec<OsString> {
        words.iter().map(Into::into).collect()
    }

    #[test]
    fn everything_after_the_command_is_its_own() {
        let Ok(Asked::Run(run)) = command().parse(os(&["-e", "x.env", "ls", "-e", "--json", "--", "-h"])) else {
            panic!("a command")
        };
        assert_eq!(run.app.env_files, [Path::new("x.env")]);
        assert_eq!(run.words, os(&["ls", "-e", "--json", "--", "-h"]));
        let Ok(Asked::Run(run)) = command().parse(os(&["--", "-x"])) else { panic!("a command") };
        assert_eq!(run.words, os(&["-x"]));
        let failure = command().parse(os(&["-e", "x.env"])).expect_err("no command");
        assert!(failure.to_string().starts_with("COMMAND is missing"), "{failure}");
    }

    #[test]
    fn what_words_mean() {
        let procfile = |name: &str| (name == "web").then(|| "serve $PORT".to_owned());
        for (words, want) in [
            (&["ls"][..], &["ls"][..]),
            (&["ls", "-l"], &["ls", "-l"]),
            (&["web"], &["/bin/sh", "-c", "serve $PORT"]),
            (&["web", "x"], &["web", "x"]),
            (&["echo $HOME"], &["/bin/sh", "-c", "echo $HOME"]),
            (&["a b", "c"], &["a b", "c"]),
            (&["cd"], &["/bin/sh", "-c", "cd"]),
            (&["A=1"], &["/bin/sh", "-c", "A=1"]),
        ] {
            assert_eq!(resolve(&os(words), procfile), os(want), "{words:?}");
        }
    }

    #[test]
    fn what_cannot_be_run_is_said_as_shells_say_it() {
        // The folder of this process becomes it, so it is the one it has.
        let here = std::env::current_dir().expect("a folder");
        let failure = exec(&os(&["/nonexistent/program"]), &here, &[]);
        assert_eq!(failure.code(), Code::Child(127));
        assert!(failure.to_string().starts_with("cannot run `/nonexistent/program`: No such file"), "{failure}");
        assert_eq!(exec(&os(&["/"]), &here, &[]).code(), Code::Child(126));
    }
}
