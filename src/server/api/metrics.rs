//! `/metrics`: figures as OpenMetrics 1.0 text.

use super::stats;
use crate::manager::{Cx, Sample, Target};
use crate::process::{JobInfo, JobState, LogStatus, Pid, ProcessStats};
use crate::server::openmetrics::Page;
use crate::server::{Call, Refusal, Reply};

/// The figures of processes are sampled without holding the loop; where the system does not tell, their families are left out.
pub(super) fn text(call: &mut Call<'_, '_>) -> Result<Reply, Refusal> {
    let mut page = Page::default();
    server(call, &mut page);
    jobs(call, &mut page);
    #[cfg(feature = "webhooks")]
    webhooks(call, &mut page);
    plugins(call, &mut page);
    let Ok(own) = call.cx.own_stats() else { return Ok(page.finish()) };
    let uses =
        |sample: &Sample| Uses { pid: sample.pid, figures: FAMILIES.map(|(.., value)| sum(&sample.stats, value)) };
    stats::survey(call, Target::All, uses, move |cx, all| {
        processes(cx, &all, &mut page);
        page.itself(&own);
        Ok(page.finish())
    })
}

fn server(call: &mut Call<'_, '_>, page: &mut Page) {
    let counters = call.counters;
    page.family("gaffer", "info", "", "The version of gaffer.");
    page.sample("gaffer_info", &[("version", env!("CARGO_PKG_VERSION"))], 1_u8);
    page.one("gaffer_up", "gauge", "", "Whether the manager takes work: 0 while it stops.", !call.cx.is_stopping());
    page.clients(counters);
    let help = "Events that were dropped because nobody took them in time.";
    page.one("gaffer_events_dropped", "counter", "", help, call.cx.events().dropped());
    let listeners = [
        (
            "gaffer_subscriptions",
            "Who listens to events; all feeds of a server share one.",
            call.cx.events().subscriptions(),
        ),
        ("gaffer_taps", "Who gets output of processes.", call.cx.taps()),
        ("gaffer_monitors", "Who gets samples of what processes use.", call.cx.monitors()),
    ];
    for (name, help, n) in listeners {
        page.one(name, "gauge", "", help, n as u64);
    }
    let help = "Events, samples and pieces of output that feeds lost because their client was too slow.";
    page.one("gaffer_feed_dropped", "counter", "", help, counters.dropped);
    page.turns(call.cx.turn_times());
}

fn jobs(call: &Call<'_, '_>, page: &mut Page) {
    let mut infos = Vec::new();
    call.cx.walk(|info| infos.push(info));
    let mut each = |family: &str, kind, help, value: &dyn Fn(&JobInfo) -> u64| {
        page.family(family, kind, "", help);
        for info in &infos {
            let name = if kind == "counter" { format!("{family}_total") } else { family.to_owned() };
            page.sample(&name, &[("job", info.name.as_str())], value(info));
        }
    };
    let counted = |info: &JobInfo| call.metrics.job(&info.name);
    let wanted = |info: &JobInfo| match info.state {
        JobState::Stopped => 0,
        _ => info.numprocesses.saturating_sub(info.completed).into(),
    };
    each("gaffer_job_processes_wanted", "gauge", "Processes that should run.", &wanted);
    each("gaffer_job_processes", "gauge", "Processes that start or run, committed ones included.", &|info| {
        info.running.into()
    });
    each("gaffer_job_spawns", "counter", "Processes started.", &|info| counted(info).map_or(0, |job| job.spawns()));
    each("gaffer_job_restarts", "counter", "Processes replaced because they had ended by themselves.", &|info| {
        counted(info).map_or(0, |job| job.restarts())
    });
    each("gaffer_job_flaps", "counter", "Times the job crashed too often.", &|info| {
        counted(info).map_or(0, |job| job.flaps())
    });
    each("gaffer_job_given_up", "gauge", "Whether the job stopped because it crashed too often.", &|info| {
        (info.state == JobState::Stopped && counted(info).is_some_and(|job| job.is_given_up())).into()
    });
    page.family("gaffer_job_state", "stateset", "", "What the job is doing.");
    for info in &infos {
        let states = [("active", JobState::Active), ("flapping", JobState::Flapping), ("stopped", JobState::Stopped)];
        for (name, state) in states {
            let labels = [("job", info.name.as_str()), ("gaffer_job_state", name)];
            page.sample("gaffer_job_state", &labels, u8::from(info.state == state));
        }
    }
    page.family("gaffer_job_exits", "counter", "", "Processes ended, by exit code, signal, or another reason.");
    for info in &infos {
        for ((kind, value), n) in counted(info).into_iter().flat_map(|job| job.exits()) {
            page.sample("gaffer_job_exits_total", &[("job", info.name.as_str()), (kind, value)], n);
        }
    }
    logs(&infos, page);
}

/// What is written to log files; those that are no regular file may be several jobs'.
fn logs(infos: &[JobInfo], page: &mut Page) {
    let mut each = |family: &str, kind, unit, help, value: &dyn Fn(&LogStatus) -> u64| {
        page.family(family, kind, unit, help);
        let name = if kind == "counter" { format!("{family}_total") } else { family.to_owned() };
        for info in infos {
            for log in &info.logs {
                let path = log.path.to_string_lossy();
                page.sample(&name, &[("job", info.name.as_str()), ("file", &path)], value(log));
            }
        }
    };
    each("gaffer_log_written_bytes", "counter", "bytes", "Written to the log file.", &|log| log.bytes);
    let help = "Output that was lost because the log file could not be written.";
    each("gaffer_log_dropped_bytes", "counter", "bytes", help, &|log| log.dropped);
    each("gaffer_log_rotations", "counter", "", "How often the log file was rotated.", &|log| log.rotations);
    let help = "Whether the log file cannot be written or rotated now.";
    each("gaffer_log_failing", "gauge", "", help, &|log| u64::from(log.failing.is_some()));
}

fn plugins(call: &Call<'_, '_>, page: &mut Page) {
    let Some(lines) = call.provided.get::<crate::plugins::InvalidLines>() else { return };
    page.family("gaffer_plugin_invalid_lines", "counter", "", "Lines of plugins' programs that were no messages.");
    for (plugin, n) in lines.all() {
        page.sample("gaffer_plugin_invalid_lines_total", &[("plugin", &plugin)], n);
    }
}

#[cfg(feature = "webhooks")]
fn webhooks(call: &Call<'_, '_>, page: &mut Page) {
    let Some(hooks) = call.provided.get::<crate::webhooks::Hooks>() else { return };
    let counters = hooks.counters();
    page.one("gaffer_webhook_queued", "gauge", "", "Events that wait to be posted.", counters.queued);
    for (name, help, n) in [
        ("gaffer_webhook_sent", "Events posted.", counters.sent),
        ("gaffer_webhook_failed", "Events given up after all tries.", counters.failed),
        ("gaffer_webhook_retried", "Tries that failed and were followed by another one.", counters.retried),
        ("gaffer_webhook_dropped", "Events dropped because too many waited for their URL.", counters.dropped),
    ] {
        page.one(name, "counter", "", help, n);
    }
}

/// What a supervised process uses, all it has started included: name, type, unit and help of each family, and its value.
type Family = (&'static str, &'static str, &'static str, &'static str, fn(&ProcessStats) -> f64);

const FAMILIES: [Family; 4] = [
    ("gaffer_process_resident_memory_bytes", "gauge", "bytes", "Resident memory.", |s| s.rss as f64),
    ("gaffer_process_cpu_seconds", "counter", "seconds", "Processor time used.", |s| s.cpu_time.as_secs_f64()),
    ("gaffer_process_threads", "gauge", "", "Threads.", |s| s.num_threads.into()),
    ("gaffer_process_open_fds", "gauge", "", "Open descriptors.", |s| s.num_fds.unwrap_or_default().into()),
];

/// What one process uses.
struct Uses {
    pid: Pid,
    figures: [f64; FAMILIES.len()],
}

fn processes(cx: &Cx<'_>, all: &[Uses], page: &mut Page) {
    let mut rows = Vec::new();
    for Uses { pid, figures } in all {
        // It may have ended since.
        let Ok(process) = cx.process(*pid) else { continue };
        let name = format!("{}.{}", process.name.label(), process.instance);
        rows.push((process.name, name, figures));
    }
    for (i, (family, kind, unit, help, _)) in FAMILIES.into_iter().enumerate() {
        page.family(family, kind, unit, help);
        let sample = if kind == "counter" { format!("{family}_total") } else { family.to_owned() };
        for (job, name, figures) in &rows {
            page.sample(&sample, &[("job", job.as_str()), ("process", name)], figures[i]);
        }
    }
}

/// Of a process and all it has started.
fn sum(stats: &ProcessStats, value: fn(&ProcessStats) -> f64) -> f64 {
    value(stats) + stats.children.iter().map(|child| sum(child, value)).sum::<f64>()
}
