//! The web console in Chromium, driven by its debugging protocol from a script of node's that needs no package.

use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};

use gaffer::access::{Access, Permissions, Who};
use serde_json::{Value, json};

use crate::browser::chromium;
use crate::util::{Node, eventually, run_script, script, skip};

/// A program that writes what would be markup, an escape sequence, a colour, and to standard error.
const HOSTILE: &str = r#"sh -c 'printf "<img src=x onerror=document.title=1><script>document.title=2</script>\n\033]0;title\007\033[31mred\033[0m plain \033[38;2;250;250;0myellow\033[0m\n"; echo needle in a haystack; echo trouble >&2; exec sleep 1000'"#;

fn config() -> String {
    format!(
        "[process:web]\ncmd = sleep 1000\nnumprocesses = 2\n\
         [process:idle]\ncmd = sleep 1000\nstart = false\n\
         [process:hostile]\ncmd = {HOSTILE}\nredirect_output = out, err\n\
         [process:shop:crash]\ncmd = false\nflapping = 2, 30, 1000, 5\n\
         [process:shop:loop]\ncmd = sh -c 'exit 3'\n\
         [process:shop:gone]\ncmd = /nonexistent/program\nflapping = 1, 30, 0.1, 1\n"
    )
}

/// One browser at a time: each is many processes, and has a time limit.
static BROWSER: Mutex<()> = Mutex::new(());

/// The browser, if there is all that a scene needs.
fn player(name: &str) -> Option<&'static str> {
    let Some(chromium) = chromium() else {
        skip(name, "there is no chromium");
        return None;
    };
    has_node(name).then_some(chromium)
}

fn has_node(name: &str) -> bool {
    let there = Command::new("node").arg("--version").stdout(Stdio::null()).status().is_ok_and(|s| s.success());
    if !there {
        skip(name, "there is no node");
    }
    there
}

/// Runs one scene of the script against a node.
fn scene(name: &str) {
    let Some(chromium) = player(name) else { return };
    let _alone = BROWSER.lock().unwrap_or_else(PoisonError::into_inner);
    let mut node = Node::new(&config());
    node.pids("web", 2);
    node.pids("hostile", 1);
    for job in ["crash", "gone"] {
        eventually("a job that crashes", || {
            let (_, body) = node.get(&format!("/status/shop.{job}"))?;
            String::from_utf8_lossy(&body).contains(r#""active":false"#).then_some(())
        });
    }
    let profile = node.path("profile");
    let mut command = Command::new("node");
    run_script(command.arg(script("console.mjs")).args([name, chromium, &node.address]).arg(profile));
    node.stop();
}

#[test]
fn jobs_are_listed_and_controlled() {
    scene("control");
}

#[test]
fn output_is_text_whatever_it_is() {
    scene("output");
}

#[test]
fn narrow_and_wide_light_and_dark() {
    scene("looks");
}

#[test]
fn a_node_that_goes_away_and_comes_back() {
    scene("gone");
}

/// Nobody waits for a browser that has died: the script says so, and why.
#[test]
fn a_browser_that_dies_is_told_at_once() {
    if !has_node("a browser that dies") {
        return;
    }
    let mut node = Node::new("");
    let browser = node.path("browser");
    std::fs::write(&browser, "#!/bin/sh\nhead -c 1 <&3 >/dev/null\necho out of memory >&2\nkill -KILL $$\n")
        .expect("a file");
    std::fs::set_permissions(&browser, PermissionsExt::from_mode(0o755)).expect("it is ours");
    for (program, says) in
        [(browser, "ended: SIGKILL; its last words:\nout of memory"), (node.path("none"), "cannot be started")]
    {
        let mut command = Command::new("node");
        let out =
            command.arg(script("console.mjs")).arg("control").arg(&program).arg(&node.address).arg(node.path("p"));
        let out = out.stdin(Stdio::null()).output().expect("it runs");
        let said = String::from_utf8_lossy(&out.stderr);
        assert!(out.status.code() == Some(1) && said.contains(says), "{program:?}: {}: {said}", out.status);
        // Its own patience did not run out.
        assert!(!said.contains("in vain waited for"), "{said}");
    }
    node.stop();
}

#[test]
fn with_keys() {
    let Some(chromium) = player("keys") else { return };
    let _alone = BROWSER.lock().unwrap_or_else(PoisonError::into_inner);
    let mut node = Node::new(&format!("require_key = true\n{}", config()));
    let access = Access::open(node.path("access.json")).expect("nothing there");
    let key = |rights: Value| {
        let rights = Permissions::from_json(&rights).expect("rights");
        access.create_key(&Who::Trusted, rights, "for the test", None).expect("a key").key
    };
    let keys = [
        key(json!({"admin": true})),
        key(json!({"read": ["*"]})),
        key(json!({"read": ["*"], "manage": ["shop"]})),
        key(json!({"read": ["shop"]})),
    ];
    let profile = node.path("profile");
    let mut command = Command::new("node");
    command.arg(script("console.mjs")).args(["keys", chromium, &node.address]).arg(profile).args(keys);
    run_script(&mut command);
    node.stop();
}
