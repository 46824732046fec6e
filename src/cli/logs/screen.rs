//! Lines of output and events, as a terminal or a program gets them.

use std::collections::HashMap;
use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError};
use std::time::{Instant, SystemTime};

use super::event;
use crate::cli::names::shown;
use crate::cli::node::Node;
use crate::cli::{Failure, complain, print};
use crate::client::{self, LogOutput, LogPiece};
use crate::console::{Now, Options, Printer, Verbosity};
use crate::process::{JobName, Pid};

/// So much is written at a time.
const BATCH: usize = 64 * 1024;

/// What comes from nodes, in the order in which it is shown.
#[derive(Debug)]
#[non_exhaustive]
pub enum Message {
    /// Output.
    Piece(LogPiece),
    /// An event, with the N of `label.N`.
    Event(client::Event, Option<u32>),
    /// This is the end, and why.
    Failed(Failure),
    /// There is no more output.
    End,
}

/// Shows it.
#[derive(Debug)]
pub struct Screen {
    tool: &'static str,
    printer: Printer,
    /// Jobs of this session are shown without it.
    session: String,
    json: bool,
    /// The N of processes that are known.
    names: HashMap<Pid, u32>,
}

impl Screen {
    /// Of this tool, which leaves the session out where it is this one.
    #[must_use]
    pub fn new(tool: &'static str, node: &Node, session: String) -> Self {
        let options = Options::default().color(node.colors()).verbosity(Verbosity::Verbose);
        Self { tool, printer: Printer::new(options), session, json: node.json, names: HashMap::new() }
    }

    /// Processes of these jobs are to come: their names line up from the first one on.
    pub fn reserve(&mut self, job: &JobName, numprocesses: u32) {
        let name = shown(job, &self.session).to_owned();
        (1..=numprocesses).for_each(|n| self.printer.reserve(&format!("{name}.{n}")));
    }

    /// Shows what comes, until the end.
    ///
    /// # Errors
    ///
    /// That of [`Message::Failed`], or standard output is closed.
    pub fn show(&mut self, receiver: &Receiver<Message>) -> Result<(), Failure> {
        loop {
            let message = match receiver.try_recv() {
                Ok(message) => message,
                Err(TryRecvError::Disconnected) => break,
                Err(TryRecvError::Empty) => {
                    self.write()?;
                    match self.wait(receiver) {
                        Ok(message) => message,
                        Err(RecvTimeoutError::Timeout) => {
                            self.printer.timeout(Now::read());
                            continue;
                        }
                        Err(RecvTimeoutError::Disconnected) => break,
                    }
                }
            };
            match message {
                Message::Piece(LogPiece::Output(output)) => self.output(&output),
                Message::Piece(LogPiece::Gap(dropped)) => self.gap(dropped),
                Message::Event(event, instance) => self.event(&event, instance),
                Message::Failed(failure) => {
                    self.end()?;
                    return Err(failure);
                }
                Message::End => break,
            }
            if self.printer.buffer().len() >= BATCH {
                self.write()?;
            }
        }
        self.end()
    }

    fn wait(&self, receiver: &Receiver<Message>) -> Result<Message, RecvTimeoutError> {
        match self.printer.deadline() {
            Some(at) => receiver.recv_timeout(at.saturating_duration_since(Instant::now())),
            None => receiver.recv().map_err(|_| RecvTimeoutError::Disconnected),
        }
    }

    /// Shows what is left.
    ///
    /// # Errors
    ///
    /// Standard output is closed.
    pub fn end(&mut self) -> Result<(), Failure> {
        self.printer.finish(Now::read());
        self.write()
    }

    /// Writes what was shown.
    ///
    /// # Errors
    ///
    /// Standard output is closed.
    pub fn write(&mut self) -> Result<(), Failure> {
        let buffer = self.printer.buffer();
        if !buffer.is_empty() {
            print(&*buffer)?;
            buffer.clear();
        }
        Ok(())
    }

    fn line(&mut self, json: &serde_json::Value) {
        self.printer.buffer().extend_from_slice(format!("{json}\n").as_bytes());
    }

    /// Shows a piece of output.
    pub fn output(&mut self, output: &LogOutput) {
        if self.json {
            return self.line(&output.fields);
        }
        if self.names.insert(output.pid, output.instance).is_none() {
            let name = shown(&output.name, &self.session);
            // One of several nodes goes before the name.
            let place = output.fields["node"].as_str().map(|node| format!("{}/", short(node)));
            let name = format!("{}{name}", place.unwrap_or_default());
            self.printer.process(output.pid, Some(output.os_pid), &name, output.instance);
        }
        let stream = match output.fd {
            1 => "stdout",
            2 => "stderr",
            _ => &output.label,
        };
        self.printer.output(output.pid, stream, &output.data, at(output.time));
    }

    fn gap(&mut self, dropped: Option<u64>) {
        if self.json {
            return self.line(&serde_json::json!({"event": "gap", "dropped": dropped}));
        }
        let what = match dropped {
            Some(n) => format!("{n} lines are missing here: they came faster than they were read"),
            None => "older lines are left out".to_owned(),
        };
        complain(self.tool, what);
    }

    fn event(&mut self, event: &client::Event, instance: Option<u32>) {
        if self.json {
            return self.line(&event.fields);
        }
        let known = event.pid.and_then(|pid| self.names.get(&pid).copied());
        let instance = instance.or(known);
        if let (Some(pid), Some(instance)) = (event.pid, instance) {
            self.names.insert(pid, instance);
        }
        match event::read(event) {
            Some(event) => self.printer.event(&event, instance),
            None if event.event == "gap" => complain(self.tool, "events are missing here"),
            None => {}
        }
    }
}

fn at(wall: SystemTime) -> Now {
    Now { wall, instant: Instant::now() }
}

/// The address of a node without what all have.
#[must_use]
pub fn short(origin: &str) -> &str {
    origin.split_once("://").map_or(origin, |(_, rest)| rest)
}
