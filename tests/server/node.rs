//! A manager with a server on a thread, and clients made of plain sockets.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use gaffer::Manager;
use gaffer::history::{History, Limits};
use gaffer::manager::Handle;
use gaffer::manager::{Cx, Target};
use gaffer::process::{JobConfig, Pid, Restart};
use gaffer::server::{
    Answered, Config, FeedMode, FeedSource, FeedSpec, HttpServer, LocalAddr, Message, Refusal, Reply, Socket, SocketOut,
};

/// How long anything may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(90);

pub(crate) struct Node {
    pub(crate) address: SocketAddr,
    pub(crate) addresses: Vec<LocalAddr>,
    pub(crate) handle: Handle,
    thread: Option<JoinHandle<()>>,
}

struct Echo;

impl Socket for Echo {
    fn protocols(&self) -> &'static [&'static str] {
        &["echo"]
    }

    fn open(&mut self, cx: &mut Cx<'_>, out: &mut SocketOut<'_>) {
        let address = out.address();
        cx.once("create", move |cx, topic, _| address.send(cx, topic.to_owned()));
        out.send("welcome");
    }

    fn message(&mut self, cx: &mut Cx<'_>, message: Message, out: &mut SocketOut<'_>) {
        match message {
            Message::Text(text) if text == "panic" => panic!("as asked"),
            Message::Text(text) if text == "flood" => while out.send(vec![0; 1 << 16]) {},
            Message::Text(text) if text == "stop" => cx.stop(),
            message => drop(out.send(message)),
        }
    }

    fn mail(&mut self, _: &mut Cx<'_>, message: Box<dyn std::any::Any + Send>, out: &mut SocketOut<'_>) {
        out.text(message.downcast_ref::<String>().expect("a topic"));
    }

    fn close(&mut self, cx: &mut Cx<'_>) {
        let gone = JobConfig::new("socket-gone", "true").expect("valid");
        // The second one is refused, and that is fine.
        let _ = cx.load(gone, false);
    }
}

fn mode(feed: Option<&str>) -> FeedMode {
    match feed {
        Some("eventsource") => FeedMode::EventSource,
        Some("longpoll") => FeedMode::LongPoll,
        _ => FeedMode::Continuous,
    }
}

fn routes(server: &mut HttpServer) {
    let mut route =
        |method: &str, pattern: &str, f: fn(&mut gaffer::server::Call<'_, '_>) -> Result<Reply, Refusal>| {
            server.route(method, pattern, f).expect("a valid route");
        };
    route("GET", "/ping", |_| Ok(Reply::Text(200, "OK".to_owned())));
    route("GET", "/hello/:name", |call| {
        Ok(Reply::Text(200, format!("{} {}", call.param("name"), call.query("q").unwrap_or("-"))))
    });
    route("POST", "/echo", |call| {
        Ok(Reply::Bytes { status: 201, content_type: "a/b".to_owned(), body: call.request.body.clone(), cache: false })
    });
    route("POST", "/json", |call| call.json().map(|value| Reply::Json(200, value)));
    route("DELETE", "/echo", |_| Ok(Reply::Empty(204)));
    route("GET", "/panic", |_| panic!("as asked"));
    route("GET", "/missing", |call| Ok(Reply::Json(200, call.cx.info("nope")?.running.into())));
    route("GET", "/big", |_| Ok(Reply::Text(200, "x".repeat(1 << 20))));
    route("GET", "/connections", |call| Ok(Reply::Json(200, call.counters.connections.into())));
    route("GET", "/tls-failed", |call| Ok(Reply::Json(200, call.counters.tls_failed.into())));
    route("GET", "/socket", |_| Ok(Reply::WebSocket(Box::new(Echo))));
    // Answered when the next job is loaded; who gives up loads one of its own.
    route("GET", "/later/:what", |call| {
        let (later, what) = (call.later(), call.param("what").to_owned());
        let created = call.cx.once("create", move |cx, _, _| {
            later.answer(
                cx,
                match what.as_str() {
                    "feed" => {
                        let source = FeedSource::Events { pattern: ".".to_owned() };
                        Ok(Reply::Feed(FeedSpec { source, mode: FeedMode::LongPoll, heartbeat: None }))
                    }
                    "refused" => Err(Refusal::not_found("nothing there")),
                    _ => Ok(Reply::Text(200, what)),
                },
            );
            later.answer(cx, Ok(Reply::Text(500, "one answer is enough".to_owned())));
        });
        Ok(Reply::Later(Box::new(move |cx| {
            assert!(cx.unsubscribe(created));
            let job = JobConfig::new("gave-up", "true").expect("valid");
            cx.load(job, false).expect("given up once");
        })))
    });
    route("GET", "/never", |_| Ok(Reply::Later(Box::new(|_| panic!("as asked")))));
    route("GET", "/events/*pattern", |call| {
        let pattern = call.param("pattern").replace('/', ".");
        let heartbeat = call.query("heartbeat").map(|ms| Duration::from_millis(ms.parse().expect("a number")));
        let source = FeedSource::Events { pattern };
        Ok(Reply::Feed(FeedSpec { source, mode: mode(call.query("feed")), heartbeat }))
    });
    route("GET", "/streams/:pid/:label", |call| {
        let pid = Pid(call.param("pid").parse().expect("a number"));
        let source = FeedSource::Stream { pid, label: call.param("label").to_owned() };
        Ok(Reply::Feed(FeedSpec { source, mode: mode(call.query("feed")), heartbeat: None }))
    });
    route("GET", "/stats/:pid", |call| {
        let target = Target::Process(Pid(call.param("pid").parse().expect("a number")));
        let source = FeedSource::Stats { target, interval: Duration::from_millis(100) };
        Ok(Reply::Feed(FeedSpec { source, mode: mode(call.query("feed")), heartbeat: None }))
    });
}

impl Node {
    pub(crate) fn new() -> Self {
        Self::with(Config::default())
    }

    pub(crate) fn with(config: Config) -> Self {
        Self::serving(config, routes)
    }

    /// One with the API of gafferd.
    pub(crate) fn api(config: Config) -> Self {
        Self::serving(config, |server| server.routes(gaffer::server::api::ROUTES).expect("valid routes"))
    }

    /// One that tells of its answers.
    pub(crate) fn observed(f: impl FnMut(&Answered<'_>) + Send + 'static) -> Self {
        Self::serving(Config::default(), |server| {
            routes(server);
            server.on_answer(f);
        })
    }

    /// One with the API of gafferd, which keeps the last output of its programs.
    pub(crate) fn with_history(config: Config) -> Self {
        let history = History::new(Limits::default());
        let recorder = history.recorder();
        let node = Self::serving(config, |server| {
            server.provide(history);
            server.routes(gaffer::server::api::ROUTES).expect("valid routes");
        });
        node.handle.call(move |cx| cx.add_app(recorder)).expect("it runs");
        node
    }

    pub(crate) fn serving(config: Config, and: impl FnOnce(&mut HttpServer)) -> Self {
        let config = config.endpoint("127.0.0.1:0".parse().expect("valid"));
        let mut server = HttpServer::bind(config).expect("a free port");
        and(&mut server);
        let addresses = server.local_addrs().to_vec();
        let Some(LocalAddr::Tcp(address)) = addresses.last().cloned() else { panic!("the last one is TCP") };
        let mut manager = Manager::new().expect("a manager");
        manager.add_app(server);
        let handle = manager.handle();
        let thread = std::thread::spawn(move || manager.run().expect("a sane poller"));
        let node = Self { address, addresses, handle, thread: Some(thread) };
        // The calls of other threads are taken after the apps have started.
        node.handle.call(|_| ()).expect("it runs");
        node
    }

    pub(crate) fn connect(&self) -> Client {
        Client::new(TcpStream::connect(self.address).expect("it listens"))
    }

    /// Sends one request and reads one answer.
    pub(crate) fn ask(&self, method: &str, path: &str) -> Answer {
        let mut client = self.connect();
        client.send(&format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\n\r\n"));
        client.answer_to(method)
    }

    pub(crate) fn load(&self, name: &str, cmd: &str) {
        let job = JobConfig::new(name, "/bin/sh").expect("valid").arg("-c").arg(cmd);
        let job = job.redirect_output(["out", "err"]).restart(Restart::Never).redirect_input(true);
        self.handle.call(move |cx| cx.load(job, true).map(drop)).expect("it runs").expect("it loads");
    }

    /// The first process of a job, once it is there.
    pub(crate) fn pid(&self, name: &'static str) -> u64 {
        self.handle.call(move |cx| cx.pids(name)).expect("it runs").expect("loaded")[0].0
    }

    /// Waits until so many connections are open.
    pub(crate) fn wait_connections(&self, want: u64) {
        self.wait_connections_with(|| self.connect(), want);
    }

    /// The same, asked by such a client.
    pub(crate) fn wait_connections_with<S: Read + Write>(&self, connect: impl FnOnce() -> Client<S>, want: u64) {
        let mut client = connect();
        let start = Instant::now();
        loop {
            client.send("GET /connections HTTP/1.1\r\nHost: localhost\r\n\r\n");
            let answer = client.answer();
            if answer.body == (want + 1).to_string().as_bytes() {
                return;
            }
            assert!(start.elapsed() < PATIENCE, "waiting for {want} connections: {}", answer.text());
            std::thread::yield_now();
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.handle.post(|cx| cx.stop_now());
        let outcome = self.thread.take().expect("joined once").join();
        if !std::thread::panicking() {
            outcome.expect("the manager's thread ends well");
        }
    }
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        let fields = self.head.lines().filter_map(|line| line.split_once(": "));
        fields.filter(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value).next()
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{e}: {self:?}"))
    }
}

pub(crate) struct Client<S = TcpStream> {
    pub(crate) stream: S,
    /// What came and was not looked at.
    pub(crate) input: Vec<u8>,
}

impl Client {
    pub(crate) fn new(stream: TcpStream) -> Self {
        stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
        stream.set_nodelay(true).expect("a socket");
        Self { stream, input: Vec::new() }
    }
}

impl<S: Read + Write> Client<S> {
    pub(crate) fn send(&mut self, text: &str) {
        self.stream.write_all(text.as_bytes()).expect("it takes what we send");
    }

    /// Reads more; false at the end.
    pub(crate) fn more(&mut self) -> bool {
        let mut buffer = [0; 16 * 1024];
        match self.stream.read(&mut buffer) {
            Ok(0) => false,
            Ok(n) => {
                self.input.extend_from_slice(&buffer[..n]);
                true
            }
            Err(e) if e.kind() == ErrorKind::ConnectionReset => false,
            // signal(7): a socket with a time-out tells so where the process was stopped and goes on.
            Err(e) if e.kind() == ErrorKind::Interrupted => true,
            Err(e) => panic!("{e}; had {:?}", String::from_utf8_lossy(&self.input)),
        }
    }

    /// Everything up to and with `mark`.
    pub(crate) fn until(&mut self, mark: &[u8]) -> Vec<u8> {
        loop {
            if let Some(at) = self.input.windows(mark.len()).position(|w| w == mark) {
                return self.input.drain(..at + mark.len()).collect();
            }
            assert!(self.more(), "the end, before {:?}: {:?}", mark, String::from_utf8_lossy(&self.input));
        }
    }

    pub(crate) fn head(&mut self) -> Answer {
        let head = String::from_utf8(self.until(b"\r\n\r\n")).expect("a head is text");
        let status = head.split(' ').nth(1).and_then(|s| s.parse().ok()).expect("a status line");
        Answer { status, head, body: Vec::new() }
    }

    pub(crate) fn answer(&mut self) -> Answer {
        self.answer_to("GET")
    }

    pub(crate) fn answer_to(&mut self, method: &str) -> Answer {
        let mut answer = self.head();
        if method == "HEAD" || matches!(answer.status, 100..=199 | 204 | 304) {
            return answer;
        }
        if answer.field("transfer-encoding") == Some("chunked") {
            while let Some(chunk) = self.chunk() {
                answer.body.extend(chunk);
            }
            return answer;
        }
        let length: usize = answer.field("content-length").expect("a length").parse().expect("a number");
        while self.input.len() < length {
            assert!(self.more(), "the end inside a body");
        }
        answer.body = self.input.drain(..length).collect();
        answer
    }

    /// The next chunk; `None` for the last.
    pub(crate) fn chunk(&mut self) -> Option<Vec<u8>> {
        let line = String::from_utf8(self.until(b"\r\n")).expect("a size");
        let size = usize::from_str_radix(line.trim(), 16).expect("a size");
        while self.input.len() < size + 2 {
            assert!(self.more(), "the end inside a chunk");
        }
        let mut chunk: Vec<u8> = self.input.drain(..size + 2).collect();
        assert_eq!(chunk.split_off(size), b"\r\n");
        (size > 0).then_some(chunk)
    }

    /// Everything up to the end of the connection.
    pub(crate) fn rest(&mut self) -> Vec<u8> {
        while self.more() {}
        std::mem::take(&mut self.input)
    }
}
