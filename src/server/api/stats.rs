//! What processes use, once or again and again.

use std::collections::HashMap;

use super::params::{feed, heartbeat, interval, job, pid, refuse};
use super::processes::job_of;
use super::shapes::{self, Figures};
use crate::manager::{Cx, Sample, Target};
use crate::process::{JobName, Pid};
use crate::server::json::stats_json;
use crate::server::{Call, FeedSource, FeedSpec, Refusal, Reply};

/// `/stats`.
pub(super) fn all(call: &mut Call<'_, '_>) -> Result<Reply, Refusal> {
    match asked_feed(call, Target::All)? {
        Some(feed) => Ok(feed),
        None => survey(call, Target::All, Figures::new, |cx, figures| {
            let mut by_job: HashMap<_, Vec<Figures>> = HashMap::new();
            for one in figures {
                by_job.entry(one.name.clone()).or_default().push(one);
            }
            let mut stats = |name| shapes::job_stats(name, by_job.remove(name).unwrap_or_default());
            Ok(Reply::Json(200, cx.jobs().iter().map(|name| stats(name)).collect()))
        }),
    }
}

/// `/stats/<name>`.
pub(super) fn one(call: &mut Call<'_, '_>) -> Result<Reply, Refusal> {
    let name = job_of(call)?;
    call.cx.info(name.as_str())?;
    match asked_feed(call, Target::Job(name.clone()))? {
        Some(feed) => Ok(feed),
        None => of_job(call, name),
    }
}

/// `/jobs/<session>/<job>/stats`.
pub(super) fn job_once(call: &mut Call<'_, '_>) -> Result<Reply, Refusal> {
    let name = job(call)?;
    of_job(call, name)
}

/// The number says it all; a name that is not its job's is wrong nevertheless.
pub(super) fn process(call: &mut Call<'_, '_>) -> Result<Reply, Refusal> {
    let (name, pid) = (job_of(call)?, pid(call)?);
    if *call.cx.process(pid)?.name != name {
        let reason = format!("process {pid} is none of {name}");
        return Err(refuse(404, "not_found", reason));
    }
    match asked_feed(call, Target::Process(pid))? {
        Some(feed) => Ok(feed),
        None => of_process(call, pid, |figures| figures),
    }
}

fn asked_feed(call: &Call<'_, '_>, target: Target) -> Result<Option<Reply>, Refusal> {
    let Some(mode) = feed(call, "normal", true)? else { return Ok(None) };
    let source = FeedSource::Stats { target, interval: interval(call)? };
    Ok(Some(Reply::Feed(FeedSpec { source, mode, heartbeat: heartbeat(call)? })))
}

fn of_job(call: &mut Call<'_, '_>, name: JobName) -> Result<Reply, Refusal> {
    let done = {
        let name = name.clone();
        move |_: &mut Cx<'_>, figures| Ok(Reply::Json(200, shapes::job_stats(&name, figures)))
    };
    survey(call, Target::Job(name), Figures::new, done)
}

/// The figures of one process, put into a shape. One that the system does not know (any more) uses nothing.
pub(super) fn of_process(
    call: &mut Call<'_, '_>,
    pid: Pid,
    shape: fn(serde_json::Value) -> serde_json::Value,
) -> Result<Reply, Refusal> {
    survey(call, Target::Process(pid), stats_json, move |_, figures| match figures.into_iter().next() {
        Some(figures) => Ok(Reply::Json(200, shape(figures))),
        None => Err(refuse(404, "not_found", format!("process {pid} does not run"))),
    })
}

/// Samples without holding the loop, and answers then.
pub(super) fn survey<T: Send + 'static>(
    call: &mut Call<'_, '_>,
    target: Target,
    each: impl FnMut(&Sample) -> T + Send + 'static,
    done: impl FnOnce(&mut Cx<'_>, Vec<T>) -> Result<Reply, Refusal> + Send + 'static,
) -> Result<Reply, Refusal> {
    let later = call.later();
    let survey = call.cx.survey(target, each, move |cx, outcome| {
        let reply = outcome.map_err(Refusal::from).and_then(|made| done(cx, made));
        later.answer(cx, reply);
    })?;
    Ok(Reply::Later(Box::new(move |cx| {
        cx.end_survey(survey);
    })))
}
