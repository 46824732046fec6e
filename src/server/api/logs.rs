//! `/logs`: what programs have written lately, and what they write.

use std::time::{Duration, SystemTime};

use super::params::{bad, feed, heartbeat, refuse, truth};
use crate::history::{History, JobPattern, Query};
use crate::process::Pid;
use crate::server::logs::record_json;
use crate::server::{Call, FeedSource, FeedSpec, Refusal, Reply};

/// So much of what is kept goes into one answer, the newest: 2 MiB.
const MAX_ANSWER: usize = 2 << 20;

pub(super) fn read(call: &mut Call<'_, '_>) -> Result<Reply, Refusal> {
    let query = query(call)?;
    if let Some(mode) = feed(call, "normal", true)? {
        let source = FeedSource::Logs(Box::new(query));
        return Ok(Reply::Feed(FeedSpec { source, mode, heartbeat: heartbeat(call)? }));
    }
    let Some(logs) = call.provided.get::<History>() else {
        return Err(refuse(501, "unsupported", "this server keeps no history of output; a feed shows what comes"));
    };
    let snapshot = logs.read_with_files(call.cx, &query);
    let mut body = Vec::new();
    if snapshot.is_cut {
        body.extend_from_slice(b"{\"event\":\"gap\",\"dropped\":null}\n");
    }
    for record in &snapshot.records {
        record_json(&mut body, record.time, &record.origin, &record.data);
        body.push(b'\n');
    }
    Ok(Reply::Bytes { status: 200, content_type: "application/x-ndjson".to_owned(), body, cache: false })
}

fn query(call: &Call<'_, '_>) -> Result<Query, Refusal> {
    let mut query = Query { bytes: MAX_ANSWER, ..Query::default() };
    for (name, value) in call.query.iter() {
        let whole = |what: &str| {
            let number = value.parse::<u64>().ok().filter(|_| value.bytes().all(|b| b.is_ascii_digit()));
            number.ok_or_else(|| bad(format!("{name}: expected {what}, found {value:?}")))
        };
        match name {
            "job" => query.jobs.push(JobPattern::new(value)?),
            "pid" => query.pid = Some(Pid(whole("the number of a process")?)),
            "label" => query.label = Some(value.to_owned()),
            "stderr" => query.stderr = Some(truth(name, value)?),
            "n" => query.lines = usize::try_from(whole("a number of lines")?).unwrap_or(usize::MAX),
            "since" => query.since = Some(since(value)?),
            _ => {}
        }
    }
    Ok(query)
}

/// So many seconds ago.
fn since(text: &str) -> Result<SystemTime, Refusal> {
    let plain = text.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    let ago = text.parse().ok().filter(|_| plain).and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    let ago = ago.ok_or_else(|| bad(format!("since: expected a number of seconds, found {text:?}")))?;
    Ok(SystemTime::now().checked_sub(ago).unwrap_or(SystemTime::UNIX_EPOCH))
}
