//! `/jobs`: jobs, as the 0.5 generation names them.

use serde_json::{Value, json};

use super::params::{bad, done, flag, job, object, signal as signal_of};
use super::shapes;
use crate::config::job_from_json;
use crate::controller::values;
use crate::server::{Call, Refusal, Reply};
use crate::table::JobView;

pub(super) fn all(call: &mut Call<'_, '_>) -> Result<Reply, Refusal> {
    let mut text = b"{\"jobs\":".to_vec();
    if flag(call, "details")? {
        for (nth, job) in call.cx.views().enumerate() {
            text.push(if nth == 0 { b'[' } else { b',' });
            text.extend(job_text(call, job));
        }
        text.extend_from_slice(if text.ends_with(b":") { b"[]" } else { b"]" });
    } else {
        shapes::names_text(call.cx.job_names(), &mut text);
    }
    text.push(b'}');
    Ok(Reply::JsonText(200, text))
}

pub(super) fn of_session(call: &mut Call<'_, '_>) -> Result<Reply, Refusal> {
    let session = call.param("session").to_owned();
    let jobs = call.cx.jobs_of(&session)?;
    Ok(Reply::Json(200, json!({"sessionid": session, "jobs": shapes::names(&jobs)})))
}

pub(super) fn load(call: &mut Call<'_, '_>) -> Result<Reply, Refusal> {
    let (config, start) = job_from_json(&call.json()?, Some(call.param("session")))?;
    call.cx.load(config, start)?;
    done(200)
}

pub(super) fn info(call: &mut Call<'_, '_>) -> Result<Reply, Refusal> {
    Ok(Reply::JsonText(200, job_text(call, call.cx.view(call.param("session"), call.param("name"))?)))
}

fn job_text(call: &Call<'_, '_>, job: JobView<'_>) -> Vec<u8> {
    shapes::job_text(job, call.cx.started_of(job), &call.cx.logs_of(job.name()))
}

pub(super) fn update(call: &mut Call<'_, '_>) -> Result<Reply, Refusal> {
    let name = job(call)?;
    let (config, start) = job_from_json(&named_like(call.json()?, name.label()), Some(name.session()))?;
    if config.name != name {
        return Err(bad(format!("the job is {name} in the path, but {} in the body", config.name)));
    }
    call.cx.update(config, start)?;
    done(201)
}

/// A definition that goes to a path with the name need not repeat it.
pub(super) fn named_like(mut definition: Value, name: &str) -> Value {
    if let Value::Object(members) = &mut definition {
        members.entry("name").or_insert_with(|| name.into());
    }
    definition
}

pub(super) fn unload(call: &mut Call<'_, '_>) -> Result<Reply, Refusal> {
    let name = job(call)?;
    call.cx.unload(name.as_str())?;
    done(200)
}

pub(super) fn numprocesses(call: &mut Call<'_, '_>) -> Result<Reply, Refusal> {
    let name = job(call)?;
    Ok(Reply::Json(200, json!({"numprocesses": call.cx.info(name.as_str())?.numprocesses})))
}

/// A number adds or removes; a text may also set: `"=3"`, `"3"`.
pub(super) fn scale(call: &mut Call<'_, '_>) -> Result<Reply, Refusal> {
    let name = job(call)?;
    let scale = values::scale(object(call, &["scale"])?.get("scale").unwrap_or(&Value::Null))?;
    Ok(Reply::Json(200, json!({"numprocesses": call.cx.scale(name.as_str(), scale)?})))
}

pub(super) fn signal(call: &mut Call<'_, '_>) -> Result<Reply, Refusal> {
    let (name, signal) = (job(call)?, signal_of(call)?);
    call.cx.killall(name.as_str(), signal)?;
    done(202)
}

pub(super) fn state(call: &mut Call<'_, '_>) -> Result<Reply, Refusal> {
    let name = job(call)?;
    let runs = call.cx.info(name.as_str())?.running > 0;
    Ok(Reply::Text(200, if runs { "1" } else { "0" }.to_owned()))
}

pub(super) fn set_state(call: &mut Call<'_, '_>) -> Result<Reply, Refusal> {
    let name = job(call)?;
    match call.text()?.trim() {
        "1" => call.cx.start_job(name.as_str())?,
        "0" => call.cx.stop_job(name.as_str())?,
        "2" => call.cx.reload(name.as_str())?,
        _ => return Err(bad("expected 1 (start), 0 (stop) or 2 (reload)")),
    }
    done(202)
}

pub(super) fn pids(call: &mut Call<'_, '_>) -> Result<Reply, Refusal> {
    let name = job(call)?;
    Ok(Reply::Json(200, json!({"pids": shapes::pids(&call.cx.pids(name.as_str())?)})))
}

pub(super) fn commit(call: &mut Call<'_, '_>) -> Result<Reply, Refusal> {
    let name = job(call)?;
    // All of it has a default.
    let members =
        if call.request.body.is_empty() { Default::default() } else { object(call, &["graceful_timeout", "env"])? };
    let commit = values::commit(members.get("graceful_timeout"), members.get("env"))?;
    Ok(Reply::Json(200, json!({"pid": call.cx.commit(name.as_str(), commit)?.0})))
}
