//! `gafferctl groups`, `group_start`, `group_stop`, `group_restart` and `group_remove`.

use gaffer::cli::{Code, Command, Failure};
use gaffer::client::{Job, Server};
use gaffer::process::Pid;
use serde_json::json;

use gaffer::cli::names::{each, is_pattern, matches_text};
use gaffer::cli::node::{self, Node, failure};
use gaffer::cli::wait::{self, State, Wait};

use crate::NAME;

/// What one of them is asked to do.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Groups {
    node: Node,
    wait: Wait,
    words: Vec<String>,
}

impl AsMut<Node> for Groups {
    fn as_mut(&mut self) -> &mut Node {
        &mut self.node
    }
}

impl AsMut<Wait> for Groups {
    fn as_mut(&mut self) -> &mut Wait {
        &mut self.wait
    }
}

/// What can be done to a group.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Verb {
    Start,
    Stop,
    Restart,
    Remove,
}

const VERBS: [(&str, Verb); 4] =
    [("start", Verb::Start), ("stop", Verb::Stop), ("restart", Verb::Restart), ("remove", Verb::Remove)];

pub(crate) fn command() -> Command<Groups> {
    let words = "Nothing lists the groups, one name the jobs of that group; VERB is start, stop, restart or remove.";
    options(Command::new("groups", "List the groups, or start, stop, restart or remove one."))
        .aliases(&["sessions"])
        .words("[NAME | VERB NAME...]", words, |a, v| {
            a.words.push(v.string()?);
            Ok(())
        })
        .check(|a| match &a.words[..] {
            [] | [_] if a.wait.is_asked() => Err(Failure::usage("--wait goes with a verb")),
            [] | [_] => Ok(()),
            [verb, ..] if VERBS.iter().any(|(name, _)| name == verb) => Ok(()),
            [verb, ..] => Err(Failure::usage(format!(
                "unknown verb `{verb}`: expected start, stop, restart or remove{}",
                gaffer::suggest::hint(verb, VERBS.map(|(name, _)| name))
            ))),
        })
        .details(
            "A group is a session: the part before the dot in `shop.web`.\n\
             JSON: {\"groups\": [NAME...]}; of one group {\"group\": NAME, \"jobs\": [NAME...]};\n\
             of a verb {\"ok\": true, \"groups\": [NAME...]}.",
        )
}

pub(crate) fn verb(verb: Verb) -> Command<Groups> {
    let (command, aliases): (_, &[&str]) = match verb {
        Verb::Start => (Command::new("group_start", "Start all jobs of a group."), &["start_group"]),
        Verb::Stop => (Command::new("group_stop", "Stop all jobs of a group."), &["stop_group"]),
        Verb::Restart => (Command::new("group_restart", "Restart the active jobs of a group."), &["restart_group"]),
        Verb::Remove => (Command::new("group_remove", "Stop all jobs of a group and forget them."), &["remove_group"]),
    };
    options(command)
        .aliases(aliases)
        .words("NAME...", "`*` and `?` match any text and any character.", |a, v| {
            a.words.push(v.string()?);
            Ok(())
        })
        .check(|a| if a.words.is_empty() { Err(Failure::usage("NAME is missing")) } else { Ok(()) })
        .details("JSON: {\"ok\": true, \"groups\": [NAME...]}, with those that were changed.")
}

fn options(command: Command<Groups>) -> Command<Groups> {
    node::options(wait::option(command))
}

pub(crate) fn run(asked: &Groups) -> Result<Code, Failure> {
    match &asked.words[..] {
        [] => {
            let groups = asked.node.server()?.groups().map_err(failure)?;
            asked
                .node
                .print(|| json!({"groups": groups}), || groups.iter().map(|name| format!("{name}\n")).collect())?;
            Ok(Code::Ok)
        }
        [group] => {
            let jobs = asked.node.server()?.get_group(group).map_err(failure)?;
            let json = || json!({"group": group, "jobs": jobs});
            asked.node.print(json, || jobs.iter().map(|name| format!("{name}\n")).collect())?;
            Ok(Code::Ok)
        }
        [verb, names @ ..] => match VERBS.iter().find(|(name, _)| name == verb) {
            Some((_, verb)) => act(asked, names, *verb),
            None => Err(Failure::usage(format!("unknown verb `{verb}`"))),
        },
    }
}

pub(crate) fn change(asked: &Groups, verb: Verb) -> Result<Code, Failure> {
    act(asked, &asked.words, verb)
}

fn act(asked: &Groups, names: &[String], verb: Verb) -> Result<Code, Failure> {
    let server = asked.node.server()?;
    let groups = resolve(&server, names)?;
    let deadline = wait::deadline(asked.node.timeout);
    let (done, code) = each(NAME, &groups, |group| {
        let jobs = if asked.wait.is_asked() { before(&server, group, verb)? } else { Vec::new() };
        match verb {
            Verb::Start => server.start_group(group),
            Verb::Stop => server.stop_group(group),
            Verb::Restart => server.restart_group(group),
            Verb::Remove => server.remove_group(group),
        }
        .map_err(failure)?;
        Ok((group, jobs))
    });
    let (done, waited) = each(NAME, &done, |(group, jobs)| {
        let natural = if matches!(verb, Verb::Start | Verb::Restart) { State::Running } else { State::Stopped };
        if let Some(state) = asked.wait.state(natural) {
            for (job, old) in jobs {
                wait::job(&server, job, state, old.clone(), deadline)?;
            }
        }
        Ok((*group).clone())
    });
    let code = if code == Code::Ok { waited } else { code };
    let ok = code == Code::Ok;
    asked.node.print(|| json!({"ok": ok, "groups": done}), || if ok { "ok\n".to_owned() } else { String::new() })?;
    Ok(code)
}

/// The jobs that will change, and their processes.
fn before(server: &Server, group: &str, verb: Verb) -> Result<Vec<(Job, Vec<Pid>)>, Failure> {
    let mut jobs = Vec::new();
    for name in server.jobs(Some(group)).map_err(failure)? {
        let job = server.job(&name).map_err(failure)?;
        let info = job.info().map_err(failure)?;
        match verb {
            Verb::Start => jobs.push((job, Vec::new())),
            // It stays as it is.
            Verb::Restart if !info.status.is_active() => {}
            Verb::Restart => jobs.push((job, wait::replaced(info))),
            _ => jobs.push((job, wait::all(info))),
        }
    }
    Ok(jobs)
}

fn resolve(server: &Server, names: &[String]) -> Result<Vec<String>, Failure> {
    let mut groups: Vec<String> = Vec::new();
    for name in names {
        let mut found = vec![name.clone()];
        if is_pattern(name) {
            found = server.groups().map_err(failure)?;
            found.retain(|group| matches_text(name, group));
            if found.is_empty() {
                return Err(Failure::new(Code::NoSuch, format!("no group matches `{name}`")));
            }
        }
        for group in found {
            if !groups.contains(&group) {
                groups.push(group);
            }
        }
    }
    Ok(groups)
}

#[cfg(test)]
mod tests {
    use super::*;
    use gaffer::cli::Asked;

    #[test]
    fn words() {
        for line in ["", "shop", "start", "start shop", "stop a b*", "--wait remove shop"] {
            let Ok(Asked::Run(_)) = command().parse(line.split_whitespace().map(Into::into)) else { panic!("{line}") };
        }
        for line in ["strat shop", "--wait", "--wait shop"] {
            assert!(command().parse(line.split_whitespace().map(Into::into)).is_err(), "{line}");
        }
        for (_, verb) in VERBS {
            let Ok(Asked::Run(asked)) = super::verb(verb).parse(["--wait".into(), "shop".into()]) else { panic!() };
            assert!(asked.wait.is_asked() && asked.words == ["shop"]);
            assert!(super::verb(verb).parse([]).is_err());
        }
    }
}
