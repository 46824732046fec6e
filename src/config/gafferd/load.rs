//! Files to sections: both formats become the same, and what is included follows.

use std::collections::HashSet;
use std::path::{Component, Path, PathBuf};

use serde_json::Value;

use super::build::Builder;
use super::faults::Faults;
use super::{GafferdConfig, MAX_DEPTH, MAX_FILES, MAX_TOTAL, Sources};
use crate::config::foreign;
use crate::config::ini::{Ini, Section};
use crate::config::interpolate::Scope;
use crate::config::keys::Given;
use crate::config::places::{Places, item, member};
use crate::config::{Origin, Position, without_bom};
use crate::suggest::{hint, nearest};
use crate::{Error, ErrorKind, Result};

/// What a section is about.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Kind {
    Gaffer,
    Endpoint(String),
    Webhooks,
    Limits,
    Auth,
    Ssl,
    LookupSsl,
    /// Its name, where the section has it.
    Job(Option<String>),
    Env(String),
    Plugin(String),
}

/// A section of either format.
pub(super) struct Group {
    pub(super) kind: Kind,
    /// As messages name it: `[process:web]`, `jobs[2]`.
    pub(super) shown: String,
    pub(super) at: Place,
    pub(super) items: Vec<Item>,
}

/// A key of it.
pub(super) struct Item {
    pub(super) key: String,
    /// As messages name it: `cwd`, `jobs[2].cwd`.
    pub(super) shown: String,
    pub(super) value: Owned,
    pub(super) at: Place,
    pub(super) value_at: Place,
}

pub(super) enum Owned {
    Text(String),
    Json(Value),
}

impl Owned {
    pub(super) fn given(&self) -> Given<'_> {
        match self {
            Self::Text(text) => Given::Text(text),
            Self::Json(value) => Given::Json(value),
        }
    }
}

/// Where something stands. In JSON that is only looked for when somebody asks.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) file: usize,
    spot: Spot,
}

#[derive(Clone, Debug)]
enum Spot {
    /// Line and column.
    At(usize, usize),
    Key(String),
    Value(String),
}

/// The files that were read, for messages.
#[derive(Default)]
pub(super) struct Files {
    names: Vec<String>,
    places: Vec<Option<Places>>,
}

impl Files {
    /// The message `what`, with file, line and column before it.
    pub(super) fn error(&self, place: &Place, what: &str) -> Error {
        Error::new(ErrorKind::Invalid, format!("{}: {what}", self.whole(place)))
    }

    pub(super) fn whole(&self, place: &Place) -> String {
        let (line, column) = self.line_column(place);
        format!("{}:{line}:{column}", self.names[place.file])
    }

    fn line_column(&self, place: &Place) -> (usize, usize) {
        let json = |get: &dyn Fn(&Places) -> (usize, usize)| self.places[place.file].as_ref().map_or((1, 1), get);
        let both = |at: Position<'_>| (at.line, at.column());
        match &place.spot {
            Spot::At(line, column) => (*line, *column),
            Spot::Key(path) => json(&|places| both(places.key(path))),
            Spot::Value(path) => json(&|places| both(places.value(path))),
        }
    }

    /// Where something stands that a message at `from` speaks of.
    pub(super) fn other(&self, place: &Place, from: &Place) -> String {
        if place.file == from.file {
            format!("line {}", self.line_column(place).0)
        } else {
            format!("{}:{}", self.names[place.file], self.line_column(place).0)
        }
    }
}

pub(super) fn read(path: &Path, sources: &Sources<'_>) -> Result<GafferdConfig> {
    let (builder, faults) = (Builder::default(), Faults::default());
    let mut loader = Loader { sources, builder, seen: HashSet::new(), total: 0, faults };
    let outcome = loader.file(path, 0);
    // What follows from a fault is none of its own: the whole is looked at when its parts are right.
    loader.faults.and(outcome)?;
    loader.builder.finish()
}

struct Loader<'a> {
    sources: &'a Sources<'a>,
    builder: Builder,
    /// The files that were read, without `.` in their paths.
    seen: HashSet<PathBuf>,
    total: usize,
    /// What is wrong with sections that were read.
    faults: Faults,
}

impl Loader<'_> {
    fn file(&mut self, path: &Path, depth: usize) -> Result<()> {
        let limit = |what: String| Err(Error::new(ErrorKind::Invalid, format!("{}: {what}", path.display())));
        if depth > MAX_DEPTH {
            return limit(format!("files include each other more than {MAX_DEPTH} deep"));
        }
        if self.seen.len() == MAX_FILES {
            return limit(format!("there are more than {MAX_FILES} files"));
        }
        let text = (self.sources.read)(path)?;
        self.total += text.len();
        if self.total > MAX_TOTAL {
            return limit(format!("all files together have more than {MAX_TOTAL} bytes"));
        }
        self.seen.insert(plain(path));
        let origin = path.display().to_string();
        let file = self.builder.files.names.len();
        self.builder.paths.push(path.to_owned());
        self.builder.files.names.push(origin.clone());
        let text = without_bom(&text);
        let mut includes = Vec::new();
        if text.trim_start().starts_with('{') {
            self.builder.files.places.push(None);
            let (value, places) = parse_json(text, Origin(&origin))?;
            self.builder.files.places[file] = Some(places);
            for group in json_groups(value, file, &self.builder.files)? {
                let outcome = self.builder.add(group, &mut includes);
                self.faults.note(outcome);
            }
        } else {
            self.builder.files.places.push(None);
            let ini = Ini::parse(text, &origin)?;
            let here = self.sources.current_dir.join(path.parent().unwrap_or(Path::new("")));
            let here = plain(&here);
            let here = if here.as_os_str().is_empty() { Path::new(".") } else { &here };
            let here = here.display().to_string();
            // One after the other, and each gone before the next: there may be hundreds.
            for section in ini.sections {
                let group = self.ini_group(&section, file, &here);
                drop(section);
                let outcome = group.and_then(|group| self.builder.add(group, &mut includes));
                self.faults.note(outcome);
            }
        }
        let base = path.parent().unwrap_or(Path::new("")).to_owned();
        for include in includes {
            for name in &include.names {
                let path = base.join(name);
                let result = if include.folder {
                    self.folder(&path, depth + 1, depth + 1)
                } else if self.seen.contains(&plain(&path)) {
                    Err(self.builder.files.error(&include.at, &format!("include: {name} is read already")))
                } else {
                    self.file(&path, depth + 1)
                };
                // A fault within the file has its own place; that there is none is a fault of this one.
                result.map_err(|e| match e.kind() {
                    ErrorKind::Invalid => e,
                    _ => {
                        let key = if include.folder { "include_dir" } else { "include" };
                        e.context(format_args!("{}: {key}", self.builder.files.whole(&include.at)))
                    }
                })?;
            }
        }
        Ok(())
    }

    /// The files of a folder, then those of its sub-folders.
    fn folder(&mut self, path: &Path, depth: usize, files_depth: usize) -> Result<()> {
        if depth > MAX_DEPTH {
            let what = format!("{}: folders stand in each other more than {MAX_DEPTH} deep", path.display());
            return Err(Error::new(ErrorKind::Invalid, what));
        }
        let mut names = (self.sources.list_dir)(path)?;
        names.retain(|(name, _)| !name.starts_with('.'));
        names.sort();
        for (name, _) in names.iter().filter(|(name, is_dir)| !is_dir && is_config(name)) {
            let file = path.join(name);
            if !self.seen.contains(&plain(&file)) {
                self.file(&file, files_depth)?;
            }
        }
        for (name, _) in names.iter().filter(|(_, is_dir)| *is_dir) {
            self.folder(&path.join(name), depth + 1, files_depth)?;
        }
        Ok(())
    }

    fn ini_group(&self, section: &Section, file: usize, here: &str) -> Result<Group> {
        let files = &self.builder.files;
        let place = |line, column| Place { file, spot: Spot::At(line, column) };
        let at = place(section.line, section.column);
        let kind = ini_kind(&section.name).map_err(|what| {
            let mut faults = Faults::default();
            faults.note(Err(files.error(&at, &what)));
            // Another program's: its keys as well, or there would be a next time.
            let prefix = section.name.split(':').next().unwrap_or_default();
            if let Some(answer) = foreign::keys_of(prefix) {
                for entry in &section.entries {
                    if let Some(hint) = answer(&entry.key) {
                        let what = format!("[{}] has `{}`{hint}", section.name, entry.key);
                        faults.note(Err(files.error(&place(entry.line, entry.column), &what)));
                    }
                }
            }
            faults.error()
        })?;
        let mut items = Vec::new();
        for entry in &section.entries {
            let key = match &kind {
                Kind::Env(_) | Kind::Plugin(_) | Kind::Webhooks => entry.key.clone(),
                Kind::Job(_) if entry.key.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("env.")) => {
                    format!("env.{}", &entry.key[4..])
                }
                _ => entry.key.to_ascii_lowercase(),
            };
            let of_the_child = matches!(kind, Kind::Job(_)) && (key == "cmd" || key == "args");
            let environment = (!of_the_child).then_some(self.sources.environment);
            let value_at = place(entry.line, entry.value_column);
            let value = Scope { section, here, environment }
                .expand(&entry.value)
                .map_err(|what| files.error(&value_at, &format!("{}: {what}", entry.key)))?;
            let at = place(entry.line, entry.column);
            items.push(Item { key, shown: entry.key.clone(), value: Owned::Text(value), at, value_at });
        }
        Ok(Group { kind, shown: format!("[{}]", section.name), at, items })
    }
}

fn is_config(name: &str) -> bool {
    name.ends_with(".ini") || name.ends_with(".json")
}

/// The path without `.` and doubled slashes; `..` stays, as what stands before it may be a link.
fn plain(path: &Path) -> PathBuf {
    path.components().filter(|component| *component != Component::CurDir).collect()
}

const ALONE: &[(&str, Kind)] = &[
    ("gaffer", Kind::Gaffer),
    ("webhooks", Kind::Webhooks),
    ("limits", Kind::Limits),
    ("auth", Kind::Auth),
    ("ssl", Kind::Ssl),
    ("lookup_ssl", Kind::LookupSsl),
];
const NAMED: &[(&str, fn(String) -> Kind)] = &[
    ("process", |name| Kind::Job(Some(name))),
    ("job", |name| Kind::Job(Some(name))),
    ("env", Kind::Env),
    ("endpoint", Kind::Endpoint),
    ("plugin", Kind::Plugin),
];

/// What a section begins with.
pub(in crate::config) fn section_names() -> Vec<&'static str> {
    ALONE.iter().map(|(name, _)| *name).chain(NAMED.iter().map(|(prefix, _)| *prefix)).collect()
}

fn ini_kind(section: &str) -> Result<Kind, String> {
    if let Some((_, kind)) = ALONE.iter().find(|(name, _)| *name == section) {
        return Ok(kind.clone());
    }
    let (prefix, name) = section.split_once(':').map_or((section, None), |(prefix, name)| (prefix, Some(name)));
    let prefixes = || NAMED.iter().map(|(prefix, _)| *prefix);
    match (NAMED.iter().find(|(known, _)| *known == prefix), name) {
        (Some((_, kind)), Some(name)) if !name.trim().is_empty() => Ok(kind(name.to_owned())),
        (Some(_), _) => Err(format!("[{section}] has no name: expected [{prefix}:NAME]")),
        (None, Some(name)) => {
            let near = || nearest(prefix, prefixes()).map(|found| format!("; did you mean `{found}:{name}`?"));
            let hint = foreign::of_section(prefix).or_else(near);
            Err(format!("there is no section [{section}]{}", hint.unwrap_or_default()))
        }
        (None, None) => {
            let near = || hint(section, section_names());
            let hint = foreign::of_section(section).unwrap_or_else(near);
            Err(format!("there is no section [{section}]{hint}"))
        }
    }
}

fn parse_json(text: &str, origin: Origin<'_>) -> Result<(Value, Places)> {
    let value = serde_json::from_str(text).map_err(|e| {
        // Its message ends with the place, which ours begins with.
        let what = e.to_string();
        let what = what.rsplit_once(" at line ").map_or(what.as_str(), |(what, _)| what);
        let message = format!("{}:{}:{}: {what}", origin.0, e.line(), e.column().max(1));
        Error::new(ErrorKind::Invalid, message)
    })?;
    Ok((value, Places::find(text, origin)?))
}

fn json_groups(value: Value, file: usize, files: &Files) -> Result<Vec<Group>> {
    const MAPS: &[(&str, fn(String) -> Kind)] = &[("endpoints", Kind::Endpoint), ("plugins", Kind::Plugin)];
    let key_at = |path: &str| Place { file, spot: Spot::Key(path.to_owned()) };
    let value_at = |path: &str| Place { file, spot: Spot::Value(path.to_owned()) };
    let expected = |path: &str, what: &str, value: &Value| {
        let what = format!("{path}: expected {what}, found {}", Given::Json(value).found());
        files.error(&value_at(path), &what)
    };
    let group = |kind: Kind, path: String, value: Value| {
        let Value::Object(members) = value else { return Err(expected(&path, "an object", &value)) };
        let items = members.into_iter().map(|(key, value)| {
            let shown = member(&path, &key);
            let (at, value_at) = (key_at(&shown), value_at(&shown));
            Item { key, shown, value: Owned::Json(value), at, value_at }
        });
        let items = items.collect();
        Ok(Group { kind, at: value_at(&path), shown: path, items })
    };
    // It begins with a brace.
    let Value::Object(members) = value else { return Ok(Vec::new()) };
    let mut groups = Vec::new();
    for (name, value) in members {
        let path = member("", &name);
        if let Some((_, kind)) = ALONE.iter().find(|(known, _)| *known == name) {
            groups.push(group(kind.clone(), path, value)?);
        } else if let Some((_, kind)) = MAPS.iter().find(|(known, _)| *known == name) {
            let Value::Object(members) = value else { return Err(expected(&path, "an object", &value)) };
            for (name, value) in members {
                groups.push(group(kind(name.clone()), member(&path, &name), value)?);
            }
        } else if name == "jobs" {
            let Value::Array(jobs) = value else { return Err(expected(&path, "a list", &value)) };
            for (nth, value) in jobs.into_iter().enumerate() {
                groups.push(group(Kind::Job(None), item(&path, nth), value)?);
            }
        } else {
            let known = ALONE.iter().map(|(name, _)| *name).chain(MAPS.iter().map(|(name, _)| *name)).chain(["jobs"]);
            let what = format!("a configuration has no key `{path}`{}", hint(&name, known));
            return Err(files.error(&key_at(&path), &what));
        }
    }
    Ok(groups)
}
