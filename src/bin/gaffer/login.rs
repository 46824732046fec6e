//! `gaffer login`: a key for a name and a password, remembered for the node.

use gaffer::cli::node::{self, Node, failure};
use gaffer::cli::{Code, Command, Failure, Opt, password_of, user_name};
use gaffer::client::Server;
use gaffer::config::ClientConfig;
use gaffer::{Error, ErrorKind};

use crate::app::set;

/// What `gaffer login` is asked to do.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Login {
    node: Node,
    username: Option<String>,
    password: Option<String>,
}

impl AsMut<Node> for Login {
    fn as_mut(&mut self) -> &mut Node {
        &mut self.node
    }
}

const DETAILS: &str = "\
The key is kept as `key` of [node \"URL\"] in GAFFER_CONFIG, else in
~/.gaffer/gaffer.ini, and shown to the node by all commands from then on.
JSON: {\"username\", \"key\"}, the key by its id.";

pub(crate) fn command() -> Command<Login> {
    let command = Command::new("login", "Log in to a node that asks for keys.")
        .option(
            Opt::value("username", "NAME", "The user.").short('u').default("it is asked for"),
            |a: &mut Login, v| set(&mut a.username, Some(v.string()?)),
        )
        .option(
            Opt::value("password", "PASSWORD", "The password; other users can see it here.")
                .short('p')
                .default("it is asked for"),
            |a, v| set(&mut a.password, Some(v.string()?)),
        );
    node::options(command).details(DETAILS)
}

pub(crate) fn run(asked: &Login) -> Result<Code, Failure> {
    let server = asked.node.server()?;
    // Before a password is asked for: there is no use in it without a place for the key.
    let file = ClientConfig::file_of_user(|name| std::env::var_os(name))
        .ok_or_else(|| Failure::usage("there is no place for the key: set HOME or GAFFER_CONFIG"))?;
    let name = user_name(asked.username.as_deref())?;
    let password = password_of(&name, asked.password.as_deref())?;
    let new = server.authenticate(&name, &password).map_err(|e| match e.kind() {
        ErrorKind::Forbidden => Failure::new(Code::NotAllowed, e.to_string()),
        ErrorKind::NotFound => not_asked(&e),
        _ => failure(e),
    })?;
    let is_it = |known: &str| Server::new(known).is_ok_and(|known| known.address() == server.address());
    ClientConfig::remember(&file, &server.address(), is_it, &new.key)?;
    let json = || serde_json::json!({"username": name, "key": new.id});
    asked.node.print(json, || format!("User '{name}' authenticated.\n"))?;
    Ok(Code::Ok)
}

fn not_asked(e: &Error) -> Failure {
    Failure::new(Code::Failed, e.to_string())
}
