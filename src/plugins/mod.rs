//! Plugins: a folder each, with a site, a program, or both.
//!
//! ```text
//! plugins/
//!   console/_site/index.html     a site: /_plugin/console/
//!   docs/index.html              a site, too: there is no program
//!   scale/plugin.json            {"command": "./scale.py", "mandatory": ["console"]}
//!   scale/scale.py
//! ```
//!
//! [`find`] looks which there are, [`missing`] whether one wants another that is not there, and [`Plugins`] is the [`App`] that runs
//! their programs. Sites are served by the HTTP server, see [`Sites`](crate::server::site::Sites). In a Rust program
//! a plugin is an [`App`].
//!
//! # A program
//!
//! It is a job, `plugins.NAME`: started with the manager, seen in every list, started again when it ends, at a pace, and stopped like any
//! other; whatever it does, it is a process of its own. It runs in its plugin's folder.
//!
//! It speaks the protocol of the channel ([`Session`](crate::controller::Session)), one message a line: on its standard output
//! `SUB`, `UNSUB` and `CMD`, on its standard input answers and events. It may do whatever a client may. The first message tells
//! who it is and what its section of the configuration says:
//!
//! ```json
//! {"event": "gaffer:plugin", "data": {"name": "scale", "version": "0.1.0", "settings": {"job": "web"}}}
//! ```
//!
//! A line that is no message, or has more than [`MAX_MESSAGE`] bytes, is answered with `gaffer:error` and counted. What it writes
//! to standard error is [told](Notice::Stderr).
//!
//! # Bounds
//!
//! For a program that does not read, 1 MiB of events wait; beyond that some are left out, and a `gaffer:gap` says how many.
//! One that does not read its answers is not listened to: its next message waits until it does.

#![forbid(unsafe_code)]

mod find;
mod link;
mod manifest;

use std::any::Any;
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Map, json};

pub(crate) use find::site;
pub use find::{Plugin, SESSION, find, missing};
pub use link::MAX_MESSAGE;
pub use manifest::Manifest;

use link::{Link, Told, Wake};

use crate::manager::{App, Cx, Flow, StreamChunk, StreamData, StreamSelector, Taken, TapId};
use crate::process::{Event, JobConfig, JobName, Pid, What};
use crate::{Error, Result};

/// Keys and values of plugins, by their names: what their sections of a configuration say.
pub type Settings = BTreeMap<String, Vec<(String, String)>>;

/// Something that whoever runs this should know.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Notice {
    /// A line of a program's standard error.
    Stderr {
        /// The plugin.
        plugin: String,
        /// Without its end; a longer one than 4 KiB comes in pieces.
        line: String,
    },
    /// A program has sent a line that is no message.
    Invalid {
        /// The plugin.
        plugin: String,
        /// What it was answered.
        answer: String,
        /// Whether further ones of this process are counted only.
        last: bool,
    },
    /// A program cannot be run, or not be changed or removed.
    Failed {
        /// The plugin.
        plugin: String,
        /// Why.
        why: String,
    },
    /// The plugins were looked at again.
    Changed {
        /// Programs that are new.
        added: Vec<String>,
        /// Those that are another now.
        changed: Vec<String>,
        /// Those that are gone.
        removed: Vec<String>,
    },
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stderr { plugin, line } => write!(f, "plugin {plugin}: {line}"),
            Self::Invalid { plugin, answer, last } => {
                write!(f, "plugin {plugin} has sent a line that is no message, and was answered {answer}")?;
                f.write_str(if *last { "; further ones are only counted" } else { "" })
            }
            Self::Failed { plugin, why } => write!(f, "plugin {plugin}: {why}"),
            Self::Changed { added, changed, removed } => {
                let mut separator = "plugins: ";
                for (what, names) in [("changed", changed), ("added", added), ("removed", removed)] {
                    if !names.is_empty() {
                        write!(f, "{separator}{what}: {}", names.join(", "))?;
                        separator = "; ";
                    }
                }
                Ok(())
            }
        }
    }
}

/// The mail that has [`Plugins`] run these from now on: what is gone is unloaded, what has changed is started anew, what is
/// new is started, and the others do not notice.
#[derive(Clone, Debug, Default)]
pub struct Set {
    /// What [`find`] has found.
    pub plugins: Vec<Plugin>,
    /// Their settings.
    pub settings: Settings,
}

/// Runs the programs of plugins. See the [module](self).
pub struct Plugins {
    /// What is to run at the start.
    first: Set,
    programs: BTreeMap<String, Program>,
    invalid: InvalidLines,
    listener: Box<dyn Fn(&Notice) + Send>,
}

struct Program {
    job: JobConfig,
    settings: Vec<(String, String)>,
    tap: TapId,
    links: HashMap<Pid, Link>,
}

/// Lines of programs that were no messages, counted by plugin since the manager started: for any thread, cheap to clone.
///
/// [Given](crate::server::HttpServer::provide) to a server, they are in its `/metrics`.
#[derive(Clone, Debug, Default)]
pub struct InvalidLines(Arc<Mutex<BTreeMap<String, u64>>>);

impl InvalidLines {
    /// By plugin.
    #[must_use]
    pub fn all(&self) -> BTreeMap<String, u64> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn add(&self, plugin: &str, n: u64) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(plugin.to_owned()).or_default() += n;
    }
}

impl Plugins {
    /// The programs of these plugins. The listener is called by the loop, so it must be quick.
    #[must_use]
    pub fn new(set: Set, listener: impl Fn(&Notice) + Send + 'static) -> Self {
        let (programs, invalid) = (BTreeMap::new(), InvalidLines::default());
        Self { first: set, programs, invalid, listener: Box::new(listener) }
    }

    /// Lines that were no messages.
    #[must_use]
    pub fn invalid_lines(&self) -> InvalidLines {
        self.invalid.clone()
    }

    fn failed(&self, plugin: &str, e: &Error) {
        (self.listener)(&Notice::Failed { plugin: plugin.to_owned(), why: e.to_string() });
    }

    fn follow(&mut self, cx: &mut Cx<'_>, set: Set) {
        let mut wanted = BTreeMap::new();
        for plugin in &set.plugins {
            match plugin.job() {
                Ok(Some(job)) => {
                    let settings = set.settings.get(&plugin.name).cloned().unwrap_or_default();
                    wanted.insert(plugin.name.clone(), (job, settings));
                }
                Ok(None) => {}
                Err(e) => self.failed(&plugin.name, &e),
            }
        }
        let (mut added, mut changed, mut removed) = (Vec::new(), Vec::new(), Vec::new());
        let gone: Vec<String> = self.programs.keys().filter(|name| !wanted.contains_key(*name)).cloned().collect();
        for name in gone {
            if let Some(program) = self.programs.remove(&name) {
                self.remove(cx, program);
                removed.push(name);
            }
        }
        for (name, (job, settings)) in wanted {
            let outcome = match self.programs.get_mut(&name) {
                // One that somebody has unloaded comes back.
                Some(program)
                    if program.job == job && program.settings == settings && cx.is_loaded(job.name.as_str()) =>
                {
                    continue;
                }
                Some(program) => {
                    program.settings = settings;
                    let outcome = change(cx, &program.job, &job);
                    program.job = job;
                    changed.push(name.clone());
                    outcome
                }
                None => {
                    added.push(name.clone());
                    self.add(cx, name.clone(), job, settings)
                }
            };
            if let Err(e) = outcome {
                self.failed(&name, &e);
            }
        }
        if !(added.is_empty() && changed.is_empty() && removed.is_empty()) {
            (self.listener)(&Notice::Changed { added, changed, removed });
        }
    }

    fn add(&mut self, cx: &mut Cx<'_>, name: String, job: JobConfig, settings: Vec<(String, String)>) -> Result<()> {
        cx.load(job.clone(), true)?;
        let tap = cx.tap_to_app(StreamSelector::job(job.name.clone()));
        let program = Program { job, settings, tap, links: HashMap::new() };
        self.programs.insert(name, program);
        Ok(())
    }

    fn remove(&mut self, cx: &mut Cx<'_>, mut program: Program) {
        for link in program.links.values_mut() {
            link.end(cx, &mut |_| {});
        }
        cx.untap(program.tap);
        let name = program.job.name.as_str();
        // Somebody may have unloaded it.
        if cx.is_loaded(name) {
            if let Err(e) = cx.unload(name) {
                self.failed(program.job.name.label(), &e);
            }
        }
    }

    fn program(&mut self, job: &JobName) -> Option<&mut Program> {
        self.programs.get_mut(job.label()).filter(|program| program.job.name == *job)
    }

    fn link(&mut self, pid: Pid) -> Option<&mut Link> {
        self.programs.values_mut().find_map(|program| program.links.get_mut(&pid))
    }

    /// Lends the conversation with a process, and tells what it brings.
    fn with_link<R>(
        &mut self,
        job: &JobName,
        pid: Pid,
        f: impl FnOnce(&mut Link, &mut dyn FnMut(Told)) -> R,
    ) -> Option<R> {
        let program = self.program(job)?;
        let mut told = Vec::new();
        let answer = f(program.links.get_mut(&pid)?, &mut |one| told.push(one));
        let invalid = told.iter().filter(|one| one.is_invalid()).count() as u64;
        if invalid > 0 {
            self.invalid.add(job.label(), invalid);
        }
        for notice in told.into_iter().filter_map(|one| one.notice(job.label())) {
            (self.listener)(&notice);
        }
        Some(answer)
    }

    fn started(&mut self, cx: &mut Cx<'_>, job: &JobName, pid: Pid) {
        let (Some(us), Some(program)) = (cx.app_id(), self.program(job)) else { return };
        let settings: Map<_, _> =
            program.settings.iter().map(|(key, value)| (key.clone(), value.as_str().into())).collect();
        let data = json!({"name": job.label(), "version": env!("CARGO_PKG_VERSION"), "settings": settings});
        let mut link = Link::new(pid, us);
        link.greet(cx, json!({"event": "gaffer:plugin", "data": data}).to_string());
        program.links.insert(pid, link);
    }
}

/// Starts a program anew: by another definition, or by the same one because its settings are others.
fn change(cx: &mut Cx<'_>, old: &JobConfig, new: &JobConfig) -> Result<()> {
    let name = new.name.as_str();
    if !cx.is_loaded(name) {
        return cx.load(new.clone(), true).map(drop);
    }
    if old == new { cx.reload(name) } else { cx.update(new.clone(), true) }
}

impl App for Plugins {
    fn name(&self) -> &str {
        "plugins"
    }

    fn start(&mut self, cx: &mut Cx<'_>) -> Result<()> {
        let set = std::mem::take(&mut self.first);
        self.follow(cx, set);
        Ok(())
    }

    fn event(&mut self, cx: &mut Cx<'_>, event: &Arc<Event>) {
        let Some(job) = event.job.as_ref().filter(|job| job.session() == SESSION) else { return };
        match event.what {
            What::Spawn { pid, .. } => self.started(cx, job, pid),
            What::Exit { pid, .. } => {
                self.with_link(job, pid, |link, tell| link.end(cx, tell));
                if let Some(program) = self.program(job) {
                    program.links.remove(&pid);
                }
            }
            _ => {}
        }
    }

    fn output(&mut self, cx: &mut Cx<'_>, tap: TapId, chunk: &StreamChunk<'_>) -> Flow {
        let StreamData::Bytes(bytes) = chunk.data else { return Flow::Continue };
        let (job, pid) = (Arc::clone(&chunk.origin.name), chunk.origin.pid);
        let flow = match &*chunk.origin.label {
            "stdout" => self.with_link(&job, pid, |link, tell| link.said(cx, tap, bytes, tell)),
            _ => self.with_link(&job, pid, |link, tell| {
                link.complained(bytes, tell);
                Flow::Continue
            }),
        };
        flow.unwrap_or(Flow::Continue)
    }

    fn mail(&mut self, cx: &mut Cx<'_>, message: Box<dyn Any + Send>) {
        let message = match message.downcast::<Wake>() {
            Ok(wake) => return self.link(wake.0).map_or((), |link| link.pump(cx)),
            Err(message) => message,
        };
        let message = match message.downcast::<Taken>() {
            Ok(taken) => return self.link(taken.pid).map_or((), |link| link.taken(cx)),
            Err(message) => message,
        };
        if let Ok(set) = message.downcast::<Set>() {
            self.follow(cx, *set);
        }
    }
}

impl fmt::Debug for Plugins {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plugins").field("programs", &self.programs.keys().collect::<Vec<_>>()).finish_non_exhaustive()
    }
}
