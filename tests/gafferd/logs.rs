//! Log files of jobs, as the daemon's user meets them.

use std::fs;

use gaffer::process::Signal;

use super::util::{Folder, Gafferd, eventually, ini, run};

#[test]
fn usr1_opens_them_anew() {
    let folder = Folder::new();
    let job = "[job:a]\nshell = yes\ncwd = %(here)s\nstdout_logfile = %(here)s/log\nstderr_logfile = -\nlog_format = prefix\n\
        cmd = echo to-stderr >&2; echo one; until [ -e go ]; do sleep 0.01; done; echo two; exec sleep 1000\n";
    let config = folder.write("c.ini", &ini(job));
    let mut gafferd = Gafferd::start(&config, &[]);
    eventually("a line", || folder.read("log").contains("| one\n").then_some(()));
    // The daemon's own standard error has both, its log and the job's lines.
    assert!(gafferd.line(" err | to-stderr").contains(" a.1["));
    fs::rename(folder.path("log"), folder.path("old")).expect("rename");
    gafferd.signal(Signal::USR1);
    eventually("a new file", || folder.path("log").exists().then_some(()));
    folder.write("go", "");
    eventually("the next line", || folder.read("log").contains("| two\n").then_some(()));
    assert!(!folder.read("log").contains("one") && !folder.read("old").contains("two"));
    gafferd.stop();
}

#[test]
fn reload_changes_them() {
    let folder = Folder::new();
    let job = |file: &str| {
        ini(&format!("[job:a]\ncmd = sh -c 'echo here; exec sleep 1000'\nstdout_logfile = %(here)s/{file}\n"))
    };
    let config = folder.write("c.ini", &job("one"));
    let mut gafferd = Gafferd::start(&config, &[]);
    eventually("a line", || (folder.read("one") == "here\n").then_some(()));
    folder.write("c.ini", &job("none/two"));
    gafferd.signal(Signal::HUP);
    let line = gafferd.line("reload refused");
    assert!(line.contains("none") && line.contains("No such file or directory"), "{line}");
    folder.write("c.ini", &job("two"));
    gafferd.signal(Signal::HUP);
    eventually("a line in the other file", || (folder.read("two") == "here\n").then_some(()));
    gafferd.stop();
    assert_eq!(folder.read("one"), "here\n");
}

/// Killed at any moment, it leaves files that the next one goes on with.
#[test]
fn a_kill_leaves_nothing_that_the_next_start_does_not_mend() {
    let folder = Folder::new();
    let job = "[job:a]\ncmd = seq 1 1000000000\nstdout_logfile = %(here)s/log\nlogfile_maxbytes = 2000\nlogfile_backups = 3\n";
    let config = folder.write("c.ini", &ini(job));
    let files = || {
        let mut names = fs::read_dir(&folder.0).expect("a folder").map(|e| e.expect("an entry").file_name());
        let mut found: Vec<String> = names.by_ref().map(|name| name.to_string_lossy().into_owned()).collect();
        found.retain(|name| name != "c.ini");
        found.sort();
        found
    };
    for round in 0..8 {
        let mut gafferd = Gafferd::start(&config, &[]);
        let first = folder.read("log.1");
        eventually("it is rotated", || (folder.read("log.1") != first).then_some(()));
        if round < 7 {
            gafferd.child.kill().expect("it runs");
            gafferd.child.wait().expect("it ends");
        } else {
            gafferd.stop();
        }
        let text = ["log.3", "log.2", "log.1", "log"].map(|name| folder.read(name)).concat();
        let numbers: Vec<u64> = text.lines().map(|line| line.parse().expect(line)).collect();
        for (n, three) in numbers.windows(3).enumerate() {
            // Only where it was killed a line may be torn, and another begins after it.
            let [a, b, c] = three[..] else { unreachable!("windows of three") };
            assert!(b == a + 1 || b == 1 || c == 1, "round {round}, line {n}: {a}, {b}, {c}");
        }
    }
    assert_eq!(files(), ["log", "log.1", "log.2", "log.3"]);
}

#[test]
fn check_shows_them() {
    let folder = Folder::new();
    let a = "[job:a]\ncmd = x\nstdout_logfile = %(here)s/a\nlog_format = json\nlogfile_total = 1GB\n";
    let config =
        folder.write("c.ini", &ini(&format!("{a}[job:b]\ncmd = y\nstderr_logfile = -\nlogfile_maxbytes = 0\n")));
    let config = config.display().to_string();
    let (code, out, err) = run(&["-c", &config, "--check"]);
    assert_eq!((code, err.as_str()), (0, ""));
    let file = folder.path("a").display().to_string();
    let line = format!("log a stdout: {file}, json, rotated at 52428800 bytes, 10 backups, 1073741824 bytes in all\n");
    assert!(out.contains(&line) && out.contains("log b stderr: /dev/stderr, not rotated\n"), "{out}");
    assert!(!folder.path("a").exists(), "nothing is made");

    folder.write("c.ini", &ini(&format!("{a}[job:b]\ncmd = y\nstdout_logfile = %(here)s/a.1\n")));
    let (code, _, err) = run(&["-c", &config, "--check"]);
    assert!(code == 1 && err.contains("job 'default.b': log '") && err.contains("is that of job 'default.a'"), "{err}");
    folder.write("c.ini", &ini("[job:b]\ncmd = y\nstdout_logfile = %(here)s/none/b\n"));
    let (code, _, err) = run(&["-c", &config, "--check"]);
    assert!(code == 1 && err.contains("job 'default.b': log '") && err.contains("/none': No such file"), "{err}");
}
