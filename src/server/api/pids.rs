//! `/<pid>`: processes by their number.

use serde_json::json;

use super::params::{done, pid, refuse, signal as signal_of};
use super::shapes;
use crate::manager::Target;
use crate::process::Pid;
use crate::server::json::stats_json;
use crate::server::{Call, Refusal, Reply};

pub(super) fn info(call: &mut Call<'_, '_>) -> Result<Reply, Refusal> {
    let pid = pid(call)?;
    Ok(Reply::Json(200, shapes::process(&call.cx.process(pid)?)))
}

pub(super) fn stop(call: &mut Call<'_, '_>) -> Result<Reply, Refusal> {
    let pid = pid(call)?;
    call.cx.stop_process(pid)?;
    done(202)
}

pub(super) fn signal(call: &mut Call<'_, '_>) -> Result<Reply, Refusal> {
    let (pid, signal) = (pid(call)?, signal_of(call)?);
    call.cx.kill(pid, signal)?;
    done(202)
}

pub(super) fn stats(call: &mut Call<'_, '_>) -> Result<Reply, Refusal> {
    let pid = pid(call)?;
    Ok(Reply::Json(200, json!({"stats": sample(call, pid)?})))
}

/// The figures of one process. One that the system does not know (any more) uses nothing.
pub(super) fn sample(call: &Call<'_, '_>, pid: Pid) -> Result<serde_json::Value, Refusal> {
    let samples = call.cx.stats(&Target::Process(pid))?;
    let gone = || refuse(404, "not_found", format!("process {pid} does not run"));
    samples.first().map(stats_json).ok_or_else(gone)
}
