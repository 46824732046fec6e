//! TLS of the daemon, its tools, its webhooks and the client, all of them real.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use gaffer::Manager;
use gaffer::client::Server;
use gaffer::process::Signal;
use gaffer::server::{Config, HttpServer, LocalAddr, Reply};
use gaffer::tls::{self, Files};

use super::pki::Pki;
use super::util::{Folder, Gafferd, command, eventually, run};

/// A gafferd with this configuration behind `[gaffer]`, and its port.
fn start(folder: &Folder, more: &str) -> (Gafferd, u16) {
    let config = folder.write("c.ini", &format!("[gaffer]\nbind = 127.0.0.1:0\n{more}"));
    let mut gafferd = Gafferd::start(&config, &[]);
    let ready = gafferd.line("ready: ");
    let (_, address) = ready.split_once("listening on 127.0.0.1:").expect("an address");
    let port = address.strip_suffix(" (TLS)").expect("TLS").parse().expect("a port");
    (gafferd, port)
}

fn ssl(pki: &Pki, more: &str) -> String {
    format!("[ssl]\ncertfile = {}\nkeyfile = {}\n{more}", pki.text("server.pem"), pki.text("server.key"))
}

fn client(port: u16, pki: &Pki, authority: &str) -> Server {
    let files = Files::default().cacert(pki.path(&format!("{authority}.pem")));
    let tls = tls::Client::load(&files).expect("an authority");
    Server::new(&format!("https://localhost:{port}")).expect("an address").tls(&tls)
}

/// A tool of ours, with the code it ends with and all it says.
fn tool(program: &str, folder: &Folder, line: &str) -> (i32, String) {
    let mut command = Command::new(program);
    command.args(line.split(' ')).current_dir(&folder.0).env("HOME", &folder.0).stdin(Stdio::null());
    let ran = command.env_remove("GAFFER_ENDPOINT").env_remove("GAFFER_CONFIG").output().expect("it runs");
    let text = [ran.stdout, ran.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    (ran.status.code().unwrap_or(-1), text)
}

fn gaffer(folder: &Folder, line: &str) -> (i32, String) {
    tool(env!("CARGO_BIN_EXE_gaffer"), folder, line)
}

#[test]
fn the_tools_know_whom_they_talk_to() {
    let Some(pki) = Pki::new() else { return };
    let folder = Folder::new();
    let (mut gafferd, port) = start(&folder, &ssl(&pki, "[job:a]\ncmd = sleep 1000\n"));
    let (ca, other) = (pki.text("ca.pem"), pki.text("other.pem"));
    let (code, text) = gaffer(&folder, &format!("-g https://localhost:{port} --cacert {ca} apps"));
    assert_eq!((code, text.as_str()), (0, "default\n"));
    let (code, text) = gaffer(&folder, &format!("-g https://127.0.0.1:{port} --cacert {ca} apps"));
    assert_eq!((code, text.as_str()), (0, "default\n"));
    let ctl = format!("--endpoint https://localhost:{port} --cacert {ca} status a");
    let (code, text) = tool(env!("CARGO_BIN_EXE_gafferctl"), &folder, &ctl);
    assert_eq!((code, text.as_str()), (0, "active\n"));
    for (line, code, want) in [
        (
            format!("-g https://localhost:{port} --cacert {other} apps"),
            69,
            "no authority that is known here has signed it",
        ),
        (format!("-g https://127.0.0.2:{port} --cacert {ca} apps"), 69, "cannot reach https://127.0.0.2"),
        (format!("-g http://localhost:{port} apps"), 1, "TLS is spoken here"),
        (format!("-g http://localhost:{port} --cacert {ca} apps"), 2, "are for https"),
        (format!("-g https://localhost:{port} --cacert {ca}x apps"), 1, "cannot read"),
    ] {
        let (ended, text) = gaffer(&folder, &line);
        assert!(ended == code && text.contains(want), "{line}: {ended}: {text}");
    }
    // What the user's file knows; its paths begin where it is.
    std::fs::create_dir_all(folder.path(".gaffer")).expect("a folder");
    std::fs::copy(pki.path("ca.pem"), folder.path(".gaffer/ca.pem")).expect("a copy");
    let node = format!("https://localhost:{port}");
    folder.write(".gaffer/gaffer.ini", &format!("[gaffer]\nendpoint = {node}\n[node \"{node}/\"]\ncacert = ca.pem\n"));
    assert_eq!(gaffer(&folder, "apps"), (0, "default\n".to_owned()));
    gafferd.stop();
}

#[test]
fn clients_with_certificates() {
    let Some(pki) = Pki::new() else { return };
    let folder = Folder::new();
    let (mut gafferd, port) = start(&folder, &ssl(&pki, &format!("cacert = {}\n", pki.text("ca.pem"))));
    let (ca, cert, key) = (pki.text("ca.pem"), pki.text("client.pem"), pki.text("client.key"));
    let node = format!("-g https://localhost:{port} --cacert {ca}");
    assert_eq!(gaffer(&folder, &format!("{node} --certfile {cert} --keyfile {key} apps")), (0, String::new()));
    let (code, text) = gaffer(&folder, &format!("{node} apps"));
    assert!(code == 69 && text.contains("it asks for a client's certificate"), "{code}: {text}");
    gafferd.line("[WARNING] TLS with 127.0.0.1 failed: it shows no certificate, and `cacert` asks for one");
    pki.sign("other", "stranger");
    let (cert, key) = (pki.text("stranger.pem"), pki.text("stranger.key"));
    let (code, text) = gaffer(&folder, &format!("{node} --certfile {cert} --keyfile {key} apps"));
    assert!(code == 69 && text.contains("it refuses the client's certificate"), "{code}: {text}");
    gafferd.line("failed: its certificate is refused: no authority that is known here has signed it");
    let other = pki.text("other.pem");
    assert_eq!(gaffer(&folder, &format!("-g https://localhost:{port} --cacert {other} apps")).0, 69);
    gafferd.line("failed: it knows no authority that has signed our certificate");
    let mut noise = TcpStream::connect(("127.0.0.1", port)).expect("it listens");
    noise.write_all(b"\x16\x03\x01\xff\xff, and so on").expect("sent");
    noise.read_to_end(&mut Vec::new()).expect("the end");
    gafferd.line("failed: it does not speak TLS");
    gafferd.stop();
}

#[test]
fn sockets_that_were_passed_speak_tls() {
    let Some(pki) = Pki::new() else { return };
    let folder = Folder::new();
    let config = folder.write("c.ini", &format!("[gaffer]\n{}", ssl(&pki, "")));
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let script = "exec 3<&0 0</dev/null; export LISTEN_FDS=1 LISTEN_PID=$$; exec \"$0\" \"$@\"";
    let mut start = Command::new("/bin/sh");
    start.args(["-c", script, env!("CARGO_BIN_EXE_gafferd"), "-c"]).arg(&config);
    start.stdin(Stdio::from(OwnedFd::from(listener)));
    let mut gafferd = Gafferd::spawn(start);
    let ready = gafferd.line("ready: ");
    assert!(ready.ends_with(&format!("listening on {address} (TLS)")), "{ready}");
    let port = address.port();
    client(port, &pki, "ca").ping().expect("TLS");
    let plain = || Server::new(&format!("http://{address}")).expect("an address").ping();
    assert!(plain().expect_err("no TLS").to_string().contains("TLS is spoken here"));
    // Another certificate, none, and one again: the socket stays the same.
    pki.sign("other", "next");
    pki.replace("server", "next");
    gafferd.signal(Signal::HUP);
    eventually("the next certificate", || client(port, &pki, "other").ping().ok());
    folder.write("c.ini", "[gaffer]\n");
    gafferd.signal(Signal::HUP);
    eventually("no TLS", || plain().ok());
    folder.write("c.ini", &format!("[gaffer]\nrequire_key = true\n{}", ssl(&pki, "")));
    gafferd.signal(Signal::HUP);
    eventually("TLS", || client(port, &pki, "other").ping().ok());
    let e = client(port, &pki, "other").jobs(None).expect_err("no key").to_string();
    assert!(e.contains("a key is needed"), "{e}");
    gafferd.stop();
}

#[test]
fn a_reload_reads_certificates() {
    let Some(pki) = Pki::new() else { return };
    let folder = Folder::new();
    let (mut gafferd, port) = start(&folder, &ssl(&pki, ""));
    let old = client(port, &pki, "ca");
    let mut feed = old.watch("create").expect("a feed");
    // A key that is not its own: nothing changes.
    std::fs::copy(pki.path("client.key"), pki.path("server.key")).expect("a copy");
    gafferd.signal(Signal::HUP);
    let line = gafferd.line("reload refused, everything stays as it was: ");
    assert!(line.contains("endpoint gaffer: ") && line.contains("the key is not that of"), "{line}");
    client(port, &pki, "ca").ping().expect("as before");
    // Another one under the same name, which is over soon.
    pki.sign_until("other", "next", 3);
    pki.replace("server", "next");
    gafferd.signal(Signal::HUP);
    gafferd.line("expires in 2 days");
    client(port, &pki, "other").ping().expect("the new one");
    let e = client(port, &pki, "ca").ping().expect_err("signed by another");
    assert!(e.to_string().contains("no authority that is known here"), "{e}");
    // Other files.
    pki.sign("ca", "third");
    let third = format!("[ssl]\ncertfile = {}\nkeyfile = {}\n", pki.text("third.pem"), pki.text("third.key"));
    folder.write("c.ini", &format!("[gaffer]\nbind = 127.0.0.1:0\n{third}[job:mine]\ncmd = sleep 1000\n"));
    gafferd.signal(Signal::HUP);
    gafferd.line("mine.1 (pid ");
    client(port, &pki, "ca").ping().expect("the third one, at the same port");
    // The feed of before goes on by all that.
    let event = feed.next().expect("it goes on").expect("an event");
    assert_eq!(event.topic, "create");
    // A websocket of the client, and much by it.
    let server = client(port, &pki, "ca");
    let job = server.job("mine").expect("a name");
    assert_eq!(job.pids().expect("pids").len(), 1);
    let socket = server.socket().expect("a websocket");
    let events = socket.subscribe("EVENTS").expect("a topic");
    server.unload("mine").expect("it was loaded");
    let event = events.recv_timeout(Duration::from_secs(90)).expect("it is open").expect("it comes");
    assert!(format!("{event:?}").contains("mine"), "{event:?}");
    drop(socket);
    let e = client(port, &pki, "other").socket().expect_err("signed by another").to_string();
    assert!(e.contains("no authority that is known here"), "{e}");
    gafferd.stop();
}

#[test]
fn what_cannot_serve_does_not_start() {
    let Some(pki) = Pki::new() else { return };
    let (code, _, err) = run(&["--bind", "127.0.0.1:0", "--certfile", "/nonexistent/c.pem"]);
    assert!(code == 1 && err.contains("endpoint bind: TLS: cannot read '/nonexistent/c.pem': No such file"), "{err}");
    let (cert, key, ca) = (pki.text("server.pem"), pki.text("server.key"), pki.text("ca.pem"));
    let (code, _, err) = run(&["--bind", "127.0.0.1:0", "--certfile", &cert, "--keyfile", &pki.text("client.key")]);
    assert!(code == 1 && err.contains("client.key': the key is not that of the certificate in '"), "{err}");
    let (code, _, err) = run(&["--bind", "0.0.0.0:0", "--certfile", &cert, "--keyfile", &key]);
    assert!(code == 1 && err.contains("refusing to listen on 0.0.0.0:0") && err.contains("require_key"), "{err}");
    let (code, out, _) = run(&["--check", "--certfile", &cert, "--keyfile", &key, "--cacert", &ca]);
    assert!(code == 0 && out.contains("127.0.0.1:5000, TLS, clients with a certificate\n"), "{out}");
    pki.sign_until("ca", "late", -2);
    let (code, out, _) = run(&["--check", "--certfile", &pki.text("late.pem"), "--keyfile", &pki.text("late.key")]);
    assert!(code == 0 && out.contains("late.pem' has expired 2 days ago"), "{out}");
}

#[test]
fn webhooks_by_https() {
    let Some(pki) = Pki::new() else { return };
    let folder = Folder::new();
    let files = Files::default().certfile(pki.path("server.pem")).keyfile(pki.path("server.key"));
    let tls = tls::Server::load(&files).expect("a certificate");
    let config = Config::default().tls(tls).endpoint("127.0.0.1:0".parse().expect("an address"));
    let mut server = HttpServer::bind(config).expect("a free port");
    let (posted, posts) = mpsc::channel();
    let take = move |call: &mut gaffer::server::Call<'_, '_>| {
        posted.send(call.request.body.clone()).expect("the test waits");
        Ok(Reply::Empty(204))
    };
    server.route("POST", "/hook", take).expect("a route");
    let LocalAddr::Tcp(address) = server.local_addrs()[0].clone() else { panic!("TCP") };
    let mut manager = Manager::new().expect("a manager");
    manager.add_app(server);
    let handle = manager.handle();
    let thread = std::thread::spawn(move || manager.run().expect("a sane poller"));
    let config = format!(
        "[gaffer]\nbind = 127.0.0.1:0\n[webhooks]\ncreate = https://localhost:{}/hook\ntries = 1\n[job:a]\ncmd = true\nstart = false\n",
        address.port()
    );
    let config = folder.write("c.ini", &config);
    let hooked = |authorities: &Path| {
        let mut command = command(&["-c", config.to_str().expect("UTF-8")]);
        command.env("SSL_CERT_FILE", authorities).env_remove("SSL_CERT_DIR");
        Gafferd::spawn(command)
    };
    let mut gafferd = hooked(&pki.path("ca.pem"));
    let post = posts.recv_timeout(Duration::from_secs(90)).expect("a post");
    assert!(String::from_utf8_lossy(&post).contains("\"create\""), "{post:?}");
    gafferd.stop();
    let mut gafferd = hooked(&pki.path("other.pem"));
    gafferd.line("no authority that is known here has signed it");
    gafferd.stop();
    eventually("its end", || handle.post(|cx| cx.stop_now()).is_ok().then_some(()));
    thread.join().expect("the manager ends well");
}
