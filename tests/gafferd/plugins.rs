//! Plugins with programs.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use gaffer::process::Signal;

use super::reload::http;
use super::sites::{start, write};
use super::util::{Folder, Gafferd, alive, eventually, run, signal};

/// A plugin that is a script for sh.
fn script(folder: &Folder, name: &str, manifest: &str, text: &str) {
    write(folder, &format!("{name}/plugin.json"), format!(r#"{{"command": ["./run"]{manifest}}}"#));
    write(folder, &format!("{name}/run"), format!("#!/bin/sh\n{text}"));
    let path = folder.path("plugins").join(name).join("run");
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("a script");
}

/// Tells what it gets on standard error.
const LISTEN: &str = "while read -r line; do echo \"got $line\" >&2; done\n";

#[test]
fn a_program_scales_a_job_by_an_event() {
    let folder = Folder::new();
    let text = r#"
echo '{"event":"SUB","data":{"topic":"EVENTS:proc.trigger.start"}}'
while read -r line; do
    echo "got $line in $PWD as $GAFFER_PLUGIN" >&2
    case $line in
    *gaffer:event*) echo '{"event":"CMD","data":{"identity":"i","name":"scale","args":["worker","+2"]}}' ;;
    esac
done
"#;
    script(&folder, "scaler", "", text);
    let jobs =
        "[job:worker]\ncmd = sleep 1000\n[job:trigger]\ncmd = sleep 1000\nstart = no\n[plugin:scaler]\nKey = a b\n";
    let (mut gafferd, address) = start(&folder, jobs);
    let hello = gafferd.line("plugin scaler: got {\"data\":{\"name\":\"scaler\"");
    assert!(hello.contains(r#""settings":{"Key":"a b"}"#), "{hello}");
    assert!(hello.ends_with("/plugins/scaler as scaler"), "{hello}");
    gafferd.line("gaffer:subscription_success");
    let answer = http(&address, "POST", "/jobs/default/trigger/state", "1");
    assert!(answer.starts_with("HTTP/1.1 202 "), "{answer}");
    gafferd.line(r#"got {"data":{"id":"i","result":{"numprocesses":3}},"event":"gaffer:command_success"}"#);
    for name in ["worker.2", "worker.3"] {
        assert!(alive(gafferd.os_pid(name, 0)));
    }
    // It is a job like any other.
    assert!(http(&address, "GET", "/jobs/plugins", "").contains(r#"["plugins.scaler"]"#));
    gafferd.stop();
}

#[test]
fn bad_lines_are_answered_and_counted() {
    let folder = Folder::new();
    let text = r#"
echo 'no json'
echo '[1]'
echo
printf '\377\n'
head -c 1200000 /dev/zero | tr '\0' x
echo
echo '{"event":"CMD","data":{"identity":1,"name":"sessions"}}'
"#;
    script(&folder, "odd", "", &format!("{text}{LISTEN}"));
    let (mut gafferd, address) = start(&folder, "");
    for (n, reason) in ["invalid_json", "invalid_json", "invalid_json", "too_long"].into_iter().enumerate() {
        let line = gafferd.nth_line("[WARNING] plugin odd has sent a line that is no message", n);
        assert!(line.contains(reason), "{line}");
    }
    gafferd.line("got {\"data\":{\"error\":\"invalid_msg\",\"message\":\"a message has at most 1048576 bytes\"");
    gafferd.line("plugin odd: got {\"data\":{\"id\":1,\"result\":{\"sessions\":[");
    let metrics = http(&address, "GET", "/metrics", "");
    assert!(metrics.contains("gaffer_plugin_invalid_lines_total{plugin=\"odd\"} 4\n"), "{metrics}");
    gafferd.stop();
}

#[test]
fn a_program_that_crashes_hurts_nobody() {
    let folder = Folder::new();
    script(
        &folder,
        "bad",
        "",
        "echo '{\"event\":\"SUB\",\"data\":{\"topic\":\"EVENTS\"}}'\necho crashing >&2\nexit 3\n",
    );
    script(&folder, "good", "", LISTEN);
    let (mut gafferd, address) = start(&folder, "[job:a]\ncmd = sleep 1000\n");
    let (job, good) = (gafferd.os_pid("a.1", 0), gafferd.os_pid("plugins.good.1", 0));
    // At a pace: the third one after a pause.
    gafferd.nth_line("plugin bad: crashing", 2);
    signal(good, Signal::KILL);
    let again = gafferd.os_pid("plugins.good.1", 1);
    gafferd.nth_line("plugin good: got {\"data\":{\"name\":\"good\"", 1);
    assert!(alive(job) && alive(again));
    assert!(http(&address, "GET", "/ping", "").ends_with("OK"));
    gafferd.stop();
}

#[test]
fn one_that_does_not_read_is_told_of_the_gap() {
    let folder = Folder::new();
    let at = |name: &str| folder.path(name).display().to_string();
    let (go, done, read) = (at("go"), at("done"), at("read"));
    // The job is the first process.
    let text = format!(
        r#"
read -r hello
echo '{{"event":"SUB","data":{{"topic":"STREAM:1.out"}}}}'
read -r answer
echo "answer $answer" >&2
: > {go}
until test -e {read}; do sleep 0.02; done
while read -r line; do
    case $line in
    *gaffer:gap*) echo "gap $line" >&2 ;;
    esac
done
"#
    );
    script(&folder, "slow", "", &text);
    let talk = format!("until test -e {go}; do sleep 0.02; done; yes talk | head -c 9000000; : > {done}; sleep 1000");
    let jobs = format!("[job:talker]\nshell = yes\nredirect_output = out, err\ncmd = {talk}\n");
    let (mut gafferd, address) = start(&folder, &jobs);
    gafferd.line("plugin slow: answer {");
    eventually("all to be said", || folder.path("done").exists().then_some(()));
    assert!(http(&address, "GET", "/ping", "").ends_with("OK"));
    folder.write("read", "");
    let gap = gafferd.line("plugin slow: gap {");
    assert!(gap.contains("\"dropped\":") && !gap.contains("\"dropped\":0"), "{gap}");
    gafferd.stop();
}

#[test]
fn one_that_does_not_read_its_answers_is_not_listened_to() {
    let folder = Folder::new();
    let text = "exec yes '{\"event\":\"CMD\",\"data\":{\"identity\":1,\"name\":\"pids\"}}'\n";
    script(&folder, "mad", "", text);
    let (mut gafferd, address) = start(&folder, "");
    let mad = gafferd.os_pid("plugins.mad.1", 0);
    // It is stuck in a write: the processor time it has used stays the same while we are busy with others.
    let used = || {
        let stat = fs::read_to_string(format!("/proc/{mad}/stat")).unwrap_or_default();
        let fields: Vec<String> = stat.rsplit(") ").next().unwrap_or_default().split(' ').map(str::to_owned).collect();
        fields.get(11..13).map(<[_]>::to_vec)
    };
    let mut before = None;
    eventually("it to wait", || {
        for _ in 0..50 {
            assert!(http(&address, "GET", "/ping", "").ends_with("OK"));
        }
        let now = used();
        let same = now.is_some() && before == now;
        before = now;
        same.then_some(())
    });
    assert!(http(&address, "GET", "/ping", "").ends_with("OK"));
    gafferd.stop();
}

#[test]
fn what_cannot_run_is_refused_at_the_start() {
    let folder = Folder::new();
    let config = folder.write("c.ini", "[gaffer]\nbind = 127.0.0.1:0\nplugins_dir = %(here)s/plugins\n");
    let refused = |config: &Path, why: &str| {
        let (code, _, stderr) = run(&["-c", config.to_str().expect("UTF-8")]);
        assert_eq!(code, 1, "{stderr}");
        assert!(stderr.contains(why), "{stderr}");
    };
    script(&folder, "needy", r#", "mandatory": ["consle", "needy"]"#, LISTEN);
    write(&folder, "console/_site/index.html", "");
    refused(&config, "the plugin needy needs the plugin consle, which is not there; did you mean `console`?");
    script(&folder, "needy", r#", "mandatory": ["console"], "comand": "x""#, LISTEN);
    refused(&config, "needy/plugin.json: a plugin has no `comand`; did you mean `command`?");
    script(&folder, "needy", r#", "mandatory": ["console"]"#, LISTEN);
    let (code, stdout, _) = run(&["--check", config.to_str().expect("UTF-8")]);
    assert_eq!(code, 0);
    assert!(stdout.contains("plugin console: /_plugin/console/\nplugin needy: ./run\n"), "{stdout}");
    let other = folder.write("d.ini", "[gaffer]\nplugins_dir = %(here)s/plugins\n[plugin:nedy]\nx = 1\n");
    refused(&other, "did you mean `needy`?");
    let other = folder.write("e.ini", "[plugin:needy]\nx = 1\n");
    refused(&other, "[plugin:needy]: there is no such plugin: plugins_dir is not set");
    // The command line wins.
    let plugins = folder.path("plugins");
    let (code, stdout, _) = run(&["--check", "-p", plugins.to_str().expect("UTF-8"), other.to_str().expect("UTF-8")]);
    assert_eq!((code, stdout.contains("plugin needy: ./run")), (0, true), "{stdout}");
}

#[test]
fn reload_follows_the_folder_and_the_settings() {
    let folder = Folder::new();
    for name in ["kept", "changed", "set", "gone"] {
        script(&folder, name, "", LISTEN);
    }
    let settings = |value: &str| format!("[plugin:set]\nvalue = {value}\n");
    let (mut gafferd, address) = start(&folder, &settings("1"));
    let mut pid = |name: &str, n: usize| gafferd.os_pid(&format!("plugins.{name}.1"), n);
    let [kept, changed, set, gone] = ["kept", "changed", "set", "gone"].map(|name| pid(name, 0));
    fs::remove_dir_all(folder.path("plugins/gone")).expect("removed");
    script(&folder, "new", "", LISTEN);
    script(&folder, "changed", r#", "version": "2""#, LISTEN);
    write(&folder, "changed/plugin.json", r#"{"command": ["./run", "again"]}"#);
    let head = "[gaffer]\nbind = 127.0.0.1:0\nplugins_dir = %(here)s/plugins\n";
    folder.write("c.ini", &format!("{head}{}", settings("2")));
    gafferd.signal(Signal::HUP);
    gafferd.line("plugins: changed: changed, set; added: new; removed: gone");
    gafferd.line("plugin set: got {\"data\":{\"name\":\"set\",\"settings\":{\"value\":\"2\"}");
    gafferd.line("plugin new: got {");
    gafferd.nth_line("plugin changed: got {", 1);
    eventually("the old ones to end", || (![changed, set, gone].into_iter().any(alive)).then_some(()));
    assert!(alive(kept));
    assert!(!http(&address, "GET", "/jobs/plugins", "").contains("plugins.gone"));
    // A plugin that cannot run changes nothing.
    write(&folder, "bad/plugin.json", "{");
    gafferd.signal(Signal::HUP);
    assert!(gafferd.line("reload refused").contains("bad/plugin.json"));
    assert!(alive(kept));
    gafferd.stop();
}

#[test]
#[allow(clippy::print_stderr)]
fn the_examples() {
    if Command::new("python3").arg("--version").output().is_err() {
        return eprintln!("SKIPPED: there is no python3 for examples/plugins/autoscale");
    }
    let folder = Folder::new();
    let examples = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/plugins");
    let config = format!(
        "[gaffer]\nbind = 127.0.0.1:0\nplugins_dir = {examples}\n[plugin:autoscale]\nwatch = batch\nscale = worker\nby = 2\n\
         [job:worker]\ncmd = sleep 1000\n[job:batch]\ncmd = sleep 1000\nstart = no\n"
    );
    let config = folder.write("c.ini", &config);
    let mut gafferd = Gafferd::start(&config, &[]);
    let ready = gafferd.line("ready: ");
    let address = ready.rsplit(' ').next().expect("an address").to_owned();
    assert!(http(&address, "GET", "/_plugin/hello/", "").contains("<h1>Jobs</h1>"));
    // Its subscriptions are seen from outside only by what they do.
    let state = |state: &str| http(&address, "POST", "/jobs/default/batch/state", state);
    eventually("it to listen", || {
        state("1");
        state("0");
        gafferd.log().iter().any(|line| line.contains("plugin autoscale: worker has")).then_some(())
    });
    eventually("the end", || {
        let n = http(&address, "GET", "/jobs/default/worker/numprocesses", "");
        n.ends_with("{\"numprocesses\":1}").then_some(())
    });
    state("1");
    eventually("more workers", || {
        http(&address, "GET", "/jobs/default/worker/numprocesses", "").ends_with("{\"numprocesses\":3}").then_some(())
    });
    gafferd.stop();
}
