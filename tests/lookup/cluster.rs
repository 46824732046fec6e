//! A cluster of the system's etcd, in a folder of its own.

use std::fs::{self, File};
use std::io::Write;
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use gaffer::process::{OsPid, Signal};
use gaffer::sys;
use serde_json::{Value, json};

use crate::util::{Folder, eventually};

/// So many clusters at a time: on one core more of them would wait for each other longer than tests wait for them.
static FREE: (Mutex<u32>, Condvar) = (Mutex::new(2), Condvar::new());

/// The right to one cluster.
struct Permit;

impl Permit {
    fn wait() -> Self {
        let free = FREE.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut free = FREE.1.wait_while(free, |free| *free == 0).unwrap_or_else(PoisonError::into_inner);
        *free -= 1;
        Self
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        *FREE.0.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        FREE.1.notify_one();
    }
}

pub(crate) struct Cluster {
    folder: Folder,
    members: Vec<Member>,
    agent: ureq::Agent,
    /// Further arguments of each member.
    args: Vec<String>,
    scheme: &'static str,
    _permit: Arc<Permit>,
}

struct Member {
    client: u16,
    peer: u16,
    child: Option<Child>,
}

/// Ports that nobody has at this moment.
fn ports(n: usize) -> Vec<u16> {
    let listeners: Vec<TcpListener> = (0..n).map(|_| TcpListener::bind("127.0.0.1:0").expect("a port")).collect();
    listeners.iter().map(|listener| listener.local_addr().expect("an address").port()).collect()
}

impl Cluster {
    /// So many members that have found each other. `None`, loudly, where there is no etcd; a failure if `GAFFER_NET_REQUIRE` is set.
    pub(crate) fn start(n: usize) -> Option<Self> {
        Self::with(n, "http", &[])
    }

    pub(crate) fn with(n: usize, scheme: &'static str, args: &[String]) -> Option<Self> {
        let version = Command::new("etcd").arg("--version").stdin(Stdio::null()).stderr(Stdio::null()).output();
        if !version.is_ok_and(|output| output.status.success()) {
            assert!(std::env::var_os("GAFFER_NET_REQUIRE").is_none(), "there is no etcd (run .ci/tools)");
            let _ = writeln!(
                std::io::stderr(),
                "\nSKIPPED: there is no etcd, so nothing is known of a registry there (run .ci/tools)"
            );
            return None;
        }
        let config =
            ureq::Agent::config_builder().http_status_as_error(false).timeout_global(Some(Duration::from_secs(10)));
        let agent: ureq::Agent = config.proxy(None).build().into();
        let permit = Arc::new(Permit::wait());
        for _ in 0..10 {
            let (clients, peers) = (ports(n), ports(n));
            let member = |(client, peer)| Member { client, peer, child: None };
            let members = clients.into_iter().zip(peers).map(member).collect();
            let mut cluster = Self {
                folder: Folder::new(),
                members,
                agent: agent.clone(),
                args: args.to_vec(),
                scheme,
                _permit: Arc::clone(&permit),
            };
            (0..n).for_each(|at| cluster.spawn(at));
            // Somebody else may have got one of the ports meanwhile; then that member ends.
            let is_up = eventually("a cluster, or a port that is somebody else's", || {
                let has_ended = |member: &mut Member| {
                    member.child.as_mut().expect("it was started").try_wait().expect("ours").is_some()
                };
                if cluster.members.iter_mut().any(has_ended) {
                    return Some(false);
                }
                (0..n).all(|at| cluster.is_well(at)).then_some(true)
            });
            if is_up {
                return Some(cluster);
            }
        }
        panic!("no ports for a cluster in ten tries");
    }

    fn spawn(&mut self, at: usize) {
        let peer = |at: usize| format!("http://127.0.0.1:{}", self.members[at].peer);
        let all: Vec<String> = (0..self.members.len()).map(|at| format!("m{at}={}", peer(at))).collect();
        let client = format!("{}://127.0.0.1:{}", self.scheme, self.members[at].client);
        let log =
            File::options().create(true).append(true).open(self.folder.text(&format!("m{at}.log"))).expect("a log");
        let mut command = Command::new("etcd");
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.args(["--name", &format!("m{at}"), "--data-dir", &self.folder.text(&format!("m{at}"))]);
        command.args(["--listen-client-urls", &client, "--advertise-client-urls", &client]);
        command.args(["--listen-peer-urls", &peer(at), "--initial-advertise-peer-urls", &peer(at)]);
        command.args(["--initial-cluster", &all.join(","), "--initial-cluster-token", &self.folder.text("")]);
        command.args(&self.args);
        command.stdin(Stdio::null()).stdout(log.try_clone().expect("a file")).stderr(log);
        self.members[at].child = Some(command.spawn().expect("etcd"));
    }

    /// The URL of the registry, with all members.
    pub(crate) fn url(&self) -> String {
        let members: Vec<String> = self.members.iter().map(|member| format!("127.0.0.1:{}", member.client)).collect();
        format!("{}://{}/test", self.scheme.replace("http", "etcd"), members.join(","))
    }

    /// Whether a member can read what all have agreed upon.
    fn is_well(&self, at: usize) -> bool {
        // Over TLS it wants to see a certificate, which whoever tests that has.
        if self.scheme == "https" {
            return fs::read_to_string(self.folder.path(&format!("m{at}.log")))
                .is_ok_and(|log| log.contains("serving client requests"));
        }
        self.try_ask(at, "kv/range", &json!({"key": "AA=="})).is_some()
    }

    fn try_ask(&self, at: usize, path: &str, body: &Value) -> Option<Value> {
        self.try_ask_as(at, "", path, body)
    }

    fn try_ask_as(&self, at: usize, token: &str, path: &str, body: &Value) -> Option<Value> {
        let url = format!("http://127.0.0.1:{}/v3/{path}", self.members[at].client);
        let request = self.agent.post(url);
        let request = if token.is_empty() { request } else { request.header("Authorization", token) };
        let mut answer = request.send(body.to_string()).ok().filter(|answer| answer.status() == 200)?;
        serde_json::from_str(&answer.body_mut().read_to_string().ok()?).ok()
    }

    /// Asks the first member that answers.
    #[track_caller]
    pub(crate) fn ask(&self, path: &str, body: &Value) -> Value {
        eventually(path, || (0..self.members.len()).find_map(|at| self.try_ask(at, path, body)))
    }

    /// From now on it asks who comes: `root` may do everything, and `lookup` what a lookup server needs. Both have this password. Returns a token of `root`.
    pub(crate) fn protect(&self, password: &str) -> String {
        for (user, role) in [("root", "root"), ("lookup", "lookup")] {
            self.ask("auth/role/add", &json!({"name": role}));
            self.ask("auth/user/add", &json!({"name": user, "password": password}));
            self.ask("auth/user/grant", &json!({"user": user, "role": role}));
        }
        let (key, end) = (STANDARD.encode("/test/"), STANDARD.encode("/test0"));
        let may = json!({"permType": "READWRITE", "key": key, "range_end": end});
        self.ask("auth/role/grant", &json!({"name": "lookup", "perm": may}));
        self.ask("auth/enable", &json!({}));
        let root = self.ask("auth/authenticate", &json!({"name": "root", "password": password}));
        root["token"].as_str().expect("a token").to_owned()
    }

    /// Who has logged in has to do so again.
    pub(crate) fn forget_logins(&self, root: &str, password: &str) {
        let body = json!({"name": "lookup", "password": password});
        eventually("a password", || self.try_ask_as(0, root, "auth/user/changepw", &body));
    }

    /// All keys of the registry.
    #[track_caller]
    pub(crate) fn keys(&self) -> Vec<String> {
        self.keys_as("")
    }

    /// The same with a token.
    #[track_caller]
    pub(crate) fn keys_as(&self, token: &str) -> Vec<String> {
        let range =
            json!({"key": STANDARD.encode("/test/"), "range_end": STANDARD.encode("/test0"), "keys_only": true});
        let ask = |at| self.try_ask_as(at, token, "kv/range", &range);
        let answer = eventually("keys", || (0..self.members.len()).find_map(ask));
        let key = |kv: &Value| {
            String::from_utf8(STANDARD.decode(kv["key"].as_str().expect("a key")).expect("base64")).expect("text")
        };
        answer["kvs"].as_array().map(|kvs| kvs.iter().map(key).collect()).unwrap_or_default()
    }

    /// Somebody deletes them all.
    pub(crate) fn delete_keys(&self) {
        let range = json!({"key": STANDARD.encode("/test/"), "range_end": STANDARD.encode("/test0")});
        assert_ne!(self.ask("kv/deleterange", &range)["deleted"], Value::Null);
    }

    /// Forgets everything but what is there now.
    pub(crate) fn compact(&self) {
        let revision = self.ask("kv/range", &json!({"key": "AA=="}))["header"]["revision"].clone();
        self.ask("kv/compaction", &json!({"revision": revision, "physical": true}));
    }

    /// The one that the others follow.
    pub(crate) fn leader(&self) -> usize {
        eventually("a leader", || {
            let status = |at| self.try_ask(at, "maintenance/status", &json!({}));
            (0..self.members.len()).find(|at| status(*at).is_some_and(|s| s["leader"] == s["header"]["member_id"]))
        })
    }

    /// kill -9.
    pub(crate) fn kill(&mut self, at: usize) {
        let mut child = self.members[at].child.take().expect("it runs");
        child.kill().expect("it runs");
        child.wait().expect("it is a child");
    }

    /// Starts one again that was killed, with what it has on disk.
    #[track_caller]
    pub(crate) fn revive(&mut self, at: usize) {
        eventually("a member that comes back", || {
            self.spawn(at);
            // Somebody may have got its port for a moment; then it ends.
            let is_up = eventually("it is well, or has ended", || {
                let child = self.members[at].child.as_mut().expect("it was started");
                if child.try_wait().expect("it is a child").is_some() {
                    return Some(false);
                }
                self.is_well(at).then_some(true)
            });
            is_up.then_some(())
        });
    }

    /// One that was killed loses what it has on disk.
    pub(crate) fn wipe(&self, at: usize) {
        fs::remove_dir_all(self.folder.path(&format!("m{at}"))).expect("a folder");
    }

    pub(crate) fn signal(&self, at: usize, signal: Signal) {
        let pid = i32::try_from(self.members[at].child.as_ref().expect("it runs").id()).expect("a pid");
        assert_eq!(sys::signal_process(OsPid(pid), signal).expect("a signal"), sys::Sent::Sent);
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for child in self.members.iter_mut().filter_map(|member| member.child.as_mut()) {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
