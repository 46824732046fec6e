//! The options that say which application is meant and how it looks.

use std::path::PathBuf;
use std::time::Duration;

use gaffer::cli::{ColorChoice, Command, Failure, Opt, Value, parse_duration};
use gaffer::client::attached_socket;
use gaffer::config::{Application, Concurrency, Options};
use gaffer::process::{Flapping, JobConfig};

/// Which application: its Procfile, its folder, its variables.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct App {
    /// `-f`.
    pub(crate) procfile: Option<PathBuf>,
    /// `-d`.
    pub(crate) root: Option<PathBuf>,
    /// `-e`, in order.
    pub(crate) env_files: Vec<PathBuf>,
    /// `--env-override`.
    pub(crate) env_override: bool,
    /// `--lenient`.
    pub(crate) lenient: bool,
    /// `-p`.
    pub(crate) port: Option<u16>,
}

impl Default for App {
    fn default() -> Self {
        Self { procfile: None, root: None, env_files: Vec::new(), env_override: true, lenient: false, port: None }
    }
}

impl App {
    /// Reads the application's files, and says on standard error what somebody should look at.
    pub(crate) fn load(&self, procfile_optional: bool) -> Result<(Application, Vec<String>), Failure> {
        let mut options = self.where_it_is();
        options.env_files.clone_from(&self.env_files);
        options.env_override = self.env_override;
        options.lenient = self.lenient;
        options.port = self.port;
        options.procfile_optional = procfile_optional;
        Ok(Application::load(&options, |name| std::env::var(name).ok())?)
    }

    /// The session that the application has, without reading it, and whether it has a Procfile.
    pub(crate) fn session(&self) -> Result<(String, bool), Failure> {
        Ok(Application::session_of(&self.where_it_is())?)
    }

    /// The socket of a `gaffer start` of the application, if it runs.
    pub(crate) fn attached(&self) -> Option<PathBuf> {
        let root = Application::root_of(&self.where_it_is()).ok()?;
        attached_socket(root, &self.session().ok()?.0)
    }

    fn where_it_is(&self) -> Options {
        let mut options = Options::default();
        options.procfile.clone_from(&self.procfile);
        options.root.clone_from(&self.root);
        options
    }
}

/// The jobs of the types in `only`, or of all; `concurrency` has the values of `-c`, each adding to
/// those before.
pub(crate) fn jobs(
    application: &Application,
    concurrency: &[String],
    only: &[String],
) -> Result<Vec<JobConfig>, Failure> {
    let usage = |e: gaffer::Error| Failure::usage(e.to_string());
    let mut numbers = Concurrency::default();
    for value in concurrency {
        numbers.add(value).map_err(usage)?;
    }
    if !application.entries.is_empty() {
        application.check_names(&numbers, only).map_err(usage)?;
    }
    let jobs = application.jobs(&numbers, only)?;
    if jobs.iter().all(|job| job.numprocesses == 0) {
        return Err(Failure::usage("nothing to run: every program has 0 processes"));
    }
    Ok(jobs)
}

/// Adds all options of [`App`] to a command.
pub(crate) fn options<T: AsMut<App>>(command: Command<T>) -> Command<T> {
    variables(place(command))
        .option(
            Opt::value("port", "PORT", "The port of the first process of the first type.")
                .short('p')
                .default("PORT of .env or of the environment, else 5000"),
            |a, v| set(&mut a.as_mut().port, Some(v.read(port)?)),
        )
        .option(Opt::switch("lenient", "Skip lines of the Procfile that make no sense, with a warning."), |a, _| {
            set(&mut a.as_mut().lenient, true)
        })
}

/// Adds those that say where the application is.
pub(crate) fn place<T: AsMut<App>>(command: Command<T>) -> Command<T> {
    command
        .option(
            Opt::value("procfile", "FILE", "The Procfile.").short('f').default("Procfile").aliases(&["file"]),
            |a, v| set(&mut a.as_mut().procfile, Some(v.path())),
        )
        .option(
            Opt::value("root", "DIR", "The folder the programs run in.")
                .short('d')
                .default("that of the Procfile")
                .aliases(&["dir", "directory"]),
            |a, v| set(&mut a.as_mut().root, Some(v.path())),
        )
}

/// Adds those that say which variables it has.
pub(crate) fn variables<T: AsMut<App>>(command: Command<T>) -> Command<T> {
    command
        .option(
            Opt::value("env", "FILE", "A file of variables. May be repeated; later ones win.")
                .short('e')
                .default(".env in DIR, if there is one"),
            |a, v| {
                a.as_mut().env_files.push(v.path());
                Ok(())
            },
        )
        .option(
            Opt::maybe("env-override", "BOOL", "Whether the files of variables win over the environment.")
                .default("true"),
            |a, v| set(&mut a.as_mut().env_override, v.boolean()?),
        )
}

/// `-c`, for the commands that start more than one process.
pub(crate) fn concurrency() -> Opt {
    Opt::value("concurrency", "NAME=N,...", "So many processes of these types; `all` is all that are not named.")
        .short('c')
        // foreman's and overmind's.
        .aliases(&["m", "formation"])
        .default("all=1")
}

/// When to use colours, and where else the choice can be made.
pub(crate) fn color() -> Opt {
    Opt::value("color", "WHEN", "auto, always or never; auto heeds NO_COLOR and CLICOLOR_FORCE.").default("auto")
}

pub(crate) fn set<T>(field: &mut T, value: T) -> Result<(), Failure> {
    *field = value;
    Ok(())
}

pub(crate) fn set_color(field: &mut ColorChoice, value: Value) -> Result<(), Failure> {
    set(field, value.parse()?)
}

fn port(text: &str) -> Result<u16, &'static str> {
    text.parse().ok().filter(|port| *port > 0).ok_or("expected 1 to 65535")
}

/// Reads `attempts,window,retry_in,max_retry`, with commas or blanks between them.
pub(crate) fn flapping(text: &str) -> Result<Flapping, String> {
    let words: Vec<&str> = text.split([',', ' ']).filter(|word| !word.is_empty()).collect();
    let [attempts, window, retry_in, max_retry] = words[..] else {
        return Err("expected four values: attempts,window,retry_in,max_retry (2,1,7,5)".to_owned());
    };
    let count =
        |name: &str, word: &str| word.parse::<u32>().map_err(|_| format!("{name} `{word}`: expected a whole number"));
    let time = |name: &str, word: &str| -> Result<Duration, String> {
        parse_duration(word).map_err(|why| format!("{name} `{word}`: {why}"))
    };
    let attempts = count("attempts", attempts)?;
    if attempts == 0 {
        return Err("attempts `0`: expected 1 or more".to_owned());
    }
    Ok(Flapping::new(attempts, time("window", window)?, time("retry_in", retry_in)?, count("max_retry", max_retry)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flapping_rules() {
        let seconds = Duration::from_secs;
        for text in ["2,1,7,5", "2, 1., 7., 5", "2 1 7 5", "2,1s,7000ms,5"] {
            assert_eq!(flapping(text), Ok(Flapping::new(2, seconds(1), seconds(7), 5)), "{text}");
        }
        for (text, why) in [
            ("", "four values"),
            ("2,1,7", "four values"),
            ("2,1,7,5,9", "four values"),
            ("0,1,7,5", "1 or more"),
            ("-1,1,7,5", "attempts `-1`"),
            ("2,x,7,5", "window `x`"),
            ("2,1,-7,5", "retry_in `-7`"),
            ("2,1,7,5.5", "max_retry `5.5`"),
        ] {
            let message = flapping(text).expect_err(text);
            assert!(message.contains(why), "{text}: {message}");
        }
    }
}
