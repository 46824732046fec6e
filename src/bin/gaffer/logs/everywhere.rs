//! `gaffer --lookup … logs`: what the nodes of an application have written, as one.

use std::sync::mpsc::sync_channel;
use std::thread;

use gaffer::cli::logs::{LINES, Message, Screen, WAITING};
use gaffer::cli::node::failure;
use gaffer::cli::{self, Code, Failure};
use gaffer::client::{LogOutput, LogPiece, LogQuery, Server};
use gaffer::process::Pid;

use super::Logs;
use crate::NAME;

/// The number of a node goes before those of its processes, which are its own only.
const NODE_BITS: u32 = 48;

pub(super) fn run(asked: &Logs, mut screen: Screen) -> Result<Code, Failure> {
    if asked.wanted.events {
        return Err(Failure::usage("--events is for one node; with --lookup, see `gaffer lookup`"));
    }
    let (query, sessions) = query(asked)?;
    let mut nodes: Vec<(String, Server)> = Vec::new();
    for session in &sessions {
        for node in asked.remote.lookup.nodes_of(&asked.remote.node, session)? {
            if !nodes.iter().any(|(origin, _)| *origin == node.0) {
                nodes.push(node);
            }
        }
    }
    if asked.wanted.follows() { follow(&query, nodes, screen) } else { show(asked, &query, nodes, &mut screen) }
}

/// Words without a session are applications here.
fn query(asked: &Logs) -> Result<(LogQuery, Vec<String>), Failure> {
    let named = match &asked.remote.session {
        Some(_) => Some(asked.remote.session()?),
        None if asked.wanted.jobs.is_empty() => Some(asked.remote.session()?),
        None => None,
    };
    let mut query = asked.wanted.query(asked.jobs(named.as_deref().unwrap_or_default()));
    if let Some(session) = named {
        if asked.wanted.jobs.is_empty() {
            query.jobs = vec![format!("{session}.*")];
        }
    } else {
        let pattern = |word: &String| if word.contains(['.', '/', ':']) { word.clone() } else { format!("{word}.*") };
        query.jobs = asked.wanted.jobs.iter().map(pattern).collect();
    }
    let mut sessions: Vec<String> = Vec::new();
    for job in &query.jobs {
        let session = job.split(['.', '/', ':']).next().unwrap_or_default();
        if session.contains(['*', '?']) {
            return Err(Failure::usage(format!("`{job}`: with --lookup the application is named, not a pattern")));
        }
        if !sessions.iter().any(|known| known == session) {
            sessions.push(session.to_owned());
        }
    }
    Ok((query, sessions))
}

/// What was written, by time.
fn show(asked: &Logs, query: &LogQuery, nodes: Vec<(String, Server)>, screen: &mut Screen) -> Result<Code, Failure> {
    let (mut all, mut code): (Vec<Box<LogOutput>>, _) = (Vec::new(), Code::Ok);
    for (n, (origin, server)) in nodes.into_iter().enumerate() {
        let read = || server.logs(query).and_then(Iterator::collect::<gaffer::Result<Vec<LogPiece>>>);
        match read() {
            Ok(pieces) => all.extend(pieces.into_iter().filter_map(|piece| match piece {
                LogPiece::Output(output) => Some(of_node(output, n, &origin)),
                _ => None,
            })),
            Err(e) => {
                let f = failure(e);
                code = f.code();
                cli::complain(NAME, format!("{origin}: {f}"));
            }
        }
    }
    all.sort_by_key(|output| output.time);
    let lines = usize::try_from(asked.wanted.lines.unwrap_or(LINES)).unwrap_or(usize::MAX);
    for output in &all[all.len().saturating_sub(lines)..] {
        screen.output(output);
        screen.write()?;
    }
    screen.end()?;
    Ok(code)
}

/// What is written, as it comes.
fn follow(query: &LogQuery, nodes: Vec<(String, Server)>, mut screen: Screen) -> Result<Code, Failure> {
    cli::end_with_reader();
    let (sender, receiver) = sync_channel(WAITING);
    for (n, (origin, server)) in nodes.into_iter().enumerate() {
        let (sender, query) = (sender.clone(), query.clone());
        thread::spawn(move || {
            let why = match server.logs(&query) {
                Ok(pieces) => {
                    let mut why = None;
                    for piece in pieces {
                        let message = match piece {
                            Ok(LogPiece::Output(output)) => LogPiece::Output(of_node(output, n, &origin)),
                            Ok(other) => other,
                            Err(e) => {
                                why = Some(failure(e).to_string());
                                break;
                            }
                        };
                        if sender.send(Message::Piece(message)).is_err() {
                            return;
                        }
                    }
                    why.unwrap_or_else(|| "the node has ended the feed".to_owned())
                }
                Err(e) => failure(e).to_string(),
            };
            // The others go on.
            cli::complain(NAME, format!("{origin}: {why}"));
        });
    }
    drop(sender);
    screen.show(&receiver)?;
    Err(Failure::new(Code::Unreachable, "no node is followed any more"))
}

/// The same with what tells it from those of other nodes.
fn of_node(mut output: Box<LogOutput>, n: usize, origin: &str) -> Box<LogOutput> {
    output.pid = Pid(output.pid.0 | (n as u64) << NODE_BITS);
    output.fields["node"] = origin.into();
    output
}
