//! `/groups`: sessions, as the 0.4 generation names them.

use serde_json::json;

use super::params::done;
use super::shapes;
use crate::server::{Call, Refusal, Reply};

pub(super) fn all(call: &mut Call<'_, '_>) -> Result<Reply, Refusal> {
    Ok(Reply::Json(200, json!(call.cx.sessions())))
}

pub(super) fn one(call: &mut Call<'_, '_>) -> Result<Reply, Refusal> {
    let group = call.param("group").to_owned();
    Ok(Reply::Json(200, shapes::names_0_4(&call.cx.jobs_of(&group)?)))
}

pub(super) fn remove(call: &mut Call<'_, '_>) -> Result<Reply, Refusal> {
    let group = call.param("group").to_owned();
    call.cx.remove_session(&group)?;
    done(200)
}

pub(super) fn start(call: &mut Call<'_, '_>) -> Result<Reply, Refusal> {
    let group = call.param("group").to_owned();
    call.cx.start_session(&group)?;
    done(200)
}

pub(super) fn stop(call: &mut Call<'_, '_>) -> Result<Reply, Refusal> {
    let group = call.param("group").to_owned();
    call.cx.stop_session(&group)?;
    done(200)
}

pub(super) fn restart(call: &mut Call<'_, '_>) -> Result<Reply, Refusal> {
    let group = call.param("group").to_owned();
    call.cx.restart_session(&group)?;
    done(200)
}
