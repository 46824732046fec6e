//! The routes of the API, one line each.
//!
//! Two generations are two doors to one manager: the noun of the newer one is `/jobs`, that of the older one
//! `/processes`. Every handler is a function from a [`Call`](super::call::Call) to an answer or a
//! [`Refusal`](super::call::Refusal); none blocks. `/openapi.json` describes each line of the table.

mod channel;
mod feeds;
mod groups;
mod health;
mod jobs;
mod logs;
mod metrics;
mod openapi;
mod params;
mod pids;
mod pipe;
mod processes;
mod root;
mod schemas;
mod stats;
mod status;
mod streams;
#[cfg(feature = "webhooks")]
mod webhooks;
mod wstreams;

#[cfg(test)]
mod tests;

pub use crate::controller::shapes;
use crate::server::{Route, delete, get, post, put, site};

/// How much may be written to a process's input in one request: 16 MiB. More goes in several.
pub const MAX_INPUT: usize = 16 << 20;

/// All routes of the API. A `:pid` is a number; `*rest` is all that follows.
#[rustfmt::skip]
pub const ROUTES: &[Route] = &[
    get("/", root::welcome, "Who answers, and its version"),
    get("/version", root::version, "Name and version"),
    get("/ping", root::ping, "Whether the server answers"),
    get("/openapi.json", openapi::document, "This description"),

    get("/healthz", health::alive, "Whether the manager's loop turns"),
    get("/readyz", health::ready, "Whether every job runs as wanted"),
    get("/metrics", metrics::text, "Figures for a monitoring system, as OpenMetrics text"),

    get("/pids", root::pids, "The numbers of all processes"),
    get("/sessions", root::sessions, "The sessions that have a job"),

    get("/jobs", jobs::all, "The jobs of all sessions"),
    get("/jobs/:session", jobs::of_session, "The jobs of a session"),
    post("/jobs/:session", jobs::load, "Loads a job and, unless `start` is false, starts it"),
    get("/jobs/:session/:name", jobs::info, "A job as it stands"),
    put("/jobs/:session/:name", jobs::update, "Replaces a job's definition and its processes"),
    delete("/jobs/:session/:name", jobs::unload, "Stops a job and forgets it"),
    get("/jobs/:session/:name/stats", stats::job_once, "What a job's processes use"),
    get("/jobs/:session/:name/numprocesses", jobs::numprocesses, "How many processes are wanted"),
    post("/jobs/:session/:name/numprocesses", jobs::scale, "Changes how many processes are wanted"),
    post("/jobs/:session/:name/signal", jobs::signal, "Sends a signal to all processes of a job"),
    get("/jobs/:session/:name/state", jobs::state, "Whether a job has a process: 1 or 0"),
    post("/jobs/:session/:name/state", jobs::set_state, "Starts (1), stops (0) or reloads (2) a job"),
    get("/jobs/:session/:name/pids", jobs::pids, "The numbers of a job's processes that are kept alive"),
    post("/jobs/:session/:name/commit", jobs::commit, "Runs one more process, once"),

    get("/:pid", pids::info, "A process as it stands"),
    delete("/:pid", pids::stop, "Stops a process; one that is kept alive is replaced"),
    post("/:pid/signal", pids::signal, "Sends a signal to a process"),
    get("/:pid/stats", pids::stats, "What a process uses"),

    get("/channel/websocket", channel::open, "Commands, and topics to subscribe, by websocket"),
    get("/:pid/channel", channel::of_process, "Input and output of a process in frames, by websocket"),
    get("/:pid/channel/:stream", channel::of_process, "A stream of a process in frames, by websocket"),

    // The generation of 0.4. A name is `label`, `session.label` or `session:label`, or the number of a process.
    get("/processes", processes::all, "The names of all jobs, or with `running` the numbers of all processes"),
    post("/processes", processes::load, "Loads a job and, unless `start` is false, starts it"),
    get("/processes/:name", processes::info, "A job's definition"),
    put("/processes/:name", processes::update, "Replaces a job's definition and its processes"),
    delete("/processes/:name", processes::remove, "Stops a job and forgets it, or stops a process"),
    get("/processes/:name/_pids", processes::pids, "The numbers of a job's processes"),
    post("/processes/:name/_start", processes::start, "Starts a job"),
    post("/processes/:name/_stop", processes::stop, "Stops a job or a process"),
    post("/processes/:name/_restart", processes::restart, "Replaces the processes of a job, new ones first"),
    post("/processes/:name/_add", processes::add, "One process more"),
    post("/processes/:name/_add/:n", processes::add, "So many processes more"),
    post("/processes/:name/_sub", processes::sub, "One process less"),
    post("/processes/:name/_sub/:n", processes::sub, "So many processes less"),
    post("/processes/:name/_signal", processes::signal, "Sends the signal of the body to a job or a process"),
    post("/processes/:name/_signal/:signal", processes::signal, "Sends a signal to a job or a process"),

    get("/status", status::all, "How every job stands"),
    get("/status/:name", status::one, "How a job stands"),

    get("/groups", groups::all, "The groups, which are sessions"),
    get("/groups/:group", groups::one, "The jobs of a group"),
    delete("/groups/:group", groups::remove, "Stops all jobs of a group and forgets them"),
    post("/groups/:group/_start", groups::start, "Starts all jobs of a group"),
    post("/groups/:group/_stop", groups::stop, "Stops all jobs of a group"),
    post("/groups/:group/_restart", groups::restart, "Restarts the active jobs of a group"),

    get("/stats", stats::all, "What all jobs use, once or as a feed"),
    get("/stats/:name", stats::one, "What a job's processes use, once or as a feed"),
    get("/stats/:name/:pid", stats::process, "What a process uses, once or as a feed"),

    get("/watch", feeds::watch, "All events, as a feed"),
    get("/watch/*pattern", feeds::watch, "The events under a pattern, as a feed"),

    get("/logs", logs::read, "What the programs have written lately, and as a feed what they write"),

    get("/streams/:pid/:label", streams::read, "The output of a process, as a feed"),
    post("/streams/:pid/:label", streams::write, "Writes to a process").body_limit(MAX_INPUT),
    get("/wstreams/:pid", wstreams::open, "Input and output of a process, by websocket"),

    get("/_plugin/*path", site::serve, "The files of plugins' sites"),

    #[cfg(feature = "webhooks")]
    get("/webhooks", webhooks::list, "The webhooks, and how their URLs fare"),
    #[cfg(feature = "webhooks")]
    post("/webhooks", webhooks::register, "Posts the events that match a pattern to a URL from now on"),
    #[cfg(feature = "webhooks")]
    delete("/webhooks/:id", webhooks::unregister, "Removes a webhook"),
];
