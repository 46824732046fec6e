//! The routes of the API, one line each.
//!
//! Two generations are two doors to one manager: the noun of the newer one is `/jobs`, that of the older one
//! `/processes`. Every handler is a function from a [`Call`](super::call::Call) to an answer or a
//! [`Refusal`](super::call::Refusal); none blocks. `/openapi.json` describes each line of the table, which also says what whoever
//! asks must be allowed.

mod auth;
mod channel;
mod feeds;
mod groups;
mod health;
mod jobs;
mod keys;
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
mod users;
#[cfg(feature = "webhooks")]
mod webhooks;
mod wstreams;

#[cfg(test)]
mod tests;

use crate::access::Right;
pub use crate::controller::shapes;
use crate::server::{Needs, Route, delete, get, post, put, site};
pub(super) use openapi::handlers_security;

/// How much may be written to a process's input in one request: 16 MiB. More goes in several.
pub const MAX_INPUT: usize = 16 << 20;

/// All routes of the API. A `:pid` is a number; `*rest` is all that follows.
#[rustfmt::skip]
pub const ROUTES: &[Route] = &[
    get("/", root::welcome, "Who answers, and its version").needs(Needs::Nothing),
    get("/version", root::version, "Name and version").needs(Needs::Nothing),
    get("/ping", root::ping, "Whether the server answers").needs(Needs::Nothing),
    get("/openapi.json", openapi::document, "This description").needs(Needs::Nothing),

    get("/healthz", health::alive, "Whether the manager's loop turns").needs(Needs::Nothing),
    get("/readyz", health::ready, "Whether every job runs as wanted").needs(Needs::Node(Right::Read)),
    get("/metrics", metrics::text, "Figures for a monitoring system, as OpenMetrics text").needs(Needs::Node(Right::Read)),

    get("/pids", root::pids, "The numbers of all processes").needs(Needs::Node(Right::Manage)),
    get("/sessions", root::sessions, "The sessions that have a job").needs(Needs::Node(Right::Manage)),

    get("/jobs", jobs::all, "The jobs of all sessions").needs(Needs::Node(Right::Manage)),
    get("/jobs/:session", jobs::of_session, "The jobs of a session").needs(Needs::Session(Right::Manage)),
    post("/jobs/:session", jobs::load, "Loads a job and, unless `start` is false, starts it").needs(Needs::Session(Right::Manage)),
    get("/jobs/:session/:name", jobs::info, "A job as it stands").needs(Needs::Job(Right::Read)),
    put("/jobs/:session/:name", jobs::update, "Replaces a job's definition and its processes").needs(Needs::Job(Right::Manage)),
    delete("/jobs/:session/:name", jobs::unload, "Stops a job and forgets it").needs(Needs::Job(Right::Manage)),
    get("/jobs/:session/:name/stats", stats::job_once, "What a job's processes use").needs(Needs::Job(Right::Read)),
    get("/jobs/:session/:name/numprocesses", jobs::numprocesses, "How many processes are wanted").needs(Needs::Job(Right::Read)),
    post("/jobs/:session/:name/numprocesses", jobs::scale, "Changes how many processes are wanted").needs(Needs::Job(Right::Manage)),
    post("/jobs/:session/:name/signal", jobs::signal, "Sends a signal to all processes of a job").needs(Needs::Job(Right::Manage)),
    get("/jobs/:session/:name/state", jobs::state, "Whether a job has a process: 1 or 0").needs(Needs::Job(Right::Read)),
    post("/jobs/:session/:name/state", jobs::set_state, "Starts (1), stops (0) or reloads (2) a job").needs(Needs::Job(Right::Manage)),
    get("/jobs/:session/:name/pids", jobs::pids, "The numbers of a job's processes that are kept alive").needs(Needs::Job(Right::Read)),
    post("/jobs/:session/:name/commit", jobs::commit, "Runs one more process, once").needs(Needs::Session(Right::Manage)),

    get("/:pid", pids::info, "A process as it stands").needs(Needs::Process(Right::Read)),
    delete("/:pid", pids::stop, "Stops a process; one that is kept alive is replaced").needs(Needs::Process(Right::Manage)),
    post("/:pid/signal", pids::signal, "Sends a signal to a process").needs(Needs::Process(Right::Manage)),
    get("/:pid/stats", pids::stats, "What a process uses").needs(Needs::Process(Right::Read)),

    get("/channel/websocket", channel::open, "Commands, and topics to subscribe, by websocket").needs(Needs::Handler),
    get("/:pid/channel", channel::of_process, "Input and output of a process in frames, by websocket").needs(Needs::Handler),
    get("/:pid/channel/:stream", channel::of_process, "A stream of a process in frames, by websocket").needs(Needs::Handler),

    // The generation of 0.4. A name is `label`, `session.label` or `session:label`, or the number of a process.
    get("/processes", processes::all, "The names of all jobs, or with `running` the numbers of all processes").needs(Needs::Node(Right::Manage)),
    post("/processes", processes::load, "Loads a job and, unless `start` is false, starts it").needs(Needs::Definition(Right::Manage)),
    get("/processes/:name", processes::info, "A job's definition").needs(Needs::Named(Right::Read)),
    put("/processes/:name", processes::update, "Replaces a job's definition and its processes").needs(Needs::Named(Right::Manage)),
    delete("/processes/:name", processes::remove, "Stops a job and forgets it, or stops a process").needs(Needs::Named(Right::Manage)),
    get("/processes/:name/_pids", processes::pids, "The numbers of a job's processes").needs(Needs::Named(Right::Read)),
    post("/processes/:name/_start", processes::start, "Starts a job").needs(Needs::Named(Right::Manage)),
    post("/processes/:name/_stop", processes::stop, "Stops a job or a process").needs(Needs::Named(Right::Manage)),
    post("/processes/:name/_restart", processes::restart, "Replaces the processes of a job, new ones first").needs(Needs::Named(Right::Manage)),
    post("/processes/:name/_add", processes::add, "One process more").needs(Needs::Named(Right::Manage)),
    post("/processes/:name/_add/:n", processes::add, "So many processes more").needs(Needs::Named(Right::Manage)),
    post("/processes/:name/_sub", processes::sub, "One process less").needs(Needs::Named(Right::Manage)),
    post("/processes/:name/_sub/:n", processes::sub, "So many processes less").needs(Needs::Named(Right::Manage)),
    post("/processes/:name/_signal", processes::signal, "Sends the signal of the body to a job or a process").needs(Needs::Named(Right::Manage)),
    post("/processes/:name/_signal/:signal", processes::signal, "Sends a signal to a job or a process").needs(Needs::Named(Right::Manage)),

    get("/status", status::all, "How every job stands").needs(Needs::Node(Right::Manage)),
    get("/status/:name", status::one, "How a job stands").needs(Needs::Named(Right::Read)),

    get("/groups", groups::all, "The groups, which are sessions").needs(Needs::Node(Right::Manage)),
    get("/groups/:group", groups::one, "The jobs of a group").needs(Needs::Session(Right::Manage)),
    delete("/groups/:group", groups::remove, "Stops all jobs of a group and forgets them").needs(Needs::Session(Right::Manage)),
    post("/groups/:group/_start", groups::start, "Starts all jobs of a group").needs(Needs::Session(Right::Manage)),
    post("/groups/:group/_stop", groups::stop, "Stops all jobs of a group").needs(Needs::Session(Right::Manage)),
    post("/groups/:group/_restart", groups::restart, "Restarts the active jobs of a group").needs(Needs::Session(Right::Manage)),

    get("/stats", stats::all, "What all jobs use, once or as a feed").needs(Needs::Node(Right::Read)),
    get("/stats/:name", stats::one, "What a job's processes use, once or as a feed").needs(Needs::Named(Right::Read)),
    get("/stats/:name/:pid", stats::process, "What a process uses, once or as a feed").needs(Needs::Process(Right::Read)),

    get("/watch", feeds::watch, "All events, as a feed").needs(Needs::Node(Right::Read)),
    get("/watch/*pattern", feeds::watch, "The events under a pattern, as a feed").needs(Needs::Node(Right::Read)),

    get("/logs", logs::read, "What the programs have written lately, and as a feed what they write").needs(Needs::Node(Right::Read)),

    get("/streams/:pid/:label", streams::read, "The output of a process, as a feed").needs(Needs::Process(Right::Read)),
    post("/streams/:pid/:label", streams::write, "Writes to a process").body_limit(MAX_INPUT).needs(Needs::Process(Right::Write)),
    get("/wstreams/:pid", wstreams::open, "Input and output of a process, by websocket").needs(Needs::Handler),

    get("/auth", auth::login, "A new key for a user's name and password").needs(Needs::Nothing),
    get("/keys", keys::all, "The ids of all keys").needs(Needs::Key),
    post("/keys", keys::create, "Makes a key, which is shown this once").needs(Needs::Key),
    get("/keys/:key", keys::one, "A key by its id, or by `self`").needs(Needs::Key),
    delete("/keys/:key", keys::remove, "Removes a key and those it has made").needs(Needs::Key),
    get("/users", users::all, "The names of all users").needs(Needs::Key),
    post("/users", users::create, "Makes a user").needs(Needs::Key),
    get("/users/:user", users::one, "A user").needs(Needs::Key),
    put("/users/:user", users::update, "Replaces a user").needs(Needs::Key),
    delete("/users/:user", users::remove, "Removes a user").needs(Needs::Key),
    put("/users/:user/password", users::set_password, "Sets a user's password").needs(Needs::Key),
    put("/users/:user/key", users::set_key, "Sets a user's key by its id").needs(Needs::Key),

    get("/_plugin/*path", site::serve, "The files of plugins' sites").needs(Needs::Handler),

    #[cfg(feature = "webhooks")]
    get("/webhooks", webhooks::list, "The webhooks, and how their URLs fare").needs(Needs::Node(Right::Manage)),
    #[cfg(feature = "webhooks")]
    post("/webhooks", webhooks::register, "Posts the events that match a pattern to a URL from now on").needs(Needs::Node(Right::Manage)),
    #[cfg(feature = "webhooks")]
    delete("/webhooks/:id", webhooks::unregister, "Removes a webhook").needs(Needs::Node(Right::Manage)),
];
