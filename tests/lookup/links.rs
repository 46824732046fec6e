//! Three nodes and two lookup servers, each in a network namespace of its own, and cables that are pulled.

use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use gaffer::client::{LookupServer, LookupServers, Server};
use serde_json::json;

use crate::util::{Daemon, Folder, eventually};

/// So long after a link is back the registries may be wrong.
pub(crate) const CONVERGENCE: Duration = Duration::from_secs(10);

/// A switch, and machines that are connected to it; all of it goes with its owner.
pub(crate) struct Net {
    ip: &'static str,
    switch: String,
    machines: Vec<String>,
}

impl Net {
    /// So many machines at 10.77.0.1 and so on. `None`, loudly, where there can be none.
    pub(crate) fn new(machines: usize) -> Option<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("gaffer-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let runs = |ip: &&&str| Command::new(ip).arg("-V").output().is_ok_and(|ran| ran.status.success());
        let Some(ip) = ["ip", "/usr/sbin/ip", "/sbin/ip"].iter().find(runs) else {
            eprintln!("SKIPPED: there is no `ip` here, so nothing is known about links that are cut");
            return None;
        };
        // It removes what there is of it, however far this comes.
        let mut net = Self { ip, switch: format!("{name}-s"), machines: Vec::new() };
        if let Err(why) = net.build(&name, machines) {
            eprintln!(
                "SKIPPED: no network namespaces here ({}), so nothing is known about links that are cut",
                why.trim()
            );
            return None;
        }
        Some(net)
    }

    fn build(&mut self, name: &str, machines: usize) -> Result<(), String> {
        let switch = self.switch.clone();
        self.try_run(&format!("netns add {switch}"))?;
        self.try_run(&format!("-n {switch} link add br0 type bridge"))?;
        self.try_run(&format!("-n {switch} link set br0 up"))?;
        for n in 0..machines {
            let machine = format!("{name}-{n}");
            self.try_run(&format!("netns add {machine}"))?;
            self.machines.push(machine.clone());
            for line in [
                format!("-n {switch} link add port{n} type veth peer name eth0 netns {machine}"),
                format!("-n {switch} link set port{n} master br0 up"),
                format!("-n {machine} link set lo up"),
                format!("-n {machine} addr add 10.77.0.{}/24 dev eth0", n + 1),
                format!("-n {machine} link set eth0 up"),
            ] {
                self.try_run(&line)?;
            }
        }
        Ok(())
    }

    pub(crate) fn try_run(&self, line: &str) -> Result<(), String> {
        let ran = Command::new(self.ip).args(line.split(' ')).stdin(Stdio::null()).output();
        match ran {
            Ok(ran) if ran.status.success() => Ok(()),
            Ok(ran) => Err(format!("ip {line}: {}", String::from_utf8_lossy(&ran.stderr))),
            Err(e) => Err(e.to_string()),
        }
    }

    /// Runs a daemon on a machine; the processes of this test see its unix sockets.
    pub(crate) fn start(&self, machine: usize, program: &str, args: &[&str]) -> Daemon {
        let mut command = Command::new(self.ip);
        command.args(["netns", "exec", &self.machines[machine], program]).args(args);
        command.stdin(Stdio::null()).env_remove("NOTIFY_SOCKET");
        let mut daemon = Daemon::spawn(command);
        daemon.line("ready: ");
        daemon
    }

    /// Runs gafferd there, with so many processes of shop.web, and these settings for its lookup servers.
    pub(crate) fn gafferd(&self, machine: usize, folder: &Folder, socket: &str, lookups: &str, web: u32) -> Daemon {
        let ip = machine + 1;
        let ini = format!(
            "[gaffer]\nbind = {socket}\nbroadcast_address = http://10.77.0.{ip}:5000\n{lookups}\n\
             [process:shop:web]\ncmd = cat\nredirect_input = true\nnumprocesses = {web}\n"
        );
        let config = folder.write_text(&format!("{machine}.ini"), &ini);
        self.start(machine, env!("CARGO_BIN_EXE_gafferd"), &["-c", &config])
    }

    /// TCP of a machine waits so long before it sends again what was not acknowledged, and twice as long each further time.
    pub(crate) fn patience(&self, machine: usize, milliseconds: u32) {
        let (name, ip) = (&self.machines[machine], machine + 1);
        let route = format!("10.77.0.0/24 dev eth0 proto kernel scope link src 10.77.0.{ip}");
        self.try_run(&format!("-n {name} route replace {route} rto_min {milliseconds}ms")).expect("a route");
    }

    /// Pulls the cable of a machine, or puts it back.
    pub(crate) fn link(&self, machine: usize, up: bool) {
        let state = if up { "up" } else { "down" };
        self.try_run(&format!("-n {} link set port{machine} {state}", self.switch)).expect("a link");
    }
}

impl Drop for Net {
    fn drop(&mut self) {
        for name in self.machines.iter().chain([&self.switch]) {
            // One that was not made is not there.
            let _ = self.try_run(&format!("netns del {name}"));
        }
    }
}

/// What a lookup server knows: of each node its number, and how many processes of shop.web it has.
fn known(server: &LookupServer) -> Option<Vec<(String, usize)>> {
    let sources = server.find_job("shop.web").ok()?;
    let mut known: Vec<(String, usize)> = sources.into_iter().map(|s| (s.node.origin, s.pids.len())).collect();
    known.sort();
    Some(known)
}

/// An address that others reach is served by TLS and keys, without a word about it being insecure.
#[cfg(feature = "tls")]
fn protected(net: &Net) {
    use std::os::unix::fs::PermissionsExt;
    let Some(pki) = crate::pki::Pki::new() else { return };
    let keys = pki.path("keys");
    std::fs::write(&keys, "0123456789abcdef\n").expect("a file");
    std::fs::set_permissions(&keys, std::fs::Permissions::from_mode(0o600)).expect("a mode");
    let (cert, key) = (pki.text("server.pem"), pki.text("server.key"));
    let args = ["--bind", "10.77.0.5:5011", "--certfile", &cert, "--keyfile", &key, "--key-file", &pki.text("keys")];
    let mut lookupd = net.start(4, env!("CARGO_BIN_EXE_gaffer_lookupd"), &args);
    assert!(lookupd.line("listening on ").ends_with("listening on 10.77.0.5:5011 (TLS)"));
    lookupd.stop();
}

#[test]
fn links_are_cut_and_come_back() {
    let Some(net) = Net::new(5) else { return };
    let folder = Folder::new();
    let sockets: Vec<String> = (0..5).map(|n| format!("unix:{}", folder.text(&format!("{n}.sock")))).collect();
    let lookups: Vec<Daemon> = (3..5)
        .map(|n| {
            let address = format!("10.77.0.{}:5010", n + 1);
            let args = ["--bind", &address, "--bind", &sockets[n], "--insecure", "--ping-interval", "0.5"];
            net.start(n, env!("CARGO_BIN_EXE_gaffer_lookupd"), &args)
        })
        .collect();
    let mut nodes: Vec<Daemon> = (0..3)
        .map(|n| {
            let lookups = "lookup_ping_interval = 0.5\nlookupd_address = http://10.77.0.4:5010\n\
                           lookupd_address2 = http://10.77.0.5:5010";
            net.gafferd(n, &folder, &sockets[n], lookups, 1)
        })
        .collect();
    let apis: Vec<Server> = sockets[..3].iter().map(|at| Server::new(at).expect("an address")).collect();
    let servers: Vec<LookupServer> = sockets[3..].iter().map(|at| LookupServer::new(at).expect("an address")).collect();
    let both = LookupServers::new(servers.clone());
    let mut wanted = [1_usize, 1, 1];
    let is_right = |server: &LookupServer, wanted: &[usize; 3]| {
        let want: Vec<_> = (0..3).map(|n| (format!("http://10.77.0.{}:5000", n + 1), wanted[n])).collect();
        (known(server)? == want && server.nodes().ok()?.len() == 3).then_some(())
    };
    let converge = |what: &str, wanted: &[usize; 3]| {
        let begin = Instant::now();
        for server in &servers {
            eventually(&format!("{what} at {}", server.address()), || is_right(server, wanted));
        }
        begin.elapsed()
    };
    converge("all three", &wanted);

    // A slow machine may be late once, but not each time.
    let in_time = |what: &str, wanted: &mut [usize; 3], cut: &mut dyn FnMut(&mut [usize; 3])| {
        let mut took = Vec::new();
        while took.len() < 3 && took.iter().all(|took| *took >= CONVERGENCE) {
            cut(wanted);
            took.push(converge(what, wanted));
        }
        eprintln!("{what}: right again after {took:?}");
        assert!(took.iter().any(|took| *took < CONVERGENCE), "{what}: {took:?}");
    };
    let scale = |node: usize, wanted: &mut [usize; 3]| {
        wanted[node] += 1;
        apis[node].job("shop.web").expect("a name").scale("+1").expect("it scales");
    };

    // A node, until both servers have given it up.
    in_time("a node was cut off", &mut wanted, &mut |wanted| {
        net.link(0, false);
        scale(0, wanted);
        for server in &servers {
            eventually("that it is missed", || (server.nodes().ok()?.len() == 2).then_some(()));
        }
        eventually("that it misses them", || {
            let is_loss = |line: &&String| line.contains("trying again");
            (nodes[0].log().iter().filter(is_loss).count() >= 2).then_some(())
        });
        net.link(0, true);
    });
    // A lookup server, until it has given all nodes up. Clients that ask both miss nothing.
    in_time("a lookup server was cut off", &mut wanted, &mut |wanted| {
        net.link(3, false);
        eventually("that it misses them", || servers[0].nodes().ok()?.is_empty().then_some(()));
        scale(1, wanted);
        eventually("what is new at the other one", || is_right(&servers[1], wanted));
        assert_eq!(both.nodes().expect("both answer").found.len(), 3);
        net.link(3, true);
    });
    // So shortly that nobody may have noticed, but something has happened meanwhile.
    in_time("a node was cut off for a moment", &mut wanted, &mut |wanted| {
        net.link(2, false);
        scale(2, wanted);
        net.link(2, true);
    });
    apis[2].load(&json!({"name": "shop.more", "cmd": "sleep 1000"}), None, true, false).expect("it loads");
    for server in &servers {
        eventually("what is new", || (server.find_job("shop.more").ok()?.len() == 1).then_some(()));
    }
    #[cfg(feature = "tls")]
    protected(&net);
    nodes.iter_mut().for_each(Daemon::stop);
    for server in &servers {
        eventually("that all are gone", || server.nodes().ok()?.is_empty().then_some(()));
    }
    drop(lookups);
}
