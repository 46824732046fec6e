//! `/jobs`: jobs, as the 0.5 generation names them.

use std::time::Duration;

use serde_json::{Value, json};

use super::params::{bad, done, job, object, signal as signal_of};
use super::shapes;
use crate::config::job_from_json;
use crate::manager::Commit;
use crate::process::Scale;
use crate::server::{Call, Refusal, Reply};

pub(super) fn all(call: &mut Call<'_, '_>) -> Result<Reply, Refusal> {
    Ok(Reply::Json(200, json!({"jobs": shapes::names(&call.cx.jobs())})))
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
    let name = job(call)?;
    Ok(Reply::Json(200, shapes::job(&call.cx.info(name.as_str())?)))
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
    let scale = match object(call, &["scale"])?.get("scale") {
        Some(Value::String(text)) => text.parse()?,
        Some(Value::Number(number)) if number.is_i64() => Scale::By(number.as_i64().unwrap_or_default()),
        _ => return Err(bad("expected a `scale`: a whole number, or a text such as \"+1\", \"-1\" or \"=3\"")),
    };
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
    let mut commit = Commit::default();
    // All of it has a default.
    let members =
        if call.request.body.is_empty() { Default::default() } else { object(call, &["graceful_timeout", "env"])? };
    match members.get("graceful_timeout") {
        None | Some(Value::Null) => {}
        Some(value) => match value.as_f64().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()) {
            Some(timeout) => commit.graceful_timeout = Some(timeout),
            None => return Err(bad(format!("graceful_timeout: expected seconds, found {value}"))),
        },
    }
    match members.get("env") {
        None | Some(Value::Null) => {}
        Some(Value::Object(variables)) => {
            for (name, value) in variables {
                if name.is_empty() || name.contains(['=', '\0']) {
                    return Err(bad(format!("env: {name:?} is not a variable's name")));
                }
                let value = match value {
                    Value::String(text) if !text.contains('\0') => text.clone(),
                    Value::Number(number) => number.to_string(),
                    _ => return Err(bad(format!("env.{name}: expected text, found {value}"))),
                };
                commit.env.insert(name.clone(), value);
            }
        }
        Some(value) => return Err(bad(format!("env: expected an object, found {value}"))),
    }
    Ok(Reply::Json(200, json!({"pid": call.cx.commit(name.as_str(), commit)?.0})))
}
