//! Websockets and server-sent events by the clients that people use: Python's `websockets`, node's `ws` and `eventsource`.

use std::process::{Command, Stdio};

use crate::util::{Node, run_script, script, skip, tools};

const CONFIG: &str = "allow_origins = http://page.example\n\
    [process:cat]\ncmd = cat\nredirect_input = true\nredirect_output = out\n\
    [process:clock]\ncmd = sh -c 'while :; do echo tick; sleep 0.1; done'\nredirect_output = out\n\
    [process:web]\ncmd = sleep 1000\n";

/// Whether this command ends well.
fn works(command: &mut Command) -> bool {
    let status = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}

fn python() -> Command {
    let mut command = Command::new("python3");
    command.env("PYTHONPATH", tools().join("python")).env("PYTHONDONTWRITEBYTECODE", "1");
    command
}

/// node with this package.
fn node_with(package: &str) -> Option<Command> {
    let node = || {
        let mut command = Command::new("node");
        command.env("NODE_PATH", tools().join("node_modules"));
        command
    };
    works(node().args(["-e", &format!("require('{package}')")])).then(node)
}

#[test]
fn websockets_of_python() {
    if !works(python().args(["-c", "import websockets.sync.client"])) {
        return skip("websockets_of_python", "python3 has no `websockets`");
    }
    let node = Node::new(CONFIG);
    let (cat, clock) = (node.pids("cat", 1)[0], node.pids("clock", 1)[0]);
    run_script(python().arg(script("websockets_echo.py")).args([&node.address, &cat.to_string(), &clock.to_string()]));
}

#[test]
fn channels_by_websockets_of_python() {
    if !works(python().args(["-c", "import websockets.sync.client"])) {
        return skip("channels_by_websockets_of_python", "python3 has no `websockets`");
    }
    let node = Node::new(CONFIG);
    let cat = node.pids("cat", 1)[0];
    run_script(python().arg(script("channel.py")).args([&node.address, &cat.to_string()]));
}

#[test]
fn ws_of_node() {
    let Some(mut command) = node_with("ws") else { return skip("ws_of_node", "node has no `ws`") };
    let node = Node::new(CONFIG);
    let cat = node.pids("cat", 1)[0];
    run_script(command.arg(script("ws_echo.js")).args([&node.address, &cat.to_string()]));
}

#[test]
fn eventsource_of_node() {
    let Some(mut command) = node_with("eventsource") else {
        return skip("eventsource_of_node", "node has no `eventsource`");
    };
    let node = Node::new(CONFIG);
    node.pids("web", 1);
    run_script(command.arg(script("eventsource_resume.js")).arg(&node.address));
}
