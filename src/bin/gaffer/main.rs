//! The tool for applications: runs the programs of a Procfile and keeps them alive, here or on a node.

#![forbid(unsafe_code)]

mod app;
mod apps;
mod attach;
mod bulk;
mod check;
mod commit;
mod engine;
mod export;
mod keys;
mod load;
mod login;
mod logs;
mod lookup;
mod lookup_events;
mod policy;
mod ports;
mod ps;
mod ps_info;
mod ps_kill;
mod ps_restart;
mod ps_scale;
mod ps_start;
mod ps_stop;
mod recv;
mod reload;
mod remote;
mod run;
mod send;
mod start;
mod unload;
mod users;

use std::process::ExitCode;

use gaffer::cli::{self, Asked, Code, Failure, Program};

const NAME: &str = "gaffer";

/// What the tool was asked to do.
#[derive(Debug, PartialEq)]
enum Task {
    Start(start::Start),
    Run(run::Run),
    Check(check::Check),
    Load(load::Load),
    Unload(bulk::Bulk),
    Reload(bulk::Bulk),
    Apps(apps::Apps),
    Ps(ps::Ps),
    PsInfo(ps_info::Info),
    PsStart(bulk::Bulk),
    Stop(bulk::Bulk),
    Restart(bulk::Bulk),
    Scale(ps_scale::Scale),
    Kill(ps_kill::Kill),
    Commit(commit::Commit),
    Send(send::Send),
    Recv(recv::Recv),
    Logs(logs::Logs),
    Lookup(lookup_events::Watch),
    LookupNodes(lookup::Nodes),
    LookupJobs(lookup::Jobs),
    LookupJob(lookup::Job),
    LookupSessions(lookup::Sessions),
    LookupSession(lookup::Session),
    Export(export::Export),
    Login(login::Login),
    Key(keys::Keys),
    KeyCreate(keys::Keys),
    KeyDelete(keys::Keys),
    User(users::Users),
    UserAdd(users::Users),
    UserDel(users::Users),
    UserSetPassword(users::Users),
    UserSetKey(users::Users),
}

fn program() -> Program<Task> {
    Program::new(NAME, "Runs the programs of a Procfile and keeps them alive, here or on a gaffer node.")
        .command(start::command(), Task::Start)
        .command(run::command(), Task::Run)
        .command(check::command(), Task::Check)
        .command(load::command(), Task::Load)
        .command(unload::command(), Task::Unload)
        .command(reload::command(), Task::Reload)
        .command(apps::command(), Task::Apps)
        .command(ps::command(), Task::Ps)
        .command(ps_info::command(), Task::PsInfo)
        .command(ps_start::command(), Task::PsStart)
        .command(ps_stop::command(), Task::Stop)
        .command(ps_restart::command(), Task::Restart)
        .command(ps_scale::command(), Task::Scale)
        .command(ps_kill::command(), Task::Kill)
        .command(commit::command(), Task::Commit)
        .command(send::command(), Task::Send)
        .command(recv::command(), Task::Recv)
        .command(logs::command(), Task::Logs)
        .command(lookup_events::command(), Task::Lookup)
        .command(lookup::nodes(), Task::LookupNodes)
        .command(lookup::jobs(), Task::LookupJobs)
        .command(lookup::job(), Task::LookupJob)
        .command(lookup::sessions(), Task::LookupSessions)
        .command(lookup::session(), Task::LookupSession)
        .command(export::command(), Task::Export)
        .command(login::command(), Task::Login)
        .command(keys::show_command(), Task::Key)
        .command(keys::create_command(), Task::KeyCreate)
        .command(keys::delete_command(), Task::KeyDelete)
        .command(users::show_command(), Task::User)
        .command(users::add_command(), Task::UserAdd)
        .command(users::del_command(), Task::UserDel)
        .command(users::set_password_command(), Task::UserSetPassword)
        .command(users::set_key_command(), Task::UserSetKey)
}

fn main() -> ExitCode {
    cli::main(NAME, |args| match program().parse(args)? {
        Asked::Print(text) => cli::print(text).map(|()| Code::Ok),
        Asked::Run(task) => perform(&task),
    })
}

fn perform(task: &Task) -> Result<Code, Failure> {
    match task {
        Task::Start(start) => engine::start(start),
        Task::Run(run) => run::run(run),
        Task::Check(check) => check::check(check),
        Task::Load(asked) => load::run(asked),
        Task::Unload(asked) => unload::run(asked),
        Task::Reload(asked) => reload::run(asked),
        Task::Apps(asked) => apps::run(asked),
        Task::Ps(asked) => ps::run(asked),
        Task::PsInfo(asked) => ps_info::run(asked),
        Task::PsStart(asked) => ps_start::run(asked),
        Task::Stop(asked) => ps_stop::run(asked),
        Task::Restart(asked) => ps_restart::run(asked),
        Task::Scale(asked) => ps_scale::run(asked),
        Task::Kill(asked) => ps_kill::run(asked),
        Task::Commit(asked) => commit::run(asked),
        Task::Send(asked) => send::run(asked),
        Task::Recv(asked) => recv::run(asked),
        Task::Logs(asked) => logs::run(asked),
        Task::Lookup(asked) => lookup_events::run(asked),
        Task::LookupNodes(asked) => lookup::show_nodes(asked),
        Task::LookupJobs(asked) => lookup::show_jobs(asked),
        Task::LookupJob(asked) => lookup::show_job(asked),
        Task::LookupSessions(asked) => lookup::show_sessions(asked),
        Task::LookupSession(asked) => lookup::show_session(asked),
        Task::Login(asked) => login::run(asked),
        Task::Key(asked) => keys::show(asked),
        Task::KeyCreate(asked) => keys::create(asked),
        Task::KeyDelete(asked) => keys::delete(asked),
        Task::User(asked) => users::show(asked),
        Task::UserAdd(asked) => users::add(asked),
        Task::UserDel(asked) => users::del(asked),
        Task::UserSetPassword(asked) => users::set_password(asked),
        Task::UserSetKey(asked) => users::set_key(asked),
        Task::Export(asked) => export::run(asked),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Asked<Task>, Failure> {
        program().parse(line.split_whitespace().map(Into::into))
    }

    #[test]
    fn commands_and_their_old_names() {
        for (line, old) in [
            ("start -q web", "dev:start -q web"),
            ("run ls -l", "dev:run ls -l"),
            ("scale web=2", "ps:scale web=2"),
            ("stop web", "ps:stop web"),
            ("restart web", "ps:restart web"),
            ("kill web HUP", "ps:kill web HUP"),
            ("ps -g h:1", "--connect h:1 ps"),
            ("commit -p A=1 web", "-p A=1 commit web"),
        ] {
            assert_eq!(parse(line), parse(old));
        }
        // As gaffer 0.4 and 0.5 had it: the application first.
        assert_eq!(parse("-f P -c web=2 start"), parse("start -f P -c web=2"));
        assert_eq!(parse("-d dir -e .env run ls"), parse("run -d dir -e .env ls"));
        assert_eq!(parse("--json check"), parse("check --json"));
        let failure = parse("-c web=2 run ls").expect_err("run starts one process");
        assert!(failure.to_string().starts_with("unknown option `-c`"), "{failure}");
    }

    #[test]
    fn help_names_every_command() {
        let Ok(Asked::Print(text)) = parse("--help") else { panic!("help") };
        let local = ["start", "run", "check", "help"];
        let there =
            ["load", "unload", "reload", "apps", "ps", "ps:info", "ps:start", "stop", "restart", "scale", "kill"];
        let lookups = ["lookup", "lookup:nodes", "lookup:jobs", "lookup:job", "lookup:sessions", "lookup:session"];
        let more = ["commit", "send", "recv", "logs", "export"];
        for name in local.into_iter().chain(there).chain(more).chain(lookups) {
            assert!(text.contains(&format!("\n  {name} ")), "{text}");
            let Ok(Asked::Print(help)) = parse(&format!("help {name}")) else { panic!("help of {name}") };
            assert!(help.lines().all(|line| line.chars().count() <= 80), "{help}");
        }
    }
}
