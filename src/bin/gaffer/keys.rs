//! `gaffer key`, `key:create`, `key:delete`: the keys of a node.

use gaffer::access::Permissions;
use gaffer::cli::node::{self, Node};
use gaffer::cli::{Code, Command, Failure, Opt};
use serde_json::{Map, Value, json};

use crate::app::set;
use crate::users::refused;

/// What one of them is asked to do.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Keys {
    node: Node,
    /// The id of a key, or the rights of a new one.
    words: Vec<String>,
    label: String,
}

impl AsMut<Node> for Keys {
    fn as_mut(&mut self) -> &mut Node {
        &mut self.node
    }
}

pub(crate) fn show_command() -> Command<Keys> {
    let command = Command::new("key", "Show a key by its id, or the ids of all.").words(
        "[ID]",
        "The first 16 digits of a key; `self` is the one that is used.",
        one_word,
    );
    node::options(command).details("JSON: {\"keys\": [ID...]}, or the key as /keys/ID has it.")
}

pub(crate) fn create_command() -> Command<Keys> {
    let command = Command::new("key:create", "Make a key.")
        .words("RIGHTS...", "Rights: +a +k +u, or TARGET+m, TARGET+w, TARGET+r.", |a: &mut Keys, v| {
            a.words.push(v.string()?);
            Ok(())
        })
        .option(Opt::value("label", "TEXT", "What it is for."), |a, v| set(&mut a.label, v.string()?))
        .check(|a| rights(&a.words).map(drop));
    node::options(command).details(
        "+a is an administrator, +k makes keys, +u makes users. TARGET is `*`, a session, or\n\
         session.job, and may be left out for `*`; m manages it, w writes to its processes,\n\
         r reads. The key is shown this once. A key cannot give rights that it has not.\n\
         JSON: {\"key\", \"api_key\"}, the id and the key itself.\n\n\
         Examples:\n  gaffer key:create shop+m +r --label deploy\n  gaffer key:create shop.web+rw",
    )
}

pub(crate) fn delete_command() -> Command<Keys> {
    let command = Command::new("key:delete", "Remove a key, and those it has made.")
        .words("ID", "The first 16 digits of a key; `self` is the one that is used.", one_word)
        .check(|a| if a.words.is_empty() { Err(Failure::usage("ID is missing")) } else { Ok(()) });
    node::options(command).details("JSON: {\"ok\": true}.")
}

fn one_word(asked: &mut Keys, value: gaffer::cli::Value) -> Result<(), Failure> {
    let word = value.string()?;
    if !asked.words.is_empty() {
        return Err(Failure::usage(format!("unexpected argument `{word}`")));
    }
    asked.words.push(word);
    Ok(())
}

/// `shop+rw`, `+a`: what is before the last plus, and letters.
fn rights(words: &[String]) -> Result<Value, Failure> {
    let mut rights = Map::new();
    for word in words {
        let wrong = |what: &str| Failure::usage(format!("`{word}`: {what}; expected +a, +k, +u or TARGET+rwm"));
        let (target, letters) = word.rsplit_once('+').ok_or_else(|| wrong("there is no `+`"))?;
        if letters.is_empty() {
            return Err(wrong("nothing follows the `+`"));
        }
        for letter in letters.chars() {
            let (name, is_list) = match letter {
                'a' => ("admin", false),
                'k' => ("create_key", false),
                'u' => ("create_user", false),
                'm' => ("manage", true),
                'w' => ("write", true),
                'r' => ("read", true),
                _ => return Err(wrong(&format!("there is no right {letter:?}"))),
            };
            if !is_list && !target.is_empty() {
                return Err(wrong("this right is about all of the node"));
            }
            let member = rights.entry(name).or_insert_with(|| if is_list { json!([]) } else { true.into() });
            if let Some(list) = member.as_array_mut() {
                list.push(if target.is_empty() { "*" } else { target }.into());
            }
        }
    }
    let rights = Value::from(rights);
    Permissions::from_json(&rights).map_err(|e| Failure::usage(e.to_string()))?;
    Ok(rights)
}

pub(crate) fn show(asked: &Keys) -> Result<Code, Failure> {
    let keys = asked.node.server()?.keys();
    match asked.words.first() {
        None => {
            let ids = keys.list().map_err(refused)?;
            asked.node.print(|| json!({"keys": ids}), || ids.iter().map(|id| format!("{id}\n")).collect())?;
        }
        Some(id) => {
            let key = keys.get(id).map_err(refused)?;
            let text = || {
                let (label, rights) = (key["label"].as_str().unwrap_or(""), &key["permissions"]);
                format!("Key: {}\nLabel: {label}\nPermissions: {rights}\n", key["key"].as_str().unwrap_or(id))
            };
            asked.node.print(|| key.clone(), text)?;
        }
    }
    Ok(Code::Ok)
}

pub(crate) fn create(asked: &Keys) -> Result<Code, Failure> {
    let rights = rights(&asked.words)?;
    let new = asked.node.server()?.keys().create(&rights, &asked.label).map_err(refused)?;
    let json = || json!({"key": new.id, "api_key": new.key});
    asked
        .node
        .print(json, || format!("The key '{}' has been created. It is not shown again:\n{}\n", new.id, new.key))?;
    Ok(Code::Ok)
}

pub(crate) fn delete(asked: &Keys) -> Result<Code, Failure> {
    let id = asked.words.first().map_or("", String::as_str);
    asked.node.server()?.keys().remove(id).map_err(refused)?;
    asked.node.print(|| json!({"ok": true}), || format!("The key '{id}' has been deleted.\n"))?;
    Ok(Code::Ok)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_rights() {
        let read = |line: &str| rights(&line.split(' ').map(str::to_owned).collect::<Vec<_>>());
        assert_eq!(read("+a").expect("valid"), json!({"admin": true}));
        let want = json!({"create_key": true, "manage": ["shop"], "read": ["*", "a.b"], "write": ["a.b"]});
        assert_eq!(read("shop+m +kr a.b+wr").expect("valid"), want);
        for bad in ["a", "+", "+x", "shop+a", "a.b.c+r", "1+r"] {
            assert_eq!(read(bad).expect_err(bad).code(), Code::Usage, "{bad}");
        }
    }
}
