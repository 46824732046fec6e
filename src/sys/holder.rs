//! Who listens at a port, for the message that says it is taken.
//!
//! proc_pid_net(5), proc_pid_fd(5): sockets have an inode, and a descriptor of a process is a link to it. Elsewhere than on
//! Linux nobody is found.
#![forbid(unsafe_code)]

use std::fs;
use std::time::{Duration, Instant};

/// Longer it is not looked: there may be very many processes, and it is a courtesy.
const LIMIT: Duration = Duration::from_millis(100);

/// `python3 (pid 4711)`, which listens at this TCP port; none where that is not seen: others' descriptors are theirs.
pub(crate) fn of_tcp_port(port: u16) -> Option<String> {
    let end = Instant::now() + LIMIT;
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"].into_iter().filter_map(|path| fs::read_to_string(path).ok());
    let wanted: Vec<String> = tables.flat_map(|table| listeners(&table, port)).collect();
    if wanted.is_empty() {
        return None;
    }
    for process in fs::read_dir("/proc").ok()?.flatten() {
        if Instant::now() > end {
            return None;
        }
        let name = process.file_name();
        let Some(pid) = name.to_str().filter(|name| name.bytes().all(|b| b.is_ascii_digit())) else { continue };
        let Ok(descriptors) = fs::read_dir(process.path().join("fd")) else { continue };
        let mut links = descriptors.flatten().filter_map(|fd| fs::read_link(fd.path()).ok());
        if links.any(|link| link.to_str().is_some_and(|link| wanted.iter().any(|socket| socket == link))) {
            let comm = fs::read_to_string(process.path().join("comm")).ok()?;
            // Whoever names itself may do so with anything.
            let comm: String = comm.trim_end().chars().filter(|c| !c.is_control()).collect();
            return Some(format!("{comm} (pid {pid})"));
        }
    }
    None
}

/// `socket:[INODE]` of those that listen.
fn listeners(table: &str, port: u16) -> Vec<String> {
    // TCP_LISTEN of include/net/tcp_states.h.
    const LISTEN: &str = "0A";
    let of = |line: &str| {
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        let (_, own) = fields.get(1)?.rsplit_once(':')?;
        let here = u16::from_str_radix(own, 16) == Ok(port) && *fields.get(3)? == LISTEN;
        here.then(|| Some(format!("socket:[{}]", fields.get(9)?))).flatten()
    };
    table.lines().skip(1).filter_map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_those_that_listen_there() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
            0: 0100007F:13D7 00000000:0000 0A 00000000:00000000 00:00000000 00000000  0  0 4711 1 0 100 0 0 10 0\n\
            1: 0100007F:13D7 0100007F:0016 01 00000000:00000000 00:00000000 00000000  0  0 4712 1 0 100 0 0 10 0\n\
            2: 0100007F:13D8 00000000:0000 0A 00000000:00000000 00:00000000 00000000  0  0 4713 1 0 100 0 0 10 0\nx\n";
        assert_eq!(listeners(table, 5079), ["socket:[4711]"]);
        assert!(listeners(table, 1).is_empty() && listeners("", 5079).is_empty());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn we_are_found() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let end = Instant::now() + Duration::from_secs(30);
        // It takes longer than the limit where there are very many processes, and a child of another test has the descriptor
        // until it executes.
        let us = format!("(pid {})", std::process::id());
        while !of_tcp_port(port).is_some_and(|found| found.ends_with(&us)) {
            assert!(Instant::now() < end, "{us} is not seen at {port}: {:?}", of_tcp_port(port));
        }
    }
}
