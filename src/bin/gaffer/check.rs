//! `gaffer check`: what would run.

use gaffer::cli::{self, Code, Command, Failure, Opt};
use gaffer::manager::Supervisor;
use gaffer::words;
use serde_json::{Value, json};

use crate::app::{self, App, set};

/// What `gaffer check` is asked to do.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Check {
    /// Which application.
    pub(crate) app: App,
    /// The values of `-c`, in order.
    pub(crate) concurrency: Vec<String>,
    /// `--json`.
    pub(crate) json: bool,
}

impl AsMut<App> for Check {
    fn as_mut(&mut self) -> &mut App {
        &mut self.app
    }
}

/// The table of `gaffer check`.
pub(crate) fn command() -> Command<Check> {
    app::options(Command::new("check", "Read the Procfile and the variables, and print what would run."))
        .option(app::concurrency(), |a: &mut Check, v| {
            a.concurrency.push(v.string()?);
            Ok(())
        })
        .option(Opt::switch("json", "One JSON object instead of text."), |a, _| set(&mut a.json, true))
}

/// Reads the application as `start` does, and prints what it would run.
pub(crate) fn check(check: &Check) -> Result<Code, Failure> {
    let (application, warnings) = check.app.load(false)?;
    let jobs = app::jobs(&application, &check.concurrency, &[])?;
    let mut programs = Vec::new();
    for job in &jobs {
        // What is refused at start is refused here.
        let argv = Supervisor::resolve(job)?.into_iter().map(|word| word.to_string_lossy().into_owned()).collect();
        programs.push(Planned {
            name: job.name.label().to_owned(),
            argv,
            processes: job.numprocesses,
            port: job.port.unwrap_or_default(),
        });
    }
    let differs = |(name, value): &(String, String)| {
        let was = std::env::var_os(name).map(|was| was.to_string_lossy().into_owned());
        (was.as_ref() != Some(value)).then(|| (name.clone(), was, value.clone()))
    };
    let env = application.env.iter().filter_map(differs).collect();
    let plan = Plan { root: application.root.display().to_string(), programs, env, warnings };
    cli::print(if check.json { plan.json() } else { plan.text() })?;
    Ok(Code::Ok)
}

/// What would run.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    /// The folder.
    pub(crate) root: String,
    /// The process types in the order of the Procfile.
    pub(crate) programs: Vec<Planned>,
    /// The variables that differ from the environment: name, what it was there, what it would be.
    pub(crate) env: Vec<(String, Option<String>, String)>,
    /// What somebody should look at.
    pub(crate) warnings: Vec<String>,
}

/// A process type that would run.
#[derive(Debug)]
pub(crate) struct Planned {
    /// Its name.
    pub(crate) name: String,
    /// The program and its arguments, as the first process would get them.
    pub(crate) argv: Vec<String>,
    /// How many processes.
    pub(crate) processes: u32,
    /// The port of the first.
    pub(crate) port: u16,
}

impl Plan {
    /// For people.
    pub(crate) fn text(&self) -> String {
        let mut out = format!("Programs, in {}:\n", self.root);
        for program in &self.programs {
            let Planned { name, argv, processes, port } = program;
            let last = u32::from(*port) + processes.saturating_sub(1);
            let count = match processes {
                0 => "no process".to_owned(),
                1 => format!("1 process, port {port}"),
                _ => format!("{processes} processes, ports {port} to {last}"),
            };
            let argv: Vec<_> = argv.iter().map(|word| words::show(word)).collect();
            out.push_str(&format!("  {name}: {count}\n    {}\n", argv.join(" ")));
        }
        if !self.env.is_empty() {
            out.push_str("\nVariables:\n");
        }
        for (name, was, value) in &self.env {
            let was = was.as_ref().map(|was| format!("    (was {})", words::show(was))).unwrap_or_default();
            out.push_str(&format!("  {name}={}{was}\n", words::show(value)));
        }
        if !self.warnings.is_empty() {
            out.push_str("\nWarnings:\n");
        }
        for warning in &self.warnings {
            out.push_str(&format!("  {warning}\n"));
        }
        out
    }

    /// For programs.
    pub(crate) fn json(&self) -> String {
        let programs: Vec<Value> = self
            .programs
            .iter()
            .map(|p| json!({"name": p.name, "argv": p.argv, "processes": p.processes, "port": p.port}))
            .collect();
        let env: Vec<Value> =
            self.env.iter().map(|(name, was, value)| json!({"name": name, "was": was, "value": value})).collect();
        let plan = json!({"root": self.root, "programs": programs, "env": env, "warnings": self.warnings});
        format!("{plan}\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gaffer::cli::Asked;

    #[test]
    fn flags() {
        let args = ["-f", "P", "--json", "-c", "web=2"].map(Into::into);
        let Ok(Asked::Run(check)) = command().parse(args) else { panic!("a check") };
        assert_eq!(check.app.procfile, Some("P".into()));
        assert_eq!((check.json, check.concurrency), (true, vec!["web=2".to_owned()]));
        assert!(command().parse(["web".into()]).is_err());
    }

    fn plan() -> Plan {
        let planned = |name: &str, argv: &[&str], processes, port| Planned {
            name: name.to_owned(),
            argv: argv.iter().map(|word| (*word).to_owned()).collect(),
            processes,
            port,
        };
        Plan {
            root: "/srv/shop".to_owned(),
            programs: vec![
                planned("web", &["/bin/sh", "-c", "serve $PORT | tee 'log'"], 2, 5000),
                planned("worker", &["work", "--all", ""], 1, 5100),
                planned("clock", &["tick"], 0, 5200),
            ],
            env: vec![
                ("A".to_owned(), None, "new one".to_owned()),
                ("B".to_owned(), Some("old".to_owned()), "new".to_owned()),
            ],
            warnings: vec!["Procfile:3: skipped".to_owned()],
        }
    }

    #[test]
    fn as_text() {
        let want = r"Programs, in /srv/shop:
  web: 2 processes, ports 5000 to 5001
    /bin/sh -c 'serve $PORT | tee '\''log'\'''
  worker: 1 process, port 5100
    work --all ''
  clock: no process
    tick

Variables:
  A='new one'
  B=new    (was old)

Warnings:
  Procfile:3: skipped
";
        assert_eq!(plan().text(), want);
    }

    #[test]
    fn as_json() {
        let value: Value = serde_json::from_str(&plan().json()).expect("JSON");
        assert_eq!(
            value["programs"][0],
            json!({"name": "web", "argv": ["/bin/sh", "-c", "serve $PORT | tee 'log'"], "processes": 2, "port": 5000})
        );
        assert_eq!(value["env"][1], json!({"name": "B", "was": "old", "value": "new"}));
        assert_eq!(value["warnings"][0], "Procfile:3: skipped");
    }
}
