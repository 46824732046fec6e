//! `/healthz` and `/readyz`: for whoever asks whether all is well.

use serde_json::{Value, json};

use super::shapes;
use crate::manager::Supervisor;
use crate::process::{Health, JobInfo, JobState, ProcessState};
use crate::server::{Call, Refusal, Reply};

/// So many jobs are named in the sentence; the list has all.
const NAMED: usize = 5;

/// That somebody answers is all there is to know: the loop turns.
pub(super) fn alive(_: &mut Call<'_, '_>) -> Result<Reply, Refusal> {
    Ok(Reply::Json(200, json!({"status": "ok"})))
}

pub(super) fn ready(call: &mut Call<'_, '_>) -> Result<Reply, Refusal> {
    let (mut total, mut names, mut jobs) = (0, Vec::new(), Vec::new());
    call.cx.walk(|info| {
        total += 1;
        if let Some(why) = missing(call.cx, &info) {
            names.push(format!("{} ({why})", info.name.short()));
            let mut job = shapes::status(&info);
            job["reason"] = why.into();
            jobs.push(job);
        }
    });
    if call.cx.is_stopping() {
        return Ok(not_ready("the manager is stopping".to_owned(), jobs));
    }
    if jobs.is_empty() {
        return Ok(Reply::Json(200, json!({"ready": true, "total": total, "jobs": []})));
    }
    let more = names.len().saturating_sub(NAMED);
    names.truncate(NAMED);
    let mut list = names.join(", ");
    if more > 0 {
        list += &format!(" and {more} more");
    }
    let reason = format!("{} of {total} jobs not running as wanted: {list}", jobs.len());
    Ok(not_ready(reason, jobs))
}

/// The one shape of errors, and the list.
fn not_ready(reason: String, jobs: Vec<Value>) -> Reply {
    Reply::Json(503, json!({"error": "not_ready", "reason": reason, "errno": 503, "ready": false, "jobs": jobs}))
}

/// What is wrong with a job, if something is. One that somebody has stopped is as it is wanted.
fn missing(supervisor: &Supervisor, info: &JobInfo) -> Option<String> {
    match info.state {
        JobState::Flapping => Some("flapping".to_owned()),
        JobState::Stopped if info.health == Health::GaveUp => Some("given up: it crashed too often".to_owned()),
        JobState::Active => {
            let wanted = info.numprocesses.saturating_sub(info.completed) as usize;
            let runs = |state| state == ProcessState::Running;
            let kept = info.processes.iter().filter_map(|pid| supervisor.process(*pid).ok());
            let running = kept.filter(|process| !process.once && runs(process.state)).count();
            (running < wanted).then(|| format!("{running} of {wanted} running"))
        }
        JobState::Stopped => None,
    }
}
