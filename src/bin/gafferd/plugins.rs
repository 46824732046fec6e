//! The plugins that the configuration describes.

use std::collections::BTreeSet;

use gaffer::config::GafferdConfig;
use gaffer::log::Log;
use gaffer::manager::Supervisor;
use gaffer::plugins::{self, Notice, Plugin, Plugins, Set};
use gaffer::server::console_site;
use gaffer::suggest;
use gaffer::{Error, ErrorKind, Result};

/// The plugins that are there now, with what the configuration says of them.
pub(crate) fn read(config: &GafferdConfig) -> Result<Set> {
    let mut set = Set::default();
    if let Some(folder) = &config.plugins_dir {
        set.plugins = plugins::find(folder).map_err(|e| e.context("plugins_dir"))?;
    }
    set.settings = config.plugins.iter().map(|plugin| (plugin.name.clone(), plugin.settings.clone())).collect();
    Ok(set)
}

/// What keeps them from running.
pub(crate) fn faults(config: &GafferdConfig) -> Vec<Error> {
    let set = match read(config) {
        Ok(set) => set,
        Err(e) => return vec![e],
    };
    let embedded: &[&str] = if config.web_console { &[console_site::NAME] } else { &[] };
    let mut faults = plugins::missing(&set.plugins, embedded);
    let names: BTreeSet<&str> = set.plugins.iter().map(|plugin| plugin.name.as_str()).collect();
    for name in set.settings.keys().filter(|name| !names.contains(name.as_str())) {
        let hint = match &config.plugins_dir {
            Some(folder) => format!(" in {}{}", folder.display(), suggest::hint(name, names.iter().copied())),
            None => ": plugins_dir is not set".to_owned(),
        };
        faults.push(Error::new(ErrorKind::NotFound, format!("[plugin:{name}]: there is no such plugin{hint}")));
    }
    let about = |plugin: &Plugin, e: Error| e.context(format_args!("the plugin {}", plugin.name));
    let fault = |plugin: &Plugin| match plugin.job() {
        Ok(Some(job)) => Supervisor::resolve(&job).err().map(|e| about(plugin, e)),
        Ok(None) => None,
        Err(e) => Some(about(plugin, e)),
    };
    faults.extend(set.plugins.iter().filter_map(fault));
    faults
}

/// `scale 1.0: /_plugin/scale/, ./scale.py`.
pub(crate) fn describe(plugin: &Plugin) -> String {
    let version = plugin.manifest.version.as_ref().map(|version| format!(" {version}")).unwrap_or_default();
    let site = plugin.has_site.then(|| format!("/_plugin/{}/", plugin.name));
    let parts: Vec<String> = site.into_iter().chain(plugin.manifest.command.clone()).collect();
    format!(
        "{}{version}: {}",
        plugin.name,
        if parts.is_empty() { "nothing to run".to_owned() } else { parts.join(", ") }
    )
}

pub(crate) fn open(set: Set, log: &Log) -> Plugins {
    let log = log.clone();
    Plugins::new(set, move |notice| match notice {
        Notice::Failed { .. } => log.error(notice),
        Notice::Invalid { .. } => log.warning(notice),
        _ => log.info(notice),
    })
}
