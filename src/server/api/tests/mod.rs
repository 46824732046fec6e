//! Every route against a manager, without sockets: what comes out must have the documented status and shape.

mod errors;
mod live;
mod openapi;
mod openmetrics;
mod routes;
mod schema;
mod socket;

use std::any::Any;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{ROUTES, openapi as description};
use crate::manager::{App, AppId, Cx, Manager};
use crate::process::Event;
use crate::proto::h1::{self, Decoder, Limits, Query, path_segments};
use crate::server::later::{Answer, Later};
use crate::server::metrics::Metrics;
use crate::server::route::Router;
use crate::server::{Call, Counters, Peer, Provided, Refusal, Reply, Request, Route};

/// A manager and what a server would know of it.
struct Node {
    manager: Manager,
    metrics: Arc<Mutex<Metrics>>,
    observer: AppId,
    /// Answers that came later.
    answers: Arc<Mutex<Vec<Answer>>>,
    provided: Provided,
    document: Value,
    router: Router,
    /// The route that was asked last.
    hit: Arc<Mutex<Option<&'static Route>>>,
}

struct Observer(Arc<Mutex<Metrics>>, Arc<Mutex<Vec<Answer>>>);

impl App for Observer {
    fn start(&mut self, _: &mut Cx<'_>) -> crate::Result<()> {
        Ok(())
    }

    fn event(&mut self, _: &mut Cx<'_>, event: &Arc<Event>) {
        self.0.lock().expect("not poisoned").observe(event);
    }

    fn mail(&mut self, _: &mut Cx<'_>, message: Box<dyn Any + Send>) {
        self.1.lock().expect("not poisoned").push(*message.downcast().expect("an answer"));
    }
}

impl Node {
    fn new() -> Self {
        let mut manager = Manager::new().expect("a manager");
        let metrics = Arc::<Mutex<Metrics>>::default();
        let answers = Arc::<Mutex<Vec<Answer>>>::default();
        let observer = manager.add_app(Observer(metrics.clone(), answers.clone()));
        let (mut router, hit) = (Router::default(), Arc::<Mutex<Option<&'static Route>>>::default());
        for route in ROUTES {
            let hit = hit.clone();
            let handler = move |call: &mut Call<'_, '_>| {
                *hit.lock().expect("not poisoned") = Some(route);
                (route.handler)(call)
            };
            router
                .add(route.method, route.pattern, Box::new(handler), route.body_limit, route.needs)
                .expect(route.pattern);
        }
        let provided = Provided::default();
        Self { manager, metrics, observer, answers, provided, document: description::describe(ROUTES), router, hit }
    }

    /// Turns until `done` answers something.
    #[track_caller]
    fn wait<T>(&mut self, mut done: impl FnMut(&mut Manager) -> Option<T>) -> T {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            if let Some(answer) = done(&mut self.manager) {
                return answer;
            }
            assert!(Instant::now() < deadline, "timed out: {:?}", self.manager);
            let _ = self.manager.turn(Some(Duration::from_millis(50))).expect("a turn");
        }
    }

    /// Turns until so many processes of the job run, and none is ending.
    #[track_caller]
    fn settle(&mut self, job: &str, running: usize) {
        self.wait(|m| {
            let started = |pid: &crate::process::Pid| m.process(*pid).is_ok_and(|p| p.os_pid.is_some());
            let pids = m.info(job).map(|info| info.processes).unwrap_or_default();
            (pids.len() == running && pids.iter().all(started) && m.ending().is_empty()).then_some(())
        });
    }

    /// The answer to a request, checked against the description.
    #[track_caller]
    fn ask(&mut self, line: &str, body: &str) -> Result<Reply, Refusal> {
        let (method, target) = line.split_once(' ').expect("a method and a target");
        let length = if body.is_empty() { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
        let head = format!("{method} {target} HTTP/1.1\r\nHost: localhost\r\n{length}\r\n");
        let mut decoder = Decoder::new(Limits::default());
        let h1::Event::Head(head) = decoder.feed(head.as_bytes()).event else { panic!("not a request: {line}") };
        let request = Request { head, body: body.into(), peer: Peer::Tcp(SocketAddr::from(([127, 0, 0, 1], 1))) };
        let path = path_segments(request.head.path()).expect("a path");
        let found = self.router.find(request.head.method(), &path)?;
        let (handler, params) = self.router.open(found, &path);
        let metrics = self.metrics.lock().expect("not poisoned");
        let mut answer = handler(&mut Call {
            cx: &mut self.manager.cx(),
            request: &request,
            params,
            counters: Counters { connections: 1, accepted: 2, requests: 3, ..Counters::default() },
            metrics: &metrics,
            provided: &self.provided,
            who: &crate::access::Who::Trusted,
            guard: None,
            query: Query::parse(request.head.query().unwrap_or("")).expect("a query"),
            later: Later { server: Some(self.observer), number: 7 },
            sockjs: &Default::default(),
        });
        drop(metrics);
        if let Ok(Reply::Later(_)) = answer {
            let answers = self.answers.clone();
            let late = self.wait(|_| answers.lock().expect("not poisoned").pop());
            assert_eq!(late.number, 7);
            answer = late.reply;
        }
        let route = self.hit.lock().expect("not poisoned").take().expect("a handler was called");
        schema::check_answer(&self.document, route, &answer);
        answer
    }

    /// The answer, which must be JSON with that status.
    #[track_caller]
    fn json(&mut self, line: &str, body: &str, status: u16) -> Value {
        match self.ask(line, body) {
            Ok(Reply::Json(got, value)) if got == status => value,
            Ok(Reply::JsonText(got, text)) if got == status => serde_json::from_slice(&text).expect("JSON"),
            other => panic!("{line} {body}: expected {status} and JSON, got {other:?}"),
        }
    }

    /// The answer, which must be text with status 200.
    #[track_caller]
    fn text(&mut self, line: &str) -> String {
        match self.ask(line, "") {
            Ok(Reply::Text(200, text)) => text,
            Ok(Reply::Bytes { status: 200, body, .. }) => String::from_utf8(body).expect("UTF-8"),
            other => panic!("{line}: expected text, got {other:?}"),
        }
    }

    #[track_caller]
    fn refused(&mut self, line: &str, body: &str, status: u16) -> Refusal {
        match self.ask(line, body) {
            Err(refusal) if refusal.status == status => refusal,
            other => panic!("{line} {body}: expected a refusal with {status}, got {other:?}"),
        }
    }
}

const SLEEP: &str = r#"{"name": "web", "cmd": "sleep 1000"}"#;

fn ok() -> Value {
    json!({"ok": true})
}
