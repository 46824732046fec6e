//! `/<pid>`: processes by their number.

use serde_json::json;

use super::params::{done, pid, signal as signal_of};
use super::{shapes, stats};
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
    stats::of_process(call, pid, |figures| json!({"stats": figures}))
}
