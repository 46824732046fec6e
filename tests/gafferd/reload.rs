//! SIGHUP.

use std::io::{Read, Write};
use std::net::TcpStream;

use gaffer::process::Signal;

use super::util::{Folder, Gafferd, alive, eventually, ini};

#[test]
fn only_what_changed_is_touched() {
    let folder = Folder::new();
    let job = |name: &str, seconds: u32| format!("[job:{name}]\ncmd = sleep {seconds}\n");
    let config = folder.write("c.ini", &ini(&[job("kept", 1000), job("edited", 1000), job("gone", 1000)].concat()));
    let mut gafferd = Gafferd::start(&config, &[]);
    let [kept, edited, gone] = ["kept.1", "edited.1", "gone.1"].map(|name| gafferd.os_pid(name, 0));
    let off = format!("{}start = no\n", job("off", 1000));
    folder.write("c.ini", &ini(&[job("new", 1000), job("edited", 2000), job("kept", 1000), off].concat()));
    gafferd.signal(Signal::HUP);
    gafferd.line("reload: 1 kept; changed: edited; added: new, off; removed: gone");
    let again = gafferd.os_pid("edited.1", 1);
    assert_ne!(again, edited);
    let new = gafferd.os_pid("new.1", 0);
    eventually("the old ones to end", || (!alive(edited) && !alive(gone)).then_some(()));
    gafferd.line("job gone is unloaded");
    gafferd.line("job off is loaded");
    assert!([kept, again, new].into_iter().all(alive));

    // The same again is nothing to do.
    gafferd.signal(Signal::HUP);
    gafferd.line("reload: 4 kept");
    assert!([kept, again, new].into_iter().all(alive));
    gafferd.stop();
    let log = gafferd.log();
    assert_eq!(log.iter().filter(|line| line.ends_with("has started")).count(), 5, "{log:#?}");
}

#[test]
fn a_bad_file_changes_nothing() {
    let folder = Folder::new();
    let good = ini("[job:a]\ncmd = sleep 1000\n[job:b]\ncmd = sleep 1000\n");
    let config = folder.write("c.ini", &good);
    let mut gafferd = Gafferd::start(&config, &[]);
    let pids = ["a.1", "b.1"].map(|name| gafferd.os_pid(name, 0));
    for (n, (bad, why)) in [
        ("[job:a]\ncmd = sleep 2000\nnumproceses = 2\n", "did you mean `numprocesses`?"),
        ("[job:a]\ncmd = sleep 2000\n[job:b]\ncmd = echo $NO_SUCH_VARIABLE\n", "NO_SUCH_VARIABLE"),
        ("[job:a]\ncmd = sleep 2000\n[webhooks]\nexti = https://127.0.0.1/\n", "did you mean `exit`"),
    ]
    .into_iter()
    .enumerate()
    {
        folder.write("c.ini", &ini(bad));
        gafferd.signal(Signal::HUP);
        let line = gafferd.nth_line("[ERROR] reload refused, everything stays as it was: ", n);
        assert!(line.contains(why), "{line}");
    }
    std::fs::remove_file(&config).expect("remove");
    gafferd.signal(Signal::HUP);
    assert!(gafferd.nth_line("reload refused", 3).contains("cannot read"));
    assert!(pids.into_iter().all(alive));

    folder.write("c.ini", &good);
    gafferd.signal(Signal::HUP);
    gafferd.line("reload: 2 kept");
    assert!(pids.into_iter().all(alive));
    gafferd.stop();
}

#[test]
fn a_fixed_job_that_was_given_up_has_another_chance() {
    let folder = Folder::new();
    let config = folder.write("c.ini", &ini("[job:a]\ncmd = false\nflapping = 1, 10, 0.1, 0\n"));
    let mut gafferd = Gafferd::start(&config, &[]);
    gafferd.line("job a crashes too often and is given up");
    folder.write("c.ini", &ini("[job:a]\ncmd = sleep 1000\nflapping = 1, 10, 0.1, 0\n"));
    gafferd.signal(Signal::HUP);
    gafferd.line("reload: 0 kept; changed: a");
    let pid = gafferd.os_pid("a.1", 1);
    assert!(alive(pid));
    gafferd.stop();
}

#[test]
fn endpoints_and_levels_follow() {
    let folder = Folder::new();
    let endpoint = |socket: &str| format!("[endpoint:{socket}]\nbind = unix:%(here)s/{socket}\n");
    let config = folder.write("c.ini", &[endpoint("one"), endpoint("two")].concat());
    let mut gafferd = Gafferd::start(&config, &[]);
    let inode = |name: &str| {
        use std::os::unix::fs::MetadataExt;
        std::fs::metadata(folder.path(name)).ok().map(|metadata| metadata.ino())
    };
    let one = inode("one");
    assert!(one.is_some() && inode("two").is_some());
    folder.write("c.ini", &[endpoint("one"), endpoint("three")].concat());
    gafferd.signal(Signal::HUP);
    gafferd.line("endpoint two closes: ");
    gafferd.line("endpoint three listens on ");
    eventually("the sockets", || (inode("two").is_none() && inode("three").is_some()).then_some(()));
    assert_eq!(inode("one"), one);

    let quiet = format!("[gaffer]\nlog_level = error\n{}", endpoint("one"));
    folder.write("c.ini", &quiet);
    gafferd.signal(Signal::HUP);
    eventually("the socket to go", || inode("three").is_none().then_some(()));
    gafferd.stop();
    assert!(!gafferd.log().iter().any(|line| line.contains("stopped")), "{:#?}", gafferd.log());
}

/// One request on a connection of its own; the status line and the content.
pub(crate) fn http(address: &str, method: &str, path: &str, content: &str) -> String {
    let mut stream = TcpStream::connect(address).expect("it listens");
    let length = content.len();
    let head =
        format!("{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Length: {length}\r\n");
    stream.write_all(format!("{head}\r\n{content}").as_bytes()).expect("it reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("UTF-8");
    answer
}

#[test]
fn jobs_that_were_loaded_over_http_stay() {
    let folder = Folder::new();
    let config = folder.write("c.ini", &ini("[job:a]\ncmd = sleep 1000\n[job:b]\ncmd = sleep 1000\n"));
    let mut gafferd = Gafferd::start(&config, &[]);
    let ready = gafferd.line("ready: ");
    let address = ready.rsplit(' ').next().expect("an address").to_owned();
    assert!(http(&address, "GET", "/ping", "").starts_with("HTTP/1.1 200 "));
    let answer = http(&address, "POST", "/jobs/default", r#"{"name": "mine", "cmd": "sleep 1000"}"#);
    assert!(answer.starts_with("HTTP/1.1 201 ") || answer.starts_with("HTTP/1.1 200 "), "{answer}");
    let mine = gafferd.os_pid("mine.1", 0);
    // Somebody has stopped it: it stays so, though its definition changes.
    let answer = http(&address, "POST", "/jobs/default/b/state", "0");
    assert!(answer.starts_with("HTTP/1.1 2"), "{answer}");
    gafferd.line("job b stops");

    folder.write("c.ini", &ini("[job:b]\ncmd = sleep 2000\n[job:mine]\ncmd = sleep 3000\n"));
    gafferd.signal(Signal::HUP);
    gafferd.line("reload: 0 kept; changed: b; added: mine; removed: a");
    gafferd.line("[WARNING] job mine was loaded by somebody else already, and stays as it is");
    gafferd.line("job a is unloaded");
    assert!(alive(mine));
    assert!(http(&address, "GET", "/jobs/default/mine", "").contains("sleep 1000"));
    assert!(http(&address, "GET", "/jobs/default/b", "").contains("sleep 2000"));
    assert!(http(&address, "GET", "/jobs/default/b/state", "").ends_with('0'));
    gafferd.stop();
    assert_eq!(gafferd.log().iter().filter(|line| line.contains(" b.1 (pid") && line.ends_with("started")).count(), 1);
}
