//! Endpoints.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;

use gaffer::ErrorKind;
use gaffer::server::{Config, Endpoint, HttpServer, LocalAddr};

use crate::node::{Client, Node, PATIENCE};

struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = crate::place::place().join(format!("gaffer-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).expect("a folder");
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn bind(endpoint: Endpoint) -> gaffer::Result<HttpServer> {
    HttpServer::bind(Config::default().endpoint(endpoint))
}

#[test]
fn unix_sockets() {
    let folder = Folder::new("unix");
    let path = folder.0.join("s");
    // One that nobody serves any more is taken over.
    drop(UnixListener::bind(&path).expect("a socket"));
    let node = Node::with(Config::default().endpoint(Endpoint::unix(&path)));
    assert_eq!(fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o600);
    let stream = UnixStream::connect(&path).expect("it listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
    let mut client = Client { stream, input: Vec::new() };
    client.send("GET /ping HTTP/1.1\r\nHost: whatever\r\n\r\n");
    assert_eq!(client.answer().text(), "OK");
    // One that is served is not.
    assert_eq!(bind(Endpoint::unix(&path)).expect_err("in use").kind(), ErrorKind::Conflict);
    let file = folder.0.join("file");
    fs::write(&file, "precious").expect("a file");
    assert!(bind(Endpoint::unix(&file)).is_err());
    assert_eq!(fs::read(&file).expect("still there"), b"precious");
    drop(node);
    assert!(!path.exists(), "it is removed with the server");
}

#[test]
fn errors_are_known_at_once() {
    let long = PathBuf::from(format!("/tmp/{}", "x".repeat(200)));
    let e = bind(Endpoint::unix(&long)).expect_err("too long");
    assert!(e.to_string().ends_with(" bytes, and this one has 205"), "{e}");
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("bound").port();
    assert_eq!(bind(Endpoint::tcp("127.0.0.1", port)).expect_err("in use").kind(), ErrorKind::Conflict);
    let error = bind(Endpoint::tcp("0.0.0.0", 0)).expect_err("public");
    assert_eq!(error.kind(), ErrorKind::Forbidden);
    assert!(error.to_string().contains("insecure"), "{error}");
    assert_eq!(bind(Endpoint::tcp("::", 0)).expect_err("public").kind(), ErrorKind::Forbidden);
    let insecure = Config::default().insecure(true).endpoint(Endpoint::tcp("0.0.0.0", 0));
    assert!(HttpServer::bind(insecure).is_ok());
}

#[test]
fn several_endpoints_and_an_inherited_one() {
    let inherited = TcpListener::bind("127.0.0.1:0").expect("a port");
    let first = inherited.local_addr().expect("bound");
    let mut config = Config::default().endpoint(Endpoint::Inherited(inherited.into()));
    let v6 = TcpListener::bind("[::1]:0").is_ok();
    if v6 {
        config = config.endpoint(Endpoint::tcp("::1", 0));
    } else {
        eprintln!("SKIPPED: IPv6 in several_endpoints: this machine has none");
    }
    let node = Node::with(config);
    assert_eq!(node.addresses.len(), 2 + usize::from(v6));
    assert_eq!(node.addresses[0], LocalAddr::Tcp(first));
    for address in &node.addresses {
        let LocalAddr::Tcp(address) = address else { panic!("{address}") };
        let mut client = Client::new(std::net::TcpStream::connect(address).expect("it listens"));
        client.send("GET /ping HTTP/1.1\r\nHost: localhost\r\n\r\n");
        assert_eq!(client.answer().text(), "OK");
    }
}

#[test]
fn it_serves_while_the_manager_stops() {
    let node = Node::new();
    // It says again and again that its trap is set: what it said before the feed began is not in the feed.
    node.load("slow", "trap '' TERM; while :; do echo up; sleep 0.02; done");
    let mut client = node.connect();
    client.send(&format!("GET /streams/{}/out HTTP/1.1\r\nHost: localhost\r\n\r\n", node.pid("slow")));
    assert_eq!(client.head().status, 200);
    assert!(client.chunk().is_some());
    node.handle.call(|cx| cx.stop()).expect("it runs");
    assert_eq!(node.ask("GET", "/ping").text(), "OK");
    node.handle.call(|cx| cx.stop_now()).expect("it runs");
    while client.chunk().is_some() {}
}
