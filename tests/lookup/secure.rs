//! TLS and keys of a lookup server, of the nodes that register there and of those who ask it.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use gaffer::ErrorKind;
use gaffer::client::LookupServer;
use gaffer::process::Signal;
use gaffer::tls::{Client, Files};

use crate::pki::{Pki, runs};
use crate::util::{Daemon, Folder, eventually, gaffer, tool};

const NODE: &str = "the-key-of-the-nodes";
const READER: &str = "the-key-of-readers";

/// A file of keys, for its owner alone.
fn keys(folder: &Folder, name: &str, keys: &[&str]) -> String {
    let path = folder.write(name, &keys.iter().map(|key| format!("{key}\n")).collect::<String>());
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("a mode");
    path.display().to_string()
}

/// A lookup server with TLS at a port, and that port.
fn lookupd(pki: &Pki, more: &[&str]) -> (Daemon, u16) {
    let (cert, key) = (pki.text("server.pem"), pki.text("server.key"));
    let args = [&["--bind", "127.0.0.1:0", "--certfile", &cert, "--keyfile", &key], more].concat();
    let mut lookupd = Daemon::lookupd(&args);
    assert!(lookupd.line("listening on ").ends_with(" (TLS)"));
    let port = lookupd.address().rsplit(':').next().and_then(|port| port.parse().ok()).expect("a port");
    (lookupd, port)
}

fn client(pki: &Pki, port: u16, authority: &str) -> LookupServer {
    let tls = Client::load(&Files::default().cacert(pki.path(&format!("{authority}.pem")))).expect("an authority");
    LookupServer::new(&format!("https://localhost:{port}")).expect("an address").tls(&tls)
}

/// `None`, loudly, where there is no curl.
fn curl(url: &str, arguments: &[&str]) -> Option<Output> {
    if !runs("curl", "--version") {
        eprintln!("SKIPPED: there is no curl here");
        return None;
    }
    let mut command = Command::new("curl");
    command.args(["--silent", "--show-error", "--noproxy", "*", "--max-time", "60", "-w", "\n%{http_code}"]);
    Some(command.args(arguments).arg(url).output().expect("curl"))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn tls_as_others_see_it() {
    let Some(pki) = Pki::new() else { return };
    let (_lookupd, port) = lookupd(&pki, &[]);
    let (url, ca) = (format!("https://localhost:{port}/ping"), pki.text("ca.pem"));
    let Some(good) = curl(&url, &["--cacert", &ca]) else { return };
    assert_eq!(text(&good.stdout), "OK\n200", "{good:?}");
    let other = curl(&url, &["--cacert", &pki.text("other.pem")]).expect("curl");
    assert_eq!(other.status.code(), Some(60), "{other:?}");
    let plain = curl(&format!("http://localhost:{port}/ping"), &[]).expect("curl");
    let said = text(&plain.stdout);
    assert!(said.contains("TLS is spoken here: ask with https://") && said.ends_with("\n400"), "{said}");
    let s_client = |version: &str| {
        let mut command = Command::new("openssl");
        command.args(["s_client", "-connect", &format!("127.0.0.1:{port}"), "-CAfile", &ca, "-verify_return_error"]);
        command.args(["-ign_eof", version]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("openssl");
        // It may be gone already.
        let request = b"GET /version HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        let _ = child.stdin.take().expect("a pipe").write_all(request);
        text(&child.wait_with_output().expect("it ends").stdout)
    };
    for version in ["-tls1_2", "-tls1_3"] {
        let said = s_client(version);
        assert!(said.contains("Verify return code: 0 (ok)") && said.contains("gaffer-lookupd"), "{version}: {said}");
    }
    assert!(!s_client("-tls1_1").contains("HTTP/1.1"));
}

#[test]
fn a_reload_goes_on() {
    let Some(pki) = Pki::new() else { return };
    let (mut lookupd, port) = lookupd(&pki, &[]);
    let mut events = client(&pki, port, "ca").events().expect("a session");
    fs::copy(pki.path("client.key"), pki.path("server.key")).expect("a copy");
    lookupd.signal(Signal::HUP);
    let line = lookupd.line("reload refused, everything stays as it was: ");
    assert!(line.contains("the key is not that of"), "{line}");
    client(&pki, port, "ca").ping().expect("as before");
    pki.sign_until("other", "next", 3);
    pki.replace("server", "next");
    lookupd.signal(Signal::HUP);
    lookupd.line("expires in 2 days");
    client(&pki, port, "other").ping().expect("the new one");
    let e = client(&pki, port, "ca").ping().expect_err("signed by another").to_string();
    assert!(e.contains("no authority that is known here"), "{e}");
    // A node that comes now is told to who was there before.
    let address = format!("https://localhost:{port}");
    let ca = pki.text("other.pem");
    let _node = Daemon::gafferd(&["--bind", "127.0.0.1:0", "--lookupd-address", &address, "--lookup-cacert", &ca]);
    assert_eq!(events.next().expect("it goes on").expect("an event").event, "add_node");
}

#[test]
fn nodes_by_tls() {
    let Some(pki) = Pki::new() else { return };
    let folder = Folder::new();
    pki.sign("other", "stranger");
    let ca = pki.text("ca.pem");
    let (_lookupd, port) = lookupd(&pki, &["--cacert", &ca]);
    // More than TLS keeps for a socket at a time.
    let many: String = (0..1500).map(|n| format!("[job:many:job-{n}]\ncmd = true\nstart = false\n")).collect();
    let ini = |host: &str, ssl: &[(&str, String)]| {
        let ssl: String = ssl.iter().map(|(key, path)| format!("{key} = {path}\n")).collect();
        let text = format!(
            "[gaffer]\nbind = 127.0.0.1:0\nlookupd_address = wss://{host}:{port}\n[lookup_ssl]\n{ssl}\
             [process:shop:web]\ncmd = sleep 1000\n{many}"
        );
        folder.write_text("gafferd.ini", &text)
    };
    let with = |authority: &str, identity: &str| {
        let mut ssl = vec![("cacert", pki.text(&format!("{authority}.pem")))];
        if !identity.is_empty() {
            ssl.push(("certfile", pki.text(&format!("{identity}.pem"))));
            ssl.push(("keyfile", pki.text(&format!("{identity}.key"))));
        }
        ssl
    };
    let mut node = Daemon::gafferd(&["-c", &ini("localhost", &with("other", "client"))]);
    let lost = |node: &mut Daemon, why: &str| {
        let line = node.line(why);
        assert!(
            line.contains(&format!("lookup https://localhost:{port}: ")) && line.ends_with("; trying again"),
            "{line}"
        );
    };
    lost(&mut node, "no authority that is known here has signed it");
    // Each reload is followed at once, and what is wrong then is told anew.
    ini("localhost", &with("ca", ""));
    node.signal(Signal::HUP);
    lost(&mut node, "it asks for a client's certificate");
    ini("localhost", &with("ca", "stranger"));
    node.signal(Signal::HUP);
    lost(&mut node, "it refuses the client's certificate");
    ini("localhost", &with("ca", "client"));
    node.signal(Signal::HUP);
    node.line(&format!("lookup https://localhost:{port}: this node is registered"));
    // A file that cannot be read changes nothing.
    ini("localhost", &with("nobody", "client"));
    node.signal(Signal::HUP);
    node.line("reload refused, everything stays as it was: [lookup_ssl]: TLS: cannot read");
    let tls = Files::default().cacert(&ca).certfile(pki.path("client.pem")).keyfile(pki.path("client.key"));
    let asks = LookupServer::new(&format!("https://127.0.0.1:{port}")).expect("an address");
    let asks = asks.tls(&Client::load(&tls).expect("files"));
    eventually("its process", || (asks.find_job("shop.web").ok()?.first()?.pids.len() == 1).then_some(()));
    eventually("all its jobs", || (asks.jobs().ok()?.len() == 1501).then_some(()));
    node.stop();
    assert_eq!(asks.nodes().expect("an answer"), []);
}

#[test]
fn the_name_of_the_host_counts() {
    let Some(pki) = Pki::new() else { return };
    let (cert, key) = (pki.text("server.pem"), pki.text("server.key"));
    // The certificate is for 127.0.0.1 and localhost.
    let mut lookupd = Daemon::lookupd(&["--bind", "127.0.0.2:0", "--certfile", &cert, "--keyfile", &key]);
    let address = format!("https://{}", lookupd.address());
    let ca = pki.text("ca.pem");
    let mut node = Daemon::gafferd(&["--bind", "127.0.0.1:0", "--lookupd-address", &address, "--lookup-cacert", &ca]);
    let line = node.line("trying again");
    assert!(line.contains("it is for another name than the one that was asked for"), "{line}");
    let (code, _, err) = gaffer(&["lookup:nodes", "-L", &address, "--cacert", &ca]);
    assert!(code == 69 && err.contains("it is for another name"), "{code}: {err}");
    // Whoever does not speak TLS is told to.
    let plain = address.replace("https", "http");
    let mut node = Daemon::gafferd(&["--bind", "127.0.0.1:0", "--lookupd-address", &plain]);
    let line = node.line("trying again");
    assert!(line.contains("TLS is spoken here: ask with https://"), "{line}");
}

#[test]
fn keys_are_asked_for() {
    let folder = Folder::new();
    let bind = format!("unix:{}", folder.text("l"));
    let (nodes, readers) = (keys(&folder, "nodes", &[NODE]), keys(&folder, "readers", &["# who reads", READER]));
    let mut lookupd = Daemon::lookupd(&["--bind", &bind, "--key-file", &nodes, "--read-key-file", &readers]);
    let server = |key: Option<&str>| {
        let server = LookupServer::new(&bind).expect("an address");
        key.map_or_else(|| server.clone(), |key| server.clone().api_key(key))
    };
    // Whether there is a server, everybody may know; of the rest not even what is not there.
    server(None).ping().expect("open");
    server(None).version().expect("open");
    for key in [None, Some("another-key-of-any"), Some("")] {
        let who = server(key);
        for outcome in [
            who.nodes().map(drop),
            who.jobs().map(drop),
            who.sessions(Some("n")).map(drop),
            who.find_job("a.b").map(drop),
            who.find_session("a").map(drop),
            who.events().map(drop),
        ] {
            assert_eq!(outcome.expect_err("a key is needed").kind(), ErrorKind::Forbidden, "{key:?}");
        }
    }
    for key in [NODE, READER] {
        assert_eq!(server(Some(key)).nodes().expect("it may read"), []);
        server(Some(key)).events().expect("it may listen");
    }
    lookupd.line("refused: 401 GET /nodes (");

    // Who reads does not register.
    let config = |key: &str| {
        let ini = format!("[gaffer]\nbind = 127.0.0.1:0\nlookup_ping_interval = 0.2\nlookupd_address = {bind}\n{key}");
        folder.write_text("gafferd.ini", &ini)
    };
    let shown = keys(&folder, "shown", &[READER]);
    let mut node = Daemon::gafferd(&["-c", &config("")]);
    let line = node.line("trying again");
    assert!(line.contains("it refuses this node: a key is needed") && line.contains("(`lookup_key_file`)"), "{line}");
    config(&format!("lookup_key_file = {shown}\n"));
    node.signal(Signal::HUP);
    node.line("it refuses this node: nodes do not register with this key");
    keys(&folder, "shown", &[NODE]);
    node.signal(Signal::HUP);
    node.line("this node is registered");
    eventually("the node", || (server(Some(READER)).nodes().ok()?.len() == 1).then_some(()));
    assert!(!node.log().iter().chain(&lookupd.log()).any(|line| line.contains(NODE) || line.contains(READER)));

    // A new key is good beside the old one, then alone; whoever is there by the old one goes.
    let next = "another-key-of-the-nodes";
    keys(&folder, "nodes", &[next, NODE]);
    lookupd.signal(Signal::HUP);
    lookupd.line("reloaded: nodes register by a key");
    server(Some(next)).nodes().expect("it may read");
    assert_eq!(server(Some(NODE)).nodes().expect("it still may").len(), 1);
    keys(&folder, "nodes", &[next]);
    lookupd.signal(Signal::HUP);
    node.line("its key is not known any more");
    eventually("that the node is gone", || server(Some(next)).nodes().ok()?.is_empty().then_some(()));
    assert_eq!(server(Some(NODE)).nodes().expect_err("it may no more").kind(), ErrorKind::Forbidden);
    config(&format!("lookup_key = {next}\n"));
    node.signal(Signal::HUP);
    eventually("that it is back", || (server(Some(READER)).nodes().ok()?.len() == 1).then_some(()));
    // What cannot be read changes nothing.
    fs::set_permissions(folder.path("nodes"), fs::Permissions::from_mode(0o644)).expect("a mode");
    lookupd.signal(Signal::HUP);
    lookupd.line("set its mode to 0600");
    assert_eq!(server(Some(next)).nodes().expect("as before").len(), 1);
}

/// Somebody else's websockets and TLS.
#[test]
fn a_node_of_python() {
    let Some(pki) = Pki::new() else { return };
    let tools = std::env::var_os("GAFFER_NET_TOOLS").map(PathBuf::from);
    let tools = tools.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("target/net-tools"));
    let python = || {
        let mut command = Command::new("python3");
        command.env("PYTHONPATH", tools.join("python")).env("PYTHONDONTWRITEBYTECODE", "1");
        command
    };
    if !python().args(["-c", "import websockets.sync.client"]).output().is_ok_and(|ran| ran.status.success()) {
        assert!(std::env::var_os("GAFFER_NET_REQUIRE").is_none(), "python3 has no `websockets` (run .ci/tools)");
        let _ = writeln!(std::io::stderr(), "\nSKIPPED a_node_of_python: python3 has no `websockets` (run .ci/tools)");
        return;
    }
    let folder = Folder::new();
    let (_lookupd, port) = lookupd(&pki, &["--key-file", &keys(&folder, "nodes", &[NODE])]);
    let mut command = python();
    command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/lookup/tools/node.py"));
    command.args([&format!("wss://localhost:{port}/ws"), &pki.text("ca.pem"), NODE]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("python3");
    let mut line = String::new();
    let mut stdout = BufReader::new(child.stdout.take().expect("a pipe"));
    stdout.read_line(&mut line).expect("a line, or the end");
    let asks = client(&pki, port, "ca").api_key(NODE);
    let (nodes, found) = (asks.nodes().expect("an answer"), asks.find_job("shop.web").expect("an answer"));
    drop(child.stdin.take());
    let status = child.wait().expect("it is a child");
    assert!(status.success() && line == "registered\n", "{status} {line}");
    assert_eq!((nodes.len(), nodes[0].origin.as_str()), (1, "https://python.example:5000"));
    assert_eq!(found[0].pids, [gaffer::process::Pid(7)]);
    eventually("its end", || asks.nodes().ok()?.is_empty().then_some(()));
}

#[test]
fn tools_with_keys() {
    let Some(pki) = Pki::new() else { return };
    let folder = Folder::new();
    let (nodes, readers) = (keys(&folder, "nodes", &[NODE]), keys(&folder, "readers", &[READER]));
    let (_lookupd, port) = lookupd(&pki, &["--key-file", &nodes, "--read-key-file", &readers]);
    let (url, ca) = (format!("https://localhost:{port}"), pki.text("ca.pem"));
    let ini = format!(
        "[gaffer]\nbind = 127.0.0.1:0\nlookupd_address = {url}\nlookup_key_file = {nodes}\n[lookup_ssl]\ncacert = {ca}\n\
         [ssl]\ncertfile = {}\nkeyfile = {}\n[process:shop:web]\ncmd = cat\nredirect_input = true\n",
        pki.text("server.pem"),
        pki.text("server.key")
    );
    let config = folder.write_text("gafferd.ini", &ini);
    let (code, out, err) = tool(env!("CARGO_BIN_EXE_gafferd"), &["--check", "-c", &config], &[]);
    assert!(code == 0 && out.contains(&format!("lookup {url}, with a key\n")), "{out}{err}");
    let mut node = Daemon::gafferd(&["-c", &config]);
    node.line("this node is registered");
    let origin = format!("https://{}", node.address());
    let asks = client(&pki, port, "ca").api_key(READER);
    eventually("its process", || (asks.find_job("shop.web").ok()?.first()?.pids.len() == 1).then_some(()));
    assert_eq!(asks.nodes().expect("an answer")[0].origin, origin);

    let line = ["lookup:nodes", "-L", &url, "--cacert", &ca];
    let (code, _, err) = gaffer(&line);
    assert!(code == 77 && err.contains("--lookup-key or GAFFER_LOOKUP_KEY"), "{code}: {err}");
    let (code, out, err) = gaffer(&[&line[..], &["--lookup-key", READER]].concat());
    assert!(code == 0 && out.contains(&format!("{origin} - ")), "{out}{err}");
    let (code, out, err) = tool(env!("CARGO_BIN_EXE_gaffer"), &line, &[("GAFFER_LOOKUP_KEY", READER)]);
    assert!(code == 0 && out.contains(&origin), "{out}{err}");
    let known = format!("[node \"{url}\"]\nkey = {READER}\ncacert = {ca}\n[node \"{origin}\"]\ncacert = {ca}\n");
    let known = folder.write_text("gaffer.ini", &known);
    let remembers = [("GAFFER_CONFIG", known.as_str())];
    let (code, out, err) = tool(env!("CARGO_BIN_EXE_gaffer"), &["lookup:jobs", "-L", &url], &remembers);
    assert!(code == 0 && out.contains("=== shop.web\n"), "{out}{err}");
    // The nodes that are found speak TLS too.
    let (code, out, err) = tool(env!("CARGO_BIN_EXE_gaffer"), &["--lookup", &url, "ps", "shop"], &remembers);
    assert!(code == 0 && out.contains(&format!("=== web on {origin}")), "{out}{err}");
    let scale = ["--lookup", &url, "--lookup-key", READER, "--cacert", &ca, "scale", "shop", "web=2"];
    let (code, out, err) = gaffer(&scale);
    assert!(code == 0 && out.contains("now running 2"), "{out}{err}");
    let (code, _, err) = gaffer(&["lookup:nodes", "-L", "http://127.0.0.1:1", "--cacert", &ca]);
    assert!(code == 2 && err.contains("none of these lookup servers is"), "{code}: {err}");
}

#[test]
fn what_cannot_be_served() {
    let Some(pki) = Pki::new() else { return };
    let folder = Folder::new();
    let (cert, key, nodes) = (pki.text("server.pem"), pki.text("server.key"), keys(&folder, "nodes", &[NODE]));
    let lookupd = |args: &[&str]| tool(env!("CARGO_BIN_EXE_gaffer_lookupd"), args, &[]);
    for (args, want) in [
        (&["--bind", "0.0.0.0:0"][..], "Ask for keys (key_file) and by TLS (certfile)"),
        (&["--bind", "0.0.0.0:0", "--certfile", &cert, "--keyfile", &key], "Ask for keys (key_file), bind"),
        (&["--bind", "0.0.0.0:0", "--key-file", &nodes], "Give it a certificate (certfile)"),
        (&["--bind", "127.0.0.1:0", "--certfile", &nodes], "there is no certificate in it"),
        (&["--bind", "127.0.0.1:0", "--key-file", &cert], "the keys in '"),
        (&["--key-file", "/nonexistent/k"], "cannot read the keys in '/nonexistent/k'"),
        (&["--anonymous-read"], "are for a key_file"),
    ] {
        let (code, out, err) = lookupd(args);
        assert!(code == 1 && out.is_empty() && err.contains(want), "{args:?}: {code}: {out}{err}");
    }
    let ini = format!("[lookupd]\nbind = 0.0.0.0:5010\ncertfile = {cert}\nkeyfile = {key}\nkey_file = {nodes}\n");
    let config = folder.write_text("lookupd.ini", &ini);
    let (code, out, err) = lookupd(&["--check", "-c", &config]);
    let want = "listens at 0.0.0.0:5010, TLS\nnodes register by a key, and those who have it may read\n";
    assert_eq!((code, out.as_str()), (0, want), "{err}");
    folder.write("lookupd.ini", &ini.replace("key_file", "keyfil"));
    let (code, _, err) = lookupd(&["-c", &config]);
    assert!(code == 1 && err.contains("lookupd.ini:5:1: [lookupd] has no key `keyfil`; did you mean"), "{err}");
}
