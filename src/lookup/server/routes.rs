//! The routes, one line each.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::doors::{Doors, Wants};
use super::{Directory, metrics, node};
use crate::lookup::registry::Source;
use crate::process::JobName;
use crate::server::{Call, Refusal, Reply, Route, get};

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// All routes of a lookup server but `/lookup`, which is SockJS.
#[rustfmt::skip]
pub const ROUTES: &[Route] = &[
    get("/", welcome, "Who answers, and its version"),
    get("/ping", ping, "Whether the server answers"),
    get("/healthz", health, "Whether the server answers, and how its registry fares"),
    get("/metrics", metrics::text, "Figures for a monitoring system, as OpenMetrics text"),
    get("/version", version, "Name and version"),
    get("/nodes", nodes, "The nodes that are there"),
    get("/sessions", sessions, "The sessions of all nodes and their jobs"),
    get("/sessions/:node", sessions, "The sessions of the nodes of this name and their jobs"),
    get("/jobs", jobs, "All jobs, and which nodes have them"),
    get("/findJob", find_job, "The nodes that have a job"),
    get("/findSession", find_session, "The jobs of a session, and which nodes have them"),
    get("/ws", socket, "The protocol of nodes, by websocket"),
];

fn welcome(_: &mut Call<'_, '_>) -> Result<Reply, Refusal> {
    Ok(Reply::Json(200, json!({"welcome": "gaffer-lookupd", "version": VERSION})))
}

fn ping(_: &mut Call<'_, '_>) -> Result<Reply, Refusal> {
    Ok(Reply::Text(200, "OK".to_owned()))
}

fn health(call: &mut Call<'_, '_>) -> Result<Reply, Refusal> {
    let directory = directory(call)?;
    let registry = directory.health();
    // It is for whoever would start this server anew, which mends nothing where etcd is away.
    Ok(Reply::Json(200, marked(directory, json!({"status": "ok", "registry": registry}))))
}

/// Says so where an answer may be stale.
fn marked(directory: &Directory, mut answer: Value) -> Value {
    if directory.is_stale() {
        answer["stale"] = true.into();
    }
    answer
}

fn version(_: &mut Call<'_, '_>) -> Result<Reply, Refusal> {
    Ok(Reply::Json(200, json!({"name": "gaffer-lookupd", "version": VERSION})))
}

pub(super) fn directory<'a>(call: &Call<'a, '_>) -> Result<&'a Directory, Refusal> {
    let provided = call.provided.get();
    provided.ok_or_else(|| Refusal::new(501, "unsupported", "this server was given no directory of nodes"))
}

/// The directory, if it can be asked.
fn known<'a>(call: &Call<'a, '_>) -> Result<&'a Directory, Refusal> {
    let directory = directory(call)?;
    if directory.is_blank() {
        return Err(Refusal::new(
            503,
            "starting",
            "the registry was not read yet; ask again, or another lookup server",
        ));
    }
    Ok(directory)
}

fn nodes(call: &mut Call<'_, '_>) -> Result<Reply, Refusal> {
    let nodes: Vec<Value> = known(call)?.read(|registry| registry.nodes().map(|node| node.to_json()).collect());
    Ok(Reply::Json(200, marked(directory(call)?, json!({"nodes": nodes}))))
}

fn sessions(call: &mut Call<'_, '_>) -> Result<Reply, Refusal> {
    let node = call.params.get("node");
    let sessions: Vec<Value> = known(call)?.read(|registry| {
        let mut sessions: BTreeMap<&str, Map<String, Value>> = BTreeMap::new();
        for (job, sources) in &registry.jobs(node) {
            let jobs = sessions.entry(job.session()).or_default();
            jobs.insert(job.as_str().to_owned(), sources.iter().map(source).collect());
        }
        sessions.into_iter().map(|(name, jobs)| json!({"sessionid": name, "jobs": jobs})).collect()
    });
    Ok(Reply::Json(200, marked(directory(call)?, json!({"nb_sessions": sessions.len(), "sessions": sessions}))))
}

fn jobs(call: &mut Call<'_, '_>) -> Result<Reply, Refusal> {
    listed(call, |_| true)
}

fn find_job(call: &mut Call<'_, '_>) -> Result<Reply, Refusal> {
    let name: JobName = argument(call, "name")?.replacen(':', ".", 1).parse()?;
    let sources: Vec<Value> =
        known(call)?.read(|registry| registry.find_job(&name).map(|found| source(&found)).collect());
    Ok(Reply::Json(200, marked(directory(call)?, json!({"sources": sources}))))
}

fn find_session(call: &mut Call<'_, '_>) -> Result<Reply, Refusal> {
    let session = argument(call, "sessionid")?.to_owned();
    listed(call, |job| job.session() == session)
}

fn socket(call: &mut Call<'_, '_>) -> Result<Reply, Refusal> {
    let doors: Doors = call.provided.get().cloned().unwrap_or_default();
    let ticket = doors.admit(&call.request.head, Wants::Register)?;
    Ok(Reply::WebSocket(node::node(directory(call)?.clone(), ticket)))
}

fn argument<'a>(call: &'a Call<'_, '_>, name: &str) -> Result<&'a str, Refusal> {
    let value = call.query(name).filter(|value| !value.is_empty());
    value.ok_or_else(|| Refusal::bad_request(format!("the query must say which: `?{name}=…`")))
}

fn listed(call: &Call<'_, '_>, wanted: impl Fn(&JobName) -> bool) -> Result<Reply, Refusal> {
    let jobs: Vec<Value> = known(call)?.read(|registry| {
        let jobs = registry.jobs(None);
        let wanted = jobs.iter().filter(|(name, _)| wanted(name));
        wanted
            .map(|(name, sources)| json!({"name": name.as_str(), "sources": sources.iter().map(source).collect::<Vec<_>>()}))
            .collect()
    });
    Ok(Reply::Json(200, marked(directory(call)?, json!({"nb_jobs": jobs.len(), "jobs": jobs}))))
}

fn source(source: &Source<'_>) -> Value {
    let pids: Vec<u64> = source.pids.iter().map(|pid| pid.0).collect();
    json!({"name": source.node.name, "pids": pids, "node_info": source.node.to_json()})
}
