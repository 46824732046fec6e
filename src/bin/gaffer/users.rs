//! `gaffer user`, `user:add`, `user:del`, `user:setpassword`, `user:setkey`: the users of a node.

use gaffer::cli::node::{self, Node, failure};
use gaffer::cli::{Code, Command, Failure, Opt, password_of, user_name};
use gaffer::{Error, ErrorKind};
use serde_json::json;

use crate::app::set;

/// What one of them is asked to do.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Users {
    node: Node,
    name: Option<String>,
    password: Option<String>,
    key: Option<String>,
    admin: bool,
}

impl AsMut<Node> for Users {
    fn as_mut(&mut self) -> &mut Node {
        &mut self.node
    }
}

fn command(name: &'static str, about: &'static str) -> Command<Users> {
    Command::new(name, about).words("[USERNAME]", "The user.", |a: &mut Users, v| {
        let word = v.string()?;
        if a.name.is_some() {
            return Err(Failure::usage(format!("unexpected argument `{word}`")));
        }
        set(&mut a.name, Some(word))
    })
}

fn with_password(command: Command<Users>) -> Command<Users> {
    let help = "The password; other users can see it here.";
    let option = Opt::value("password", "PASSWORD", help).short('p').default("it is asked for");
    command.option(option, |a, v| set(&mut a.password, Some(v.string()?)))
}

fn with_key(command: Command<Users>, help: &'static str) -> Command<Users> {
    command.option(Opt::value("key", "ID", help).short('k'), |a, v| set(&mut a.key, Some(v.string()?)))
}

fn needs_name(command: Command<Users>) -> Command<Users> {
    let check = |a: &Users| if a.name.is_none() { Err(Failure::usage("USERNAME is missing")) } else { Ok(()) };
    node::options(command.check(check))
}

pub(crate) fn show_command() -> Command<Users> {
    node::options(command("user", "Show a user, or the names of all."))
        .details("JSON: {\"users\": [NAME...]}, or {\"username\", \"user_type\", \"key\"}.")
}

pub(crate) fn add_command() -> Command<Users> {
    let command = with_password(command("user:add", "Make a user."))
        .option(Opt::switch("admin", "An administrator."), |a, _| set(&mut a.admin, true));
    node::options(with_key(command, "The id of the key whose rights a login has."))
        .details("Without a key a user cannot log in. JSON: {\"ok\": true}.")
}

pub(crate) fn del_command() -> Command<Users> {
    needs_name(command("user:del", "Remove a user and its logins; its key stays.")).details("JSON: {\"ok\": true}.")
}

pub(crate) fn set_password_command() -> Command<Users> {
    needs_name(with_password(command("user:setpassword", "Set a user's password; its logins end.")))
        .details("JSON: {\"ok\": true}.")
}

pub(crate) fn set_key_command() -> Command<Users> {
    let command = command("user:setkey", "Set a user's key, or take it away; its logins end.");
    needs_name(with_key(command, "The id of the key; without one the user has none.")).details("JSON: {\"ok\": true}.")
}

/// What the node has refused. What is not found here is a key or a user.
pub(crate) fn refused(error: Error) -> Failure {
    match error.kind() {
        ErrorKind::NotFound => Failure::new(Code::Failed, error.to_string()),
        _ => failure(error),
    }
}

impl Users {
    fn name(&self) -> Result<String, Failure> {
        user_name(self.name.as_deref())
    }

    fn password(&self, name: &str) -> Result<String, Failure> {
        password_of(name, self.password.as_deref())
    }

    fn done(&self, sentence: String) -> Result<Code, Failure> {
        self.node.print(|| json!({"ok": true}), || sentence)?;
        Ok(Code::Ok)
    }
}

pub(crate) fn show(asked: &Users) -> Result<Code, Failure> {
    let users = asked.node.server()?.users();
    let Some(name) = &asked.name else {
        let names = users.list().map_err(refused)?;
        asked.node.print(|| json!({"users": names}), || names.iter().map(|name| format!("{name}\n")).collect())?;
        return Ok(Code::Ok);
    };
    let user = users.get(name).map_err(refused)?;
    let text = || {
        let kind = if user["user_type"] == 0 { "administrator" } else { "application" };
        format!("User '{name}' found\nType: {kind}\nAPI Key: {}\n", user["key"].as_str().unwrap_or("none"))
    };
    asked.node.print(|| user.clone(), text)?;
    Ok(Code::Ok)
}

pub(crate) fn add(asked: &Users) -> Result<Code, Failure> {
    let (server, name) = (asked.node.server()?, asked.name()?);
    let password = asked.password(&name)?;
    let kind = u8::from(!asked.admin);
    server.users().create(&name, &password, kind, asked.key.as_deref()).map_err(refused)?;
    asked.done(format!("User '{name}' created\n"))
}

pub(crate) fn del(asked: &Users) -> Result<Code, Failure> {
    let name = asked.name()?;
    asked.node.server()?.users().remove(&name).map_err(refused)?;
    asked.done(format!("User '{name}' deleted\n"))
}

pub(crate) fn set_password(asked: &Users) -> Result<Code, Failure> {
    let (server, name) = (asked.node.server()?, asked.name()?);
    let password = asked.password(&name)?;
    server.users().set_password(&name, &password).map_err(refused)?;
    asked.done(format!("{name}'s password changed\n"))
}

pub(crate) fn set_key(asked: &Users) -> Result<Code, Failure> {
    let name = asked.name()?;
    asked.node.server()?.users().set_key(&name, asked.key.as_deref()).map_err(refused)?;
    asked.done(format!("{name}'s key changed\n"))
}
