//! `/streams`: the output of processes, and what is written to them.

use super::params::{bad, done, feed, heartbeat, pid, refuse};
use crate::ErrorKind;
use crate::controller::is_stdin;
use crate::server::{Call, FeedSource, FeedSpec, Refusal, Reply};

pub(super) fn read(call: &mut Call<'_, '_>) -> Result<Reply, Refusal> {
    let (pid, label) = (pid(call)?, call.param("label").to_owned());
    let config = call.cx.process(pid)?.config;
    let outlets = config.outlets();
    if outlets.is_empty() && config.custom_streams.is_empty() {
        return Err(refuse(400, "io_not_redirected", format!("process {pid}: its output is not redirected")));
    }
    if !outlets.iter().any(|outlet| outlet.label == label) && !config.custom_streams.contains(&label) {
        return Err(refuse(404, "io_not_found", format!("process {pid}: no such stream '{label}'")));
    }
    let (mode, heartbeat) = (feed(call, "longpoll", false)?, heartbeat(call)?);
    let source = FeedSource::Stream { pid, label };
    mode.map(|mode| Reply::Feed(FeedSpec { source, mode, heartbeat })).ok_or_else(|| bad("a feed has no normal form"))
}

/// Writes the body as it is; nothing of it, if too much waits already.
pub(super) fn write(call: &mut Call<'_, '_>) -> Result<Reply, Refusal> {
    let (pid, label) = (pid(call)?, call.param("label").to_owned());
    let stream = Some(label.as_str()).filter(|label| !is_stdin(label));
    call.cx.send(pid, stream, &call.request.body).map_err(|e| match e.kind() {
        ErrorKind::Forbidden => refuse(403, "forbidden_write", e.to_string()),
        _ => Refusal::from(e),
    })?;
    done(200)
}
