//! Under a service manager, and as one: sd_notify, passed sockets, orphans.

use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::process::{Command, Stdio};
use std::time::Duration;

use gaffer::process::Signal;

use super::util::{Folder, Gafferd, alive, command, eventually, ini};

#[test]
fn the_service_manager_is_told() {
    let folder = Folder::new();
    let socket = UnixDatagram::bind(folder.path("notify")).expect("a socket");
    let job = "[job:a]\nshell = yes\ncmd = env >env.new; mv env.new env; exec sleep 1000\ncwd = %(here)s\n";
    let config = folder.write("c.ini", &ini(job));
    notified(&socket, &folder, &config, folder.path("notify").to_str().expect("UTF-8"));
}

#[cfg(target_os = "linux")]
#[test]
fn also_by_an_abstract_name() {
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::net::SocketAddr;
    let folder = Folder::new();
    let name = format!("gafferd-test-notify-{}", std::process::id());
    let socket = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).expect("a name")).expect("a socket");
    let job = "[job:a]\nshell = yes\ncmd = env >env.new; mv env.new env; exec sleep 1000\ncwd = %(here)s\n";
    let config = folder.write("c.ini", &ini(job));
    notified(&socket, &folder, &config, &format!("@{name}"));
}

fn notified(socket: &UnixDatagram, folder: &Folder, config: &std::path::Path, address: &str) {
    socket.set_read_timeout(Some(Duration::from_secs(90))).expect("a timeout");
    let next = || {
        let mut bytes = [0; 4096];
        let n = socket.recv(&mut bytes).expect("a message");
        String::from_utf8_lossy(&bytes[..n]).into_owned()
    };
    let mut start = command(&["-c"]);
    start.arg(config).env("NOTIFY_SOCKET", address);
    let mut gafferd = Gafferd::spawn(start);
    let ready = next();
    let want = format!("READY=1\nMAINPID={}\nSTATUS=1 job, 1 process wanted; listening on ", gafferd.child.id());
    assert!(ready.starts_with(&want), "{ready}");
    gafferd.signal(Signal::HUP);
    let reloading = next();
    let time = reloading.strip_prefix("RELOADING=1\nMONOTONIC_USEC=").expect("its lines");
    assert!(time.parse::<u64>().is_ok(), "{reloading}");
    assert!(next().starts_with("READY=1\nSTATUS=1 job,"));
    let good = std::fs::read_to_string(config).expect("it is there");
    std::fs::write(config, "nonsense\n").expect("write");
    gafferd.signal(Signal::HUP);
    assert!(next().starts_with("RELOADING=1\n"));
    let refused = next();
    assert!(refused.starts_with("READY=1\nSTATUS=") && refused.contains("the last reload was refused"), "{refused}");
    std::fs::write(config, good).expect("write");
    eventually("the environment", || folder.path("env").exists().then_some(()));
    let env = folder.read("env");
    assert!(env.contains("PATH=") && !env.contains("NOTIFY_SOCKET"), "{env}");
    gafferd.signal(Signal::TERM);
    assert!(next().starts_with("STOPPING=1\n"));
    assert_eq!(gafferd.end(), 0);
}

#[test]
fn sockets_that_were_passed_are_served() {
    let folder = Folder::new();
    let job =
        "[job:a]\nshell = yes\ncmd = env >env.new; ls -l /proc/self/fd >>env.new; mv env.new env; exec sleep 1000\n";
    let config = folder.write("c.ini", &format!("{job}cwd = %(here)s\n"));
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let script = "exec 3<&0 0</dev/null; export LISTEN_FDS=1 LISTEN_FDNAMES=http LISTEN_PID=$$; exec \"$0\" \"$@\"";
    let mut start = Command::new("/bin/sh");
    start.args(["-c", script, env!("CARGO_BIN_EXE_gafferd"), "-c"]).arg(config);
    start.stdin(Stdio::from(OwnedFd::from(listener)));
    let mut gafferd = Gafferd::spawn(start);
    // And the default endpoint is not.
    let ready = gafferd.line("ready: ");
    assert!(ready.ends_with(&format!("listening on {address}")), "{ready}");
    drop(TcpStream::connect(address).expect("it listens"));
    eventually("the environment", || folder.path("env").exists().then_some(()));
    let env = folder.read("env");
    assert!(!env.contains("LISTEN_") && !env.contains("socket:"), "{env}");
    gafferd.stop();
    assert!(TcpStream::connect(address).is_err());

    // Meant for somebody else.
    let mut start = command(&["--bind", "127.0.0.1:0"]);
    start.env("LISTEN_FDS", "1").env("LISTEN_PID", "1");
    let mut gafferd = Gafferd::spawn(start);
    gafferd.line("ready: ");
    gafferd.stop();
    // Broken.
    let script = "export LISTEN_FDS=9 LISTEN_PID=$$; exec \"$0\" \"$@\" 5>&- 6>&- 7>&- 8>&- 9>&-";
    let output = Command::new("/bin/sh").args(["-c", script, env!("CARGO_BIN_EXE_gafferd")]).output().expect("sh");
    let err = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(1) && err.contains("LISTEN_FDS is 9, but descriptor"), "{err}");
}

#[cfg(target_os = "linux")]
#[test]
fn orphans_are_reaped_and_nobody_else() {
    let folder = Folder::new();
    // Each leaves an orphan in a session of its own, and ends with a code of its own.
    let job = "[job:a]\nshell = yes\ncmd = (setsid sh -c 'echo $$ >>orphans; sleep 0.05' &); exit 7\n\
               backoff = 0\nnumprocesses = 4\ncwd = %(here)s\n";
    let config = folder.write("c.ini", &ini(job));
    let mut gafferd = Gafferd::start(&config, &["--subreaper", "--log-level", "debug"]);
    gafferd.nth_line("reaped the orphan", 30);
    let exits = |log: &[String]| log.iter().filter(|line| line.contains("has ended: ")).count();
    eventually("many exits", || (exits(&gafferd.log()) > 60).then_some(()));
    let log = gafferd.log();
    let own = log.iter().filter(|line| line.contains("has ended: code 7, after")).count();
    assert_eq!(own, exits(&log), "every job keeps its status: {log:#?}");
    // Newer kernels remember a status that was stolen, so look at who was reaped, too.
    let between = |line: &String, before: &str, after: &str| -> Option<i32> {
        line.split(before).nth(1)?.split(after).next()?.parse().ok()
    };
    let started: Vec<i32> = log.iter().filter_map(|line| between(line, "(pid ", ") has started")).collect();
    let reaped: Vec<i32> = log.iter().filter_map(|line| between(line, "reaped the orphan ", " ")).collect();
    assert!(started.len() > 60 && reaped.len() >= 30, "{log:#?}");
    assert!(!reaped.iter().any(|pid| started.contains(pid)), "children of the manager's own were reaped: {log:#?}");
    let orphans: Vec<i32> = folder.read("orphans").lines().take(10).map(|pid| pid.parse().expect("a pid")).collect();
    for orphan in orphans {
        // It is not even a zombie.
        let stat = std::path::PathBuf::from(format!("/proc/{orphan}"));
        eventually("the orphan to be reaped", || (!stat.exists()).then_some(()));
        assert!(!alive(orphan));
    }
    gafferd.stop();
}
