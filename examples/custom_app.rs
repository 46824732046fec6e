//! An application of the manager: a socket that tells whoever connects what is running.
//!
//! `cargo run --example custom_app`, which connects to itself once and ends.

#![allow(clippy::print_stdout)]

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;

use gaffer::event_loop::{Interest, Readiness, Source, SourceId};
use gaffer::manager::{App, Cx};
use gaffer::process::JobConfig;
use gaffer::{Error, Manager};

/// Answers each connection with one line a job.
struct Status {
    listener: Option<TcpListener>,
    source: Option<Source<TcpListener>>,
}

impl Status {
    fn bind(address: &str) -> gaffer::Result<(Self, SocketAddr)> {
        let failed = |e| Error::io(format!("cannot listen on {address}"), e);
        let listener = TcpListener::bind(address).map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        Ok((Self { listener: Some(listener), source: None }, address))
    }
}

impl App for Status {
    fn start(&mut self, cx: &mut Cx<'_>) -> gaffer::Result<()> {
        if let Some(listener) = self.listener.take() {
            self.source = Some(cx.register(listener, Interest::READ)?);
        }
        Ok(())
    }

    fn ready(&mut self, cx: &mut Cx<'_>, _: SourceId, _: Readiness) {
        let Some(source) = &self.source else { return };
        let mut answer = String::new();
        cx.walk(|job| answer += &format!("{} {:?} {}/{}\n", job.name, job.state, job.running, job.numprocesses));
        loop {
            match source.get_ref().accept() {
                // A few bytes fit into the socket's buffer; a client that has gone already is its own affair.
                Ok((mut client, _)) => drop(client.write_all(answer.as_bytes())),
                Err(e) if e.kind() == ErrorKind::WouldBlock => return,
                Err(_) => return,
            }
        }
    }
}

fn main() -> gaffer::Result<()> {
    let mut manager = Manager::new()?;
    let (status, address) = Status::bind("127.0.0.1:0")?;
    manager.add_app(status);
    manager.load(JobConfig::new("idle", "sleep 1000")?.numprocesses(2), true)?;

    let handle = manager.handle();
    let client = thread::spawn(move || {
        let mut answer = String::new();
        TcpStream::connect(address).and_then(|mut stream| stream.read_to_string(&mut answer)).map(|_| answer)
    });
    let ask = thread::spawn(move || {
        let answer = client.join().expect("the client does not panic");
        handle.stop()?;
        Ok::<_, Error>(answer)
    });

    manager.run()?;
    let answer = ask.join().expect("the client does not panic")?;
    print!("{}", answer.map_err(|e| Error::io("cannot ask for the status", e))?);
    Ok(())
}
