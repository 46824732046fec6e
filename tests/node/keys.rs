//! A node that asks for keys, and the commands for keys and users.

use std::os::unix::fs::PermissionsExt;

use gaffer::ErrorKind;
use serde_json::{Value, json};

use crate::node::Node;
use crate::support::{Room, Running};

/// A node, and the key of its administrator `al`.
fn guarded() -> (Node, String) {
    let room = Room::new("web: sleep 1000\n");
    let config = room.path("gafferd.ini").display().to_string();
    std::fs::write(&config, "[gaffer]\n").expect("a file");
    let mut command = room.command(env!("CARGO_BIN_EXE_gafferd"));
    command.args(["-c", &config, "--create-admin-user", "--username", "al", "--password", "pass"]);
    let done = Running::spawn(command).end().expect(0);
    let key = done.text().lines().last().expect("a key").to_owned();
    (Node::with(room, &["-c", &config, "--require-key"]), key)
}

#[test]
fn logging_in_keeps_the_key() {
    let (node, _) = guarded();
    node.fails("apps", 77, "a key is needed");
    let run = |line: &str| {
        let mut command = node.gaffer(line);
        command.env("GAFFER_CONFIG", node.room.path("client.ini"));
        Running::spawn(command).end()
    };
    std::fs::write(node.room.path("client.ini"), "[gaffer]\n# mine\nendpoint = unix:/x\n").expect("a file");
    run("login -u al -p wrong").expect(77).complains("gaffer: ");
    assert_eq!(run("login -u al -p pass").expect(0).text(), "User 'al' authenticated.\n");
    let text = std::fs::read_to_string(node.room.path("client.ini")).expect("a file");
    assert!(text.starts_with("[gaffer]\n# mine\nendpoint = unix:/x\n\n[node \"unix:"), "{text}");
    let mode = std::fs::metadata(node.room.path("client.ini")).expect("a file").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(run("apps").expect(0).text(), "");
    run("load -q").expect(0).quietly();
    assert_eq!(run("apps").expect(0).text(), "app\n");
}

#[test]
fn keys_and_users() {
    let (node, admin) = guarded();
    let run = |line: &str, key: &str| {
        let mut command = node.gaffer(line);
        command.env("GAFFER_API_KEY", key);
        Running::spawn(command).end()
    };
    let json = |line: &str, key: &str| -> Value {
        serde_json::from_str(&run(&format!("{line} --json"), key).expect(0).text()).expect("JSON")
    };
    let made = json("key:create app+m +k --label deploy", &admin);
    let (id, key) = (made["key"].as_str().expect("an id"), made["api_key"].as_str().expect("a key"));
    assert_eq!(json("key self", key)["permissions"], json!({"create_key": true, "manage": ["app"]}));
    run("load -q", key).expect(0).quietly();
    run("key:create +r", key).expect(77).complains("gaffer: a key cannot give rights that it has not");
    run("key:create x+y", key).expect(2);
    assert_eq!(run(&format!("user:add bob -p pw -k {id}"), &admin).expect(0).text(), "User 'bob' created\n");
    run("user:add bob -p pw", &admin).expect(1).complains("gaffer: there is a user \"bob\" already");
    assert_eq!(json("user bob", &admin), json!({"username": "bob", "user_type": 1, "key": id}));
    assert_eq!(json("user", &admin), json!({"users": ["al", "bob"]}));
    // The library logs in likewise, and is no more than its user.
    let login = node.server().authenticate("bob", "pw").expect("the password");
    let bob = node.server().api_key(&login.key);
    assert_eq!(bob.job("app.web").expect("a name").info().expect("it may").status.name.as_str(), "app.web");
    assert_eq!(bob.users().list().expect_err("no administrator").kind(), ErrorKind::Forbidden);
    assert_eq!(bob.users().set_password("al", "x").expect_err("no administrator").kind(), ErrorKind::Forbidden);
    assert_eq!(run("user:setpassword bob -p other", &admin).expect(0).text(), "bob's password changed\n");
    assert_eq!(node.server().authenticate("bob", "pw").expect_err("the old one").kind(), ErrorKind::Forbidden);
    assert_eq!(bob.keys().get("self").expect_err("logins have ended").kind(), ErrorKind::Forbidden);
    assert_eq!(run("user:setkey bob", &admin).expect(0).text(), "bob's key changed\n");
    assert_eq!(run("user:del bob", &admin).expect(0).text(), "User 'bob' deleted\n");
    run("user bob", &admin).expect(1).complains("gaffer: no such user \"bob\"");
    let deleted = format!("The key '{id}' has been deleted.\n");
    assert_eq!(run(&format!("key:delete {id}"), &admin).expect(0).text(), deleted);
    run("apps", key).expect(77).complains("gaffer: this key is not known here");
}
