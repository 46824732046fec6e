//! `gafferctl watch`: what happens, as it happens.

use gaffer::cli::{self, Code, Command, Failure};
use gaffer::client::Event;
use gaffer::process::JobName;

use crate::NAME;
use gaffer::cli::node::{self, Node, failure};

/// What `watch` is asked to do.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Watch {
    node: Node,
    pattern: Option<String>,
}

impl AsMut<Node> for Watch {
    fn as_mut(&mut self) -> &mut Node {
        &mut self.node
    }
}

pub(crate) fn command() -> Command<Watch> {
    let command = Command::new("watch", "Print what happens, until interrupted.").words(
        "[PATTERN]",
        "A topic, all by default: `exit`, `proc.web`, `proc.*.exit`.",
        |a: &mut Watch, v| {
            if a.pattern.is_some() {
                return Err(Failure::usage(format!("unexpected argument `{}`", v.string()?)));
            }
            a.pattern = Some(v.string()?);
            Ok(())
        },
    );
    node::options(command).details(
        "Each event comes twice, as `exit` and as `proc.NAME.exit`, unless the pattern\n\
         is one of them. Ends with 69 when the node ends.\n\
         JSON: one event a line, as the API has it: {\"event\", \"topic\", \"time\",\n\
         \"name\", ...}.",
    )
}

pub(crate) fn run(asked: &Watch) -> Result<Code, Failure> {
    let server = asked.node.server()?;
    let events = server.watch(asked.pattern.as_deref().unwrap_or(".")).map_err(failure)?;
    cli::end_with_reader();
    for event in events {
        let event = event.map_err(failure)?;
        if asked.node.json {
            cli::print(format!("{}\n", event.fields))?;
        } else if event.event == "gap" {
            cli::complain(NAME, gap(&event));
        } else {
            cli::print(line(&event))?;
        }
    }
    Err(Failure::new(Code::Unreachable, format!("{} has ended the feed: the node stops", server.address())))
}

/// `HH:MM:SS name | event name`.
fn line(event: &Event) -> String {
    let name = event.name.as_ref().map_or("gafferd", JobName::short);
    format!("{} {name} | {} {name}\n", event.time_of_day(), event.topic)
}

fn gap(event: &Event) -> String {
    match event.fields["dropped"].as_u64() {
        Some(n) => format!("{n} events are missing here: they came faster than they were read"),
        None => "events are missing here: the node has forgotten them".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gaffer::cli::Asked;

    #[test]
    fn words() {
        for (line, want) in [("", None), ("proc.web", Some("proc.web"))] {
            let Ok(Asked::Run(asked)) = command().parse(line.split_whitespace().map(Into::into)) else { panic!() };
            assert_eq!(asked.pattern.as_deref(), want);
        }
        assert!(command().parse(["a".into(), "b".into()]).is_err());
    }
}
