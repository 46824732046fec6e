//! A node that says what the test wants, on a thread.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// A request as it came.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    /// `GET /path?query`.
    pub(crate) line: String,
    /// `name: value` lines, names in lower case.
    pub(crate) head: String,
    pub(crate) body: String,
}

/// What is said.
pub(crate) enum Said {
    Json(u16, String),
    /// A status, a head field line and raw bytes, after which the connection is closed.
    Raw(&'static str, Vec<u8>),
    /// A head that promises more, this content, and then silence.
    Silence(&'static str),
    /// Nothing at all.
    Nothing,
}

type Answer = dyn Fn(&Asked) -> Said + Send + Sync;

pub(crate) struct Node {
    pub(crate) address: String,
    asked: Arc<Mutex<Vec<Asked>>>,
    connections: Arc<AtomicU32>,
    socket: Option<PathBuf>,
}

impl Node {
    /// A node at a free port.
    pub(crate) fn new(answer: impl Fn(&Asked) -> Said + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = format!("http://{}", listener.local_addr().expect("an address"));
        let (asked, answer) = (Arc::default(), Arc::new(answer) as Arc<Answer>);
        let (log, connections) = (Arc::clone(&asked), Arc::new(AtomicU32::new(0)));
        let count = Arc::clone(&connections);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                count.fetch_add(1, Ordering::Relaxed);
                let (log, answer) = (Arc::clone(&log), Arc::clone(&answer));
                thread::spawn(move || serve(stream.try_clone().expect("a copy"), stream, &log, &*answer));
            }
        });
        Self { address, asked, connections, socket: None }
    }

    /// A node at a socket of its own.
    pub(crate) fn unix(answer: impl Fn(&Asked) -> Said + Send + Sync + 'static) -> Self {
        let path = socket_path();
        let listener = UnixListener::bind(&path).expect("a free path");
        let (asked, answer) = (Arc::default(), Arc::new(answer) as Arc<Answer>);
        let (log, connections) = (Arc::clone(&asked), Arc::new(AtomicU32::new(0)));
        let count = Arc::clone(&connections);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                count.fetch_add(1, Ordering::Relaxed);
                let (log, answer) = (Arc::clone(&log), Arc::clone(&answer));
                thread::spawn(move || serve(stream.try_clone().expect("a copy"), stream, &log, &*answer));
            }
        });
        Self { address: format!("unix:{}", path.display()), asked, connections, socket: Some(path) }
    }

    /// The lines of all requests so far.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.requests().into_iter().map(|asked| asked.line).collect()
    }

    /// How many connections there were.
    pub(crate) fn connections(&self) -> u32 {
        self.connections.load(Ordering::Relaxed)
    }

    pub(crate) fn requests(&self) -> Vec<Asked> {
        self.asked.lock().expect("a log").clone()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Some(path) = &self.socket {
            // The folder of temporary files is kept clean; more cannot be done.
            let _ = std::fs::remove_file(path);
        }
    }
}

/// A path that no other test has.
pub(crate) fn socket_path() -> PathBuf {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let n = NEXT.fetch_add(1, Ordering::Relaxed);
    crate::place::place().join(format!("gaffer-ctl-{}-{n}.sock", std::process::id()))
}

trait Close {
    fn close(&self);
}

impl Close for TcpStream {
    fn close(&self) {
        let _ = self.shutdown(Shutdown::Both);
    }
}

impl Close for UnixStream {
    fn close(&self) {
        let _ = self.shutdown(Shutdown::Both);
    }
}

fn serve<S: Read + Write + Close>(read: S, mut write: S, log: &Mutex<Vec<Asked>>, answer: &Answer) {
    let mut read = BufReader::new(read);
    while let Some(asked) = request(&mut read) {
        log.lock().expect("a log").push(asked.clone());
        let sent = match answer(&asked) {
            Said::Json(status, body) => {
                let head =
                    format!("HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {}", body.len());
                write.write_all(format!("{head}\r\n\r\n{body}").as_bytes())
            }
            Said::Raw(field, bytes) => {
                let head = format!("HTTP/1.1 200 OK\r\n{field}\r\nConnection: close\r\n\r\n");
                let sent = write.write_all(head.as_bytes()).and_then(|()| write.write_all(&bytes));
                write.close();
                sent
            }
            Said::Silence(content) => {
                let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
                write.write_all(format!("{head}{:x}\r\n{content}\r\n", content.len()).as_bytes())
            }
            Said::Nothing => Ok(()),
        };
        if sent.and_then(|()| write.flush()).is_err() {
            return;
        }
    }
}

fn request(read: &mut impl BufRead) -> Option<Asked> {
    let mut line = String::new();
    read.read_line(&mut line).ok().filter(|read| *read > 0)?;
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let mut field = String::new();
        read.read_line(&mut field).ok()?;
        let Some((name, value)) = field.trim_end().split_once(": ") else { break };
        let name = name.to_ascii_lowercase();
        if name == "content-length" {
            length = value.parse().ok()?;
        }
        head.push_str(&format!("{name}: {value}\n"));
    }
    let mut body = vec![0; length];
    read.read_exact(&mut body).ok()?;
    let line = line.strip_suffix(" HTTP/1.1\r\n")?.to_owned();
    Some(Asked { line, head, body: String::from_utf8(body).ok()? })
}

/// `{"ok": true}`.
pub(crate) fn ok() -> Said {
    Said::Json(200, r#"{"ok":true}"#.to_owned())
}

pub(crate) fn refused(status: u16, error: &str, reason: &str) -> Said {
    Said::Json(status, format!(r#"{{"error":"{error}","reason":"{reason}","errno":{status}}}"#))
}

/// One chunk of a chunked body for each piece.
pub(crate) fn chunks(pieces: &[&[u8]]) -> Vec<u8> {
    let mut out = Vec::new();
    for piece in pieces.iter().chain([&&b""[..]]) {
        out.extend_from_slice(format!("{:x}\r\n", piece.len()).as_bytes());
        out.extend_from_slice(piece);
        out.extend_from_slice(b"\r\n");
    }
    out
}

/// Not so soon that a busy machine would call it silence.
pub(crate) const SOON: Duration = Duration::from_secs(1);
