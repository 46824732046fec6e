//! `--daemon` and `--pidfile`.

use std::fs;
use std::net::TcpListener;

use gaffer::process::Signal;

use super::util::{Folder, Gafferd, alive, eventually, ini, run, signal};

#[test]
fn the_caller_learns_of_success() {
    let folder = Folder::new();
    let job = "[job:a]\nshell = yes\ncmd = umask >umask.new; mv umask.new umask; exec sleep 1000\ncwd = %(here)s\n";
    let config = folder.write("c.ini", &ini(job));
    let [config, pidfile, log] = [config, folder.path("pid"), folder.path("log")].map(|p| p.display().to_string());
    let (code, out, err) = run(&["-c", &config, "--daemon", "--pidfile", &pidfile, "--error-log", &log]);
    assert_eq!((code, out.as_str(), err.as_str()), (0, "", ""));
    // It is ready when its caller ends.
    let pid: i32 = folder.read("pid").trim().parse().expect("a pid");
    assert!(alive(pid));
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("/proc");
    let fields: Vec<&str> = stat.rsplit(") ").next().expect("fields").split(' ').collect();
    // State, parent, group, session, terminal (proc_pid_stat(5)).
    assert!(stat.contains("(gafferd)"), "{stat}");
    assert_eq!(fields[4], "0", "no terminal: {stat}");
    assert_eq!(fields[2], fields[3], "{stat}");
    assert_ne!(fields[3], pid.to_string(), "it leads no session: {stat}");
    for (fd, want) in [(0, "/dev/null"), (1, "/dev/null"), (2, log.as_str())] {
        assert_eq!(fs::read_link(format!("/proc/{pid}/fd/{fd}")).expect("a descriptor").to_string_lossy(), want);
    }
    eventually("the umask", || folder.path("umask").exists().then_some(()));
    assert_eq!(folder.read("umask").trim().trim_start_matches('0'), "27");

    let (code, _, err) = run(&["-c", &config, "--daemon", "--pidfile", &pidfile]);
    assert_eq!(code, 1);
    assert!(err.starts_with(&format!("gafferd: already running on PID {pid} (gafferd)")), "{err}");

    signal(pid, Signal::TERM);
    eventually("its end", || (!alive(pid)).then_some(()));
    assert!(!folder.path("pid").exists());
    let text = folder.read("log");
    assert!(text.contains("ready: 1 job,") && text.ends_with("[INFO] stopped\n"), "{text}");
}

#[test]
fn the_caller_learns_of_failure() {
    let folder = Folder::new();
    let pidfile = folder.path("pid").display().to_string();
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    let (code, out, err) = run(&["--daemon", "--bind", &address, "--pidfile", &pidfile]);
    assert_eq!((code, out.as_str()), (1, ""));
    assert!(err.starts_with("gafferd: ") && err.contains(&address), "{err}");
    eventually("the pid file to go", || (!folder.path("pid").exists()).then_some(()));

    let config = folder.write("c.ini", "[jab:a]\n").display().to_string();
    let (code, _, err) = run(&["--daemon", "-c", &config]);
    assert!(code == 1 && err.contains("c.ini:1:2: there is no section [jab:a]"), "{err}");
    let log = folder.path("no/log").display().to_string();
    let (code, _, err) = run(&["--daemon", "--bind", "127.0.0.1:0", "--error-log", &log]);
    assert!(code == 1 && err.contains(&log), "{err}");
    let (code, _, err) = run(&["--daemon", "-v"]);
    assert!(code == 1 && err.contains("a daemon has no console"), "{err}");
}

#[test]
fn the_pid_file_comes_first() {
    let folder = Folder::new();
    let job = "[job:a]\nshell = yes\ncmd = echo >>started; exec sleep 1000\ncwd = %(here)s\n";
    let config = folder.write("c.ini", &ini(job));
    let path = folder.path("pid");
    let args = ["--pidfile", path.to_str().expect("UTF-8")];
    // Of nobody.
    fs::write(&path, "0\n").expect("write");
    let mut gafferd = Gafferd::start(&config, &args);
    assert_eq!(folder.read("pid"), format!("{}\n", gafferd.child.id()));
    eventually("its start", || folder.path("started").exists().then_some(()));

    let (code, _, err) = run(&["-c", config.to_str().expect("UTF-8"), args[0], args[1]]);
    assert_eq!(code, 1);
    assert!(err.starts_with(&format!("gafferd: already running on PID {} (gafferd)", gafferd.child.id())), "{err}");
    assert_eq!(folder.read("started"), "\n", "nothing was started");
    assert_eq!(folder.read("pid"), format!("{}\n", gafferd.child.id()));

    // Somebody else's by now.
    fs::write(&path, "1\n").expect("write");
    gafferd.stop();
    assert_eq!(folder.read("pid"), "1\n");
    fs::remove_file(&path).expect("remove");
    Gafferd::start(&config, &args).stop();
    assert!(!path.exists());

    let missing = folder.path("no/pid").display().to_string();
    let (code, _, err) = run(&["-c", config.to_str().expect("UTF-8"), "--pidfile", &missing]);
    assert!(code == 1 && err.contains("doesn't exist. Can't create pidfile"), "{err}");
}
