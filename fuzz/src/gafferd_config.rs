//! Configurations of gafferd, in both formats, and the plan between two of them.

use std::path::Path;

use gaffer::config::gafferd::Sources;
use gaffer::config::{GafferdConfig, Plan, job_from_json, job_to_json};

/// What was read can be written and read again; jobs go through JSON unharmed; nothing changes where nothing changed.
///
/// The text is the configuration; what it includes is what stands behind a line `--- NAME`.
pub fn run(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let Some(config) = read(&text) else { return };
    let written = config.to_json().to_string();
    let again = read(&written).expect("what was read can be written");
    assert_eq!(again.to_json().to_string(), written);
    assert_eq!(again.jobs, config.jobs);
    for job in &config.jobs {
        let (again, start) = job_from_json(&job_to_json(&job.config), None).expect("a job can be written");
        assert!(again == job.config && start);
    }
    let plan = Plan::new(&config.jobs, &again.jobs);
    assert!(plan.is_empty() && plan.kept.len() == config.jobs.len());
    let plan = Plan::new(&[], &config.jobs);
    assert!(plan.added.len() == config.jobs.len() && plan.removed.is_empty());
}

fn read(text: &str) -> Option<GafferdConfig> {
    let mut parts = text.split("\n--- ");
    let main = parts.next().unwrap_or_default();
    let files: Vec<(&str, &str)> = parts.map(|part| part.split_once('\n').unwrap_or((part, ""))).collect();
    let missing = || gaffer::Error::new(gaffer::ErrorKind::NotFound, "no such file");
    let sources = Sources {
        read: &|path| {
            if path == Path::new("main") {
                return Ok(main.to_owned());
            }
            let found = files.iter().find(|(name, _)| Path::new(name) == path);
            found.map(|(_, text)| (*text).to_owned()).ok_or_else(missing)
        },
        list_dir: &|_| Ok(files.iter().map(|(name, _)| ((*name).to_owned(), false)).collect()),
        environment: &|name| (name.len() % 2 == 0).then(|| name.to_lowercase()),
        current_dir: Path::new("/here"),
    };
    GafferdConfig::read(Path::new("main"), &sources).ok()
}
