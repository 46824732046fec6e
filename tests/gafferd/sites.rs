//! Sites of plugins, with curl and by hand.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::symlink;
use std::process::Command;
use std::thread;

use gaffer::process::Signal;

use super::util::{Folder, Gafferd, eventually};

/// A gafferd with a folder of plugins, and where it listens.
pub(crate) fn start(folder: &Folder, more: &str) -> (Gafferd, String) {
    fs::create_dir_all(folder.path("plugins")).expect("a folder");
    let config = format!("[gaffer]\nbind = 127.0.0.1:0\nplugins_dir = %(here)s/plugins\n{more}");
    let config = folder.write("c.ini", &config);
    let mut gafferd = Gafferd::start(&config, &[]);
    let ready = gafferd.line("ready: ");
    (gafferd, ready.rsplit(' ').next().expect("an address").to_owned())
}

pub(crate) fn write(folder: &Folder, path: &str, bytes: impl AsRef<[u8]>) {
    let path = folder.path("plugins").join(path);
    fs::create_dir_all(path.parent().expect("a folder")).expect("folders");
    fs::write(path, bytes).expect("a file");
}

pub(crate) struct Answer {
    pub(crate) status: u16,
    head: String,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        let fields = self.head.lines().filter_map(|line| line.split_once(": "));
        fields.filter(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value).next()
    }
}

/// The path goes as it is, which no client would do.
pub(crate) fn ask(address: &str, method: &str, path: &str, fields: &str) -> Answer {
    let mut stream = TcpStream::connect(address).expect("it listens");
    let request = format!("{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n{fields}\r\n");
    stream.write_all(request.as_bytes()).expect("it reads");
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).expect("it answers");
    let end = bytes.windows(4).position(|w| w == b"\r\n\r\n").expect("a head") + 4;
    let body = bytes.split_off(end);
    let head = String::from_utf8(bytes).expect("a head is text");
    let status = head.split(' ').nth(1).and_then(|s| s.parse().ok()).expect("a status");
    Answer { status, head, body }
}

#[test]
fn files_folders_and_types() {
    let folder = Folder::new();
    write(&folder, "app/_site/index.html", "<h1>hello</h1>");
    write(&folder, "app/_site/a b/ü.css", "body {}");
    write(&folder, "app/_site/empty.bin", "");
    write(&folder, "plain/index.html", "plain");
    write(&folder, "plain/script.mjs", "1");
    write(&folder, "nothing/page.html", "no index, no site");
    write(&folder, "program/index.html", "a program's own");
    write(&folder, "program/plugin.json", r#"{"command": "sleep 1000"}"#);
    let (mut gafferd, address) = start(&folder, "");
    for (path, media_type, body) in [
        ("/_plugin/app/", "text/html; charset=utf-8", "<h1>hello</h1>"),
        ("/_plugin/app/index.html", "text/html; charset=utf-8", "<h1>hello</h1>"),
        ("/_plugin/app/a%20b/%C3%BC.css", "text/css; charset=utf-8", "body {}"),
        ("/_plugin/app/empty.bin", "application/octet-stream", ""),
        ("/_plugin/plain/", "text/html; charset=utf-8", "plain"),
        ("/_plugin/plain/script.mjs?v=1", "text/javascript; charset=utf-8", "1"),
    ] {
        let answer = ask(&address, "GET", path, "");
        assert_eq!((answer.status, answer.field("content-type")), (200, Some(media_type)), "{path}: {}", answer.head);
        assert_eq!(String::from_utf8_lossy(&answer.body), body, "{path}");
        assert_eq!(answer.field("x-content-type-options"), Some("nosniff"));
        let head = ask(&address, "HEAD", path, "");
        assert_eq!((head.status, head.body.len(), head.field("etag")), (200, 0, answer.field("etag")), "{path}");
        assert_eq!(head.field("content-length"), Some(&*body.len().to_string()), "{path}");
    }
    for (path, to) in [
        ("/_plugin/app", "/_plugin/app/"),
        ("/_plugin/app?x=1", "/_plugin/app/?x=1"),
        ("/_plugin/app/a%20b", "/_plugin/app/a%20b/"),
    ] {
        let answer = ask(&address, "GET", path, "");
        assert_eq!((answer.status, answer.field("location")), (302, Some(to)), "{path}");
    }
    for path in [
        "/_plugin",
        "/_plugin/",
        "/_plugin/none/",
        "/_plugin/nothing/page.html",
        "/_plugin/program/",
        "/_plugin/app/none",
        "/_plugin/app/a%20b/",
        "/_plugin/app/index.html/",
        "/_plugin/app/index.html/x",
        "/_plugin/app//index.html",
        "/_plugin/plain/plugin.json",
    ] {
        assert_eq!(ask(&address, "GET", path, "").status, 404, "{path}");
    }
    assert_eq!(ask(&address, "POST", "/_plugin/app/", "Content-Length: 0\r\n").status, 405);

    // New ones are there at once.
    write(&folder, "later/_site/index.html", "later");
    assert_eq!(ask(&address, "GET", "/_plugin/later/", "").body, b"later");
    gafferd.stop();
}

#[test]
fn nothing_outside_is_reached() {
    let folder = Folder::new();
    write(&folder, "app/_site/index.html", "");
    write(&folder, "app/_site/.hidden", "hidden");
    write(&folder, "app/_site/sub/x", "");
    write(&folder, "app/secret", "secret");
    write(&folder, "secret", "secret");
    folder.write("secret", "secret");
    let site = folder.path("plugins/app/_site");
    symlink("../secret", site.join("link")).expect("a link");
    symlink("..", site.join("up")).expect("a link");
    symlink("/etc", site.join("etc")).expect("a link");
    symlink("index.html", site.join("within")).expect("a link");
    let fifo = site.join("fifo");
    assert!(Command::new("mkfifo").arg(&fifo).status().expect("mkfifo").success());
    // A plugin's folder may be a link: whoever has put it there wants it so.
    symlink(folder.path("plugins/app"), folder.path("plugins/alias")).expect("a link");
    let (mut gafferd, address) = start(&folder, "");
    assert_eq!(ask(&address, "GET", "/_plugin/alias/", "").status, 200);
    for path in [
        "/_plugin/app/../secret",
        "/_plugin/app/%2e%2e/secret",
        "/_plugin/app/.%2E/secret",
        "/_plugin/app/sub/../../secret",
        "/_plugin/app/sub/%2e%2e/%2e%2e/secret",
        "/_plugin/app/..%2fsecret",
        "/_plugin/app/%2e%2e%2fsecret",
        "/_plugin/app/..%5csecret",
        "/_plugin/../secret",
        "/_plugin/%2e%2e/secret",
        "/_plugin/..%2f../",
        "/_plugin/./secret",
        "/_plugin/app/%2fetc/passwd",
        "/_plugin/app/.hidden",
        "/_plugin/.git/",
        "/_plugin/app/link",
        "/_plugin/app/up/secret",
        "/_plugin/app/up/",
        "/_plugin/app/etc/passwd",
        "/_plugin/app/within",
        "/_plugin/app/fifo",
        "/_plugin/app/a%00b",
        "/_plugin/app/%zz",
        "/_plugin/app/%ff",
        &format!("/_plugin/app/{}", "x".repeat(300)),
    ] {
        let answer = ask(&address, "GET", path, "");
        assert!(matches!(answer.status, 400 | 403 | 404), "{path}: {}", answer.head);
        assert!(!String::from_utf8_lossy(&answer.body).contains("root:"), "{path}");
        assert_ne!(answer.body, b"secret", "{path}");
    }
    gafferd.stop();
}

#[test]
fn conditions_and_ranges() {
    let folder = Folder::new();
    let bytes: Vec<u8> = (0..=255).cycle().take(1000).collect();
    write(&folder, "app/_site/data.bin", &bytes);
    let (mut gafferd, address) = start(&folder, "");
    let path = "/_plugin/app/data.bin";
    let whole = ask(&address, "GET", path, "");
    assert_eq!((whole.status, &whole.body, whole.field("accept-ranges")), (200, &bytes, Some("bytes")));
    let (tag, modified) = (whole.field("etag").expect("a tag"), whole.field("last-modified").expect("a date"));
    for (fields, status) in [
        (format!("If-None-Match: {tag}\r\n"), 304),
        (format!("If-None-Match: \"x\", {tag}\r\n"), 304),
        ("If-None-Match: \"x\"\r\n".to_owned(), 200),
        (format!("If-Modified-Since: {modified}\r\n"), 304),
        ("If-Modified-Since: Thu, 01 Jan 1970 00:00:00 GMT\r\n".to_owned(), 200),
        (format!("If-None-Match: \"x\"\r\nIf-Modified-Since: {modified}\r\n"), 200),
    ] {
        let answer = ask(&address, "GET", path, &fields);
        assert_eq!((answer.status, answer.field("etag")), (status, Some(tag)), "{fields}");
        assert_eq!(answer.body.len(), if status == 304 { 0 } else { 1000 }, "{fields}");
    }
    for (range, want) in
        [("0-0", 0..1), ("0-99", 0..100), ("990-2000", 990..1000), ("500-", 500..1000), ("-10", 990..1000)]
    {
        for if_range in [String::new(), format!("If-Range: {tag}\r\n")] {
            let answer = ask(&address, "GET", path, &format!("Range: bytes={range}\r\n{if_range}"));
            let content_range = format!("bytes {}-{}/1000", want.start, want.end - 1);
            assert_eq!((answer.status, answer.field("content-range")), (206, Some(&*content_range)), "{range}");
            assert_eq!(answer.body, bytes[want.clone()], "{range}");
        }
    }
    for fields in ["Range: bytes=1000-\r\n", "Range: bytes=-0\r\n"] {
        let answer = ask(&address, "GET", path, fields);
        assert_eq!((answer.status, answer.field("content-range")), (416, Some("bytes */1000")), "{fields}");
    }
    for fields in ["Range: bytes=0-1,5-6\r\n", "Range: lines=1-2\r\n", "Range: bytes=0-1\r\nIf-Range: \"old\"\r\n"] {
        let answer = ask(&address, "GET", path, fields);
        assert_eq!((answer.status, answer.body.len()), (200, 1000), "{fields}");
    }
    write(&folder, "app/_site/data.bin", "new");
    let answer = ask(&address, "GET", path, &format!("If-None-Match: {tag}\r\n"));
    assert_eq!((answer.status, &*answer.body), (200, &b"new"[..]));
    gafferd.stop();
}

/// Resident memory in KiB.
fn resident(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("a figure");
    line.split_whitespace().nth(1).and_then(|n| n.parse().ok()).expect("a number")
}

#[test]
fn large_files_are_not_held_and_hold_nobody_up() {
    const SIZE: u64 = 256 << 20;
    let folder = Folder::new();
    write(&folder, "app/_site/index.html", "");
    let file = fs::File::create(folder.path("plugins/app/_site/large.bin")).expect("a file");
    // A hole: it takes no room.
    file.set_len(SIZE).expect("a large file");
    let (mut gafferd, address) = start(&folder, "");
    let before = resident(gafferd.child.id());
    // Some who ask and do not read.
    let stalled: Vec<TcpStream> = (0..20)
        .map(|_| {
            let mut stream = TcpStream::connect(&address).expect("it listens");
            let request = format!("GET /_plugin/app/large.bin HTTP/1.1\r\nHost: {address}\r\n\r\n");
            stream.write_all(request.as_bytes()).expect("it reads");
            stream.read_exact(&mut [0; 100]).expect("it answers");
            stream
        })
        .collect();
    let reader = {
        let address = address.clone();
        thread::spawn(move || {
            let mut stream = TcpStream::connect(&address).expect("it listens");
            let ask = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n\r\n");
            // What was asked for behind it comes behind it.
            stream.write_all((ask("/_plugin/app/large.bin") + &ask("/ping")).as_bytes()).expect("it reads");
            let (mut count, mut last, mut buffer) = (0, Vec::new(), vec![0; 1 << 20]);
            while !last.ends_with(b"OK") {
                let n = stream.read(&mut buffer).expect("it sends");
                assert!(n > 0, "the end, after {count} bytes");
                count += n as u64;
                last = buffer[n.saturating_sub(8)..n].to_vec();
            }
            count
        })
    };
    while !reader.is_finished() {
        assert_eq!(ask(&address, "GET", "/ping", "").body, b"OK");
    }
    assert!(reader.join().expect("it reads all") > SIZE);
    let grown = resident(gafferd.child.id()).saturating_sub(before);
    assert!(grown < 24 << 10, "{grown} KiB more");
    drop(stalled);

    // A file that becomes shorter meanwhile: the client sees that something is missing.
    let mut stream = TcpStream::connect(&address).expect("it listens");
    let request = format!("GET /_plugin/app/large.bin HTTP/1.1\r\nHost: {address}\r\n\r\n");
    stream.write_all(request.as_bytes()).expect("it reads");
    stream.read_exact(&mut [0; 100]).expect("it answers");
    file.set_len(1000).expect("shorter");
    let mut rest = Vec::new();
    // A reset is as good as an end.
    let _ = stream.read_to_end(&mut rest);
    assert!((rest.len() as u64) < SIZE);
    gafferd.stop();
}

#[test]
#[allow(clippy::print_stderr)]
fn as_curl_sees_it() {
    let folder = Folder::new();
    let bytes: Vec<u8> = (0..3_000_000_u32).map(|n| (n % 251) as u8).collect();
    write(&folder, "app/_site/data.bin", &bytes);
    write(&folder, "app/_site/index.html", "<h1>hello</h1>");
    let (mut gafferd, address) = start(&folder, "");
    let curl = |args: &[&str]| Command::new("curl").args(["-sS", "--path-as-is", "--noproxy", "*"]).args(args).output();
    let url = |path: &str| format!("http://{address}/_plugin/{path}");
    let Ok(output) = curl(&["-L", &url("app")]) else {
        return eprintln!("SKIPPED: there is no curl");
    };
    assert_eq!(output.stdout, b"<h1>hello</h1>");
    // A download that is broken off and goes on.
    let part = folder.path("part.bin");
    let part = part.to_str().expect("UTF-8");
    fs::write(part, &bytes[..1_234_567]).expect("a part");
    let output = curl(&["-C", "-", "-o", part, &url("app/data.bin")]).expect("curl");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(fs::read(part).expect("a file") == bytes);
    let output = curl(&["-r", "10-19", &url("app/data.bin")]).expect("curl");
    assert_eq!(output.stdout, bytes[10..20]);
    let status = |args: &[&str]| {
        let output = curl(&[&["-o", "/dev/null", "-w", "%{http_code}"], args].concat()).expect("curl");
        String::from_utf8(output.stdout).expect("a status")
    };
    assert_eq!(status(&[&url("app/../../etc/passwd")]), "403");
    assert_eq!(status(&["-I", &url("app/data.bin")]), "200");
    let tags = folder.path("tags");
    let tags = tags.to_str().expect("UTF-8");
    assert_eq!(status(&["--etag-save", tags, &url("app/data.bin")]), "200");
    assert_eq!(status(&["--etag-compare", tags, &url("app/data.bin")]), "304");
    gafferd.stop();
}

#[test]
fn another_folder_after_a_reload() {
    let folder = Folder::new();
    write(&folder, "one/_site/index.html", "one");
    let (mut gafferd, address) = start(&folder, "");
    assert_eq!(ask(&address, "GET", "/_plugin/one/", "").body, b"one");
    fs::create_dir_all(folder.path("other/two/_site")).expect("folders");
    fs::write(folder.path("other/two/_site/index.html"), "two").expect("a file");
    folder.write("c.ini", "[gaffer]\nbind = 127.0.0.1:0\nplugins_dir = %(here)s/other\n");
    gafferd.signal(Signal::HUP);
    eventually("the other site", || (ask(&address, "GET", "/_plugin/two/", "").body == b"two").then_some(()));
    assert_eq!(ask(&address, "GET", "/_plugin/one/", "").status, 404);
    gafferd.stop();
}
