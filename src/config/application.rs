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
mod tests {
    use super::*;
    use std::fs;
    use std::sync::atomic::{AtomicU32, Ordering};

    /// A folder of files that goes when the test ends.
    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str, files: &[(&str, &str)]) -> Self {
            static NEXT: AtomicU32 = AtomicU32::new(0);
            let unique = format!("gaffer-application-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
            let folder = Self(std::env::temp_dir().join(unique).join(name));
            fs::create_dir_all(&folder.0).expect("temporary folder");
            for (file, text) in files {
                fs::write(folder.0.join(file), text).expect("temporary file");
            }
            folder
        }

        fn options(&self) -> Options {
            Options { root: Some(self.0.clone()), ..Options::default() }
        }

        fn load(&self) -> Result<(Application, Vec<String>)> {
            Application::load(&self.options(), |_| None)
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(self.0.parent().expect("made with a parent"));
        }
    }

    fn pairs(vars: &[(&str, &str)]) -> Vec<(String, String)> {
        vars.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect()
    }

    #[test]
    fn jobs_of_a_procfile() {
        let folder = Folder::new(
            "my.shop",
            &[
                ("Procfile", "web: server -p $PORT\nworker: work --fast\nclock: tick\n"),
                (
                    ".env",
                    "GAFFER_UID=1000\nGAFFER_GID=www\nGAFFER_REDIRECT_INPUT='worker clock'\nA=1\nPORT=6000\nPS=x\n",
                ),
            ],
        );
        let (app, warnings) = folder.load().expect("loads");
        assert_eq!((app.session.as_str(), app.port, warnings), ("my-shop", 6000, vec![]));
        assert!(app.is_port_given());
        assert_eq!(app.root, folder.0);

        let concurrency = Concurrency::parse("web=2,worker=0").expect("valid");
        let jobs = app.jobs::<&str>(&concurrency, &[]).expect("jobs");
        let found: Vec<_> = jobs.iter().map(|j| (j.name.as_str(), j.shell, j.numprocesses, j.port)).collect();
        let want = [
            ("my-shop.web", true, 2, Some(6000)),
            ("my-shop.worker", false, 0, Some(6100)),
            ("my-shop.clock", false, 1, Some(6200)),
        ];
        assert_eq!(found, want);
        assert_eq!(jobs.iter().map(|j| j.redirect_input).collect::<Vec<_>>(), [false, true, true]);
        let web = &jobs[0];
        assert_eq!((web.cmd.as_str(), web.cwd.as_deref()), ("server -p $PORT", Some(&*folder.0)));
        assert_eq!(
            (web.uid.clone(), web.gid.clone()),
            (Some(UserRef::Id(1000)), Some(UserRef::Name("www".to_owned())))
        );
        assert!(web.ps && web.os_env);
        assert_eq!(web.redirect_output, ["out", "err"]);
        assert_eq!(web.env.get("A").map(String::as_str), Some("1"));
        assert!(!web.env.contains_key("PORT") && !web.env.contains_key("PS"), "{:?}", web.env);

        let jobs = app.jobs(&concurrency, &["clock"]).expect("jobs");
        assert_eq!((jobs.len(), jobs[0].port), (1, Some(6200)), "types that are left out keep their ports");
    }

    #[test]
    fn unknown_names_are_refused_with_the_nearest() {
        let folder = Folder::new("app", &[("Procfile", "web: a\nworker: b\n")]);
        let (mut app, _) = folder.load().expect("loads");
        let none = Concurrency::default();
        let e = app.jobs(&none, &["web", "wroker"]).expect_err("unknown");
        assert_eq!(e.kind(), ErrorKind::NotFound);
        assert_eq!(e.to_string(), "the Procfile has no process type `wroker`; did you mean `worker`?");
        let e = app.jobs::<&str>(&Concurrency::parse("wep=1").expect("valid"), &[]).expect_err("unknown");
        assert!(e.to_string().ends_with("did you mean `web`?"), "{e}");
        app.env = pairs(&[("GAFFER_REDIRECT_INPUT", "nothing")]);
        let e = app.jobs::<&str>(&none, &[]).expect_err("unknown");
        assert_eq!(e.to_string(), "GAFFER_REDIRECT_INPUT: the Procfile has no process type `nothing`");
    }

    #[test]
    fn ports_and_labels_have_their_limits() {
        let folder = Folder::new("app", &[("Procfile", "web: a\nworker: b\n\n12: c\n")]);
        let mut options = folder.options();
        options.port = Some(65400);
        let (mut app, _) = Application::load(&options, |_| None).expect("loads");
        let e = app.jobs(&Concurrency::parse("worker=37").expect("valid"), &["worker"]).expect_err("too high");
        assert!(
            e.to_string().ends_with("`worker` would get the ports 65500 to 65536, but the last port is 65535"),
            "{e}"
        );
        assert!(app.jobs(&Concurrency::parse("worker=36").expect("valid"), &["worker"]).is_ok());
        assert!(app.jobs(&Concurrency::parse("worker=4294967295").expect("valid"), &["worker"]).is_err());
        app.port = 5000;
        let e = app.jobs(&Concurrency::default(), &["12"]).expect_err("no label");
        assert!(e.to_string().contains("Procfile:4: invalid job name \"12\""), "{e}");
    }

    #[test]
    fn files_and_the_environment() {
        let folder = Folder::new(
            "app",
            &[
                ("Procfile", "web: a\n"),
                (".env", "A=default\n"),
                ("one.env", "A=one\nB=$A-$REAL\nPORT=7000\n"),
                ("two.env", "A=two\nC=$B+$A\nREAL=file\n"),
            ],
        );
        let real = |name: &str| match name {
            "REAL" => Some("real".to_owned()),
            "PORT" => Some("8000".to_owned()),
            _ => None,
        };
        let (app, _) = Application::load(&folder.options(), real).expect("loads");
        assert_eq!((app.env, app.port), (pairs(&[("A", "default")]), 8000));

        let mut options = folder.options();
        options.env_files = vec![folder.0.join("one.env"), folder.0.join("two.env")];
        let (app, _) = Application::load(&options, real).expect("loads");
        let want = [("A", "two"), ("B", "one-real"), ("PORT", "7000"), ("C", "one-real+two"), ("REAL", "file")];
        assert_eq!((app.env, app.port), (pairs(&want), 7000));

        options.env_override = false;
        let (app, _) = Application::load(&options, real).expect("loads");
        let want = [("A", "two"), ("B", "one-real"), ("C", "one-real+two")];
        assert_eq!((app.env, app.port), (pairs(&want), 8000));

        options.port = Some(9000);
        assert_eq!(Application::load(&options, real).expect("loads").0.port, 9000);

        options.env_files.push(folder.0.join("none.env"));
        let e = Application::load(&options, real).expect_err("missing");
        assert_eq!(e.kind(), ErrorKind::NotFound);
        assert!(e.to_string().contains("none.env: No such file"), "{e}");

        let e = Application::load(&folder.options(), |_| Some("http".to_owned())).expect_err("no port");
        assert_eq!(e.to_string(), "invalid PORT \"http\" in the environment: expected 1 to 65535");
    }

    #[test]
    fn the_root_is_the_folder_of_the_procfile() {
        let folder = Folder::new("2026", &[("Procfile.dev", "web: a\n"), (".env", "A=1\n")]);
        let mut options = Options { procfile: Some(folder.0.join("Procfile.dev")), ..Options::default() };
        let (app, _) = Application::load(&options, |_| None).expect("loads");
        assert_eq!((&app.root, app.session.as_str(), app.env.len()), (&folder.0, "app-2026", 1));
        options.root = Some(PathBuf::from("/"));
        let (app, _) = Application::load(&options, |_| None).expect("loads");
        assert_eq!((app.root.as_path(), app.session.as_str()), (Path::new("/"), "app"));

        for (root, procfile, kind) in [
            (Some("/nonexistent"), None, ErrorKind::NotFound),
            (None, Some("/nonexistent/Procfile"), ErrorKind::NotFound),
            (Some("/dev/null"), None, ErrorKind::Invalid),
        ] {
            options.root = root.map(PathBuf::from);
            options.procfile = procfile.map(PathBuf::from);
            assert_eq!(Application::load(&options, |_| None).expect_err("no root").kind(), kind, "{root:?}");
        }
    }

    #[test]
    fn faults_of_files_have_their_place() {
        let folder = Folder::new("app", &[("Procfile", "web: sh -c 'a\nworker: b # don't\nnonsense\n")]);
        let place = folder.0.join("Procfile").display().to_string();
        let e = folder.load().expect_err("nonsense");
        assert!(e.to_string().starts_with(&format!("{place}:3:9: expected `name: command`")), "{e}");
        let mut options = folder.options();
        options.lenient = true;
        let (app, warnings) = Application::load(&options, |_| None).expect("lenient");
        assert_eq!(app.entries.len(), 2);
        assert!(warnings[0].starts_with(&format!("{place}:3:9: ")), "{warnings:?}");
        let quote = format!("{place}:1:12: this single quote is never closed, so the shell will refuse the command");
        assert_eq!(warnings[1..], [quote]);

        fs::write(folder.0.join("Procfile"), b"web: a\n\xc3\xa9\xff").expect("written");
        assert_eq!(folder.load().expect_err("not UTF-8").to_string(), format!("{place}:2:2: this is not UTF-8"));
        fs::write(folder.0.join("Procfile"), vec![b'#'; crate::config::MAX_FILE as usize + 1]).expect("written");
        assert!(folder.load().expect_err("too large").to_string().contains("larger than 1048576 bytes"));
    }
}
