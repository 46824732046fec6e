//! Which plugins there are.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::Manifest;
use crate::process::{JobConfig, JobName};
use crate::sys::beneath::Folder;
use crate::{Error, ErrorKind, Result, suggest};

/// The session of the jobs that plugins' programs are.
pub const SESSION: &str = "plugins";

/// So many plugins there may be.
const MAX: usize = 1000;

/// A plugin, as its folder says.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Plugin {
    /// Its name: that of its folder.
    pub name: String,
    /// Its folder.
    pub folder: PathBuf,
    /// Whether it has a site.
    pub has_site: bool,
    /// What it says of itself; nothing without a `plugin.json`.
    pub manifest: Manifest,
}

impl Plugin {
    /// The job that runs its program: supervised, in the plugin's folder, with `GAFFER_PLUGIN`, its name, in the environment.
    /// `None` if it has no program.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`] for a name that no job can have.
    pub fn job(&self) -> Result<Option<JobConfig>> {
        let Some(command) = &self.manifest.command else { return Ok(None) };
        let job = JobConfig::named(JobName::new(SESSION, &self.name)?, command.clone());
        let job = job.cwd(&self.folder).env("GAFFER_PLUGIN", self.name.clone());
        Ok(Some(job.redirect_input(true).redirect_output(["stdout", "stderr"])))
    }
}

/// The plugins in a folder, by name: its sub-folders that have a site or a `plugin.json`. Those whose names begin with a dot are
/// passed over, so is everything else. A folder that does not exist has none.
///
/// # Errors
///
/// The folder cannot be read, a manifest is [bad](Manifest::read) or has another name than its folder, a name that no job can
/// have, or more than 1000 plugins.
pub fn find(folder: impl AsRef<Path>) -> Result<Vec<Plugin>> {
    fn find(folder: &Path) -> Result<Vec<Plugin>> {
        let cannot = |e| Error::io(format!("cannot read the plugins in {}", folder.display()), e);
        // Programs run in theirs, and relative paths would mean another one there.
        let folder = &std::path::absolute(folder).map_err(cannot)?;
        let entries = match fs::read_dir(folder) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            other => other.map_err(cannot)?,
        };
        let mut plugins = Vec::new();
        for entry in entries {
            let path = entry.map_err(cannot)?.path();
            // The folder of a plugin may be a link.
            let name = path.file_name().and_then(|name| name.to_str()).filter(|name| !name.starts_with('.'));
            let Some(name) = name.filter(|_| path.is_dir()) else { continue };
            let manifest = Manifest::read(&path)?;
            let has_site = site(&path).is_ok();
            if manifest.is_none() && !has_site {
                continue;
            }
            let manifest = manifest.unwrap_or_default();
            if let Some(other) = manifest.name.as_deref().filter(|other| *other != name) {
                let what =
                    format!("{}/plugin.json: name: expected {name:?}, as its folder, found {other:?}", path.display());
                return Err(Error::new(ErrorKind::Invalid, what));
            }
            let plugin = Plugin { name: name.to_owned(), folder: path.clone(), has_site, manifest };
            plugin.job().map_err(|e| e.context(path.display()))?;
            plugins.push(plugin);
            if plugins.len() > MAX {
                let what = format!("{}: there are more than {MAX} plugins", folder.display());
                return Err(Error::new(ErrorKind::Invalid, what));
            }
        }
        plugins.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(plugins)
    }
    find(folder.as_ref())
}

/// The site of a plugin's folder: what stands in its `_site`, or in the folder itself if that has an `index.html` and no program.
pub(crate) fn site(plugin: &Path) -> io::Result<Folder> {
    let folder = Folder::open(plugin)?;
    match folder.folder("_site") {
        Err(e) if e.kind() == io::ErrorKind::NotFound => {}
        other => return other,
    }
    folder.entry("index.html")?;
    // What a manifest that cannot be read says, nobody knows.
    let has_program = Manifest::read(plugin).map_or(true, |manifest| manifest.is_some_and(|m| m.command.is_some()));
    if has_program { Err(io::ErrorKind::NotFound.into()) } else { Ok(folder) }
}

/// The faults of plugins that want others which are not there, nor among the sites that are embedded.
#[must_use]
pub fn missing(plugins: &[Plugin], embedded: &[&str]) -> Vec<Error> {
    let names: BTreeSet<&str> =
        plugins.iter().map(|plugin| plugin.name.as_str()).chain(embedded.iter().copied()).collect();
    let mut faults = Vec::new();
    for plugin in plugins {
        for wanted in plugin.manifest.mandatory.iter().filter(|wanted| !names.contains(wanted.as_str())) {
            let hint = suggest::hint(wanted, names.iter().copied().filter(|name| *name != plugin.name));
            let what = format!("the plugin {} needs the plugin {wanted}, which is not there{hint}", plugin.name);
            faults.push(Error::new(ErrorKind::NotFound, what));
        }
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_and_what_is_none() {
        let root = std::env::temp_dir().join(format!("gaffer-plugins-{}", std::process::id()));
        let write = |path: &str, text: &str| {
            let path = root.join(path);
            fs::create_dir_all(path.parent().expect("a folder")).expect("folders");
            fs::write(path, text).expect("a file");
        };
        assert_eq!(find(&root).expect("no folder"), []);
        write("site/_site/index.html", "");
        write("plain/index.html", "");
        write("prog/plugin.json", r#"{"command": "./run", "mandatory": ["site", "plian"]}"#);
        write("prog/index.html", "");
        write("both/plugin.json", r#"{"name": "both", "command": ["./run"]}"#);
        write("both/_site/x", "");
        write("nothing/x", "");
        write(".git/index.html", "");
        write("README", "");
        let plugins = find(&root).expect("good");
        let seen: Vec<_> =
            plugins.iter().map(|p| (p.name.as_str(), p.has_site, p.manifest.command.is_some())).collect();
        assert_eq!(seen, [("both", true, true), ("plain", true, false), ("prog", false, true), ("site", true, false)]);
        let job = plugins[0].job().expect("a name").expect("a program");
        assert_eq!((job.name.as_str(), job.cmd.as_str()), ("plugins.both", "./run"));
        let faults: Vec<String> = missing(&plugins, &[]).iter().map(Error::to_string).collect();
        assert_eq!(faults, ["the plugin prog needs the plugin plian, which is not there; did you mean `plain`?"]);
        assert!(missing(&plugins, &["plian"]).is_empty());
        for (path, text, why) in [
            ("bad/plugin.json", "{", "bad/plugin.json: EOF"),
            ("bad/plugin.json", r#"{"name": "good"}"#, r#"bad/plugin.json: name: expected "bad""#),
            ("b.d/plugin.json", r#"{"command": "x"}"#, "b.d: invalid job name"),
        ] {
            write(path, text);
            let e = find(&root).expect_err(path).to_string();
            assert!(e.contains(why), "{e}");
            fs::remove_dir_all(root.join(path).parent().expect("a folder")).expect("clean");
        }
        fs::remove_dir_all(&root).expect("clean");
    }
}
