//! A descriptor of ours in a child: one end of a pair of sockets, over which we speak with it beside its standard streams.
//!
//! `cargo run --example custom_channel`

#![allow(clippy::print_stdout)]

use std::io::{BufRead, BufReader, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use gaffer::process::{Channel, JobConfig};
use gaffer::{Error, Manager};

fn main() -> gaffer::Result<()> {
    let mut manager = Manager::new()?;
    let handle = manager.handle();
    let supervisor = thread::spawn(move || manager.run());

    let (mut ours, theirs) = UnixStream::pair().map_err(|e| Error::io("cannot make a pair of sockets", e))?;
    let failed = |e| Error::io("the program does not answer", e);
    ours.set_read_timeout(Some(Duration::from_secs(10))).map_err(failed)?;

    // Custom channels are the descriptors after those of `custom_streams`: 3 here. Each process of the job gets the same
    // one, also the one that replaces it.
    let script = "while read question <&3; do echo \"you said: $question\" >&3; done";
    let mut config = JobConfig::new("oracle", script)?.shell(true);
    config.custom_channels.push(Channel(Arc::new(OwnedFd::from(theirs))));
    handle.call(move |m| m.load(config, true))??;

    let mut answers = BufReader::new(ours.try_clone().map_err(failed)?);
    for question in ["hello", "goodbye"] {
        writeln!(ours, "{question}").map_err(failed)?;
        let mut answer = String::new();
        answers.read_line(&mut answer).map_err(failed)?;
        print!("{answer}");
    }

    handle.stop()?;
    supervisor.join().expect("the loop does not panic")
}
