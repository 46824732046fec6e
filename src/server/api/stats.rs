//! `/stats`: what processes use, once or again and again.

use std::collections::HashMap;

use serde_json::Value;

use super::params::{feed, heartbeat, interval, pid, refuse};
use super::processes::job_of;
use super::{pids, shapes};
use crate::manager::{Sample, Target};
use crate::server::{Call, FeedSource, FeedSpec, Refusal, Reply};

pub(super) fn all(call: &mut Call<'_, '_>) -> Result<Reply, Refusal> {
    answer(call, Target::All, |call| {
        let mut by_job: HashMap<String, Vec<Sample>> = HashMap::new();
        for sample in call.cx.stats(&Target::All)? {
            by_job.entry(sample.name.to_string()).or_default().push(sample);
        }
        let jobs = call.cx.jobs();
        let stats = |name: &str| by_job.get(name).map_or(&[][..], Vec::as_slice);
        Ok(jobs.iter().map(|name| shapes::job_stats(name, stats(name.as_str()))).collect())
    })
}

pub(super) fn one(call: &mut Call<'_, '_>) -> Result<Reply, Refusal> {
    let name = job_of(call)?;
    call.cx.info(name.as_str())?;
    answer(call, Target::Job(name.clone()), |call| {
        Ok(shapes::job_stats(&name, &call.cx.stats(&Target::Job(name.clone()))?))
    })
}

/// The number says it all; a name that is not its job's is wrong nevertheless.
pub(super) fn process(call: &mut Call<'_, '_>) -> Result<Reply, Refusal> {
    let (name, pid) = (job_of(call)?, pid(call)?);
    if *call.cx.process(pid)?.name != name {
        let reason = format!("process {pid} is none of {name}");
        return Err(refuse(404, "not_found", reason));
    }
    answer(call, Target::Process(pid), |call| pids::sample(call, pid))
}

fn answer(
    call: &mut Call<'_, '_>,
    target: Target,
    once: impl FnOnce(&mut Call<'_, '_>) -> Result<Value, Refusal>,
) -> Result<Reply, Refusal> {
    match feed(call, "normal", true)? {
        None => Ok(Reply::Json(200, once(call)?)),
        Some(mode) => {
            let source = FeedSource::Stats { target, interval: interval(call)? };
            Ok(Reply::Feed(FeedSpec { source, mode, heartbeat: heartbeat(call)? }))
        }
    }
}
