//! A gafferd to test, curl, bare sockets, and the tools of others.

use std::fmt::Write as _;
use std::fs;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use gaffer::process::Signal;
use serde_json::{Value, json};

pub(crate) use crate::daemon::{DEADLINE, eventually, signal as kill};
use crate::daemon::{Daemon, Folder};

pub(crate) fn ok() -> Value {
    json!({"ok": true})
}

/// A gafferd, its folder, and where it listens.
pub(crate) struct Node {
    daemon: Daemon,
    folder: Folder,
    /// `127.0.0.1:PORT`, or the path of a socket after `unix:`.
    pub(crate) address: String,
}

/// What curl has got.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    head: String,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// From the bytes of an answer; interim ones (1xx) before it are left out.
    #[track_caller]
    pub(crate) fn parse(mut bytes: &[u8]) -> Self {
        loop {
            let Some(end) = bytes.windows(4).position(|w| w == b"\r\n\r\n") else {
                panic!("no answer: {:?}", String::from_utf8_lossy(bytes));
            };
            let head = String::from_utf8(bytes[..end].to_vec()).expect("a head is text");
            bytes = &bytes[end + 4..];
            let status = head.split(' ').nth(1).and_then(|word| word.parse().ok());
            let status: u16 = status.unwrap_or_else(|| panic!("no status: {head}"));
            if status >= 200 || status == 101 {
                return Self { status, head, body: bytes.to_vec() };
            }
        }
    }

    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        let mut fields = self.head.lines().skip(1).filter_map(|line| line.split_once(':'));
        fields.find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{e}: {}\n\n{}", self.head, self.text()))
    }
}

impl Node {
    /// One with these lines in its configuration, after `[gaffer]`.
    pub(crate) fn new(config: &str) -> Self {
        Self::at("127.0.0.1:0", config)
    }

    /// The same, listening at these addresses, of which the first one is its [`address`](Self::address).
    pub(crate) fn at(bind: &str, config: &str) -> Self {
        let folder = Folder::new();
        let file = folder.write("gafferd.ini", &format!("[gaffer]\n{config}"));
        let bind = bind.replace("FOLDER", &folder.0.display().to_string());
        let mut command = Command::new(env!("CARGO_BIN_EXE_gafferd"));
        command.args(bind.split(' ').flat_map(|address| ["--bind", address])).arg("-c").arg(&file);
        command.env_remove("NOTIFY_SOCKET").stdin(Stdio::null());
        let mut daemon = Daemon::spawn(command);
        let all = daemon.address();
        let address = all.split([',', ' ']).next().unwrap_or_default().to_owned();
        Self { daemon, folder, address }
    }

    pub(crate) fn log(&self) -> Vec<String> {
        self.daemon.log()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path(name)
    }

    pub(crate) fn configure(&self, config: &str) {
        self.folder.write("gafferd.ini", &format!("[gaffer]\n{config}"));
    }

    pub(crate) fn os_pid(&self) -> i32 {
        self.daemon.pid()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        self.daemon.signal(signal);
    }

    pub(crate) fn url(&self, path: &str) -> String {
        match self.address.strip_prefix("unix:") {
            Some(_) => format!("http://localhost{path}"),
            None => format!("http://{}{path}", self.address),
        }
    }

    /// curl, told where.
    pub(crate) fn curl_command(&self, args: &[&str], path: &str) -> Command {
        let mut command = Command::new("curl");
        // The head goes out of curl at once only when it is dumped (`-i` keeps it until there is content).
        command.args(["-q", "-sS", "--noproxy", "*", "--path-as-is", "-D", "-"]).args(args);
        if let Some(socket) = self.address.strip_prefix("unix:") {
            command.args(["--unix-socket", socket]);
        }
        command.arg(self.url(path)).stdin(Stdio::null()).stdout(Stdio::piped());
        command
    }

    #[track_caller]
    pub(crate) fn curl(&self, args: &[&str], path: &str) -> Answer {
        let output = self.curl_command(args, path).args(["--max-time", "90"]).output().expect("curl is installed");
        assert!(output.status.success(), "curl {args:?} {path}: {}", output.status);
        Answer::parse(&output.stdout)
    }

    /// `METHOD /path` with a body.
    #[track_caller]
    pub(crate) fn ask(&self, line: &str, body: &str) -> Answer {
        let (method, path) = line.split_once(' ').expect("a method and a path");
        match (method, body) {
            ("HEAD", _) => self.curl(&["-I", "-o", "/dev/null"], path),
            (_, "") => self.curl(&["-X", method], path),
            _ => self.curl(&["-X", method, "-H", "Content-Type: application/json", "--data-binary", body], path),
        }
    }

    #[track_caller]
    pub(crate) fn json(&self, line: &str, body: &str, status: u16) -> Value {
        let answer = self.ask(line, body);
        assert_eq!(answer.status, status, "{line} {body}: {}", answer.text());
        assert_eq!(answer.field("content-type"), Some("application/json; charset=utf-8"), "{line}");
        answer.json()
    }

    /// An error of the one shape, with this status and word.
    #[track_caller]
    pub(crate) fn refused(&self, line: &str, body: &str, status: u16, word: &str) -> Answer {
        let answer = self.ask(line, body);
        assert_refused(&answer, status, word, line);
        answer
    }

    /// The processes of a job, once there are so many and all have been started.
    #[track_caller]
    pub(crate) fn pids(&self, job: &str, n: usize) -> Vec<u64> {
        let (session, label) = job.split_once('.').unwrap_or(("default", job));
        eventually(&format!("{n} processes of {job}"), || {
            let (status, body) = self.get(&format!("/jobs/{session}/{label}"))?;
            let info: Value = serde_json::from_slice(&body).ok().filter(|_| status == 200)?;
            let pids: Vec<u64> = info["processes"].as_array()?.iter().filter_map(Value::as_u64).collect();
            let started = pids.iter().all(|pid| self.os_pid_of(*pid).is_some());
            (pids.len() == n && info["running"] == n && started).then_some(pids)
        })
    }

    /// The system's number of a process.
    pub(crate) fn os_pid_of(&self, pid: u64) -> Option<i32> {
        let (_, body) = self.get(&format!("/{pid}"))?;
        let info: Value = serde_json::from_slice(&body).ok()?;
        info["os_pid"].as_i64().and_then(|n| i32::try_from(n).ok())
    }

    /// A socket to it; TCP only.
    pub(crate) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(&self.address).expect("a connection");
        stream.set_read_timeout(Some(DEADLINE)).expect("a time-out");
        stream
    }

    /// Sends these bytes as they are and reads until the other side closes.
    #[track_caller]
    pub(crate) fn raw(&self, bytes: &[u8]) -> Vec<u8> {
        let mut stream = self.connect();
        stream.write_all(bytes).expect("it takes them");
        let mut answer = Vec::new();
        match stream.read_to_end(&mut answer) {
            Ok(_) => {}
            // It closed while some of ours was unread.
            Err(e) if e.kind() == io::ErrorKind::ConnectionReset => {}
            Err(e) => panic!("{e} after {:?}", String::from_utf8_lossy(&answer)),
        }
        answer
    }

    /// A request without curl, for those that ask often: status and body.
    pub(crate) fn request(&self, method: &str, path: &str, body: &str) -> io::Result<(u16, Vec<u8>)> {
        let mut stream = TcpStream::connect(&self.address)?;
        stream.set_read_timeout(Some(DEADLINE))?;
        let mut text = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n");
        write!(text, "Content-Length: {}\r\n\r\n{body}", body.len()).expect("a string takes all");
        stream.write_all(text.as_bytes())?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        if !answer.windows(4).any(|w| w == b"\r\n\r\n") {
            return Err(io::Error::other(format!("cut: {}", String::from_utf8_lossy(&answer))));
        }
        let answer = Answer::parse(&answer);
        Ok((answer.status, answer.body))
    }

    pub(crate) fn get(&self, path: &str) -> Option<(u16, Vec<u8>)> {
        // A unix socket is for curl.
        if self.address.starts_with("unix:") {
            let answer = self.curl(&[], path);
            return Some((answer.status, answer.body));
        }
        self.request("GET", path, "").ok()
    }

    /// A sample of `/metrics`.
    #[track_caller]
    pub(crate) fn metric(&self, name: &str) -> f64 {
        let (_, page) = self.get("/metrics").expect("an answer");
        let page = String::from_utf8(page).expect("text");
        let line = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.and_then(|value| value.parse().ok()).unwrap_or_else(|| panic!("no {name} in {page}"))
    }

    /// A feed, line by line, as curl gets it.
    pub(crate) fn feed(&self, path: &str) -> Feed {
        self.feed_with(&[], path)
    }

    /// The same with more arguments.
    pub(crate) fn feed_with(&self, args: &[&str], path: &str) -> Feed {
        Feed::new(self.curl_command(&[&["-N", "--max-time", "120"], args].concat(), path))
    }

    /// Resident memory in bytes.
    pub(crate) fn rss(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.os_pid())).expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("VmRSS");
        line.trim().trim_end_matches(" kB").trim().parse::<u64>().expect("a number") * 1024
    }

    /// Waits for its end after SIGTERM.
    #[track_caller]
    pub(crate) fn stop(&mut self) {
        self.daemon.stop();
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if thread::panicking() {
            let log = self.log();
            let tail = &log[log.len().saturating_sub(30)..];
            eprintln!("the end of its log:\n{}", tail.join("\n"));
        }
    }
}

#[track_caller]
pub(crate) fn assert_refused(answer: &Answer, status: u16, word: &str, about: &str) {
    assert_eq!(answer.status, status, "{about}: {}", answer.text());
    assert_eq!(answer.field("content-type"), Some("application/json; charset=utf-8"), "{about}");
    let error = answer.json();
    assert_eq!((&error["errno"], &error["error"]), (&json!(status), &json!(word)), "{about}: {error}");
    assert!(error["reason"].as_str().is_some_and(|reason| !reason.is_empty()), "{about}: {error}");
}

/// What curl prints, as it comes.
pub(crate) struct Feed {
    child: Child,
    bytes: Arc<Mutex<(Vec<u8>, bool)>>,
}

impl Feed {
    fn new(mut command: Command) -> Self {
        let mut child = command.spawn().expect("curl is installed");
        let mut stdout = child.stdout.take().expect("a pipe");
        let bytes = Arc::new(Mutex::new((Vec::new(), false)));
        let shared = Arc::clone(&bytes);
        thread::spawn(move || {
            let mut buffer = [0; 65536];
            while let Ok(n @ 1..) = stdout.read(&mut buffer) {
                shared.lock().unwrap().0.extend_from_slice(&buffer[..n]);
            }
            shared.lock().unwrap().1 = true;
        });
        let feed = Self { child, bytes };
        feed.wait("\r\n\r\n");
        feed
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes.lock().unwrap().0).into_owned()
    }

    /// Waits for this text in it.
    #[track_caller]
    pub(crate) fn wait(&self, text: &str) {
        let end = Instant::now() + DEADLINE;
        while !self.text().contains(text) {
            assert!(Instant::now() < end, "no {text:?} in {:?}", self.text());
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Waits for its end, which curl must find well-formed.
    #[track_caller]
    pub(crate) fn end(&mut self) -> Answer {
        eventually("the end of the feed", || self.bytes.lock().unwrap().1.then_some(()));
        let status = self.child.wait().expect("it is a child");
        assert!(status.success(), "curl: {status} after {:?}", self.text());
        Answer::parse(&self.bytes.lock().unwrap().0)
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Where `.ci/tools` has put what the tests need.
pub(crate) fn tools() -> PathBuf {
    let default = || Path::new(env!("CARGO_MANIFEST_DIR")).join("target/net-tools");
    std::env::var_os("GAFFER_NET_TOOLS").map_or_else(default, PathBuf::from)
}

/// One of the scripts beside the tests.
pub(crate) fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/net/tools").join(name)
}

/// Says that a test does not run, on the real standard error, which cargo does not keep.
pub(crate) fn skip(test: &str, why: &str) {
    assert!(std::env::var_os("GAFFER_NET_REQUIRE").is_none(), "{test}: {why} (run .ci/tools)");
    let _ = writeln!(io::stderr(), "\nSKIPPED {test}: {why} (run .ci/tools)");
}

/// Runs a script of others to its end; it says by its exit code whether all was right.
#[track_caller]
pub(crate) fn run_script(command: &mut Command) {
    // A browser makes a socket there.
    command.env("TMPDIR", crate::place::place());
    let mut child =
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it runs");
    // A browser has much to do; on one core, beside other tests, a minute was not always enough.
    let end = Instant::now() + DEADLINE * 3;
    let status = loop {
        if let Some(status) = child.try_wait().expect("it is a child") {
            break Some(status);
        }
        if Instant::now() > end {
            let _ = child.kill();
            break None;
        }
        thread::sleep(Duration::from_millis(10));
    };
    let output = child.wait_with_output().expect("its output");
    let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    assert!(status.is_some_and(|status| status.success()), "{command:?}: {status:?}\n{text}");
}

/// splitmix64.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    pub(crate) fn pick<'a, T: ?Sized>(&mut self, of: &[&'a T]) -> &'a T {
        of[usize::try_from(self.below(of.len() as u64)).expect("small")]
    }
}
