//! SockJS by its own client, in node and in Chromium, over every transport there is in each.

use std::any::Any;
use std::io::Read;
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;
use std::{env, fs};

use gaffer::Manager;
use gaffer::manager::{Cx, Handle};
use gaffer::process::{OsPid, Signal};
use gaffer::proto::ws::CloseCode;
use gaffer::server::{
    Call, Config, HttpServer, LocalAddr, Message, Refusal, Reply, Socket, SocketAddress, SocketOut, sockjs,
};
use gaffer::sys;

use crate::util::{DEADLINE, Node, eventually, run_script, script, skip, tools};

/// So long a client may be away between two polls, on a machine that has other things to do.
const AWAY: Duration = Duration::from_secs(8);

/// Sends back what comes; `bye` is answered, and then closed.
struct Echo(Sender<bool>);

impl Socket for Echo {
    fn open(&mut self, _: &mut Cx<'_>, _: &mut SocketOut<'_>) {
        let _ = self.0.send(true);
    }

    fn message(&mut self, cx: &mut Cx<'_>, message: Message, out: &mut SocketOut<'_>) {
        let bye = matches!(&message, Message::Text(text) if text == "bye");
        // By a letter to itself, as what hangs on events does.
        let address: SocketAddress = out.address();
        address.send(cx, if bye { Message::from("last words") } else { message });
        if bye {
            address.send(cx, ());
        }
    }

    fn mail(&mut self, _: &mut Cx<'_>, message: Box<dyn Any + Send>, out: &mut SocketOut<'_>) {
        match message.downcast::<Message>() {
            Ok(message) => drop(out.send(*message)),
            Err(_) => out.close(CloseCode::new(3001).expect("a code"), "as asked"),
        }
    }

    fn close(&mut self, _: &mut Cx<'_>) {
        let _ = self.0.send(false);
    }
}

/// A manager with a server on a thread.
struct Served {
    address: SocketAddr,
    handle: Handle,
    thread: Option<JoinHandle<()>>,
}

impl Served {
    fn new(config: Config, setup: impl FnOnce(&mut HttpServer)) -> Self {
        let config = config.endpoint("127.0.0.1:0".parse().expect("valid"));
        let mut server = HttpServer::bind(config).expect("a free port");
        setup(&mut server);
        let Some(LocalAddr::Tcp(address)) = server.local_addrs().first().cloned() else { panic!("it is TCP") };
        let mut manager = Manager::new().expect("a manager");
        manager.add_app(server);
        let handle = manager.handle();
        let thread = Some(thread::spawn(move || manager.run().expect("a sane poller")));
        let served = Self { address, handle, thread };
        served.handle.call(|_| ()).expect("it runs");
        served
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.handle.post(|cx| cx.stop_now());
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

/// The echo, and what its handlers tell: that one opens, that one is closed.
fn echo(config: Config, client_url: &str) -> (Served, Receiver<bool>) {
    let (told, hear) = channel();
    // Quick clocks: the heartbeat must fall into conversations, and sessions that nobody comes back for be seen to end.
    let settings = sockjs::Config::default().client_url(client_url).response_limit(64 << 10);
    let settings = settings.heartbeat(Duration::from_millis(300)).disconnect_delay(AWAY);
    let served = Served::new(config, |server| {
        server.sockjs("/echo", settings, move |_| Box::new(Echo(told.clone()))).expect("a service");
        let client = || fs::read(package().join("dist/sockjs.min.js")).expect("the client");
        server.route("GET", "/sockjs.js", move |_| Ok(file("text/javascript", client()))).expect("a route");
    });
    (served, hear)
}

/// Every handler that was opened is told its end.
#[track_caller]
fn all_closed(hear: &Receiver<bool>, sessions: usize) {
    let mut told = [0, 0];
    eventually("the end of every session", || {
        hear.try_iter().for_each(|open| told[usize::from(open)] += 1);
        (told[0] >= sessions).then_some(())
    });
    assert_eq!(told, [sessions, sessions]);
}

fn package() -> PathBuf {
    tools().join("node_modules/sockjs-client")
}

fn file(content_type: &str, body: Vec<u8>) -> Reply {
    Reply::Bytes { status: 200, content_type: content_type.to_owned(), body, cache: false }
}

fn in_node(test: &str, transport: &str) {
    if !package().join("package.json").exists() {
        return skip(test, "node has no `sockjs-client`");
    }
    let (served, hear) = echo(Config::default(), "/sockjs.js");
    let mut node = Command::new("node");
    node.env("NODE_PATH", tools().join("node_modules")).env("NODE_ENV", "production").arg(script("sockjs_node.js"));
    run_script(node.arg(format!("http://{}/echo", served.address)).arg(transport));
    all_closed(&hear, 2);
}

#[test]
fn websocket_in_node() {
    in_node("websocket_in_node", "websocket");
}

#[test]
fn xhr_streaming_in_node() {
    in_node("xhr_streaming_in_node", "xhr-streaming");
}

#[test]
fn xhr_polling_in_node() {
    in_node("xhr_polling_in_node", "xhr-polling");
}

#[test]
fn eventsource_in_node() {
    in_node("eventsource_in_node", "eventsource");
}

/// It talks over the transports of its query, one after the other, and sends what it has seen.
const PAGE: &str = r#"<!doctype html><title>sockjs</title><body><script src="/sockjs.js"></script><script src="/talk.js"></script><script>
'use strict';
const query = new URLSearchParams(location.search);
async function main() {
  const said = [];
  for (const transport of query.get('transports').split(',')) {
    said.push(await talk(SockJS, query.get('url'), transport, {}).catch((e) => String(e && e.message || e)));
  }
  await fetch('/result', { method: 'POST', body: said.join('; ') });
}
main();
</script></body>"#;

/// Chromium and its helpers, which are a group; its folder; and who reads what they say, until the last of them has ended.
struct Browser(std::process::Child, PathBuf, Option<JoinHandle<()>>);

impl Browser {
    fn open(url: &str) -> Option<Self> {
        let names = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];
        let chromium = names.into_iter().find(|name| Path::new(name).exists())?;
        static COUNT: Mutex<u32> = Mutex::new(0);
        let n = {
            let mut count = COUNT.lock().expect("not poisoned");
            *count += 1;
            *count
        };
        let profile = env::temp_dir().join(format!("gaffer-net-sockjs-{}-{n}", std::process::id()));
        let child = Command::new(chromium)
            .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"])
            .args(["--disable-background-networking", "--remote-debugging-port=0"])
            // The frames of iframe transports are far outside of the page, where timers would tick once a second.
            .args(["--disable-background-timer-throttling", "--disable-renderer-backgrounding"])
            .args(["--disable-backgrounding-occluded-windows"])
            .arg(format!("--user-data-dir={}", profile.display()))
            .arg(url)
            // It makes a socket there.
            .env("TMPDIR", crate::place::place())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()
            .expect("chromium");
        let mut browser = Self(child, profile, None);
        let stderr = browser.0.stderr.take();
        browser.2 = stderr.map(|mut stderr| thread::spawn(move || drop(stderr.read_to_end(&mut Vec::new()))));
        Some(browser)
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let group = OsPid(i32::try_from(self.0.id()).expect("a number of the system"));
        // It may have ended.
        let _ = sys::signal_group(group, Signal::KILL);
        let _ = self.0.wait();
        // Its helpers end a moment after it and write until then.
        let end = std::time::Instant::now() + DEADLINE;
        while self.2.as_ref().is_some_and(|reader| !reader.is_finished()) && std::time::Instant::now() < end {
            thread::sleep(Duration::from_millis(10));
        }
        eventually("an end of the profile", || fs::remove_dir_all(&self.1).is_ok_or_gone().then_some(()));
    }
}

/// Whether it is no longer there.
trait Gone {
    fn is_ok_or_gone(&self) -> bool;
}

impl Gone for std::io::Result<()> {
    fn is_ok_or_gone(&self) -> bool {
        match self {
            Ok(()) => true,
            Err(e) => e.kind() == std::io::ErrorKind::NotFound,
        }
    }
}

/// A page of this site, which may be the service's own, talks over these transports.
fn in_chromium(test: &str, transports: &[&str], own_site: bool) {
    if !package().join("package.json").exists() {
        return skip(test, "there is no `sockjs-client`");
    }
    let result = Arc::new(Mutex::new(None));
    let site = |server: &mut HttpServer| {
        let seen = result.clone();
        let mut route = |path: &str, content_type: &'static str, body: Vec<u8>| {
            let answer = move |_: &mut Call<'_, '_>| -> Result<Reply, Refusal> { Ok(file(content_type, body.clone())) };
            server.route("GET", path, answer).expect("a route");
        };
        route("/page", "text/html; charset=utf-8", PAGE.as_bytes().to_vec());
        route("/talk.js", "text/javascript", fs::read(script("sockjs_talk.js")).expect("a script"));
        let client = fs::read(package().join("dist/sockjs.min.js")).expect("the client");
        route("/sockjs.js", "text/javascript", client);
        let answer = move |call: &mut Call<'_, '_>| {
            *seen.lock().expect("not poisoned") = Some(call.text()?.to_owned());
            Ok(Reply::Empty(204))
        };
        server.route("POST", "/result", answer).expect("a route");
    };
    let (_other, service, hear, page);
    if own_site {
        let (told, told_here) = channel();
        let settings = sockjs::Config::default().client_url("/sockjs.js").disconnect_delay(AWAY);
        service = Served::new(Config::default(), |server| {
            site(server);
            server.sockjs("/echo", settings, move |_| Box::new(Echo(told.clone()))).expect("a service");
        });
        (hear, page) = (told_here, service.address);
    } else {
        let other = Served::new(Config::default(), site);
        (service, hear) = echo(Config::default().allow_origin(format!("http://{}", other.address)), "/sockjs.js");
        page = other.address;
        _other = other;
    }
    let list = transports.join(",");
    let url = format!("http://{page}/page?url=http://{}/echo&transports={list}", service.address);
    let Some(browser) = Browser::open(&url) else { return skip(test, "there is no chromium") };
    let end = std::time::Instant::now() + DEADLINE * 2;
    let said = loop {
        if let Some(said) = result.lock().expect("not poisoned").take() {
            break said;
        }
        assert!(std::time::Instant::now() < end, "the page does not come to its end");
        thread::sleep(Duration::from_millis(20));
    };
    let want: Vec<_> = transports.iter().map(|transport| format!("{transport} ok")).collect();
    assert_eq!(said, want.join("; "));
    drop(browser);
    all_closed(&hear, 2 * transports.len());
}

#[test]
fn streams_in_chromium() {
    in_chromium("streams_in_chromium", &["websocket", "xhr-streaming", "eventsource"], false);
}

#[test]
fn polls_in_chromium() {
    in_chromium("polls_in_chromium", &["xhr-polling", "jsonp-polling"], false);
}

#[test]
fn iframes_in_chromium() {
    let transports = ["iframe-eventsource", "iframe-htmlfile", "iframe-xhr-polling"];
    in_chromium("iframes_in_chromium", &transports, false);
}

#[test]
fn its_own_site_in_chromium() {
    in_chromium("its_own_site_in_chromium", &["htmlfile", "eventsource", "jsonp-polling"], true);
}

/// A node serves its channel this way, here by polls: `SUB`, an event, a command.
#[test]
fn the_channel_of_a_node() {
    let node = Node::new("[process:web]\ncmd = sleep 1000\n");
    node.pids("web", 1);
    let greeting = node.ask("GET /channel", "");
    assert_eq!((greeting.status, greeting.text().as_str()), (200, "Welcome to SockJS!\n"));
    let poll = || {
        let answer = node.ask("POST /channel/0/s/xhr", "");
        assert_eq!(answer.status, 200);
        answer.text()
    };
    assert_eq!(poll(), "o\n");
    let send = |message: serde_json::Value| {
        let body = serde_json::json!([message.to_string()]).to_string();
        assert_eq!(node.ask("POST /channel/0/s/xhr_send", &body).status, 204);
    };
    let mut heard = String::new();
    let mut until = |text: &str| {
        eventually(text, || {
            if !heard.contains(text) {
                heard.push_str(&poll());
            }
            heard.contains(text).then_some(())
        });
    };
    send(serde_json::json!({"event": "SUB", "data": {"topic": "EVENTS:spawn"}}));
    until("gaffer:subscription_success");
    send(
        serde_json::json!({"event": "CMD", "data": {"identity": 7, "name": "scale", "args": ["web", 1], "kwargs": {}}}),
    );
    until("gaffer:command_success");
    until("gaffer:event");
    let description = node.json("GET /openapi.json", "", 200);
    assert!(description["paths"]["/channel/{path}"]["post"].is_object(), "{description}");
}
