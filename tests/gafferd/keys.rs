//! gafferd with keys: `--require-key`, administrators from the command line, trusted users, the audit log.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::process::Stdio;

use gaffer::process::Signal;

use super::util::{Folder, Gafferd, command, ini, run};

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
