//! Whether a configuration can run, and what it would run.

use std::fmt::Write as _;

use gaffer::cli::{self, Code, Failure};
use gaffer::config::GafferdConfig;
use gaffer::config::gafferd::AccessLog;
use gaffer::manager::Supervisor;
use gaffer::process::{JobConfig, LogFormat};
use gaffer::server::Tls;
use gaffer::{Error, ErrorKind, Result, words};

use crate::args::Args;
use crate::{access, lookup, plugins, webhooks};

/// All that keeps a well-formed configuration from running: nothing of it is started then.
pub(crate) fn faults(config: &GafferdConfig) -> Vec<Error> {
    let jobs = config.jobs.iter().filter_map(|job| {
        let fault = Supervisor::resolve(&job.config).err()?;
        Some(match config.places.get(&job.config.name) {
            Some(place) => fault.context(place),
            None => fault,
        })
    });
    let logs = Supervisor::check_logs(config.jobs.iter().map(|job| &job.config)).err();
    let tls = config.endpoints.iter().filter_map(|endpoint| {
        Tls::load(&endpoint.ssl).err().map(|e| e.context(format_args!("endpoint {}", endpoint.name)))
    });
    let guests = webhooks::faults(config).chain(plugins::faults(config)).chain(lookup::faults(config));
    access::fault(config).into_iter().chain(tls).chain(guests).chain(jobs).chain(logs).collect()
}

/// The same as one error: the first, and how many more there are.
pub(crate) fn preflight(config: &GafferdConfig) -> Result<()> {
    let mut faults = faults(config).into_iter();
    match (faults.next(), faults.len()) {
        (None, _) => Ok(()),
        (Some(first), 0) => Err(first),
        (Some(first), more) => Err(Error::new(first.kind(), format!("{first} (and {more} more; see gafferd --check)"))),
    }
}

/// `gafferd --check`.
pub(crate) fn check(args: &Args, config: &GafferdConfig) -> std::result::Result<Code, Failure> {
    let mut faults = faults(config);
    faults.extend(access::unreadable(args, config));
    faults.extend(homeless(config));
    if !faults.is_empty() {
        let faults: Vec<String> = faults.iter().map(Error::to_string).collect();
        return Err(Failure::new(Code::Failed, faults.join("\n")));
    }
    cli::print(summary(config)).map(|()| Code::Ok)
}

/// Files of our own that no folder is there for.
fn homeless(config: &GafferdConfig) -> impl Iterator<Item = Error> {
    let access_log = match &config.access_log {
        AccessLog::File(path) => Some(path),
        _ => None,
    };
    let files =
        [("pidfile", config.pidfile.as_ref()), ("error_log", config.error_log.as_ref()), ("access_log", access_log)];
    files.into_iter().filter_map(|(key, path)| {
        let path = path?;
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty())?;
        let what = format!("{key}: there is no folder '{}' for '{}'", folder.display(), path.display());
        (!folder.is_dir()).then(|| Error::new(ErrorKind::NotFound, what))
    })
}

fn summary(config: &GafferdConfig) -> String {
    let mut text = String::new();
    for file in &config.files {
        put(&mut text, format_args!("file {}", file.display()));
    }
    for endpoint in &config.endpoints {
        let addresses: Vec<String> = endpoint.bind.iter().map(ToString::to_string).collect();
        let tls = match &endpoint.ssl {
            ssl if !ssl.is_secure() => "",
            ssl if ssl.cacert.is_some() => ", TLS, clients with a certificate",
            _ => ", TLS",
        };
        put(&mut text, format_args!("endpoint {}: {}{tls}", endpoint.name, addresses.join(", ")));
        // It was loaded just now; what changed since then would be told at the start.
        for warning in Tls::load(&endpoint.ssl).map(|tls| tls.warnings()).unwrap_or_default() {
            put(&mut text, format_args!("warning: endpoint {}: {warning}", endpoint.name));
        }
    }
    for address in &config.lookupd_addresses {
        let key = config.lookup_key.is_some() || config.lookup_key_file.is_some();
        put(&mut text, format_args!("lookup {address}{}", if key { ", with a key" } else { "" }));
    }
    for warning in lookup::warnings(config) {
        put(&mut text, format_args!("warning: {warning}"));
    }
    for hook in &config.webhooks.hooks {
        put(&mut text, format_args!("webhook {}: {}", hook.event, hook.urls.join(" ")));
    }
    if !config.webhooks.hooks.is_empty() {
        put(&mut text, format_args!("webhooks {}", webhooks::describe(&config.webhooks)));
    }
    // They were found just now; what changed since then would be told at the start.
    for plugin in plugins::read(config).unwrap_or_default().plugins {
        put(&mut text, format_args!("plugin {}", plugins::describe(&plugin)));
    }
    for job in &config.jobs {
        // It was resolved just now; what changed since then would be told at the start.
        let argv = Supervisor::resolve(&job.config).unwrap_or_default();
        let command = words::join(argv.iter().map(|word| word.to_string_lossy())).replace('\n', "\\n");
        let n = job.config.numprocesses;
        let (s, start) = (if n == 1 { "" } else { "es" }, if job.start { "" } else { ", not started" });
        let name = job.config.name.short();
        put(&mut text, format_args!("job {name}: {n} process{s}{start}: {command}"));
        for outlet in job.config.outlets() {
            if let Some(path) = outlet.logfile {
                put(
                    &mut text,
                    format_args!("log {name} {}: {}{}", outlet.label, path.display(), rotation(&job.config)),
                );
            }
        }
    }
    text
}

/// What becomes of a log file, in few words.
fn rotation(job: &JobConfig) -> String {
    let format = match job.log_format {
        LogFormat::Prefix => ", prefix",
        LogFormat::Json => ", json",
        _ => "",
    };
    let total = job.logfile_total.map(|total| format!(", {total} bytes in all")).unwrap_or_default();
    match job.logfile_maxbytes {
        0 => format!("{format}, not rotated"),
        max => format!("{format}, rotated at {max} bytes, {} backups{total}", job.logfile_backups),
    }
}

fn put(text: &mut String, line: std::fmt::Arguments<'_>) {
    writeln!(text, "{line}").expect("a String takes everything");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_ignored() {
        let mut config = GafferdConfig::default();
        assert!(faults(&config).is_empty());
        config.lookup_ssl.cacert = Some("ca.pem".into());
        config.lookupd_addresses.push("ftp://x".to_owned());
        let texts: Vec<String> = faults(&config).iter().map(Error::to_string).collect();
        assert!(
            texts[0].starts_with("lookupd_address: ")
                && texts[1].starts_with("[lookup_ssl] is for lookup servers at https"),
            "{texts:?}"
        );
        let e = preflight(&config).expect_err("refused").to_string();
        assert!(e.ends_with("(and 1 more; see gafferd --check)"), "{e}");
    }
}
