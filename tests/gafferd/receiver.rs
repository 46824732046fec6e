//! Somebody who gets posts.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use serde_json::Value;

use super::util::eventually;

/// What the receiver does with a post.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Status(u16),
    /// Closes without an answer.
    Close,
    /// Says nothing for as long as the sender waits.
    Silence,
}

/// A post, as it came.
#[derive(Clone, Debug)]
pub(crate) struct Post {
    pub(crate) path: String,
    pub(crate) fields: HashMap<String, String>,
    pub(crate) body: String,
}

impl Post {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).expect("JSON")
    }

    pub(crate) fn event(&self) -> String {
        self.json()["event"].as_str().expect("an event").to_owned()
    }
}

type Rule = Box<dyn FnMut(&Post) -> Answer + Send>;

struct Shared {
    posts: Mutex<Vec<Post>>,
    rule: Mutex<Rule>,
    end: Mutex<bool>,
}

pub(crate) struct Receiver {
    address: SocketAddr,
    shared: Arc<Shared>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Receiver {
    pub(crate) fn new(rule: impl FnMut(&Post) -> Answer + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let shared = Shared { posts: Mutex::default(), rule: Mutex::new(Box::new(rule)), end: Mutex::new(false) };
        let shared = Arc::new(shared);
        let ours = Arc::clone(&shared);
        let thread = thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if *ours.end.lock().unwrap() {
                    break;
                }
                let shared = Arc::clone(&ours);
                thread::spawn(move || serve(stream, &shared));
            }
        });
        Self { address, shared, thread: Some(thread) }
    }

    pub(crate) fn always(answer: Answer) -> Self {
        Self::new(move |_| answer)
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// From now on.
    pub(crate) fn answer(&self, answer: Answer) {
        *self.shared.rule.lock().unwrap() = Box::new(move |_| answer);
    }

    pub(crate) fn posts(&self) -> Vec<Post> {
        self.shared.posts.lock().unwrap().clone()
    }

    /// The events of all posts, once there are so many.
    #[track_caller]
    pub(crate) fn events(&self, n: usize) -> Vec<String> {
        eventually(&format!("{n} posts"), || (self.posts().len() >= n).then_some(()));
        self.posts().iter().map(Post::event).collect()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        *self.shared.end.lock().unwrap() = true;
        drop(TcpStream::connect(self.address));
        let _ = self.thread.take().expect("joined once").join();
    }
}

/// One connection, for as long as the sender keeps it.
fn serve(stream: TcpStream, shared: &Shared) {
    let mut reader = BufReader::new(&stream);
    while let Some(post) = read(&mut reader) {
        // One at a time, so that what was answered is what was kept.
        let answer = {
            let mut posts = shared.posts.lock().unwrap();
            posts.push(post.clone());
            (shared.rule.lock().unwrap())(&post)
        };
        let sent = match answer {
            Answer::Status(status) => {
                (&stream).write_all(format!("HTTP/1.1 {status} X\r\nContent-Length: 2\r\n\r\nok").as_bytes())
            }
            Answer::Close => return,
            // Until the sender has closed.
            Answer::Silence => return drop((&stream).read(&mut [0])),
        };
        if sent.is_err() {
            return;
        }
    }
}

fn read(reader: &mut impl BufRead) -> Option<Post> {
    let mut line = String::new();
    let mut next = |reader: &mut dyn BufRead| {
        line.clear();
        reader.read_line(&mut line).ok().filter(|n| *n > 0).map(|_| line.trim_end().to_owned())
    };
    let first = next(reader)?;
    let path = first.strip_prefix("POST ")?.split(' ').next()?.to_owned();
    let mut fields = HashMap::new();
    loop {
        let line = next(reader)?;
        let Some((name, value)) = line.split_once(": ") else { break };
        fields.insert(name.to_ascii_lowercase(), value.to_owned());
    }
    let length = fields.get("content-length")?.parse().ok()?;
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Post { path, fields, body: String::from_utf8(body).ok()? })
}
