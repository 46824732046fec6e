//! `/processes`: jobs and processes, as the 0.4 generation names them.

use serde_json::json;

use super::jobs::named_like;
use super::params::{Named, bad, done, flag, job_name, named, signal as signal_of};
use super::shapes;
use crate::config::job_from_json;
use crate::process::{JobName, Pid, Scale, Signal};
use crate::server::{Call, Refusal, Reply};

pub(super) fn all(call: &mut Call<'_, '_>) -> Result<Reply, Refusal> {
    Ok(Reply::Json(
        200,
        if flag(call, "running")? { shapes::pids(&call.cx.list()) } else { shapes::names_0_4(&call.cx.jobs()) },
    ))
}

pub(super) fn load(call: &mut Call<'_, '_>) -> Result<Reply, Refusal> {
    let (config, start) = job_from_json(&call.json()?, None)?;
    call.cx.load(config, start)?;
    done(200)
}

pub(super) fn info(call: &mut Call<'_, '_>) -> Result<Reply, Refusal> {
    let config = match named(call)? {
        Named::Job(name) => call.cx.info(name.as_str())?.config,
        Named::Process(pid) => call.cx.process(pid)?.config,
    };
    Ok(Reply::Json(200, shapes::template(&config)))
}

pub(super) fn update(call: &mut Call<'_, '_>) -> Result<Reply, Refusal> {
    let Named::Job(name) = named(call)? else { return Err(not_for_a_process("updated")) };
    let definition = named_like(call.json()?, name.as_str());
    let session = Some(name.session()).filter(|_| !has_session(&definition));
    let (config, start) = job_from_json(&definition, session)?;
    if config.name != name {
        return Err(bad(format!("the job is {name} in the path, but {} in the body", config.name)));
    }
    call.cx.update(config, start)?;
    done(200)
}

/// Whether a definition names its session outside of its name.
fn has_session(definition: &serde_json::Value) -> bool {
    ["session", "group", "sessionid"].iter().any(|key| definition.get(key).is_some_and(|value| !value.is_null()))
}

pub(super) fn remove(call: &mut Call<'_, '_>) -> Result<Reply, Refusal> {
    match named(call)? {
        Named::Job(name) => call.cx.unload(name.as_str())?,
        Named::Process(pid) => call.cx.stop_process(pid)?,
    }
    done(200)
}

pub(super) fn pids(call: &mut Call<'_, '_>) -> Result<Reply, Refusal> {
    let pids: Vec<Pid> = match named(call)? {
        Named::Job(name) => call.cx.pids(name.as_str())?,
        Named::Process(pid) => vec![call.cx.process(pid)?.pid],
    };
    Ok(Reply::Json(200, json!({"ok": true, "pids": shapes::pids(&pids)})))
}

pub(super) fn start(call: &mut Call<'_, '_>) -> Result<Reply, Refusal> {
    let Named::Job(name) = named(call)? else { return Err(not_for_a_process("started")) };
    call.cx.start_job(name.as_str())?;
    done(200)
}

pub(super) fn stop(call: &mut Call<'_, '_>) -> Result<Reply, Refusal> {
    match named(call)? {
        Named::Job(name) => call.cx.stop_job(name.as_str())?,
        Named::Process(pid) => call.cx.stop_process(pid)?,
    }
    done(200)
}

pub(super) fn restart(call: &mut Call<'_, '_>) -> Result<Reply, Refusal> {
    let Named::Job(name) = named(call)? else { return Err(not_for_a_process("restarted")) };
    call.cx.restart_job(name.as_str())?;
    done(200)
}

pub(super) fn add(call: &mut Call<'_, '_>) -> Result<Reply, Refusal> {
    scale(call, 1)
}

pub(super) fn sub(call: &mut Call<'_, '_>) -> Result<Reply, Refusal> {
    scale(call, -1)
}

fn scale(call: &mut Call<'_, '_>, sign: i64) -> Result<Reply, Refusal> {
    let Named::Job(name) = named(call)? else { return Err(not_for_a_process("scaled")) };
    let n = match call.param("n") {
        "" => 1,
        text => {
            text.parse::<u32>().map_err(|_| bad(format!("expected a whole number of processes, found {text:?}")))?
        }
    };
    let n = call.cx.scale(name.as_str(), Scale::By(sign * i64::from(n)))?;
    Ok(Reply::Json(200, json!({"ok": true, "numprocesses": n})))
}

pub(super) fn signal(call: &mut Call<'_, '_>) -> Result<Reply, Refusal> {
    let named = named(call)?;
    let signal: Signal = match call.param("signal") {
        "" if call.request.body.is_empty() => {
            return Err(bad("expected a signal, as in `_signal/15` or `_signal/term`"));
        }
        "" => signal_of(call)?,
        text => text.parse()?,
    };
    match named {
        Named::Job(name) => call.cx.killall(name.as_str(), signal)?,
        Named::Process(pid) => call.cx.kill(pid, signal)?,
    }
    done(200)
}

fn not_for_a_process(verb: &str) -> Refusal {
    bad(format!("a process cannot be {verb}, only a job can"))
}

/// The job of `/status/:name` and `/stats/:name`.
pub(super) fn job_of(call: &Call<'_, '_>) -> Result<JobName, Refusal> {
    job_name(call.param("name"))
}
