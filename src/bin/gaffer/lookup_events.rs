//! `gaffer lookup`: what changes, as lookup servers tell it.

use std::sync::mpsc::sync_channel;
use std::thread;
use std::time::Duration;

use gaffer::cli::node::{self, Node};
use gaffer::cli::{self, Code, Command, Failure};
use gaffer::client::{DEFAULT_LOOKUP, LookupEvent, LookupServer};
use gaffer::console::Now;

use crate::NAME;
use crate::lookup::{self, Servers};

/// So many events wait to be shown; then the servers wait.
const WAITING: usize = 1024;

/// The time between two tries of a server that does not answer.
const PAUSE: Duration = Duration::from_secs(2);

/// What `gaffer lookup` is asked to do.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Watch {
    node: Node,
    lookup: Servers,
}

impl AsMut<Node> for Watch {
    fn as_mut(&mut self) -> &mut Node {
        &mut self.node
    }
}

impl AsMut<Servers> for Watch {
    fn as_mut(&mut self) -> &mut Servers {
        &mut self.lookup
    }
}

const DETAILS: &str = "\
It goes on until interrupted; servers that do not answer are tried again. Where
several are named, each tells what it sees.

JSON: an object for each event, as /lookup of the server has it.";

pub(crate) fn command() -> Command<Watch> {
    let command = Command::new("lookup", "Show nodes, jobs and processes come and go.");
    node::screen(node::secure(lookup::option(command, DEFAULT_LOOKUP))).details(DETAILS)
}

pub(crate) fn run(asked: &Watch) -> Result<Code, Failure> {
    let servers = asked.lookup.alone(&asked.node)?;
    let (sender, receiver) = sync_channel(WAITING);
    for server in servers.servers().to_vec() {
        let sender = sender.clone();
        thread::spawn(move || follow(&server, |event| sender.send(event).is_ok()));
    }
    drop(sender);
    cli::end_with_reader();
    for event in receiver {
        cli::print(if asked.node.json { format!("{}\n", event.fields) } else { line(&event) })?;
    }
    Err(Failure::new(Code::Failed, "no lookup server is followed any more"))
}

/// Follows a server for ever, until nobody takes its events.
fn follow(server: &LookupServer, mut take: impl FnMut(LookupEvent) -> bool) {
    let mut lost = false;
    loop {
        let e = match server.events() {
            Ok(events) => {
                lost = false;
                let mut end = None;
                for event in events {
                    match event {
                        Ok(event) => {
                            if !take(event) {
                                return;
                            }
                        }
                        Err(e) => end = Some(e),
                    }
                }
                end
            }
            Err(e) => Some(e),
        };
        if let (false, Some(e)) = (lost, e) {
            cli::complain(NAME, format!("{e}; trying again", e = lookup::lost(e)));
            lost = true;
        }
        thread::sleep(PAUSE);
    }
}

/// `HH:MM:SS add_process | default.w: process id 2 spawned on ORIGIN`.
fn line(event: &LookupEvent) -> String {
    format!("{} {} | {}\n", Now::read().clock(), event.event, words(event))
}

fn words(event: &LookupEvent) -> String {
    let (job, pid, node) = (event.job().unwrap_or_default(), event.pid().unwrap_or_default(), &event.node);
    let origin = &node.origin;
    match event.event.as_str() {
        "add_node" => "add node".to_owned(),
        "identify" => format!("{}: {origin}", node.name),
        "remove_node" => format!("{}: node {origin}", node.name),
        "add_job" => format!("load {job} in {origin}"),
        "remove_job" => format!("unload {job} in {origin}"),
        "add_process" => format!("{job}: process id {pid} spawned on {origin}"),
        "remove_process" => format!("{job}: process id {pid} exited on {origin}"),
        other => format!("{other} on {origin}"),
    }
}
