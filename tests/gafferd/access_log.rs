//! A line for each request, for those who ask for it.

use std::io::{Read, Write};
use std::net::TcpStream;

use gaffer::process::Signal;
use serde_json::Value;

use super::util::{Folder, Gafferd, eventually, ini};

/// The port in `… listening on 127.0.0.1:PORT`.
fn ping(gafferd: &mut Gafferd) {
    let ready = gafferd.line("listening on ");
    let mut stream = TcpStream::connect(ready.rsplit(' ').next().expect("an address")).expect("it listens");
    stream.write_all(b"GET /ping?x=1 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    assert!(answer.ends_with("OK"), "{answer}");
}

#[test]
fn in_a_file_that_can_be_moved_away() {
    let folder = Folder::new();
    let config = folder.write("c.ini", &ini("access_log = %(here)s/access.log\n"));
    let mut gafferd = Gafferd::start(&config, &[]);
    ping(&mut gafferd);
    let line = folder.read("access.log");
    assert!(line.contains(" [INFO] 200 GET /ping?x=1 (127.0.0.1) ") && line.ends_with("ms\n"), "{line}");
    std::fs::rename(folder.path("access.log"), folder.path("old.log")).expect("a file");
    gafferd.signal(Signal::USR1);
    gafferd.line("the log was opened again");
    ping(&mut gafferd);
    assert_eq!((folder.read("old.log"), folder.read("access.log").lines().count()), (line, 1));
    folder.write("c.ini", &ini("access_log = %(here)s/other.log\nlog_format = json\n"));
    gafferd.signal(Signal::HUP);
    gafferd.line("access_log has changed, which takes effect at the next start only");
    gafferd.line("reload: ");
    ping(&mut gafferd);
    let text =
        eventually("the second line", || Some(folder.read("access.log")).filter(|text| text.lines().count() == 2));
    let line: Value = serde_json::from_str(text.lines().last().expect("two lines")).expect("JSON");
    let of = |name: &str| line[name].clone();
    assert_eq!((of("event"), of("status"), of("method")), ("request".into(), 200.into(), "GET".into()));
    assert_eq!((of("target"), of("level")), ("/ping?x=1".into(), "info".into()));
    assert!(of("seconds").is_f64() && of("peer").as_str().is_some_and(|peer| peer.starts_with("127.0.0.1:")), "{line}");
    assert!(!gafferd.log().iter().any(|line| line.contains("/ping")), "only there: {:#?}", gafferd.log());
    gafferd.stop();
}

#[test]
fn in_the_log_and_not_by_default() {
    let folder = Folder::new();
    let config = folder.write("c.ini", &ini(""));
    let mut gafferd = Gafferd::start(&config, &["--access-log", "-"]);
    ping(&mut gafferd);
    gafferd.line(" [INFO] 200 GET /ping?x=1 (127.0.0.1) ");
    // A key has no business in a URL, and none in a log.
    let key = "0123456789abcdef".repeat(3);
    let line = gafferd.line("listening on ");
    let mut stream = TcpStream::connect(line.rsplit(' ').next().expect("an address")).expect("it listens");
    let request = format!("GET /keys/{key}?api_key={key}&n=1 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).expect("sent");
    stream.read_to_string(&mut String::new()).expect("an answer");
    gafferd.line(" 404 GET /keys/0123456789abcdef***?api_key=***&n=1 (");
    assert!(!gafferd.log().iter().any(|line| line.contains(&key)), "{:#?}", gafferd.log());
    gafferd.stop();
    let mut gafferd = Gafferd::start(&config, &[]);
    ping(&mut gafferd);
    gafferd.stop();
    assert!(!gafferd.log().iter().any(|line| line.contains("/ping")), "{:#?}", gafferd.log());
}
