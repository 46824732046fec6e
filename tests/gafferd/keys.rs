//! gafferd with keys: `--require-key`, administrators from the command line, trusted users, the audit log.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use gaffer::access::{Access, Who};
use gaffer::process::Signal;
use serde_json::{Value, json};

use super::util::{Folder, Gafferd, command, eventually, ini, run};

fn ask(mut stream: impl Read + Write, line: &str, fields: &str) -> String {
    let request = format!("{line} HTTP/1.1\r\nHost: localhost\r\n{fields}Connection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    answer
}

fn tcp(gafferd: &mut Gafferd) -> TcpStream {
    let ready = gafferd.line("listening on ");
    let address = ready.split("listening on ").nth(1).expect("an address").split(", ").next().expect("one");
    TcpStream::connect(address).expect("it listens")
}

/// Makes an administrator and gives its key.
fn admin(config: &str, name: &str) -> String {
    let (code, out, err) = run(&["-c", config, "--create-admin-user", "--username", name, "--password", "a:b c"]);
    assert_eq!(code, 0, "{err}");
    out.lines().last().expect("a key").to_owned()
}

#[test]
fn administrators_are_made_and_listed() {
    let folder = Folder::new();
    let config = folder.write("c.ini", &ini("require_key = true\n"));
    let config = config.to_str().expect("text");
    let key = admin(config, "al");
    assert!(key.len() == 48 && !folder.read("access.json").contains(&key), "{key}");
    assert_eq!(std::fs::metadata(folder.path("access.json")).expect("a file").permissions().mode() & 0o777, 0o600);
    let (code, _, err) = run(&["-c", config, "--create-admin-user", "--username", "al", "--password", "x"]);
    assert!(code == 1 && err.contains("a user \"al\" already"), "{code} {err}");
    // Name and password may come on standard input, a line each.
    let mut child = command(&["-c", config, "--create-admin-user"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("gafferd");
    child.stdin.take().expect("a pipe").write_all(b"zoe\npass word\n").expect("it reads");
    assert!(child.wait_with_output().expect("it ends").status.success());
    assert_eq!(run(&["-c", config, "--list-admins"]), (0, "al\nzoe\n".to_owned(), String::new()));
    let (code, out, _) = run(&["-c", config, "--list-admins", "--json"]);
    let all: Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!((code, &all[0], &all[1]["username"]), (0, &json!({"username": "al", "key": key[..16]}), &json!("zoe")));
    assert_eq!(run(&["-c", config, "--json"]).0, 2);
}

/// A connection to a socket, and the head of its answer.
fn feed(socket: &Path, path: &str, fields: &str) -> BufReader<UnixStream> {
    let mut stream = UnixStream::connect(socket).expect("it listens");
    stream.set_read_timeout(Some(Duration::from_secs(90))).expect("a socket");
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n").expect("sent");
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    stream.read_line(&mut line).expect("a status");
    assert!(line.starts_with("HTTP/1.1 200 "), "{line}");
    while line.trim_end() != "" {
        line.clear();
        stream.read_line(&mut line).expect("a field");
    }
    stream
}

fn rest(mut feed: BufReader<UnixStream>) -> String {
    let mut text = String::new();
    feed.read_to_string(&mut text).expect("its end");
    text
}

#[test]
fn a_reload_changes_who_is_asked() {
    let folder = Folder::new();
    let socket = folder.path("s");
    let uid = std::fs::metadata(&folder.0).expect("ours").uid();
    let write = |more: &str| folder.write("c.ini", &format!("[gaffer]\nbind = unix:{}\n{more}", socket.display()));
    let ask = |fields: &str| {
        eventually("it listens", || {
            let stream = UnixStream::connect(&socket).ok()?;
            Some(ask(stream, "GET /jobs", fields)).filter(|answer| !answer.is_empty())
        })
    };
    let mut gafferd = Gafferd::start(&write(""), &[]);
    let open = feed(&socket, "/watch", "");
    let config = write("require_key = true\n");
    let key = admin(config.to_str().expect("text"), "al");
    gafferd.signal(Signal::HUP);
    // What nobody had to show a key for ends, and from now on everybody is asked.
    rest(open);
    gafferd.line("endpoint gaffer listens on ");
    assert!(ask("").starts_with("HTTP/1.1 401 "));
    let field = format!("X-Api-Key: {key}\r\n");
    assert!(ask(&field).starts_with("HTTP/1.1 200 "));
    let open = feed(&socket, "/watch", &field);
    write(&format!("require_key = true\n[auth]\ntrust_uid = {uid}\n"));
    gafferd.signal(Signal::HUP);
    rest(open);
    gafferd.nth_line("endpoint gaffer listens on ", 1);
    assert!(ask("").starts_with("HTTP/1.1 200 "));
    // Settings that cannot be change nothing.
    write("require_key = true\n[auth]\nauth_dbname = %(here)s/other.json\n");
    folder.write("other.json", "{}");
    let mode = std::fs::Permissions::from_mode(0o644);
    std::fs::set_permissions(folder.path("other.json"), mode).expect("ours");
    gafferd.signal(Signal::HUP);
    let line = gafferd.line("reload refused, everything stays as it was: ");
    assert!(line.contains("set its mode to 0600"), "{line}");
    assert!(ask("").starts_with("HTTP/1.1 200 "));
    gafferd.stop();
}

#[test]
fn keys_that_another_process_removes_end() {
    let folder = Folder::new();
    let socket = folder.path("s");
    let config = folder.write("c.ini", &format!("[gaffer]\nbind = unix:{}\nrequire_key = yes\n", socket.display()));
    let key = admin(config.to_str().expect("text"), "al");
    let mut gafferd = Gafferd::start(&config, &[]);
    let field = format!("X-Api-Key: {key}\r\n");
    let open = feed(&socket, "/watch?feed=eventsource", &field);
    let mut raw = feed(&socket, "/watch?feed=continuous", &field);
    let keys = Access::open(folder.path("access.json")).expect("ours");
    keys.remove_key(&Who::Trusted, &key[..16]).expect("a key");
    // With the next request by it, a second later at most; with it goes what is open.
    eventually("403", || {
        let answer = ask(UnixStream::connect(&socket).ok()?, "GET /jobs", &field);
        answer.starts_with("HTTP/1.1 403 ").then_some(())
    });
    let text = rest_of_chunks(open);
    assert!(text.contains("event: error") && text.contains("is not good any more"), "{text}");
    let mut line = String::new();
    raw.read_line(&mut line).expect("a piece");
    gafferd.line(&format!("[WARNING] audit: refused key {}: GET /watch, under way from uid ", &key[..16]));
    // And at once when it is told to look.
    let key = admin(config.to_str().expect("text"), "zoe");
    let field = format!("X-Api-Key: {key}\r\n");
    let open = feed(&socket, "/watch?feed=eventsource", &field);
    keys.remove_key(&Who::Trusted, &key[..16]).expect("a key");
    gafferd.signal(Signal::HUP);
    assert!(rest_of_chunks(open).contains("is not good any more"));
    gafferd.stop();
}

/// The connection stays open behind a feed that has ended well.
fn rest_of_chunks(mut feed: BufReader<UnixStream>) -> String {
    let (mut text, mut line) = (String::new(), String::new());
    while line != "0\r\n" {
        line.clear();
        assert!(feed.read_line(&mut line).expect("a line") > 0, "{text}");
        text += &line;
    }
    text
}

#[test]
fn everybody_is_asked_and_told_in_the_log() {
    let folder = Folder::new();
    let config = folder.write("c.ini", &ini("[job:web]\ncmd = sleep 1000\n"));
    let key = admin(config.to_str().expect("text"), "al");
    let mut gafferd = Gafferd::start(&config, &["--require-key"]);
    assert!(ask(tcp(&mut gafferd), "GET /ping", "").ends_with("OK"));
    assert!(ask(tcp(&mut gafferd), "GET /jobs", "").starts_with("HTTP/1.1 401 "));
    assert!(ask(tcp(&mut gafferd), "GET /channel/websocket", "X-Api-Key: x\r\n").starts_with("HTTP/1.1 403 "));
    let field = format!("X-Api-Key: {key}\r\n");
    assert!(ask(tcp(&mut gafferd), "GET /jobs", &field).contains("default.web"));
    assert!(ask(tcp(&mut gafferd), "POST /processes/web/_stop", &field).starts_with("HTTP/1.1 200 "));
    gafferd.line("[WARNING] audit: refused nobody: GET /jobs from 127.0.0.1: ");
    gafferd.line(&format!("[INFO] audit: allowed key {}: POST /processes/web/_stop from 127.0.0.1", &key[..16]));
    // `al:a:b c` in base64. A user that another process makes can log in at once.
    let login = ask(tcp(&mut gafferd), "GET /auth", "Authorization: Basic YWw6YTpiIGM=\r\n");
    assert!(login.starts_with("HTTP/1.1 200 ") && login.contains("X-Api-Key: "), "{login}");
    let late = admin(config.to_str().expect("text"), "zoe");
    assert!(ask(tcp(&mut gafferd), "GET /jobs", &format!("X-Api-Key: {late}\r\n")).starts_with("HTTP/1.1 200 "));
    assert!(gafferd.log().iter().all(|line| !line.contains(&key) && !line.contains(&late)));
    // A file that is damaged changes nothing.
    std::fs::write(folder.path("access.json"), "{").expect("a file");
    gafferd.signal(Signal::HUP);
    gafferd.line("keys and users stay as they were");
    assert!(ask(tcp(&mut gafferd), "GET /jobs", &field).contains("default.web"));
    gafferd.stop();
}

#[test]
fn trusted_users_need_no_key_on_a_unix_socket() {
    let folder = Folder::new();
    let socket = folder.path("s");
    let uid = std::fs::metadata(&folder.0).expect("ours").uid();
    for (trusted, want) in [(uid, "HTTP/1.1 200 "), (uid + 1, "HTTP/1.1 401 ")] {
        let text =
            format!("[gaffer]\nbind = unix:{}\nrequire_key = true\n[auth]\ntrust_uid = {trusted}\n", socket.display());
        let config = folder.write("c.ini", &text);
        let mut gafferd = Gafferd::start(&config, &[]);
        let answer = ask(UnixStream::connect(&socket).expect("it listens"), "GET /jobs", "");
        assert!(answer.starts_with(want), "{answer}");
        gafferd.stop();
    }
}

#[test]
fn what_cannot_be_safe_is_refused() {
    let folder = Folder::new();
    let public = folder.write("p.ini", "[gaffer]\nbind = 0.0.0.0:0\nrequire_key = true\n");
    let (code, _, err) = run(&["-c", public.to_str().expect("text")]);
    assert!(code == 1 && err.contains("refusing to listen on 0.0.0.0:0") && err.contains("certfile"), "{err}");
    let two = folder.write("t.ini", &ini("require_key = 1\n[auth]\nauth_dbname = a\nkeys_dbname = b\n"));
    let (code, _, err) = run(&["--check", "-c", two.to_str().expect("text")]);
    assert!(code == 1 && err.contains("keys and users are in one file"), "{err}");
    let config = folder.write("c.ini", &ini("require_key = true\n"));
    folder.write("access.json", "{}");
    std::fs::set_permissions(folder.path("access.json"), std::fs::Permissions::from_mode(0o644)).expect("ours");
    let (code, _, err) = run(&["-c", config.to_str().expect("text")]);
    assert!(code == 1 && err.contains("set its mode to 0600"), "{err}");
}
