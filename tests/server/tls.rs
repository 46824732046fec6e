//! TLS, asked by `openssl`, `curl` and rustls.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use gaffer::proto::ws::{Connection, Event, Limits, Masks, client::Handshake};
use gaffer::server::{Config, Reply, Streamed};
use gaffer::tls::{Files, Server};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use crate::node::{Client, Node, PATIENCE};
use crate::pki::{Pki, runs};

fn files(pki: &Pki, name: &str) -> Files {
    Files::default().certfile(pki.path(&format!("{name}.pem"))).keyfile(pki.path(&format!("{name}.key")))
}

fn config(pki: &Pki, name: &str) -> Config {
    Config::default().tls(Server::load(&files(pki, name)).expect("a certificate"))
}

type Tls = StreamOwned<ClientConnection, TcpStream>;

fn connect(node: &Node, pki: &Pki, authority: &str) -> Client<Tls> {
    let mut roots = RootCertStore::empty();
    let path = pki.path(&format!("{authority}.pem"));
    roots.add(CertificateDer::from_pem_file(path).expect("PEM")).expect("an authority");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().expect("versions");
    let config = config.with_root_certificates(roots).with_no_client_auth();
    let name = ServerName::try_from("localhost").expect("a name");
    let tls = ClientConnection::new(Arc::new(config), name).expect("a client");
    let tcp = TcpStream::connect(node.address).expect("it listens");
    tcp.set_read_timeout(Some(PATIENCE)).expect("a socket");
    Client { stream: StreamOwned::new(tls, tcp), input: Vec::new() }
}

fn get(client: &mut Client<Tls>, path: &str) -> String {
    client.send(&format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n"));
    client.answer().text()
}

/// `None`, loudly, where there is no curl.
fn curl(node: &Node, path: &str, arguments: &[&str]) -> Option<Output> {
    if !runs("curl", "--version") {
        eprintln!("SKIPPED: there is no curl here");
        return None;
    }
    let mut command = Command::new("curl");
    command.args(["--silent", "--show-error", "--noproxy", "*", "--max-time", "60"]).args(arguments);
    Some(command.arg(format!("https://localhost:{}{path}", node.address.port())).output().expect("curl"))
}

/// What `openssl s_client` says when it is given this, and whether it is content.
fn s_client(node: &Node, arguments: &[&str], input: &str) -> (bool, String) {
    let mut command = Command::new("openssl");
    command.args(["s_client", "-connect", &node.address.to_string()]).args(arguments);
    // It makes of `R` a command, but ends where its input does.
    let commands = input == "R\n";
    command.args((!commands).then_some("-ign_eof"));
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("openssl");
    // It may be gone already.
    let mut stdin = child.stdin.take().expect("a pipe");
    let _ = stdin.write_all(input.as_bytes());
    let stdin = commands.then_some(stdin);
    let ran = child.wait_with_output().expect("it ends");
    drop(stdin);
    let text = [ran.stdout, ran.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    (ran.status.success(), text)
}

const CLOSE: &str = "GET /ping HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

#[test]
fn who_it_is_must_be_known() {
    let Some(pki) = Pki::new() else { return };
    let node = Node::with(config(&pki, "server"));
    let Some(good) = curl(&node, "/ping", &["--cacert", &pki.text("ca.pem")]) else { return };
    assert_eq!(String::from_utf8_lossy(&good.stdout), "OK", "{good:?}");
    // 60: the certificate cannot be verified.
    let wrong = curl(&node, "/ping", &["--cacert", &pki.text("other.pem")]).expect("curl");
    assert_eq!(wrong.status.code(), Some(60), "{wrong:?}");
    let port = node.address.port();
    let elsewhere = format!("https://elsewhere.test:{port}/ping");
    let resolve = format!("elsewhere.test:{port}:127.0.0.1");
    let host =
        curl(&node, "/ping", &["--cacert", &pki.text("ca.pem"), "--resolve", &resolve, &elsewhere]).expect("curl");
    let err = String::from_utf8_lossy(&host.stderr);
    assert!(err.contains("elsewhere.test") && String::from_utf8_lossy(&host.stdout) == "OK", "{host:?}");
    pki.sign_until("ca", "expired", -1);
    let late = Server::load(&files(&pki, "expired")).expect("no error");
    assert!(late.warnings()[0].ends_with("has expired 1 day ago"), "{:?}", late.warnings());
    pki.sign_until("ca", "soon", 5);
    let soon = Server::load(&files(&pki, "soon")).expect("no error");
    assert!(soon.warnings()[0].contains("expires in 4 days"), "{:?}", soon.warnings());
    let node = Node::with(Config::default().tls(late));
    let late = curl(&node, "/ping", &["--cacert", &pki.text("ca.pem")]).expect("curl");
    assert!(late.status.code() == Some(60) && String::from_utf8_lossy(&late.stderr).contains("expired"), "{late:?}");
}

#[test]
fn clients_show_who_they_are() {
    let Some(pki) = Pki::new() else { return };
    pki.sign("other", "stranger");
    let tls = Server::load(&files(&pki, "server").cacert(pki.path("ca.pem"))).expect("certificates");
    let node = Node::with(Config::default().tls(tls));
    for version in ["-tls1_2", "-tls1_3"] {
        let ask = |name: &str| {
            let (cert, key) = (pki.text(&format!("{name}.pem")), pki.text(&format!("{name}.key")));
            let authority = pki.text("ca.pem");
            let mut arguments = vec![version, "-CAfile", &authority, "-verify_return_error"];
            if !name.is_empty() {
                arguments.extend(["-cert", &cert, "-key", &key]);
            }
            s_client(&node, &arguments, CLOSE)
        };
        let (_, text) = ask("client");
        assert!(text.contains("HTTP/1.1 200 OK"), "{version}: {text}");
        let (content, text) = ask("");
        let alert = if version == "-tls1_3" { "alert certificate required" } else { "alert" };
        assert!(!content && text.contains(alert) && !text.contains("HTTP/1.1"), "{version}: {text}");
        let (content, text) = ask("stranger");
        assert!(!content && text.contains("alert") && !text.contains("HTTP/1.1"), "{version}: {text}");
    }
}

#[test]
fn only_what_is_modern() {
    let Some(pki) = Pki::new() else { return };
    let node = Node::with(config(&pki, "server"));
    for version in ["-tls1", "-tls1_1"] {
        let (content, text) = s_client(&node, &[version, "-cipher", "ALL:@SECLEVEL=0"], CLOSE);
        assert!(!content && !text.contains("HTTP/1.1"), "{version}: {text}");
    }
    let (content, text) = s_client(&node, &["-tls1_2"], "R\n");
    assert!(!content && text.contains("RENEGOTIATING") && text.contains("no renegotiation"), "{text}");
    let (_, text) = s_client(&node, &["-alpn", "h2,http/1.1"], CLOSE);
    assert!(text.contains("ALPN protocol: http/1.1") && text.contains("HTTP/1.1 200 OK"), "{text}");
    assert!(text.contains("TLSv1.3") && text.contains("Compression: NONE"), "{text}");
    let (content, text) = s_client(&node, &["-alpn", "h2"], CLOSE);
    assert!(!content && text.contains("no application protocol"), "{text}");
}

#[test]
fn http_without_tls_is_told_so() {
    let Some(pki) = Pki::new() else { return };
    let node = Node::with(config(&pki, "server"));
    let mut client = node.connect();
    client.send("GET /ping HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let answer = client.answer();
    assert_eq!((answer.status, answer.json()["error"].as_str()), (400, Some("tls_required")), "{answer:?}");
    assert!(answer.json()["reason"].as_str().is_some_and(|reason| reason.contains("https://")), "{answer:?}");
    assert!(client.rest().is_empty());
    // What is neither gets an alert, and the end.
    let mut client = node.connect();
    client.send("\u{16}nonsense, and enough of it to be a record");
    assert_eq!(client.rest().first(), Some(&21));
    node.wait_connections_with(|| connect(&node, &pki, "ca"), 0);
    assert_eq!(get(&mut connect(&node, &pki, "ca"), "/tls-failed"), "1");
}

#[test]
fn half_a_handshake_is_cut() {
    let Some(pki) = Pki::new() else { return };
    // Time enough for a handshake on a busy machine.
    let short = Duration::from_secs(6);
    let mut settings = config(&pki, "server").head_timeout(short);
    settings.max_connections = 8;
    let node = Node::with(settings);
    let start = Instant::now();
    let mut stalled: Vec<_> = ["", "\u{16}", "\u{16}\u{3}\u{1}\u{2}\u{0}\u{1}"]
        .into_iter()
        .map(|bytes| {
            let mut client = node.connect();
            client.send(bytes);
            client
        })
        .collect();
    let mut other = connect(&node, &pki, "ca");
    assert_eq!(get(&mut other, "/ping"), "OK");
    for client in &mut stalled {
        assert!(client.rest().is_empty());
    }
    assert!(start.elapsed() >= short, "{:?}", start.elapsed());
    assert_eq!(get(&mut other, "/tls-failed"), "3");
    assert_eq!(get(&mut other, "/ping"), "OK");
}

#[test]
fn beyond_all_connections_is_told_so() {
    let Some(pki) = Pki::new() else { return };
    let mut settings = config(&pki, "server");
    settings.max_connections = 1;
    let node = Node::with(settings);
    let mut first = connect(&node, &pki, "ca");
    assert_eq!(get(&mut first, "/ping"), "OK");
    let mut second = connect(&node, &pki, "ca");
    second.send("GET /ping HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert_eq!(second.answer().status, 503);
    assert_eq!(get(&mut first, "/ping"), "OK");
}

#[test]
fn a_new_certificate_for_those_who_come() {
    let Some(pki) = Pki::new() else { return };
    let tls = Server::load(&files(&pki, "server")).expect("a certificate");
    let node = Node::with(Config::default().tls(tls.clone()));
    let mut old = connect(&node, &pki, "ca");
    assert_eq!(get(&mut old, "/ping"), "OK");
    pki.sign("other", "next");
    let broken = files(&pki, "next").keyfile(pki.path("server.key"));
    let e = tls.reload(&broken).expect_err("not its key").to_string();
    assert!(e.contains("server.key': the key is not that of the certificate in '") && e.contains("next.pem"), "{e}");
    let mut still = connect(&node, &pki, "ca");
    assert_eq!(get(&mut still, "/ping"), "OK");
    tls.reload(&files(&pki, "next")).expect("a certificate");
    let mut new = connect(&node, &pki, "other");
    assert_eq!(get(&mut new, "/ping"), "OK");
    for client in [&mut old, &mut still, &mut new] {
        assert_eq!(get(client, "/ping"), "OK");
    }
    let mut late = connect(&node, &pki, "ca");
    let e = late.stream.write_all(CLOSE.as_bytes()).expect_err("signed by another").to_string();
    assert!(e.contains("UnknownIssuer"), "{e}");
}

#[test]
fn what_is_wrong_with_a_file() {
    let Some(pki) = Pki::new() else { return };
    let write = |name: &str, text: &str| std::fs::write(pki.path(name), text).expect("a file");
    let fault = |files: Files| Server::load(&files).expect_err("a fault").to_string();
    let server = || files(&pki, "server");
    write("empty.pem", "nothing\n");
    let cut: String = std::fs::read_to_string(pki.path("server.pem")).expect("PEM").chars().take(200).collect();
    write("cut.pem", &cut);
    write("odd.pem", "-----BEGIN CERTIFICATE-----\n*\n-----END CERTIFICATE-----\n");
    write("locked.pem", "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n");
    for (files, want) in [
        (Files::default(), "a server needs a `certfile`"),
        (Files::default().keyfile("k"), "'k': a key without a `certfile`"),
        (server().certfile("/nonexistent/x"), "cannot read '/nonexistent/x'"),
        (server().certfile(pki.path("empty.pem")), "empty.pem': there is no certificate in it"),
        (server().certfile(pki.path("server.key")), "server.key': there is no certificate in it"),
        (server().certfile(pki.path("cut.pem")), "cut.pem': it ends in the middle"),
        (server().certfile(pki.path("odd.pem")), "odd.pem': malformed PEM"),
        (server().keyfile(pki.path("client.key")), "client.key': the key is not that of"),
        (server().keyfile(pki.path("server.pem")), "server.pem': there is no private key in it"),
        (server().keyfile(pki.path("locked.pem")), "locked.pem': the key is encrypted"),
        (server().cacert(pki.path("empty.pem")), "empty.pem': there is no certificate in it"),
    ] {
        let e = fault(files.clone());
        assert!(e.contains(want), "{files:?}: {e}");
    }
    // Both in one file.
    let both = ["server.key", "server.pem"].map(|name| std::fs::read_to_string(pki.path(name)).expect("PEM")).concat();
    write("both.pem", &both);
    Server::load(&Files::default().certfile(pki.path("both.pem"))).expect("a certificate and its key");
}

#[test]
fn events_and_websockets() {
    let Some(pki) = Pki::new() else { return };
    let node = Node::with(config(&pki, "server"));
    let mut feed = connect(&node, &pki, "ca");
    feed.send("GET /events/create?feed=eventsource HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert_eq!(feed.head().status, 200);
    let mut socket = Ws::new(connect(&node, &pki, "ca"));
    socket.says("welcome");
    node.load("a", "true");
    feed.until(b"\"default.a\"");
    socket.says("create");
    socket.text(&"x".repeat(100_000));
    socket.says(&"x".repeat(100_000));
    socket.text("stop");
    while socket.next().is_some() {}
    // The stream ends as it should, not by a cut.
    while feed.more() {}
}

#[test]
fn who_does_not_read_is_cut() {
    let Some(pki) = Pki::new() else { return };
    let node = Node::with(config(&pki, "server").unsent(1 << 20));
    let mut socket = Ws::new(connect(&node, &pki, "ca"));
    socket.says("welcome");
    socket.text("flood");
    // It is cut although nothing was read.
    node.wait_connections_with(|| connect(&node, &pki, "ca"), 0);
    // What the sockets of the system hold comes, and then the end without a farewell.
    let mut bytes = 0;
    let mut buffer = vec![0; 1 << 16];
    while let Ok(n @ 1..) = socket.client.stream.read(&mut buffer) {
        bytes += n;
    }
    assert!(bytes < 32 << 20, "{bytes}");
}

#[test]
fn much_of_it_both_ways() {
    const SIZE: usize = 50_000_000;
    let Some(pki) = Pki::new() else { return };
    let mut settings = config(&pki, "server");
    settings.limits = settings.limits.body(64 << 20);
    let node = Node::serving(settings, |server| {
        let echo = |call: &mut gaffer::server::Call<'_, '_>| {
            let body = std::io::Cursor::new(call.request.body.clone());
            Ok(Reply::Streamed(Streamed::new(200, body.get_ref().len() as u64, body)))
        };
        server.route("POST", "/echo", echo).expect("a route");
    });
    let mut random = 1_u64;
    let bytes: Vec<u8> = std::iter::repeat_with(|| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (random >> 56) as u8
    })
    .take(SIZE)
    .collect();
    std::fs::write(pki.path("body"), &bytes).expect("a file");
    let (authority, body) = (pki.text("ca.pem"), format!("@{}", pki.text("body")));
    let arguments = ["--cacert", &authority, "--data-binary", &body, "-H", "Transfer-Encoding: chunked"];
    let Some(ran) = curl(&node, "/echo", &arguments) else { return };
    assert!(ran.stdout == bytes, "{} bytes, {:?}", ran.stdout.len(), String::from_utf8_lossy(&ran.stderr));
}

struct Ws {
    client: Client<Tls>,
    connection: Connection,
}

impl Ws {
    fn new(mut client: Client<Tls>) -> Self {
        let handshake = Handshake::new("localhost", "/socket", [3; 16]).expect("valid");
        let mut request = Vec::new();
        handshake.write(&mut request);
        client.send(&String::from_utf8(request).expect("text"));
        let head = client.head();
        let fields = head.head.lines().filter_map(|line| line.split_once(": ")).map(|(n, v)| (n, v.as_bytes()));
        handshake.check(head.status, fields).expect("accepted");
        Self { client, connection: Connection::client(Limits::default(), Masks::seeded(7)) }
    }

    fn text(&mut self, text: &str) {
        let mut out = Vec::new();
        self.connection.text(text, &mut out).expect("open");
        self.client.stream.write_all(&out).expect("it takes it");
    }

    fn next(&mut self) -> Option<Event> {
        loop {
            let fed = self.connection.feed(&self.client.input);
            self.client.input.drain(..fed.used);
            if let Some(event) = fed.out.expect("well-formed") {
                return Some(event);
            }
            if fed.used == 0 && !self.client.more() {
                return None;
            }
        }
    }

    #[track_caller]
    fn says(&mut self, want: &str) {
        match self.next() {
            Some(Event::Text(text)) => assert_eq!(text, want),
            other => panic!("{other:?}"),
        }
    }
}
