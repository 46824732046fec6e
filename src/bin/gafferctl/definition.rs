//! Definitions of jobs on the command line.

use gaffer::cli::node::{self, Node};
use gaffer::cli::wait::{self, Wait};
use gaffer::cli::{Command, Failure, Opt, Value};
use serde_json::{Map, Value as Json};

/// A job's name and its definition: what `add_process` and `update_process` are asked to load.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Named {
    pub(crate) node: Node,
    pub(crate) wait: Wait,
    pub(crate) definition: Definition,
    /// There is one, as [`named`] sees to.
    pub(crate) name: String,
    /// `--start`.
    pub(crate) start: bool,
}

impl AsMut<Node> for Named {
    fn as_mut(&mut self) -> &mut Node {
        &mut self.node
    }
}

impl AsMut<Wait> for Named {
    fn as_mut(&mut self) -> &mut Wait {
        &mut self.wait
    }
}

impl AsMut<Definition> for Named {
    fn as_mut(&mut self) -> &mut Definition {
        &mut self.definition
    }
}

/// Gives a command the options of a definition, `--start`, and the words: how the help writes them, what they are, and what
/// `--start` does.
pub(crate) fn named(
    command: Command<Named>,
    [words, help, start]: [&'static str; 3],
    check: fn(&Named) -> Result<(), Failure>,
) -> Command<Named> {
    let command = command.option(Opt::switch("start", start), |a, _| {
        a.start = true;
        Ok(())
    });
    node::options(wait::option(options(command)))
        .rest(words, help, |a, v| {
            if !a.name.is_empty() {
                return a.definition.word(v.string()?);
            }
            a.name = v.string()?;
            Ok(())
        })
        .check(check)
}

/// What both ask of their words.
pub(crate) fn check(asked: &Named) -> Result<(), Failure> {
    match asked.definition.0.get("cmd").and_then(Json::as_str) {
        // Options after the name would be taken for the program.
        Some(cmd) if cmd.starts_with('-') => {
            Err(Failure::usage(format!("`{cmd}` is no command; options stand before NAME")))
        }
        _ if asked.name.is_empty() => Err(Failure::usage("NAME is missing")),
        _ => Ok(()),
    }
}

/// What the options of a definition say: keys of the API.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Definition(pub(crate) Map<String, Json>);

impl Definition {
    fn set(&mut self, key: &str, value: impl Into<Json>) -> Result<(), Failure> {
        self.0.insert(key.to_owned(), value.into());
        Ok(())
    }

    fn push(&mut self, key: &str, value: String) -> Result<(), Failure> {
        let list = self.0.entry(key).or_insert_with(|| Json::Array(Vec::new()));
        if let Json::Array(list) = list {
            list.push(value.into());
        }
        Ok(())
    }

    /// The command and its arguments.
    pub(crate) fn word(&mut self, word: String) -> Result<(), Failure> {
        if self.0.contains_key("cmd") { self.push("args", word) } else { self.set("cmd", word) }
    }
}

/// Numbers stay numbers, names are names.
fn number_or_name(text: String) -> Json {
    text.parse::<u32>().map_or(Json::String(text), Json::from)
}

fn seconds(value: Value) -> Result<Json, Failure> {
    value.duration().map(|duration| duration.as_secs_f64().into())
}

/// Gives a command the settings of a job. What a value may be is the node's business, so that there is one rule.
#[rustfmt::skip]
pub(crate) fn options<T: AsMut<Definition>>(command: Command<T>) -> Command<T> {
    command
        .option(Opt::value("numprocesses", "N", "How many processes.").short('n'),
            |a: &mut T, v| { let n: u32 = v.parse()?; a.as_mut().set("numprocesses", n) })
        .option(Opt::value("cwd", "DIR", "The folder to run in."),
            |a, v| { let v = v.string()?; a.as_mut().set("cwd", v) })
        .option(Opt::value("env", "NAME=VALUE", "A variable; may be given again."), |a, v| {
            let (name, value) = v.read(|text| {
                let pair = text.split_once('=').filter(|(name, _)| !name.is_empty());
                pair.map(|(n, v)| (n.to_owned(), v.to_owned())).ok_or("expected NAME=VALUE")
            })?;
            let env = a.as_mut().0.entry("env").or_insert_with(|| Json::Object(Map::new()));
            env[name] = value.into();
            Ok(())
        })
        .option(Opt::maybe("os-env", "BOOL", "Begin with the node's own environment."),
            |a, v| { let v = v.boolean()?; a.as_mut().set("os_env", v) })
        .option(Opt::maybe("shell", "BOOL", "Run CMD by /bin/sh -c."),
            |a, v| { let v = v.boolean()?; a.as_mut().set("shell", v) })
        .option(Opt::value("uid", "USER", "The user, by name or number."),
            |a, v| { let v = number_or_name(v.string()?); a.as_mut().set("uid", v) })
        .option(Opt::value("gid", "GROUP", "The user's group, by name or number."),
            |a, v| { let v = number_or_name(v.string()?); a.as_mut().set("gid", v) })
        .option(Opt::maybe("detach", "BOOL", "It outlives the node."),
            |a, v| { let v = v.boolean()?; a.as_mut().set("detach", v) })
        .option(Opt::value("redirect-output", "LABEL", "A label for stdout; given again, one for stderr."),
            |a, v| { let v = v.string()?; a.as_mut().push("redirect_output", v) })
        .option(Opt::maybe("redirect-input", "BOOL", "Its input can be written to."),
            |a, v| { let v = v.boolean()?; a.as_mut().set("redirect_input", v) })
        .option(Opt::value("custom-stream", "LABEL", "A label for descriptor 3; given again, 4 and so on."),
            |a, v| { let v = v.string()?; a.as_mut().push("custom_streams", v) })
        .option(Opt::value("restart", "WHEN", "Whether to replace what has ended: always, on-failure or never."),
            |a, v| { let v = v.string()?; a.as_mut().set("restart", v) })
        .option(Opt::value("flapping", "RULE", "When it has crashed too often: ATTEMPTS,WINDOW,RETRY_IN,MAX_RETRY."),
            |a, v| { let v = v.string()?; a.as_mut().set("flapping", v) })
        .option(Opt::value("graceful-timeout", "SECONDS", "Time to end before it is killed."),
            |a, v| { let v = seconds(v)?; a.as_mut().set("graceful_timeout", v) })
        .option(Opt::value("stop-signal", "SIGNAL", "What tells it to end."),
            |a, v| { let v = number_or_name(v.string()?); a.as_mut().set("stop_signal", v) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use gaffer::cli::Asked;
    use serde_json::json;

    #[derive(Debug, Default, PartialEq)]
    struct Only(Definition);

    impl AsMut<Definition> for Only {
        fn as_mut(&mut self) -> &mut Definition {
            &mut self.0
        }
    }

    #[test]
    fn flags() {
        for (args, want) in [
            (&["-n", "3"][..], json!({"numprocesses": 3})),
            (&["--cwd", "/srv"], json!({"cwd": "/srv"})),
            (&["--env", "A=b=c", "--env", "B="], json!({"env": {"A": "b=c", "B": ""}})),
            (&["--os-env=no"], json!({"os_env": false})),
            (&["--shell"], json!({"shell": true})),
            (&["--uid", "www", "--gid", "33"], json!({"uid": "www", "gid": 33})),
            (&["--detach"], json!({"detach": true})),
            (&["--redirect-output", "out", "--redirect-output", "err"], json!({"redirect_output": ["out", "err"]})),
            (&["--redirect-input"], json!({"redirect_input": true})),
            (&["--custom-stream", "ctl"], json!({"custom_streams": ["ctl"]})),
            (&["--restart", "never"], json!({"restart": "never"})),
            (&["--flapping", "2,1,7,5"], json!({"flapping": "2,1,7,5"})),
            (&["--graceful-timeout", "500ms"], json!({"graceful_timeout": 0.5})),
            (&["--stop-signal", "INT"], json!({"stop_signal": "INT"})),
        ] {
            let parsed = options(Command::<Only>::new("x", "")).parse(args.iter().map(Into::into));
            let Ok(Asked::Run(Only(Definition(map)))) = parsed else { panic!("{args:?}: {parsed:?}") };
            assert_eq!(Json::Object(map.clone()), want);
            // They are what the node reads.
            let mut whole = map;
            whole.insert("name".into(), "a".into());
            whole.insert("cmd".into(), "x".into());
            #[cfg(feature = "config")]
            gaffer::config::job_from_json(&whole.into(), None).expect("a job");
        }
        for bad in [&["-n", "x"][..], &["--env", "A"], &["--env", "=x"], &["--shell=perhaps"]] {
            assert!(options(Command::<Only>::new("x", "")).parse(bad.iter().map(Into::into)).is_err(), "{bad:?}");
        }
    }
}
