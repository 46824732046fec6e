//! `/openapi.json`: the API described as OpenAPI 3.1, from the table of routes and one line more for each of them.

use serde_json::{Map, Value, json};

use super::ROUTES;
use super::schemas::schemas;
use crate::access::Right;
use crate::proto::h1;
use crate::server::{Call, Needs, Refusal, Reply, Route};

pub(super) fn document(call: &mut Call<'_, '_>) -> Result<Reply, Refusal> {
    let mut document = describe(ROUTES);
    call.sockjs.describe(&mut document);
    Ok(Reply::Json(200, document))
}

/// What a route takes and gives, beside what its line in the table of routes says.
pub(super) struct Operation {
    pub(super) method: &'static str,
    pub(super) pattern: &'static str,
    query: &'static [Query],
    body: Body,
    status: u16,
    gives: Gives,
    errors: &'static [u16],
}

#[derive(Clone, Copy)]
enum Query {
    Feed,
    /// A feed that is asked for; without, the answer is one.
    FeedOrNormal,
    Heartbeat,
    IncludeKeys,
    IncludeUser,
    Interval,
    Job,
    Label,
    Lines,
    Pid,
    Running,
    Details,
    Mode,
    Since,
    Stderr,
}

#[derive(Clone, Copy)]
enum Body {
    No,
    Json(&'static str),
    OptionalJson(&'static str),
    State,
    Bytes,
}

#[derive(Clone, Copy)]
enum Gives {
    Json(&'static str),
    Text,
    Metrics,
    Events,
    Output,
    File,
    Logs,
    /// Figures: one answer with this schema, or a feed.
    Figures(&'static str),
    Socket,
}

const fn op(
    method: &'static str,
    pattern: &'static str,
    query: &'static [Query],
    body: Body,
    status: u16,
    gives: Gives,
    errors: &'static [u16],
) -> Operation {
    Operation { method, pattern, query, body, status, gives, errors }
}

const FEED: &[Query] = &[Query::Feed, Query::Heartbeat];
const FIGURES: &[Query] = &[Query::FeedOrNormal, Query::Interval, Query::Heartbeat];
const LOGS: &[Query] = &[
    Query::Job,
    Query::Pid,
    Query::Label,
    Query::Stderr,
    Query::Lines,
    Query::Since,
    Query::FeedOrNormal,
    Query::Heartbeat,
];
const OK: Gives = Gives::Json("Ok");

/// In the order of [`ROUTES`].
#[rustfmt::skip]
const OPERATIONS: &[Operation] = &[
    op("GET", "/", &[], Body::No, 200, Gives::Json("Welcome"), &[]),
    op("GET", "/version", &[], Body::No, 200, Gives::Json("Version"), &[]),
    op("GET", "/ping", &[], Body::No, 200, Gives::Text, &[]),
    op("GET", "/openapi.json", &[], Body::No, 200, Gives::Json("Any"), &[]),

    op("GET", "/healthz", &[], Body::No, 200, Gives::Json("Health"), &[]),
    op("GET", "/readyz", &[], Body::No, 200, Gives::Json("Ready"), &[503]),
    op("GET", "/metrics", &[], Body::No, 200, Gives::Metrics, &[503, 504]),

    op("GET", "/pids", &[], Body::No, 200, Gives::Json("Pids"), &[]),
    op("GET", "/sessions", &[], Body::No, 200, Gives::Json("Sessions"), &[]),

    op("GET", "/jobs", &[Query::Details], Body::No, 200, Gives::Json("Jobs"), &[400]),
    op("GET", "/jobs/:session", &[], Body::No, 200, Gives::Json("SessionJobs"), &[404]),
    op("POST", "/jobs/:session", &[], Body::Json("Definition"), 200, OK, &[400, 404, 409, 503]),
    op("GET", "/jobs/:session/:name", &[], Body::No, 200, Gives::Json("Job"), &[400, 404]),
    op("PUT", "/jobs/:session/:name", &[], Body::Json("Replacement"), 201, OK, &[400, 404, 503]),
    op("DELETE", "/jobs/:session/:name", &[], Body::No, 200, OK, &[400, 404]),
    op("GET", "/jobs/:session/:name/stats", &[], Body::No, 200, Gives::Json("JobStats"), &[400, 404, 500, 501, 503, 504]),
    op("GET", "/jobs/:session/:name/numprocesses", &[], Body::No, 200, Gives::Json("Numprocesses"), &[400, 404]),
    op("POST", "/jobs/:session/:name/numprocesses", &[], Body::Json("Scale"), 200, Gives::Json("Numprocesses"), &[400, 404, 503]),
    op("POST", "/jobs/:session/:name/signal", &[], Body::Json("Signal"), 202, OK, &[400, 404]),
    op("GET", "/jobs/:session/:name/state", &[], Body::No, 200, Gives::Text, &[400, 404]),
    op("POST", "/jobs/:session/:name/state", &[], Body::State, 202, OK, &[400, 404, 503]),
    op("GET", "/jobs/:session/:name/pids", &[], Body::No, 200, Gives::Json("Pids"), &[400, 404]),
    op("POST", "/jobs/:session/:name/commit", &[], Body::OptionalJson("Commit"), 200, Gives::Json("Pid"), &[400, 404, 503]),

    op("GET", "/:pid", &[], Body::No, 200, Gives::Json("Process"), &[404]),
    op("DELETE", "/:pid", &[], Body::No, 202, OK, &[404]),
    op("POST", "/:pid/signal", &[], Body::Json("Signal"), 202, OK, &[400, 404]),
    op("GET", "/:pid/stats", &[], Body::No, 200, Gives::Json("Stats"), &[404, 500, 501, 503, 504]),

    op("GET", "/channel/websocket", &[], Body::No, 101, Gives::Socket, &[400, 426]),
    op("GET", "/:pid/channel", &[Query::Mode], Body::No, 101, Gives::Socket, &[400, 426]),
    op("GET", "/:pid/channel/:stream", &[Query::Mode], Body::No, 101, Gives::Socket, &[400, 426]),

    op("GET", "/processes", &[Query::Running], Body::No, 200, Gives::Json("NamesOrPids"), &[400]),
    op("POST", "/processes", &[], Body::Json("Definition"), 200, OK, &[400, 404, 409, 503]),
    op("GET", "/processes/:name", &[], Body::No, 200, Gives::Json("Definition"), &[400, 404]),
    op("PUT", "/processes/:name", &[], Body::Json("Replacement"), 200, OK, &[400, 404, 503]),
    op("DELETE", "/processes/:name", &[], Body::No, 200, OK, &[400, 404]),
    op("GET", "/processes/:name/_pids", &[], Body::No, 200, Gives::Json("OkPids"), &[400, 404]),
    op("POST", "/processes/:name/_start", &[], Body::No, 200, OK, &[400, 404, 503]),
    op("POST", "/processes/:name/_stop", &[], Body::No, 200, OK, &[400, 404]),
    op("POST", "/processes/:name/_restart", &[], Body::No, 200, OK, &[400, 404, 503]),
    op("POST", "/processes/:name/_add", &[], Body::No, 200, Gives::Json("OkNumprocesses"), &[400, 404, 503]),
    op("POST", "/processes/:name/_add/:n", &[], Body::No, 200, Gives::Json("OkNumprocesses"), &[400, 404, 503]),
    op("POST", "/processes/:name/_sub", &[], Body::No, 200, Gives::Json("OkNumprocesses"), &[400, 404]),
    op("POST", "/processes/:name/_sub/:n", &[], Body::No, 200, Gives::Json("OkNumprocesses"), &[400, 404]),
    op("POST", "/processes/:name/_signal", &[], Body::Json("Signal"), 200, OK, &[400, 404]),
    op("POST", "/processes/:name/_signal/:signal", &[], Body::No, 200, OK, &[400, 404]),

    op("GET", "/status", &[], Body::No, 200, Gives::Json("AllStatus"), &[]),
    op("GET", "/status/:name", &[], Body::No, 200, Gives::Json("Status"), &[400, 404]),

    op("GET", "/groups", &[], Body::No, 200, Gives::Json("Names"), &[]),
    op("GET", "/groups/:group", &[], Body::No, 200, Gives::Json("Names"), &[404]),
    op("DELETE", "/groups/:group", &[], Body::No, 200, OK, &[404]),
    op("POST", "/groups/:group/_start", &[], Body::No, 200, OK, &[404, 503]),
    op("POST", "/groups/:group/_stop", &[], Body::No, 200, OK, &[404]),
    op("POST", "/groups/:group/_restart", &[], Body::No, 200, OK, &[404, 503]),

    op("GET", "/stats", FIGURES, Body::No, 200, Gives::Figures("AllStats"), &[400, 500, 501, 503, 504]),
    op("GET", "/stats/:name", FIGURES, Body::No, 200, Gives::Figures("JobStats"), &[400, 404, 500, 501, 503, 504]),
    op("GET", "/stats/:name/:pid", FIGURES, Body::No, 200, Gives::Figures("Figures"), &[400, 404, 500, 501, 503, 504]),

    op("GET", "/watch", FEED, Body::No, 200, Gives::Events, &[400]),
    op("GET", "/watch/*pattern", FEED, Body::No, 200, Gives::Events, &[400]),

    op("GET", "/logs", LOGS, Body::No, 200, Gives::Logs, &[400, 501]),

    op("GET", "/streams/:pid/:label", FEED, Body::No, 200, Gives::Output, &[400, 404]),
    op("POST", "/streams/:pid/:label", &[], Body::Bytes, 200, OK, &[403, 404, 410, 413, 503]),
    op("GET", "/wstreams/:pid", &[], Body::No, 101, Gives::Socket, &[400, 404]),

    op("GET", "/auth", &[], Body::No, 200, Gives::Json("ApiKey"), &[401, 403, 404, 429, 503]),
    op("GET", "/keys", &[Query::IncludeKeys], Body::No, 200, Gives::Json("Keys"), &[400, 401, 403, 404]),
    op("POST", "/keys", &[], Body::Json("NewKey"), 200, Gives::Json("OkApiKey"), &[400, 401, 403, 404, 503]),
    op("GET", "/keys/:key", &[Query::IncludeKeys], Body::No, 200, Gives::Json("Key"), &[400, 401, 403, 404]),
    op("DELETE", "/keys/:key", &[], Body::No, 200, OK, &[401, 403, 404, 503]),
    op("GET", "/users", &[Query::IncludeUser], Body::No, 200, Gives::Json("Users"), &[400, 401, 403, 404]),
    op("POST", "/users", &[], Body::Json("NewUser"), 200, OK, &[400, 401, 403, 404, 409, 503]),
    op("GET", "/users/:user", &[], Body::No, 200, Gives::Json("User"), &[401, 403, 404]),
    op("PUT", "/users/:user", &[], Body::Json("ChangedUser"), 200, OK, &[400, 401, 403, 404, 503]),
    op("DELETE", "/users/:user", &[], Body::No, 200, OK, &[401, 403, 404, 503]),
    op("PUT", "/users/:user/password", &[], Body::Json("Password"), 200, OK, &[400, 401, 403, 404, 503]),
    op("PUT", "/users/:user/key", &[], Body::Json("UserKey"), 200, OK, &[400, 401, 403, 404, 503]),

    op("GET", "/_plugin/*path", &[], Body::No, 200, Gives::File, &[302, 304, 403, 404, 416, 503]),

    #[cfg(feature = "webhooks")]
    op("GET", "/webhooks", &[], Body::No, 200, Gives::Json("Webhooks"), &[501]),
    #[cfg(feature = "webhooks")]
    op("POST", "/webhooks", &[], Body::Json("NewWebhook"), 200, Gives::Json("OkId"), &[400, 501, 503]),
    #[cfg(feature = "webhooks")]
    op("DELETE", "/webhooks/:id", &[], Body::No, 200, OK, &[404, 501]),
];

/// The line of a route.
pub(super) fn operation(route: &Route) -> Option<&'static Operation> {
    OPERATIONS.iter().find(|op| (op.method, op.pattern) == (route.method, route.pattern))
}

#[cfg(test)]
pub(super) fn operations() -> &'static [Operation] {
    OPERATIONS
}

/// The document for these routes. One that has no line here is described by its own alone.
pub(super) fn describe(routes: &[Route]) -> Value {
    let mut paths = Map::new();
    for route in routes {
        let path = segments(route.pattern).map(|segment| match variable(segment) {
            Some(name) => format!("/{{{name}}}"),
            None => format!("/{segment}"),
        });
        let path = paths.entry(path.collect::<String>()).or_insert_with(|| json!({}));
        path[route.method.to_ascii_lowercase()] = describe_one(route);
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "gaffer",
            "version": env!("CARGO_PKG_VERSION"),
            "summary": env!("CARGO_PKG_DESCRIPTION"),
            "license": {"name": env!("CARGO_PKG_LICENSE")},
        },
        "paths": paths,
        "components": {"schemas": schemas(), "securitySchemes": security_schemes()},
    })
}

fn security_schemes() -> Value {
    let key = "A key, where the node asks for one (require_key). A websocket may bring it in its first message instead: AUTH:KEY";
    json!({
        "apiKey": {"type": "apiKey", "in": "header", "name": "X-Api-Key", "description": key},
        "bearer": {"type": "http", "scheme": "bearer", "description": key},
        "password": {"type": "http", "scheme": "basic", "description": "The name and the password of a user, for a key"},
    })
}

/// What is needed, by the name of the right; OpenAPI 3.1 section 4.8.30 has room for that in schemes that know no scopes.
fn security(route: &Route) -> Value {
    let right = match route.needs {
        Needs::Nothing if route.pattern == "/auth" => return json!([{"password": []}]),
        Needs::Nothing => return json!([]),
        Needs::Handler => return handlers_security(),
        Needs::Key => None,
        Needs::Node(right)
        | Needs::Session(right)
        | Needs::Job(right)
        | Needs::Process(right)
        | Needs::Named(right)
        | Needs::Definition(right) => Some(right.to_string()),
    };
    let roles: Vec<String> = right.into_iter().collect();
    json!([{"apiKey": roles}, {"bearer": roles}])
}

/// Of what asks later, or itself.
pub(in crate::server) fn handlers_security() -> Value {
    json!([{}, {"apiKey": []}, {"bearer": []}])
}

/// On what the right is needed.
fn whose(needs: Needs) -> Option<String> {
    let (right, on): (Right, _) = match needs {
        Needs::Nothing | Needs::Key | Needs::Handler => return None,
        Needs::Node(right) => (right, "`*`"),
        Needs::Session(right) => (right, "the session"),
        Needs::Job(right) | Needs::Named(right) => (right, "the job or its session"),
        Needs::Process(right) => (right, "the job of the process, or its session"),
        Needs::Definition(right) => (right, "the session of the definition"),
    };
    Some(format!("Where keys are asked for: the right {right} on {on}"))
}

fn segments(pattern: &str) -> impl Iterator<Item = &str> {
    pattern.strip_prefix('/').unwrap_or(pattern).split('/')
}

fn variable(segment: &str) -> Option<&str> {
    segment.strip_prefix([':', '*'])
}

fn describe_one(route: &Route) -> Value {
    let noun = segments(route.pattern).next().unwrap_or("");
    let words = segments(route.pattern).map(|segment| variable(segment).unwrap_or(segment).replace('.', "_"));
    let id =
        words.fold(route.method.to_ascii_lowercase(), |id, word| if word.is_empty() { id } else { id + "_" + &word });
    let mut parameters: Vec<Value> = segments(route.pattern).filter_map(variable).map(path_parameter).collect();
    let mut operation_object = json!({
        "operationId": id,
        "tags": [if noun.is_empty() { "root" } else { variable(noun).unwrap_or(noun) }],
        "summary": route.doc,
        "security": security(route),
        "responses": {"default": error("Any other error")},
    });
    if let Some(whose) = whose(route.needs) {
        operation_object["description"] = whose.into();
        for status in [401, 403] {
            operation_object["responses"][status.to_string()] = error(h1::reason(status));
        }
    }
    if let Some(operation) = operation(route) {
        parameters.extend(operation.query.iter().map(|query| query_parameter(*query)));
        parameters.extend(last_event_id(operation.gives));
        let responses = &mut operation_object["responses"];
        responses[operation.status.to_string()] = success(operation);
        for status in operation.errors {
            let reason = h1::reason(*status);
            responses[status.to_string()] = if *status < 400 { json!({"description": reason}) } else { error(reason) };
        }
        if let Some(body) = request_body(operation.body) {
            operation_object["requestBody"] = body;
        }
    }
    operation_object["parameters"] = parameters.into();
    operation_object
}

fn schema(name: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{name}")})
}

fn error(description: &str) -> Value {
    json!({"description": description, "content": {"application/json": {"schema": schema("Error")}}})
}

fn path_parameter(name: &str) -> Value {
    let (description, schema) = match name {
        "pid" => ("The manager's number of a process", json!({"type": "integer", "minimum": 1})),
        "n" => ("How many", json!({"type": "integer", "minimum": 0})),
        "signal" => ("A signal by number or by name: 15, TERM, sigterm", json!({"type": "string"})),
        "session" => ("A session", json!({"type": "string"})),
        "group" => ("A session, called group in 0.4", json!({"type": "string"})),
        "label" => ("A stream's label; `stdin` or `ttin` to write to standard input", json!({"type": "string"})),
        "key" => ("The id of a key, the first 16 digits of it; `self` is the one that asks", json!({"type": "string"})),
        "user" => ("The name of a user", json!({"type": "string"})),
        "id" => ("The number of a webhook", json!({"type": "integer", "minimum": 1})),
        "path" => ("A plugin, and a path in its site", json!({"type": "string"})),
        "stream" => ("The label of an output stream or of a custom stream, or `stdin`", json!({"type": "string"})),
        "pattern" => ("Segments of a topic, `*` for any one: proc/web/exit", json!({"type": "string"})),
        _ => ("A job: label, session.label or session:label", json!({"type": "string"})),
    };
    json!({"name": name, "in": "path", "required": true, "description": description, "schema": schema})
}

fn query_parameter(query: Query) -> Value {
    const FEEDS: [&str; 4] = ["continuous", "longpoll", "eventsource", "normal"];
    let seconds = json!({"type": "number", "minimum": 0.1, "maximum": 86400});
    let (name, description, schema) = match query {
        Query::Feed => ("feed", "How the feed comes", json!({"enum": FEEDS[..3], "default": "longpoll"})),
        Query::FeedOrNormal => {
            ("feed", "How the feed comes; `normal` is one answer", json!({"enum": FEEDS, "default": "normal"}))
        }
        Query::Heartbeat => (
            "heartbeat",
            "Seconds of silence after which a sign of life is sent; true is 60",
            json!({"anyOf": [{"type": "boolean"}, seconds], "default": true}),
        ),
        Query::Interval => ("interval", "Seconds between two samples of a feed", {
            let mut schema = seconds;
            schema["default"] = 1.into();
            schema
        }),
        Query::Mode => ("mode", "1 reads, 2 writes, 3 does both", json!({"enum": [1, 2, 3], "default": 3})),
        Query::Job => (
            "job",
            "Only these jobs: names or patterns such as shop.*, also several times",
            json!({"type": "array", "items": {"type": "string"}}),
        ),
        Query::Pid => ("pid", "Only this process, which may have ended", json!({"type": "integer", "minimum": 1})),
        Query::Label => ("label", "Only streams with this label", json!({"type": "string"})),
        Query::Stderr => ("stderr", "Only standard error, or all but that", json!({"type": "boolean"})),
        Query::Lines => {
            ("n", "At most so many lines of what is kept, the newest", json!({"type": "integer", "minimum": 0}))
        }
        Query::Since => {
            ("since", "Of what is kept only lines of the last so many seconds", json!({"type": "number", "minimum": 0}))
        }
        Query::IncludeKeys => (
            "include_keys",
            "The keys themselves instead of their ids; of one key those it has made",
            json!({"type": "boolean"}),
        ),
        Query::IncludeUser => ("include_user", "The users instead of their names", json!({"type": "boolean"})),
        Query::Details => ("details", "The jobs as they stand instead of their names", json!({"type": "boolean"})),
        Query::Running => ("running", "Numbers of processes instead of names", json!({"type": "boolean"})),
    };
    json!({"name": name, "in": "query", "required": false, "description": description, "schema": schema})
}

/// Where feeds of server-sent events go on.
fn last_event_id(gives: Gives) -> Option<Value> {
    let description = match gives {
        Gives::Events => {
            "The `id` of the last event that came: the feed begins with those after it, behind a `gap` if some are not kept"
        }
        Gives::Logs => {
            "The `id` of the last line that came by server-sent events: the feed begins with what came after it, whatever `n` and \
             `since` say, behind a `gap` if some of it is not kept; output that goes to a log file as it is never is"
        }
        _ => return None,
    };
    let schema = json!({"type": "string"});
    Some(
        json!({"name": "Last-Event-ID", "in": "header", "required": false, "description": description, "schema": schema}),
    )
}

fn request_body(body: Body) -> Option<Value> {
    let (required, media, schema) = match body {
        Body::No => return None,
        Body::Json(name) => (true, "application/json", schema(name)),
        Body::OptionalJson(name) => (false, "application/json", schema(name)),
        Body::State => (true, "text/plain", json!({"enum": ["0", "1", "2"]})),
        Body::Bytes => (true, "application/octet-stream", json!({})),
    };
    Some(json!({"required": required, "content": {media: {"schema": schema}}}))
}

fn success(operation: &Operation) -> Value {
    let text = || json!({"schema": {"type": "string"}});
    let json_of = |name| json!({"schema": schema(name)});
    let content = match operation.gives {
        Gives::Json(name) => json!({"application/json": json_of(name)}),
        Gives::Text => json!({"text/plain": text()}),
        Gives::Metrics => json!({"application/openmetrics-text": text()}),
        Gives::Events => json!({"application/json": json_of("Event"), "text/event-stream": text()}),
        Gives::Logs => json!({"application/x-ndjson": json_of("Log"), "text/event-stream": text()}),
        Gives::Output => json!({"application/octet-stream": {}, "text/event-stream": text()}),
        Gives::File => json!({"*/*": {}}),
        Gives::Figures(name) => json!({
            "application/json": {"schema": {"anyOf": [schema(name), schema("Figures")]}},
            "text/event-stream": text(),
        }),
        Gives::Socket => json!({}),
    };
    let mut response = json!({"description": h1::reason(operation.status)});
    if content.as_object().is_some_and(|content| !content.is_empty()) {
        response["content"] = content;
    }
    response
}
