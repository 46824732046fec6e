//! What a child gets: its command line, environment, identity and descriptors.

use std::time::Duration;

use gaffer::manager::Commit;
use gaffer::process::{Exit, JobConfig, Pid, Restart, Scale, Stdio, UserRef};

use crate::watch::{Scratch, Watch, sh};

pub(crate) fn is_root() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    status.lines().any(|line| line.starts_with("Uid:\t0\t"))
}

/// What the job writes to standard output; it must end well.
#[track_caller]
fn output(config: JobConfig) -> String {
    let mut w = Watch::with_output();
    w.start(config.redirect_output(["out", "out"]).restart(Restart::Never));
    w.until("its end", |w| w.exits().len() == 1);
    assert_eq!(w.exits()[0].1, Exit::Code(0), "{}", w.dump());
    let text = w.text("out");
    w.finish();
    text
}

#[test]
fn the_environment_of_the_manager_or_none() {
    let env = JobConfig::new("a", "/usr/bin/env").expect("job").env("OWN", "1");
    let ours: Vec<_> = std::env::vars().collect();
    let text = output(env.clone().env("HOME", "/own"));
    for (name, value) in &ours {
        if name != "HOME" && !value.contains('\n') {
            assert!(text.lines().any(|line| line == format!("{name}={value}")), "{name}\n{text}");
        }
    }
    assert!(text.contains("OWN=1\n") && text.contains("HOME=/own\n"), "{text}");
    assert_eq!(output(env.os_env(false)), "OWN=1\n");
}

#[test]
fn no_job_sees_anothers_environment() {
    let mut w = Watch::with_output();
    let show = |name: &str| sh(name, "echo ${SECRET-none}").redirect_output([name]).restart(Restart::Never);
    w.start(show("a").env("SECRET", "a"));
    w.start(show("b"));
    w.until("both", |w| w.exits().len() == 2);
    assert_eq!((w.text("a").as_str(), w.text("b").as_str()), ("a\n", "none\n"));
    let mut commit = Commit::default();
    commit.env.insert("SECRET".to_owned(), "c".to_owned());
    w.manager.commit("b", commit).expect("commit");
    w.manager.commit("b", Commit::default()).expect("commit");
    w.until("the committed", |w| w.exits().len() == 4);
    let mut lines: Vec<String> = w.text("b").lines().map(str::to_owned).collect();
    lines.sort();
    assert_eq!(lines, ["c", "none", "none"]);
    w.manager.start_job("b").expect("start");
    w.until("once more", |w| w.exits().len() == 5);
    assert!(w.text("b").ends_with("none\n"));
    w.finish();
}

#[test]
fn a_commit_with_a_variable_that_cannot_be() {
    let mut w = Watch::new();
    w.manager.load(sh("a", "exit 0"), false).expect("load");
    let mut commit = Commit::default();
    commit.env.insert("A".to_owned(), "x\0".to_owned());
    w.manager.commit("a", commit).expect_err("NUL");
    assert_eq!(w.manager.list(), []);
    w.finish();
}

#[test]
fn variables_are_replaced_after_splitting() {
    let job = JobConfig::new("a", "printf '[%s]' $TWO ${TWO}x '$$TWO' $OWN").expect("job");
    let text = output(job.arg("$OWN/$TWO").env("TWO", "a b").env("OWN", "'"));
    assert_eq!(text, "[a b][a bx][$TWO][']['/a b]");
}

#[test]
fn a_shell_gets_the_line_as_it_is() {
    let job = sh("a", "echo \"$0 $1 $2\" $((1+1)) '$X'; echo $X").arg("one").arg("$two").env("X", "x");
    assert_eq!(output(job), "sh one $two 2 $X\nx\n");
    assert_eq!(output(sh("a", "echo $0 $#")), "/bin/sh 0\n");
}

#[test]
fn port_and_ps_of_each_instance() {
    let mut w = Watch::with_output();
    w.start(sh("web", "echo $PS:$PORT; exec sleep 1000").port(5100).ps(true).numprocesses(3).redirect_output(["out"]));
    let lines = |w: &Watch| {
        let mut lines: Vec<String> = w.text("out").lines().map(str::to_owned).collect();
        lines.sort();
        lines.join(" ")
    };
    w.until("all speak", |w| lines(w) == "web.1:5100 web.2:5101 web.3:5102");
    // The oldest goes, and its place is taken by the next newcomer.
    w.manager.scale("web", Scale::By(-1)).expect("scale");
    w.until("one ends", |w| w.exits().len() == 1 && w.manager.ending().is_empty());
    w.forget();
    w.manager.scale("web", Scale::By(1)).expect("scale");
    w.until("the first place again", |w| lines(w) == "web.1:5100");
    w.finish();
    // What a job sets itself is what it wants.
    assert_eq!(output(sh("a", "echo $PORT $PS").port(1).ps(true).env("PORT", "x").env("PS", "y")), "x y\n");
}

#[test]
fn folder_and_umask() {
    let scratch = Scratch::new();
    let text = output(sh("a", "pwd -P; umask; touch file; ls -l file").cwd(&scratch.0).umask(0o027));
    let folder = scratch.0.canonicalize().expect("path");
    assert!(text.starts_with(&format!("{}\n0027\n-rw-r-----", folder.display())), "{text}");
}

#[test]
fn user_and_group() {
    if !is_root() {
        println!("SKIPPED: only root can become somebody else");
        return;
    }
    assert_eq!(
        output(sh("a", "id -u; id -g; id -G").uid(UserRef::Id(12345)).gid(UserRef::Id(54321))),
        "12345\n54321\n54321\n"
    );
    let text = output(sh("a", "id -un; id -gn").uid(UserRef::from("nobody")).cwd("/"));
    assert!(text.starts_with("nobody\nno"), "{text}");
    assert_eq!(output(sh("a", "id -u; id -g").gid(UserRef::Id(54321))), "0\n54321\n");
}

#[test]
fn what_is_not_redirected_is_dev_null() {
    let script = "readlink /proc/self/fd/0; readlink /proc/self/fd/2 >&1; ls /proc/self/fd";
    let mut w = Watch::with_output();
    w.start(sh("a", script).redirect_output(["out"]).restart(Restart::Never));
    w.until("its end", |w| w.exits().len() == 1);
    // `ls` has one more: the folder it reads.
    assert_eq!(w.text("out"), "/dev/null\n/dev/null\n0\n1\n2\n3\n");
    w.finish();
}

#[test]
fn inherited_stdio() {
    let ours = std::fs::read_link("/proc/self/fd/0").expect("ours");
    let mut w = Watch::with_output();
    let job = sh("a", "readlink /proc/self/fd/0").redirect_output(["out"]).stdio(Stdio::Inherit);
    w.start(job.restart(Restart::Never));
    w.until("its end", |w| w.exits().len() == 1);
    assert_eq!(w.text("out"), format!("{}\n", ours.display()));
    w.finish();
}

#[test]
fn a_child_leads_its_own_group() {
    let text = output(sh("a", "cut -d' ' -f1,5 /proc/self/stat; echo $$"));
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[0].ends_with(&format!(" {}", lines[1])), "{text}");
}

#[test]
fn an_update_replaces_the_definition() {
    let mut w = Watch::with_output();
    let job = |value: &str| sh("a", "echo $VALUE; exec sleep 1000").env("VALUE", value).redirect_output(["out"]);
    w.start(job("1"));
    w.until("the first", |w| w.text("out") == "1\n");
    let error = w.manager.update(JobConfig::new("a", "echo $NO_SUCH").expect("job"), true).expect_err("unknown");
    assert!(error.to_string().contains("NO_SUCH"), "{error}");
    w.manager.update(job("2").numprocesses(2), false).expect("update");
    w.until("both new", |w| w.text("out") == "1\n2\n2\n");
    w.until("the old one is gone", |w| w.exits().len() == 1);
    assert_eq!(w.manager.pids("a").expect("pids"), [Pid(2), Pid(3)]);
    assert_eq!(w.manager.info("a").expect("info").config.env["VALUE"], "2");
    w.idle(Duration::from_millis(1));
    w.finish();
}
