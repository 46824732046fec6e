//! `gaffer apps`: which applications a node has.

use gaffer::cli::node::{self, Node, failure};
use gaffer::cli::{Code, Command, Failure};
use serde_json::json;

/// What `gaffer apps` is asked to do.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Apps {
    node: Node,
}

impl AsMut<Node> for Apps {
    fn as_mut(&mut self) -> &mut Node {
        &mut self.node
    }
}

pub(crate) fn command() -> Command<Apps> {
    node::options(Command::new("apps", "List the applications of the node."))
        .details("An application is what stands before the dot in `shop.web`.\nJSON: {\"apps\": [NAME...]}.")
}

pub(crate) fn run(asked: &Apps) -> Result<Code, Failure> {
    let apps = asked.node.server()?.sessions().map_err(failure)?;
    asked.node.print(|| json!({"apps": apps}), || apps.iter().map(|app| format!("{app}\n")).collect())?;
    Ok(Code::Ok)
}
