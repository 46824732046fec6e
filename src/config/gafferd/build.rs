//! Sections to a configuration.

use std::collections::HashMap;
use std::path::PathBuf;

use super::faults::Faults;
use super::load::{Files, Group, Item, Kind, Owned, Place};
use super::tables::{AUTH, ENDPOINT, EndpointDraft, GAFFER, Gaffer, LIMITS, SSL, WEBHOOKS, urls};
use super::{Endpoint, GafferdConfig, PluginSettings, Ssl, Webhook, Webhooks};
use crate::config::foreign;
use crate::config::job::{self, Draft, about, parse_name};
use crate::config::keys::{self, Fault, Given, Key};
use crate::process::{FIRST_WORDS, JobName};
use crate::suggest::hint;
use crate::{Result, config::Job};

/// Files and folders that follow the one they are named in.
pub(super) struct Include {
    pub(super) folder: bool,
    pub(super) names: Vec<String>,
    pub(super) at: Place,
}

/// A variable of an `[env:NAME]`.
struct Variable {
    name: String,
    value: String,
    at: Place,
}

pub(super) struct Builder {
    pub(super) files: Files,
    pub(super) paths: Vec<PathBuf>,
    gaffer: Gaffer,
    endpoints: Vec<EndpointDraft>,
    jobs: Vec<Job>,
    job_at: HashMap<JobName, Place>,
    envs: Vec<(JobName, Place, Vec<Variable>)>,
    /// Where the keys of sections without a name stand, and sections with names.
    seen: HashMap<(String, String), Place>,
    /// Where the keys of the section stand that is being read.
    keys: HashMap<String, Place>,
}

impl Default for Builder {
    fn default() -> Self {
        Self {
            files: Files::default(),
            paths: Vec::new(),
            gaffer: Gaffer::new(GafferdConfig::default()),
            endpoints: Vec::new(),
            jobs: Vec::new(),
            job_at: HashMap::new(),
            envs: Vec::new(),
            seen: HashMap::new(),
            keys: HashMap::new(),
        }
    }
}

impl Builder {
    /// Adds a section; what it includes goes to `includes`.
    pub(super) fn add(&mut self, group: Group, includes: &mut Vec<Include>) -> Result<()> {
        match &group.kind {
            Kind::Gaffer => return self.gaffer(&group, includes),
            Kind::Endpoint(name) => {
                self.once("endpoint", name, &format!("the endpoint {name:?}"), &group.at)?;
                let named = |c: char| c.is_ascii_alphanumeric() || "_+.-".contains(c);
                if name.is_empty() || !name.chars().all(named) {
                    let what = format!("invalid endpoint name {name:?}: expected characters of A-Z a-z 0-9 _ + . -");
                    return Err(self.files.error(&group.at, &what));
                }
                let mut draft = EndpointDraft::new(name);
                self.all(ENDPOINT, &mut draft, &group)?;
                if draft.endpoint.bind.is_empty() {
                    return Err(self.files.error(&group.at, &format!("{} has no `bind`", group.shown)));
                }
                self.complete(&draft.endpoint.ssl, &group)?;
                self.endpoints.push(draft);
            }
            Kind::Webhooks => return self.webhooks(&group),
            Kind::Limits => {
                let mut limits = self.gaffer.config.limits.clone();
                self.all(LIMITS, &mut limits, &group)?;
                self.gaffer.config.limits = limits;
            }
            Kind::Auth => {
                let mut auth = self.gaffer.config.auth.clone();
                self.all(AUTH, &mut auth, &group)?;
                self.gaffer.config.auth = auth;
            }
            Kind::Ssl => {
                let mut ssl = self.gaffer.config.ssl.clone();
                self.all(SSL, &mut ssl, &group)?;
                self.complete(&ssl, &group)?;
                self.gaffer.config.ssl = ssl;
            }
            Kind::LookupSsl => {
                let mut ssl = self.gaffer.config.lookup_ssl.clone();
                self.all(SSL, &mut ssl, &group)?;
                self.complete(&ssl, &group)?;
                self.gaffer.config.lookup_ssl = ssl;
            }
            Kind::Job(name) => return self.job(&group, name.as_deref()),
            Kind::Env(name) => return self.env(&group, name),
            Kind::Plugin(name) => {
                self.once("plugin", name, &format!("the plugin {name:?}"), &group.at)?;
                let text = |value: &Owned| match value {
                    Owned::Text(text) => text.clone(),
                    Owned::Json(value) => value.as_str().map_or_else(|| value.to_string(), str::to_owned),
                };
                let settings = group.items.iter().map(|item| (item.key.clone(), text(&item.value))).collect();
                self.gaffer.config.plugins.push(PluginSettings { name: name.clone(), settings });
            }
        }
        Ok(())
    }

    /// Refuses what is there already.
    fn once(&mut self, scope: &str, name: &str, shown: &str, at: &Place) -> Result<()> {
        let first = self.seen.insert((scope.to_owned(), name.to_owned()), at.clone());
        self.free(first, at, shown)
    }

    fn free(&self, first: Option<Place>, at: &Place, shown: &str) -> Result<()> {
        match first {
            None => Ok(()),
            Some(first) => {
                let what = format!("{shown} is given twice: {} has it already", self.files.other(&first, at));
                Err(self.files.error(at, &what))
            }
        }
    }

    fn all<T>(&mut self, table: &[Key<T>], target: &mut T, group: &Group) -> Result<()> {
        let mut faults = Faults::default();
        group.items.iter().for_each(|item| faults.note(self.one(table, target, group, item)));
        // The keys of hundreds of sections are not kept: no other section can repeat them.
        self.keys.clear();
        faults.end()
    }

    fn one<T>(&mut self, table: &[Key<T>], target: &mut T, group: &Group, item: &Item) -> Result<()> {
        if let Some(key) = keys::find(table, &item.key) {
            // Sections without a name may stand in several files, except for what belongs to the file.
            let whole = matches!(
                group.kind,
                Kind::Gaffer | Kind::Webhooks | Kind::Limits | Kind::Auth | Kind::Ssl | Kind::LookupSsl
            ) && !key.name.starts_with("include");
            let name = if key.name.ends_with('*') { &item.key } else { key.name };
            let first = if whole {
                self.seen.insert((format!("{:?}", group.kind), name.to_owned()), item.at.clone())
            } else {
                self.keys.insert(name.to_owned(), item.at.clone())
            };
            self.free(first, &item.at, &format!("the key `{}`", item.shown))?;
        }
        if let Given::Text(text) = item.value.given() {
            let swallowed = text.lines().skip(1).find(|line| match line.split_once('=') {
                Some((key, _)) => {
                    key.ends_with([' ', '\t']) && keys::find(table, &key.trim().to_ascii_lowercase()).is_some()
                }
                None => false,
            });
            if let Some(line) = swallowed {
                let what = format!("{}: the value goes on with {line:?}, because that line is indented", item.shown);
                return Err(self.files.error(&item.value_at, &what));
            }
        }
        let foreign = match group.kind {
            Kind::Job(_) => foreign::of_job,
            Kind::Gaffer => foreign::of_gaffer,
            _ => |_: &str| None,
        };
        keys::set(table, foreign, target, &group.shown, &item.key, item.value.given()).map_err(|fault| match fault {
            Fault::Unknown(what) => self.files.error(&item.at, &what),
            Fault::Value(what) => self.files.error(&item.value_at, &about(&item.shown, &what)),
        })
    }

    fn gaffer(&mut self, group: &Group, includes: &mut Vec<Include>) -> Result<()> {
        let mut gaffer = std::mem::replace(&mut self.gaffer, Gaffer::new(GafferdConfig::default()));
        self.all(GAFFER, &mut gaffer, group)?;
        self.gaffer = gaffer;
        let place = |key: &str| {
            let item = group.items.iter().find(|item| item.key == key);
            item.map_or_else(|| group.at.clone(), |item| item.value_at.clone())
        };
        for (key, folder) in [("include", false), ("include_dir", true)] {
            let list = if folder { &mut self.gaffer.include_dir } else { &mut self.gaffer.include };
            let names = std::mem::take(list);
            if !names.is_empty() {
                includes.push(Include { folder, names, at: place(key) });
            }
        }
        Ok(())
    }

    fn webhooks(&mut self, group: &Group) -> Result<()> {
        let mut webhooks = std::mem::take(&mut self.gaffer.config.webhooks);
        for item in &group.items {
            if keys::find(WEBHOOKS, &item.key).is_some() {
                self.one(WEBHOOKS, &mut webhooks, group, item)?;
                continue;
            }
            let first = item.key.split('.').next().unwrap_or_default();
            if item.key != "." && !FIRST_WORDS.contains(&first) {
                let known = FIRST_WORDS.iter().copied().chain(WEBHOOKS.iter().map(|key| key.name));
                let what = format!("there is no event `{}`{}", item.key, hint(first, known));
                return Err(self.files.error(&item.at, &what));
            }
            self.once("Webhooks", &item.key, &format!("the event `{}`", item.key), &item.at)?;
            let urls = urls(item.value.given())
                .map_err(|what| self.files.error(&item.value_at, &about(&item.shown, &what)))?;
            webhooks.hooks.push(Webhook { event: item.key.clone(), urls });
        }
        self.gaffer.config.webhooks = webhooks;
        Ok(())
    }

    /// The two may stand in different files.
    fn check_pauses(&self) -> Result<()> {
        let Webhooks { pause, max_pause, .. } = &self.gaffer.config.webhooks;
        let place = |key: &str| self.seen.get(&(format!("{:?}", Kind::Webhooks), key.to_owned()));
        match place("max_pause").or_else(|| place("pause")) {
            Some(at) if pause > max_pause => {
                let (pause, max) = (pause.as_secs_f64(), max_pause.as_secs_f64());
                let what = format!("webhooks: max_pause ({max} s) is shorter than pause ({pause} s)");
                Err(self.files.error(at, &what))
            }
            _ => Ok(()),
        }
    }

    fn complete(&self, ssl: &Ssl, group: &Group) -> Result<()> {
        // A client may trust an authority without having a certificate.
        let whole =
            ssl.certfile.is_some() || ssl.keyfile.is_none() && (ssl.cacert.is_none() || group.kind == Kind::LookupSsl);
        if whole { Ok(()) } else { Err(self.files.error(&group.at, &format!("{} has no `certfile`", group.shown))) }
    }

    fn job(&mut self, group: &Group, name: Option<&str>) -> Result<()> {
        let mut draft = Draft::new(None);
        draft.name = name.map(str::to_owned);
        self.all(job::KEYS, &mut draft, group)?;
        let job = draft.finish().map_err(|(key, what)| {
            let item = key.and_then(|key| {
                let known = keys::find(job::KEYS, key).map(|key| key.name);
                group.items.iter().find(|item| keys::find(job::KEYS, &item.key).map(|key| key.name) == known)
            });
            match (item, key) {
                (Some(item), _) => self.files.error(&item.value_at, &about(&item.shown, &what)),
                (None, Some(_)) => self.files.error(&group.at, &what),
                (None, None) => self.files.error(&group.at, &format!("{} {what}", group.shown)),
            }
        })?;
        let name = &job.config.name;
        if let Some(first) = self.job_at.insert(name.clone(), group.at.clone()) {
            let what = format!("the job {name} is given twice: {} has it already", self.files.other(&first, &group.at));
            return Err(self.files.error(&group.at, &what));
        }
        self.jobs.push(job);
        Ok(())
    }

    fn env(&mut self, group: &Group, name: &str) -> Result<()> {
        let name = parse_name(name, None).map_err(|e| self.files.error(&group.at, &e.to_string()))?;
        self.once("env", name.as_str(), &format!("the environment of {name}"), &group.at)?;
        let variables = group.items.iter().map(|item| Variable {
            name: item.key.to_uppercase(),
            value: item.value.given().optional().ok().flatten().unwrap_or_default().to_owned(),
            at: item.at.clone(),
        });
        let variables = variables.collect();
        self.envs.push((name, group.at.clone(), variables));
        Ok(())
    }

    pub(super) fn finish(mut self) -> Result<GafferdConfig> {
        self.apply_envs()?;
        self.check_pauses()?;
        let endpoints = self.all_endpoints()?;
        let mut config = self.gaffer.config;
        config.endpoints = endpoints;
        config.jobs = self.jobs;
        config.jobs.sort_by_key(|job| job.priority.map_or((true, 0), |priority| (false, priority)));
        config.places = self.job_at.iter().map(|(name, at)| (name.clone(), self.files.whole(at))).collect();
        config.files = self.paths;
        Ok(config)
    }

    fn apply_envs(&mut self) -> Result<()> {
        let index: HashMap<JobName, usize> =
            self.jobs.iter().enumerate().map(|(nth, job)| (job.config.name.clone(), nth)).collect();
        for (name, at, variables) in std::mem::take(&mut self.envs) {
            let Some(job) = index.get(&name).map(|nth| &mut self.jobs[*nth]) else {
                let hint = hint(name.short(), self.jobs.iter().map(|job| job.config.name.short()));
                let what = format!("there is no job {name} for this environment{hint}");
                return Err(self.files.error(&at, &what));
            };
            for variable in variables {
                if job.config.env.insert(variable.name.clone(), variable.value).is_some() {
                    let what = format!("the variable {} of {name} is given twice", variable.name);
                    return Err(self.files.error(&variable.at, &what));
                }
            }
        }
        Ok(())
    }

    fn all_endpoints(&mut self) -> Result<Vec<Endpoint>> {
        let Gaffer { config, own, http_endpoints, .. } = &mut self.gaffer;
        let backlog = own.backlog.unwrap_or(own.endpoint.backlog);
        let resolve = |draft: &EndpointDraft| {
            let mut endpoint = draft.endpoint.clone();
            endpoint.backlog = draft.backlog.unwrap_or(backlog);
            if endpoint.ssl.certfile.is_none() {
                endpoint.ssl = config.ssl.clone();
            }
            endpoint
        };
        let mut endpoints: Vec<Endpoint> = Vec::new();
        if http_endpoints.is_empty() {
            endpoints = self.endpoints.iter().map(resolve).collect();
        }
        for name in http_endpoints.iter() {
            let Some(draft) = self.endpoints.iter().find(|draft| draft.endpoint.name == *name) else {
                let hint = hint(name, self.endpoints.iter().map(|draft| draft.endpoint.name.as_str()));
                let what = format!("http_endpoints: there is no endpoint `{name}`{hint}");
                let at = &self.seen[&("Gaffer".to_owned(), "http_endpoints".to_owned())];
                return Err(self.files.error(at, &what));
            };
            if !endpoints.iter().any(|endpoint| endpoint.name == *name) {
                endpoints.push(resolve(draft));
            }
        }
        let default = &GafferdConfig::default().endpoints[0];
        if own.endpoint.bind.is_empty() && endpoints.is_empty() {
            own.endpoint.bind.clone_from(&default.bind);
            own.endpoint.name.clone_from(&default.name);
        }
        if !own.endpoint.bind.is_empty() {
            if self.endpoints.iter().any(|draft| draft.endpoint.name == own.endpoint.name) {
                let at = &self.seen[&("endpoint".to_owned(), own.endpoint.name.clone())];
                return Err(self.files.error(at, "the endpoint of [gaffer] has this name: choose another"));
            }
            endpoints.insert(0, resolve(own));
        }
        Ok(endpoints)
    }
}
