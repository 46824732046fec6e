//! A lookup server that is given by name, and a resolver that stops answering.

use std::net::{Ipv4Addr, UdpSocket};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use gaffer::client::LookupServer;

use crate::util::{Daemon, Folder, eventually};

/// A name server that has one answer to all questions, as long as it answers.
struct NameServer {
    ip: Ipv4Addr,
    answers: Arc<AtomicBool>,
    asked: Arc<AtomicU32>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl NameServer {
    /// At an address of its own; `None` where the port is not for this user.
    fn start() -> Option<Self> {
        let [a, b, ..] = std::process::id().to_le_bytes();
        let ip = Ipv4Addr::new(127, 53, a, b.max(1));
        let socket = UdpSocket::bind((ip, 53)).ok()?;
        socket.set_read_timeout(Some(Duration::from_millis(50))).ok()?;
        let (answers, asked, stop): (Arc<AtomicBool>, Arc<AtomicU32>, Arc<AtomicBool>) = Default::default();
        answers.store(true, Ordering::Relaxed);
        let [its_answers, its_stop] = [&answers, &stop].map(Arc::clone);
        let its_asked = Arc::clone(&asked);
        let thread = thread::spawn(move || {
            let mut question = [0; 512];
            while !its_stop.load(Ordering::Relaxed) {
                let Ok((n, from)) = socket.recv_from(&mut question) else { continue };
                its_asked.fetch_add(1, Ordering::Relaxed);
                if its_answers.load(Ordering::Relaxed) {
                    let _ = socket.send_to(&answer(&question[..n]), from);
                }
            }
        });
        Some(Self { ip, answers, asked, stop, thread: Some(thread) })
    }
}

impl Drop for NameServer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

/// 127.0.0.1, and no address of IPv6 (RFC 1035, 4.1).
fn answer(question: &[u8]) -> Vec<u8> {
    let name = question[12..].iter().position(|byte| *byte == 0).expect("the end of the name");
    let end = 12 + name + 5;
    let is_v4 = question[end - 4..end] == [0, 1, 0, 1];
    let mut answer = [&question[..2], &[0x81, 0x80, 0, 1, 0, u8::from(is_v4), 0, 0, 0, 0], &question[12..end]].concat();
    if is_v4 {
        answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4, 127, 0, 0, 1]);
    }
    answer
}

/// A command whose names come from this server alone, which it asks for longer than any test waits. `None`, loudly, where that cannot be had.
fn asking(server: &NameServer, folder: &Folder, program: &str) -> Option<Command> {
    let resolv = format!("nameserver {}\noptions timeout:30 attempts:5\n", server.ip);
    let [resolv, switch] = [("resolv.conf", &resolv[..]), ("nsswitch.conf", "hosts: dns\n")]
        .map(|(name, text)| folder.write_text(name, text));
    let mounts =
        "mount --bind \"$0\" /etc/resolv.conf && mount --bind \"$1\" /etc/nsswitch.conf && shift && exec \"$@\"";
    let command = |program: &str| {
        let mut command = Command::new("unshare");
        command.args(["--mount", "sh", "-c", mounts, &resolv, &switch, program]).stdin(Stdio::null());
        command
    };
    match command("true").output() {
        Ok(ran) if ran.status.success() => Some(command(program)),
        ran => {
            let why = ran.map_or_else(|e| e.to_string(), |ran| String::from_utf8_lossy(&ran.stderr).trim().to_owned());
            eprintln!("SKIPPED: no mounts of one's own here ({why}), so nothing is known about resolvers that hang");
            None
        }
    }
}

#[test]
fn a_resolver_that_hangs_is_not_waited_for() {
    let Some(names) = NameServer::start() else {
        eprintln!("SKIPPED: port 53 is not for this user, so nothing is known about resolvers that hang");
        return;
    };
    let folder = Folder::new();
    let Some(mut command) = asking(&names, &folder, env!("CARGO_BIN_EXE_gafferd")) else { return };
    let mut lookupd = Daemon::lookupd(&["--bind", "127.0.0.1:0", "--allow-host", "lookup.test"]);
    let address = lookupd.address();
    let url = format!("http://lookup.test:{}", address.rsplit_once(':').expect("a port").1);
    command.args(["--bind", "127.0.0.1:0", "--lookupd-address", &url]).env_remove("NOTIFY_SOCKET");
    let mut node = Daemon::spawn(command);
    node.line(&format!("lookup {url}: this node is registered"));

    names.answers.store(false, Ordering::Relaxed);
    let before = names.asked.load(Ordering::Relaxed);
    lookupd.kill();
    let _lookupd = Daemon::lookupd_again(&["--bind", &address, "--allow-host", "lookup.test"]);
    let server = LookupServer::new(&address).expect("an address");
    eventually("the node again", || (server.nodes().ok()?.len() == 1).then_some(()));
    eventually("somebody who is asked", || (names.asked.load(Ordering::Relaxed) > before).then_some(()));
    node.stop();
}
