//! A page in Chromium that uses the API with the browser's own `EventSource` and `WebSocket`.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use crate::util::{DEADLINE, Node, skip};

/// It finds the server and the process in its own query, and writes what it has seen into itself. The picture that does not come
/// before the result does holds the page's `load` back, for which `--dump-dom` waits.
const PAGE: &str = r#"<!doctype html><title>test</title><pre id="result">nothing</pre><img src="/hold"><script>
'use strict';
const query = new URLSearchParams(location.search);
const [api, pid] = [query.get('api'), query.get('pid')];
const result = [];
const note = (text) => result.push(text);
async function main() {
  note('origin ' + (location.host !== api));
  const answer = await fetch(`http://${api}/jobs/default/web/numprocesses`, {
    method: 'POST', headers: { 'Content-Type': 'application/json', 'X-Api-Key': 'none' }, body: '{"scale": 0}',
  });
  note('fetch ' + answer.status + ' ' + JSON.stringify(await answer.json()));
  const source = new EventSource(`http://${api}/watch/proc/cat?feed=eventsource`);
  await new Promise((resolve, reject) => { source.onopen = resolve; source.onerror = reject; });
  const exit = new Promise((resolve) => source.addEventListener('proc.cat.exit', resolve));
  const socket = new WebSocket(`ws://${api}/wstreams/${pid}`);
  socket.binaryType = 'arraybuffer';
  await new Promise((resolve, reject) => { socket.onopen = resolve; socket.onerror = reject; });
  let got = '';
  const echoed = new Promise((resolve) => {
    socket.onmessage = ({ data }) => {
      got += typeof data === 'string' ? data : 'bytes ' + new Uint8Array(data).join(' ');
      if (got === 'grüße\n') socket.send(new Uint8Array([255, 0, 254]));
      if (got.endsWith('bytes 255 0 254')) resolve();
    };
  });
  socket.send('grüße\n');
  await echoed;
  note('echo ' + JSON.stringify(got));
  const closed = new Promise((resolve) => { socket.onclose = resolve; });
  await fetch(`http://${api}/${pid}`, { method: 'DELETE' });
  note('close ' + (await closed).code);
  const event = JSON.parse((await exit).data);
  note('event ' + event.event + ' ' + (String(event.pid) === pid));
  source.close();
}
main().catch((e) => note('error ' + (e.message || e.type || e))).then(() => {
  document.getElementById('result').textContent = result.join('; ');
  return fetch('/result', { method: 'POST', body: 'done' });
});
</script>"#;

type Done = Arc<(Mutex<bool>, Condvar)>;

/// Serves the page to one request a connection.
fn serve(mut stream: TcpStream, done: &Done) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let (mut field, mut length) = (String::new(), 0);
    while reader.read_line(&mut field).ok()? > 2 {
        if let Some(value) = field.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
        field.clear();
    }
    let mut body = Vec::new();
    reader.take(length).read_to_end(&mut body).ok()?;
    let (flag, told) = &**done;
    let (kind, text) = match line.split(' ').nth(1)? {
        path if path.starts_with("/page") => ("text/html; charset=utf-8", PAGE),
        "/hold" => {
            let guard = flag.lock().unwrap();
            let _done = told.wait_timeout_while(guard, DEADLINE, |done| !*done).unwrap();
            ("image/gif", "")
        }
        "/result" => {
            *flag.lock().unwrap() = true;
            told.notify_all();
            ("text/plain", "")
        }
        _ => ("text/plain", ""),
    };
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        text.len()
    );
    stream.write_all((head + text).as_bytes()).ok()
}

pub(crate) fn chromium() -> Option<&'static str> {
    let names = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];
    names.into_iter().find(|name| Path::new(name).exists())
}

#[test]
fn a_page() {
    let Some(chromium) = chromium() else {
        return skip("a_page", "there is no chromium");
    };
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let site = listener.local_addr().expect("its address");
    let done = Done::default();
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let done = Arc::clone(&done);
            thread::spawn(move || serve(stream, &done));
        }
    });
    let jobs =
        "[process:web]\ncmd = sleep 1000\n[process:cat]\ncmd = cat\nredirect_input = true\nredirect_output = out\n";
    let allowed = Node::new(&format!("allow_origins = http://{site}\n{jobs}"));
    let pid = allowed.pids("cat", 1)[0];
    let url = format!("http://{site}/page?api={}&pid={pid}", allowed.address);
    let profile = allowed.path("profile");
    let mut child = Command::new(chromium)
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"])
        .args(["--disable-background-networking", "--timeout=120000", "--dump-dom"])
        .arg(format!("--user-data-dir={}", profile.display()))
        .arg(&url)
        // It makes a socket there.
        .env("TMPDIR", crate::place::place())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("chromium");
    let mut stdout = child.stdout.take().expect("a pipe");
    let reader = thread::spawn(move || {
        let mut dom = String::new();
        stdout.read_to_string(&mut dom).map(|_| dom)
    });
    // On a machine that has other things to do, to start it alone can take long.
    let end = Instant::now() + DEADLINE * 2;
    while !reader.is_finished() && Instant::now() < end {
        thread::sleep(Duration::from_millis(20));
    }
    let _ = child.kill();
    let _ = child.wait();
    let dom = reader.join().expect("no panic").expect("text");
    let result = dom.split("<pre id=\"result\">").nth(1).and_then(|rest| rest.split("</pre>").next());
    let want =
        "origin true; fetch 200 {\"numprocesses\":1}; echo \"grüße\\nbytes 255 0 254\"; close 1000; event exit true";
    assert_eq!(result, Some(want), "{dom}");
}
