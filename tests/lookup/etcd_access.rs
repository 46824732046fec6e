//! Who etcd lets in: users with passwords, and members that speak TLS.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;

use gaffer::client::{LookupServer, Server};
use gaffer::process::Signal;
use serde_json::{Value, json};

use crate::cluster::Cluster;
use crate::etcd::{JOBS, gafferd, get, web};
use crate::util::{Daemon, Folder, eventually};

/// Where etcd asks who comes.
#[test]
fn a_user_of_etcd() {
    const PASSWORD: &str = "tom\u{e4}to soup";
    let Some(cluster) = Cluster::start(1) else { return };
    let (folder, url) = (Folder::new(), cluster.url());
    let root = cluster.protect(PASSWORD);
    let file = |name: &str, mode: u32, text: &str| {
        let path = folder.write_text(name, text);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).expect("a mode");
        path
    };
    let (good, bad) = (file("good", 0o600, &format!("{PASSWORD}\n")), file("bad", 0o600, "potato\n"));
    let open = file("open", 0o644, "potato\n");
    let start = |name: &str, password: Option<&str>| {
        let socket = format!("unix:{}", folder.text(name));
        let mut args = vec!["--bind", &socket, "--registry", &url];
        if let Some(password) = password {
            args.extend(["--registry-user", "lookup", "--registry-password-file", password]);
        }
        (Daemon::lookupd(&args), LookupServer::new(&socket).expect("an address"))
    };
    let (mut a, at_a) = start("a", Some(&good));
    let (mut b, at_b) = start("b", Some(&good));
    a.line(": in use, by 127.0.0.1:");
    b.line(": in use, by 127.0.0.1:");
    let config = folder.write_text("gafferd.ini", &format!("[gaffer]\nbind = 127.0.0.1:0\n{JOBS}"));
    let (_node, origin) = gafferd(&config, &[&at_a.address()]);
    eventually("the node at b", || (web(&at_b)? == BTreeMap::from([(origin.clone(), 2)])).then_some(()));

    let (mut c, _) = start("c", None);
    let said = c.line(" is away: 127.0.0.1:");
    assert!(said.contains("user name is empty (registry_user, registry_password_file)"), "{said}");
    let (mut d, _) = start("d", Some(&bad));
    let said = d.line(" is away: 127.0.0.1:");
    assert!(said.contains("authentication failed"), "{said}");
    for daemon in [&a, &b, &c, &d] {
        assert!(daemon.log().iter().all(|line| !line.contains(PASSWORD) && !line.contains("potato")));
    }

    // What they were given for it ends: they get something new, and nobody notices.
    let node = Server::new(&origin).expect("an address");
    for n in 0..3 {
        cluster.forget_logins(&root, PASSWORD);
        let name = format!("a.more{n}");
        node.load(&json!({"name": name, "cmd": "sleep 1000"}), None, true, false).expect("it loads");
        eventually("it at b", || (!at_b.find_job(&name).ok()?.is_empty()).then_some(()));
    }
    eventually("all well", || {
        let health = ["a", "b"].map(|name| get(&folder, name, "/healthz"));
        let is_well = |health: &Value| health["registry"]["follows"] == true && health["registry"]["writes"] == true;
        health.iter().all(is_well).then_some(())
    });
    let away = |daemon: &Daemon| daemon.log().iter().filter(|line| line.contains(" is away: ")).count();
    assert_eq!((away(&a), away(&b)), (0, 0));

    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_gaffer_lookupd"));
    let args = ["--check", "--registry", &url, "--registry-user", "lookup", "--registry-password-file", &open];
    let said = command.args(args).output().expect("it runs");
    let words = String::from_utf8_lossy(&said.stderr);
    assert!(said.status.code() == Some(1) && words.contains("set its mode to 0600"), "{words}");
}

/// The file is read again when etcd refuses what it had before, whichever of the two is changed first.
#[test]
fn a_password_that_changes() {
    let Some(cluster) = Cluster::start(1) else { return };
    let (folder, url) = (Folder::new(), cluster.url());
    let root = cluster.protect("first");
    let write = |password: &str| {
        let path = folder.write_text("password", password);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).expect("a mode");
        path
    };
    let (file, socket) = (write("first"), format!("unix:{}", folder.text("a")));
    let args = ["--bind", &socket, "--registry", &url, "--registry-user", "lookup", "--registry-password-file", &file];
    let mut a = Daemon::lookupd(&args);
    a.line(": in use, by 127.0.0.1:");
    let config = folder.write_text("gafferd.ini", &format!("[gaffer]\nbind = 127.0.0.1:0\n{JOBS}"));
    let (_node, origin) = gafferd(&config, &[&socket]);
    let node = Server::new(&origin).expect("an address");
    let is_written = |label: &str| {
        let name = format!("late.{label}");
        node.load(&json!({"name": name, "cmd": "sleep 1000"}), None, true, false).expect("it loads");
        let end = format!("/jobs/{name}");
        eventually("it in etcd", || cluster.keys_as(&root).iter().any(|key| key.ends_with(&end)).then_some(()));
    };
    is_written("a");
    write("second");
    cluster.forget_logins(&root, "second");
    is_written("b");
    assert!(a.log().iter().all(|line| !line.contains(" is away: ")), "{:?}", a.log());

    cluster.forget_logins(&root, "third");
    assert!(a.line(" is away: 127.0.0.1:").contains("authentication failed"));
    write("third");
    a.line(": back, by 127.0.0.1:");
    is_written("c");

    // A file that cannot be used any more is told of; nothing of it is shown.
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).expect("a mode");
    a.signal(Signal::HUP);
    assert!(a.line("reload refused").contains("set its mode to 0600"));
    assert!(a.log().iter().all(|line| !line.contains("third")));
}

#[test]
fn files_without_use_are_refused() {
    for (args, why) in [
        (
            ["--registry", "memory", "--etcd-cacert", "x"],
            "etcd_cacert, etcd_cert and etcd_key are for a registry at etcds://…",
        ),
        (
            ["--registry", "etcd://a", "--etcd-cert", "x"],
            "etcd_cacert, etcd_cert and etcd_key are for a registry at etcds://…",
        ),
        (["--registry", "memory", "--registry-ttl", "5"], "registry_ttl is for a registry at etcd://…"),
        (["--registry", "etcds://a", "--etcd-cacert", "/nonexistent"], "/nonexistent"),
    ] {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_gaffer_lookupd"));
        let output = command.args(args).args(["--bind", "127.0.0.1:0"]).output().expect("it runs");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() == Some(1) && said.contains(why), "{said}");
    }
}

#[cfg(feature = "tls")]
mod tls {
    use super::*;
    use crate::pki::Pki;

    #[test]
    fn members_with_certificates() {
        let Some(pki) = Pki::new() else { return };
        let arg = |name: &str| pki.text(name);
        let own = [("--cert-file", "server.pem"), ("--key-file", "server.key"), ("--trusted-ca-file", "ca.pem")];
        let mut args = vec!["--client-cert-auth".to_owned()];
        own.iter().for_each(|(option, file)| args.extend([(*option).to_owned(), arg(file)]));
        let Some(cluster) = Cluster::with(1, "https", &args) else { return };
        let (folder, url) = (Folder::new(), cluster.url());
        let start = |name: &str, cacert: &str, cert: Option<&str>| {
            let socket = format!("unix:{}", folder.text(name));
            let mut args = vec!["--bind", &socket, "--registry", &url];
            let (cacert, cert) =
                (arg(cacert), cert.map(|name| [arg(&format!("{name}.pem")), arg(&format!("{name}.key"))]));
            args.extend(["--etcd-cacert", &cacert]);
            if let Some([cert, key]) = &cert {
                args.extend(["--etcd-cert", cert, "--etcd-key", key]);
            }
            (Daemon::lookupd(&args), LookupServer::new(&socket).expect("an address"))
        };
        let (mut a, at_a) = start("a", "ca.pem", Some("client"));
        let (mut b, at_b) = start("b", "ca.pem", Some("client"));
        a.line(": in use, by 127.0.0.1:");
        b.line(": in use, by 127.0.0.1:");
        let config = folder.write_text("gafferd.ini", &format!("[gaffer]\nbind = 127.0.0.1:0\n{JOBS}"));
        let (_node, origin) = gafferd(&config, &[&at_a.address()]);
        eventually("the node at b", || (web(&at_b)? == BTreeMap::from([(origin.clone(), 2)])).then_some(()));
        let (mut c, _) = start("c", "other.pem", Some("client"));
        c.line("no authority that is known here has signed it");
        let (mut d, _) = start("d", "ca.pem", None);
        d.line(" is away: 127.0.0.1:");
    }
}
