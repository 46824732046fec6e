//! What lies in `examples/`.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use gaffer::process::Signal;

use crate::support::{Done, Room, Running, quick, spawned};

/// A command in the room whose `cargo` builds what this test was built as.
fn with_cargo(room: &Room, mut command: Command) -> Command {
    // It needs its homes, and the flags of the build that it is part of, else it would build everything again.
    let kept = |name: &str| {
        ["CARGO_HOME", "RUSTUP_HOME", "HOME", "RUSTC", "RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS"].contains(&name)
            || name.starts_with("RUSTUP_")
            || name.starts_with("CARGO_BUILD_")
            || name.starts_with("CARGO_PROFILE_")
    };
    command.envs(std::env::vars_os().filter(|(name, _)| name.to_str().is_some_and(kept)));
    let cargo = Path::new(env!("CARGO")).parent().expect("a folder").to_path_buf();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path = std::env::join_paths([cargo].into_iter().chain(std::env::split_paths(&path))).expect("folders");
    command.env("PATH", path).env("CARGO_TARGET_DIR", target()).env("CARGO_NET_OFFLINE", "true");
    let _ = room;
    command
}

/// `target`: the binary is in `target/debug` or `target/release`.
fn target() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_gaffer")).ancestors().nth(2).expect("a folder")
}

/// Whether whoever runs the tests may run cargo, and write where it builds.
fn can_build() -> bool {
    let probe = target().join(format!("gaffer-probe-{}", std::process::id()));
    let writes = std::fs::create_dir(&probe).and_then(|()| std::fs::remove_dir(&probe)).is_ok();
    writes && Command::new(env!("CARGO")).arg("--version").output().is_ok_and(|ran| ran.status.success())
}

/// Runs an example to its end; `None`, loudly, where it cannot be built.
#[track_caller]
fn example(name: &str) -> Option<Done> {
    if !can_build() {
        let _ = writeln!(std::io::stderr(), "\nSKIPPED example {name}: this user cannot build it");
        return None;
    }
    let room = Room::empty();
    let mut command = with_cargo(&room, room.command(env!("CARGO")));
    command.args(["run", "--quiet", "--example", name]).current_dir(env!("CARGO_MANIFEST_DIR"));
    if !cfg!(debug_assertions) {
        command.arg("--release");
    }
    Some(Running::spawn(command).end().expect(0))
}

#[test]
fn embed() {
    let Some(done) = example("embed") else { return };
    assert_eq!(done.text().matches("default.worker says: working as worker").count(), 3, "{done}");
    assert_eq!(done.text().matches("ended with code 3").count(), 3, "{done}");
}

#[test]
fn custom_channel() {
    let Some(done) = example("custom_channel") else { return };
    done.says("you said: hello\nyou said: goodbye\n");
}

#[test]
fn threads() {
    let Some(done) = example("threads") else { return };
    let done = done.says("default.echo: through a pipe and back\n");
    assert_eq!(done.text().matches("spawn: Some(").count(), 3, "{done}");
}

#[test]
fn own_loop() {
    let Some(done) = example("own_loop") else { return };
    done.says("the host's loop has its turn\n").says("exit\n");
}

#[test]
fn custom_app() {
    let Some(done) = example("custom_app") else { return };
    assert_eq!(done.text(), "default.idle Active 2/2\n");
}

/// A port nobody listens on, with room for the types after it.
fn free_port() -> u16 {
    loop {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
        let port = listener.local_addr().expect("an address").port();
        if port < 65_000 {
            return port;
        }
    }
}

/// What a web server answers.
fn ask(port: u16) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    stream.write_all(b"GET /hello HTTP/1.1\r\nHost: localhost\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

#[test]
fn the_application() {
    // It may have to be built first.
    if example("custom_app").is_none() {
        return;
    }
    let room = Room::empty();
    quick(Duration::from_secs(1), || {
        let port = free_port();
        let args = format!("start --no-timestamp -d {}/examples -p {port}", env!("CARGO_MANIFEST_DIR"));
        let running = Running::spawn(with_cargo(&room, room.gaffer(&args)));
        running.wait_for(&format!("web.1    | listening on http://127.0.0.1:{port}/"));
        let answer = ask(port).expect("an answer");
        assert!(
            answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("\r\n\r\nhello from gaffer\n"),
            "{answer}"
        );
        running.wait_for("web.1    | GET /hello HTTP/1.1\n");
        running.wait_for("worker.1 | job 4 was too much\n");
        running.wait_until("the worker is back", |text| {
            spawned(text, "worker.1").len() == 2 && text.matches("job 1 done by worker.1").count() == 2
        });
        let done = running.stop(Signal::INT).expect(0).quietly();
        assert!(done.of("clock.1").contains(&"good-bye".to_owned()), "{done}");
        room.assert_empty();
        done.took
    });
}
