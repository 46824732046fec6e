//! What many processes use is told without holding anybody else up.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use gaffer::Manager;
use gaffer::process::JobConfig;
use gaffer::server::{Config, HttpServer, LocalAddr, api};

use crate::descriptors::may_have;
use crate::node::PATIENCE;

const PROCESSES: usize = 500;

fn send(address: SocketAddr, path: &str) -> (TcpStream, Vec<u8>) {
    let mut stream = TcpStream::connect(address).expect("it listens");
    let head = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).expect("it takes it");
    stream.set_nonblocking(true).expect("a socket");
    (stream, Vec::new())
}

/// Takes what has come; whether that was all.
fn take((stream, answer): &mut (TcpStream, Vec<u8>)) -> bool {
    match stream.read_to_end(answer) {
        Ok(_) => true,
        Err(e) if e.kind() == ErrorKind::WouldBlock => false,
        Err(e) => panic!("{e}"),
    }
}

/// The test takes the turns itself, so what comes first does not depend on the machine.
#[test]
fn five_hundred_processes_do_not_hold_others_up() {
    if !may_have(1_500, "five_hundred_processes_do_not_hold_others_up") {
        return;
    }
    let mut server = HttpServer::bind(Config::default().endpoint("127.0.0.1:0".parse().expect("valid"))).expect("free");
    server.routes(api::ROUTES).expect("valid");
    let Some(&LocalAddr::Tcp(address)) = server.local_addrs().first() else { panic!("it is TCP") };
    let mut manager = Manager::new().expect("a manager");
    manager.add_app(server);
    let many = JobConfig::new("many", "sleep 1000").expect("valid").numprocesses(PROCESSES as u32);
    manager.load(many, true).expect("it loads");
    let start = Instant::now();
    let turn = |manager: &mut Manager| {
        assert!(start.elapsed() < PATIENCE * 3, "{manager:?}");
        let _ = manager.turn(Some(Duration::from_millis(50))).expect("a turn");
    };
    while !manager.list().iter().all(|pid| manager.process(*pid).is_ok_and(|process| process.os_pid.is_some())) {
        turn(&mut manager);
    }

    for path in ["/stats", "/stats/many", "/jobs/default/many/stats", "/metrics"] {
        let mut stats = send(address, path);
        while manager.surveys() == 0 {
            turn(&mut manager);
        }
        let mut pings = 0;
        let mut ping = send(address, "/ping");
        let mut turns = 0;
        while !take(&mut stats) {
            if take(&mut ping) {
                assert!(ping.1.ends_with(b"OK"), "{}", String::from_utf8_lossy(&ping.1));
                pings += 1;
                ping = send(address, "/ping");
            }
            turn(&mut manager);
            turns += 1;
        }
        let text = String::from_utf8(stats.1).expect("text");
        let each = if path == "/metrics" { "gaffer_process_threads{" } else { "\"cmdline\":\"sleep 1000\"" };
        assert_eq!(text.matches(each).count(), PROCESSES, "{path}: {} bytes", text.len());
        eprintln!("{path}: {turns} turns, {pings} pings");
        assert!(pings > 0, "{path} took {turns} turns, and nobody was served meanwhile");
        assert_eq!(manager.surveys(), 0);
    }
    eprintln!("longest turn: {:?}", manager.turn_times().longest());

    // Whoever asks meanwhile shares the next look through the system.
    let mut all: Vec<_> = (0..20).map(|_| send(address, "/stats")).collect();
    let mut open = all.len();
    while open > 0 {
        turn(&mut manager);
        all.retain_mut(|one| !take(one));
        open = all.len();
    }
    // A client that goes takes its work along.
    let gone = send(address, "/stats");
    while manager.surveys() == 0 {
        turn(&mut manager);
    }
    gone.0.set_nonblocking(false).expect("a socket");
    drop(gone);
    while manager.surveys() > 0 {
        turn(&mut manager);
    }
    manager.stop_now();
    while manager.turn(None).expect("a turn") == gaffer::manager::Status::Running {}
}
