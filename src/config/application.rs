//! A Procfile application: its files put together, and the jobs they make.

use std::path::{Path, PathBuf};

use super::files::read;
use super::{Concurrency, Dotenv, Entry, Expand, Procfile};
use crate::process::{JobConfig, JobName, UserRef};
use crate::suggest::hint;
use crate::words;
use crate::{Error, ErrorKind, Result};

/// The base port where nobody says another.
const BASE_PORT: u16 = 5000;

/// Ports from one process type to the next.
const PORTS_PER_TYPE: usize = 100;

/// Where an application is and how to read it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Options {
    /// The Procfile. Default `Procfile` in the root.
    pub procfile: Option<PathBuf>,
    /// The folder the programs run in. Default: the folder of the Procfile, which is the current one where neither is
    /// given or the Procfile is no regular file.
    pub root: Option<PathBuf>,
    /// Files of variables, later ones winning. Default: `.env` in the root, if there is one.
    pub env_files: Vec<PathBuf>,
    /// Whether the files win over the real environment. Default true.
    pub env_override: bool,
    /// Skip what is not understood in the Procfile, with a warning, instead of refusing it. Default false.
    pub lenient: bool,
    /// Take a missing `Procfile` in the root for an empty one: only the variables are wanted. Default false.
    pub procfile_optional: bool,
    /// The base port. Default: `PORT` of the `.env` files or of the environment, else 5000.
    pub port: Option<u16>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            procfile: None,
            root: None,
            env_files: Vec::new(),
            env_override: true,
            lenient: false,
            procfile_optional: false,
            port: None,
        }
    }
}

/// A Procfile, the variables that go with it, and where it runs.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Application {
    /// The folder the programs run in, absolute.
    pub root: PathBuf,
    /// The session of its jobs: the name of the root, with `-` for what a session's name cannot have.
    pub session: String,
    /// The process types in the order of their lines.
    pub entries: Vec<Entry>,
    /// The variables of the `.env` files, merged. Those that lose to the real environment are left out.
    pub env: Vec<(String, String)>,
    /// The base port: the first process of the first type gets it.
    pub port: u16,
    /// Whether somebody has said that.
    port_given: bool,
    /// The Procfile, as messages name it.
    origin: String,
}

impl Application {
    /// Reads the Procfile and the `.env` files; returns the application and the warnings to show.
    ///
    /// `environment` looks a variable of the real environment up. The Procfile's folder is the root even where the Procfile
    /// is given and the root is not, as in gaffer 0.4 (0.5.2 ran everything in the current folder then). Paths are relative
    /// to the current folder, the two defaults to the root. The variables in a `.env` file come from its earlier lines,
    /// from the files before it, and from the real environment, which comes first where it wins.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`] where the Procfile, the root or a named file of variables is missing; other kinds where a
    /// file cannot be read; [`ErrorKind::Invalid`] for what the parsers refuse, a file that is not UTF-8 or larger
    /// than [`MAX_FILE`](super::MAX_FILE), and a `PORT` that is no port.
    pub fn load(options: &Options, environment: impl Fn(&str) -> Option<String>) -> Result<(Self, Vec<String>)> {
        load(options, &environment)
    }

    /// The session that the application there has, without reading it, and whether it has a Procfile.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`] where the root is missing, or a Procfile that `options` names.
    pub fn session_of(options: &Options) -> Result<(String, bool)> {
        let (root, procfile) = place(options)?;
        let found = procfile.exists();
        if !found && options.procfile.is_some() {
            let what = format!("procfile '{}' not found", procfile.display());
            return Err(Error::new(ErrorKind::NotFound, what));
        }
        Ok((session_name(&absolute(&root)?), found))
    }

    /// The [`root`](Self::root) that the application has, without reading it.
    ///
    /// # Errors
    ///
    /// There is no such folder.
    pub fn root_of(options: &Options) -> Result<PathBuf> {
        absolute(&place(options)?.0)
    }

    /// The jobs of the types named in `only`, or of all, in the order of the Procfile.
    ///
    /// A job has as many processes as `concurrency` says (none is possible, for a later scale) and the label of its type. A
    /// [plain](words::is_plain) command is executed directly, any other by `/bin/sh -c`, as it is written: shells
    /// replace themselves by a last command on their own, and a stop goes to the process group. The working folder is the
    /// root, the output goes to the streams `out` and `err`, `PS` and `PORT` are set: the port of a type is the base port
    /// plus 100 for each type before it (whether or not that one is among the jobs), plus one for each instance before
    /// this one; with more than 100 instances they run into the next type's.
    ///
    /// `GAFFER_UID` and `GAFFER_GID` of the `.env` files are the jobs' user and group (name or number; empty is none), and
    /// `GAFFER_REDIRECT_INPUT` has the names, blanks between them, of the types whose standard input is kept open.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`] for a name the Procfile does not have, in any of the three places, with the nearest one;
    /// [`ErrorKind::Invalid`] for a Procfile without any, a type that cannot be a job's label (digits alone) or whose ports go beyond 65535.
    pub fn jobs<S: AsRef<str>>(&self, concurrency: &Concurrency, only: &[S]) -> Result<Vec<JobConfig>> {
        if self.entries.is_empty() {
            return Err(Error::new(ErrorKind::Invalid, format!("{}: there is no program in it", self.origin)));
        }
        self.check_names(concurrency, only)?;
        let redirected: Vec<&str> =
            self.variable("GAFFER_REDIRECT_INPUT").unwrap_or_default().split_ascii_whitespace().collect();
        self.known("GAFFER_REDIRECT_INPUT: ", redirected.iter().copied())?;
        let wanted = |entry: &Entry| only.is_empty() || only.iter().any(|name| name.as_ref() == entry.name);
        let entries = self.entries.iter().enumerate().filter(|(_, entry)| wanted(entry));
        entries.map(|(nth, entry)| self.job(nth, entry, concurrency.of(&entry.name), &redirected)).collect()
    }

    /// Refuses names that the Procfile does not have, as [`jobs`](Self::jobs) does: those are mistakes of whoever asked,
    /// not of the files.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`] with the nearest name.
    pub fn check_names<S: AsRef<str>>(&self, concurrency: &Concurrency, only: &[S]) -> Result<()> {
        let known: Vec<&str> = self.entries.iter().map(|e| e.name.as_str()).collect();
        concurrency.check(&known)?;
        self.known("", only.iter().map(AsRef::as_ref))
    }

    fn known<'a>(&self, of: &str, mut names: impl Iterator<Item = &'a str>) -> Result<()> {
        let known = || self.entries.iter().map(|e| e.name.as_str());
        names.find(|name| known().all(|k| k != *name)).map_or(Ok(()), |name| {
            let what = format!("{of}the Procfile has no process type `{name}`{}", hint(name, known()));
            Err(Error::new(ErrorKind::NotFound, what))
        })
    }

    fn job(&self, nth: usize, entry: &Entry, count: u32, redirected: &[&str]) -> Result<JobConfig> {
        let name = JobName::new(&self.session, &entry.name).map_err(|e| self.fail(entry, &e))?;
        let first = usize::from(self.port) + PORTS_PER_TYPE * nth;
        let last = first.saturating_add((count as usize).saturating_sub(1));
        let port = u16::try_from(first).ok().filter(|_| last <= usize::from(u16::MAX)).ok_or_else(|| {
            let what = format!("`{}` would get the ports {first} to {last}, but the last port is 65535", entry.name);
            self.fail(entry, &what)
        })?;
        let mut job = JobConfig::named(name, entry.command.clone());
        job.shell = !words::is_plain(&entry.command);
        job.cwd = Some(self.root.clone());
        job.numprocesses = count;
        job.port = Some(port);
        job.ps = true;
        job.redirect_output = vec!["out".to_owned(), "err".to_owned()];
        job.redirect_input = redirected.contains(&entry.name.as_str());
        (job.uid, job.gid) = self.user();
        job.env = self.variables().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        Ok(job)
    }

    /// Whether the base port was asked for, by the options, by a file of variables or by the environment, and is not 5000 for want
    /// of anything better.
    #[must_use]
    pub const fn is_port_given(&self) -> bool {
        self.port_given
    }

    /// The user and the group its programs run as: `GAFFER_UID` and `GAFFER_GID` of the `.env` files.
    #[must_use]
    pub fn user(&self) -> (Option<UserRef>, Option<UserRef>) {
        let user = |name| self.variable(name).map(UserRef::from);
        (user("GAFFER_UID"), user("GAFFER_GID"))
    }

    /// The variables of the `.env` files that every process gets: all but `PORT`, which is the base there and not the
    /// port of a process, and `PS`, which is its name.
    pub fn variables(&self) -> impl Iterator<Item = (&str, &str)> {
        let own = self.env.iter().filter(|(name, _)| name != "PORT" && name != "PS");
        own.map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// A variable of the files that is not empty.
    fn variable(&self, name: &str) -> Option<&str> {
        let value = self.env.iter().find(|(n, _)| n == name).map(|(_, value)| value.trim());
        value.filter(|value| !value.is_empty())
    }

    fn fail(&self, entry: &Entry, what: &dyn std::fmt::Display) -> Error {
        Error::new(ErrorKind::Invalid, format!("{}:{}: {what}", self.origin, entry.line))
    }
}

/// The root and the Procfile, as messages name them.
fn place(options: &Options) -> Result<(PathBuf, PathBuf)> {
    let root = match (&options.root, &options.procfile) {
        (Some(root), _) => root,
        // The output of a command, `-f <(...)`, is in no folder.
        (None, Some(procfile)) if procfile.is_file() => procfile.parent().unwrap_or(Path::new("")),
        (None, _) => Path::new(""),
    };
    let root = if root.as_os_str().is_empty() { Path::new(".") } else { root };
    let metadata = root.metadata().map_err(|e| Error::io(format!("root {}", root.display()), e))?;
    if !metadata.is_dir() {
        return Err(Error::new(ErrorKind::Invalid, format!("root {} is not a folder", root.display())));
    }
    let procfile = options.procfile.clone().unwrap_or_else(|| in_root(root, "Procfile"));
    Ok((root.to_owned(), procfile))
}

fn in_root(root: &Path, name: &str) -> PathBuf {
    if root == Path::new(".") { PathBuf::from(name) } else { root.join(name) }
}

fn load(options: &Options, environment: &dyn Fn(&str) -> Option<String>) -> Result<(Application, Vec<String>)> {
    let (root, path) = place(options)?;
    let origin = path.display().to_string();
    let text = match read(&path) {
        Err(e) if e.kind() == ErrorKind::NotFound && options.procfile_optional && options.procfile.is_none() => {
            String::new()
        }
        text => text?,
    };
    let procfile =
        if options.lenient { Procfile::parse_lenient(&text, &origin) } else { Procfile::parse(&text, &origin) }?;
    let mut warnings = procfile.warnings;
    warnings.extend(procfile.entries.iter().filter_map(|entry| open_quote(entry, &origin)));

    let mut env = Dotenv::default();
    let expand =
        if options.env_override { Expand::FileFirst(environment) } else { Expand::EnvironmentFirst(environment) };
    if options.env_files.is_empty() {
        let default = in_root(&root, ".env");
        match read(&default) {
            Err(e) if e.kind() == ErrorKind::NotFound => {}
            text => env.add(&text?, &default.display().to_string(), expand)?,
        }
    }
    for file in &options.env_files {
        env.add(&read(file)?, &file.display().to_string(), expand)?;
    }
    warnings.extend(env.warnings);
    let mut env = env.vars;
    if !options.env_override {
        env.retain(|(name, _)| environment(name).is_none());
    }
    let port = match options.port {
        Some(port) => Some(port),
        None => base_port(&env, environment)?,
    };
    let root = absolute(&root)?;
    let session = session_name(&root);
    let application = Application {
        root,
        session,
        entries: procfile.entries,
        env,
        port: port.unwrap_or(BASE_PORT),
        port_given: port.is_some(),
        origin,
    };
    Ok((application, warnings))
}

/// Says where a quote is left open: the shell that gets the command will refuse it. With a `#` it might be a comment's.
fn open_quote(entry: &Entry, origin: &str) -> Option<String> {
    let (column, what) = words::split_or_fault(&entry.command).err().filter(|_| !entry.command.contains('#'))?;
    Some(format!("{origin}:{}:{}: {what}, so the shell will refuse the command", entry.line, entry.column + column - 1))
}

fn base_port(env: &[(String, String)], environment: &dyn Fn(&str) -> Option<String>) -> Result<Option<u16>> {
    let file = env.iter().find(|(name, _)| name == "PORT").map(|(_, value)| value.clone());
    let Some(text) = file.or_else(|| environment("PORT")).filter(|text| !text.trim().is_empty()) else {
        return Ok(None);
    };
    text.trim().parse().ok().filter(|port| *port > 0).map(Some).ok_or_else(|| {
        Error::new(ErrorKind::Invalid, format!("invalid PORT {text:?} in the environment: expected 1 to 65535"))
    })
}

/// Symbolic links stay: `current` of a deployment is a better name than `20261121`.
fn absolute(root: &Path) -> Result<PathBuf> {
    let fail = |e| Error::io(format!("root {}", root.display()), e);
    let ends_in_name = root.file_name().is_some();
    if ends_in_name { std::path::absolute(root) } else { root.canonicalize() }.map_err(fail)
}

/// The name of the root, made what a session's name can be.
fn session_name(root: &Path) -> String {
    let name = root.file_name().unwrap_or_default().to_string_lossy();
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '+' | '-');
    let name: String = name.chars().map(|c| if allowed(c) { c } else { '-' }).collect();
    if name.is_empty() {
        "app".to_owned()
    } else if name.bytes().all(|b| b.is_ascii_digit()) {
        format!("app-{name}")
    } else {
        name
    }
}

#[cfg(test)]
mod tests;
