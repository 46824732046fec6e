//! `/wstreams` over a websocket of two machines.

use std::any::Any;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex};

use serde_json::json;

use super::Node;
use crate::event_loop::{Interest, Source, SourceId};
use crate::manager::{App, AppId, Cx};
use crate::proto::ws::{Connection, Event, Limits};
use crate::server::socket::{Place, SocketAddress, SocketMail};
use crate::server::{Message, Reply, Socket, SocketOut};

/// What the server does for one connection, and its client.
struct Host {
    socket: Box<dyn Socket>,
    /// For its number only.
    source: Option<Source<UnixStream>>,
    server: Connection,
    client: Connection,
    input: Arc<Mutex<Vec<Message>>>,
    seen: Arc<Mutex<Vec<String>>>,
}

struct Poke;

impl Host {
    fn with(&mut self, cx: &mut Cx<'_>, f: impl FnOnce(&mut dyn Socket, &mut Cx<'_>, &mut SocketOut<'_>)) {
        let (app, connection): (AppId, SourceId) =
            (cx.app_id().expect("an app"), self.source.as_ref().expect("registered").id());
        let (mut out, mut overflow, mut waits) = (Vec::new(), false, false);
        let mut lent = SocketOut {
            connection: &mut self.server,
            out: &mut out,
            sent: 0,
            limit: 1 << 20,
            overflow: &mut overflow,
            waits: &mut waits,
            address: SocketAddress { app, place: Place::Connection(connection) },
        };
        f(&mut *self.socket, cx, &mut lent);
        let mut at = 0;
        let mut seen = self.seen.lock().expect("not poisoned");
        while at < out.len() {
            let fed = self.client.feed(&out[at..]);
            at += fed.used;
            match fed.out.expect("the server speaks websocket") {
                Some(Event::Text(text)) => seen.push(format!("text {text}")),
                Some(Event::Binary(bytes)) => seen.push(format!("binary {bytes:?}")),
                Some(Event::Close(close)) => {
                    seen.push(format!("close {} {}", close.code.expect("a code").get(), close.reason));
                }
                _ => {}
            }
        }
    }
}

impl App for Host {
    fn start(&mut self, cx: &mut Cx<'_>) -> crate::Result<()> {
        let (one, _) = UnixStream::pair().expect("a pair");
        self.source = Some(cx.register(one, Interest::NONE)?);
        self.with(cx, |socket, cx, out| socket.open(cx, out));
        Ok(())
    }

    fn mail(&mut self, cx: &mut Cx<'_>, message: Box<dyn Any + Send>) {
        if message.is::<Poke>() {
            let messages = std::mem::take(&mut *self.input.lock().expect("not poisoned"));
            for message in messages {
                self.with(cx, |socket, cx, out| socket.message(cx, message, out));
            }
        } else if let Ok(mail) = message.downcast::<SocketMail>() {
            self.with(cx, |socket, cx, out| socket.mail(cx, mail.message, out));
        }
    }

    fn stop(&mut self, cx: &mut Cx<'_>) {
        self.socket.close(cx);
    }
}

struct Client {
    node: Node,
    app: AppId,
    input: Arc<Mutex<Vec<Message>>>,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Client {
    fn of(job: serde_json::Value) -> Self {
        let mut node = Node::new();
        node.json("POST /processes", &job.to_string(), 200);
        node.settle("job", 1);
        let Ok(Reply::WebSocket(socket)) = node.ask("GET /wstreams/1", "") else { panic!("not a websocket") };
        let (input, seen) = (Arc::<Mutex<Vec<_>>>::default(), Arc::<Mutex<Vec<_>>>::default());
        let app = node.manager.add_app(Host {
            socket,
            source: None,
            server: Connection::server(Limits::default()),
            client: Connection::client(Limits::default(), crate::proto::ws::Masks::seeded(1)),
            input: input.clone(),
            seen: seen.clone(),
        });
        Self { node, app, input, seen }
    }

    fn send(&mut self, message: impl Into<Message>) {
        self.input.lock().expect("not poisoned").push(message.into());
        self.node.manager.cx().mail(self.app, Poke);
    }

    /// The next that came but what begins with `before`.
    #[track_caller]
    fn expect_beside(&mut self, before: &str, want: &str) {
        let seen = self.seen.clone();
        let got = self.node.wait(|_| {
            let mut seen = seen.lock().expect("not poisoned");
            seen.retain(|text| !text.starts_with(before));
            (!seen.is_empty()).then(|| seen.remove(0))
        });
        assert_eq!(got, want);
    }

    #[track_caller]
    fn expect(&mut self, want: &str) {
        let seen = self.seen.clone();
        let got = self.node.wait(|_| {
            let mut seen = seen.lock().expect("not poisoned");
            (!seen.is_empty()).then(|| seen.remove(0))
        });
        assert_eq!(got, want);
    }
}

#[test]
fn input_goes_in_and_output_comes_out() {
    let job = json!({"name": "job", "cmd": "cat", "redirect_input": true, "redirect_output": ["out", "err"]});
    let mut client = Client::of(job);
    client.send("hallo €\n");
    client.expect("text hallo €\n");
    client.send(b"\0\xff\n".to_vec());
    client.expect("binary [0, 255, 10]");
    client.send(b"\xe2\x82".to_vec());
    client.send(b"\xac".to_vec());
    client.expect("text €");
    client.node.json("POST /processes/job/_stop", "", 200);
    client.expect("close 1000 the process has ended");
}

#[test]
fn without_a_redirected_input_it_is_read_only() {
    let job =
        json!({"name": "job", "cmd": "sh -c 'while :; do echo hi; sleep 0.02; done'", "redirect_output": ["out"]});
    let mut client = Client::of(job);
    client.expect("text hi\n");
    client.send("x");
    client.expect_beside("text hi", "close 1008 process 1: its standard input is not redirected");
}

#[test]
fn without_output_it_ends_with_the_process() {
    let mut client = Client::of(json!({"name": "job", "cmd": "sleep 1000"}));
    client.node.json("DELETE /1", "", 202);
    client.expect("close 1000 the process has ended");
}
