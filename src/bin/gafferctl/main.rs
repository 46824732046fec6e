//! The tool that controls a node: jobs, processes, groups, and what happens to them.

#![forbid(unsafe_code)]

mod add_process;
mod definition;
mod del_process;
mod figures;
mod get_process;
mod groups;
mod kill;
mod load_process;
mod logs;
mod pids;
mod processes;
mod scale;
mod state;
mod stats;
mod status;
mod update_process;
mod watch;

use std::process::ExitCode;

use gaffer::cli::{self, Asked, Code, Failure, Program};

const NAME: &str = "gafferctl";

/// What the tool was asked to do.
#[derive(Debug, PartialEq)]
enum Task {
    Processes(processes::Processes),
    Status(status::Status),
    Start(state::Change),
    Stop(state::Change),
    Restart(state::Change),
    Add(scale::Change),
    Sub(scale::Change),
    Numprocesses(figures::Figures),
    Running(figures::Figures),
    Pids(pids::Pids),
    Kill(kill::Kill),
    Watch(watch::Watch),
    Stats(stats::Stats),
    Logs(logs::Logs),
    AddProcess(definition::Named),
    LoadProcess(load_process::LoadProcess),
    UpdateProcess(definition::Named),
    GetProcess(get_process::GetProcess),
    DelProcess(del_process::DelProcess),
    Groups(groups::Groups),
    GroupStart(groups::Groups),
    GroupStop(groups::Groups),
    GroupRestart(groups::Groups),
    GroupRemove(groups::Groups),
}

fn program() -> Program<Task> {
    use groups::Verb;
    Program::new(NAME, "Controls a gaffer node: its jobs, processes and groups.")
        .command(processes::command(), Task::Processes)
        .command(status::command(), Task::Status)
        .command(state::start(), Task::Start)
        .command(state::stop(), Task::Stop)
        .command(state::restart(), Task::Restart)
        .command(scale::add(), Task::Add)
        .command(scale::sub(), Task::Sub)
        .command(figures::numprocesses(), Task::Numprocesses)
        .command(figures::running(), Task::Running)
        .command(pids::command(), Task::Pids)
        .command(kill::command(), Task::Kill)
        .command(watch::command(), Task::Watch)
        .command(stats::command(), Task::Stats)
        .command(logs::command(), Task::Logs)
        .command(add_process::command(), Task::AddProcess)
        .command(load_process::command(), Task::LoadProcess)
        .command(update_process::command(), Task::UpdateProcess)
        .command(get_process::command(), Task::GetProcess)
        .command(del_process::command(), Task::DelProcess)
        .command(groups::command(), Task::Groups)
        .command(groups::verb(Verb::Start), Task::GroupStart)
        .command(groups::verb(Verb::Stop), Task::GroupStop)
        .command(groups::verb(Verb::Restart), Task::GroupRestart)
        .command(groups::verb(Verb::Remove), Task::GroupRemove)
}

fn main() -> ExitCode {
    cli::main(NAME, |args| match program().parse(args)? {
        Asked::Print(text) => cli::print(text).map(|()| Code::Ok),
        Asked::Run(task) => perform(&task),
    })
}

fn perform(task: &Task) -> Result<Code, Failure> {
    use groups::Verb;
    use state::State;
    match task {
        Task::Processes(asked) => processes::run(asked),
        Task::Status(asked) => status::run(asked),
        Task::Start(asked) => state::run(asked, State::Start),
        Task::Stop(asked) => state::run(asked, State::Stop),
        Task::Restart(asked) => state::run(asked, State::Restart),
        Task::Add(asked) => scale::run(asked, '+'),
        Task::Sub(asked) => scale::run(asked, '-'),
        Task::Numprocesses(asked) => figures::run(asked, "numprocesses"),
        Task::Running(asked) => figures::run(asked, "running"),
        Task::Pids(asked) => pids::run(asked),
        Task::Kill(asked) => kill::run(asked),
        Task::Watch(asked) => watch::run(asked),
        Task::Stats(asked) => stats::run(asked),
        Task::Logs(asked) => logs::run(asked),
        Task::AddProcess(asked) => add_process::run(asked),
        Task::LoadProcess(asked) => load_process::run(asked),
        Task::UpdateProcess(asked) => update_process::run(asked),
        Task::GetProcess(asked) => get_process::run(asked),
        Task::DelProcess(asked) => del_process::run(asked),
        Task::Groups(asked) => groups::run(asked),
        Task::GroupStart(asked) => groups::change(asked, Verb::Start),
        Task::GroupStop(asked) => groups::change(asked, Verb::Stop),
        Task::GroupRestart(asked) => groups::change(asked, Verb::Restart),
        Task::GroupRemove(asked) => groups::change(asked, Verb::Remove),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Asked<Task>, Failure> {
        program().parse(line.split_whitespace().map(Into::into))
    }

    #[test]
    fn commands_of_the_original_and_their_other_names() {
        for (line, same) in [
            ("group_start shop", "start_group shop"),
            ("group_stop shop", "stop_group shop"),
            ("group_restart shop", "restart_group shop"),
            ("group_remove shop", "remove_group shop"),
            ("numprocesses web", "numprocesses web"),
            ("add_process --start web sleep 1", "add --start web sleep 1"),
        ] {
            assert!(parse(line).is_ok(), "{line}");
            assert_eq!(parse(line) == parse(same), !same.starts_with("add "), "{same}");
        }
        // The node may stand before the command, as with the original.
        assert_eq!(parse("--connect=unix:/s status web"), parse("status -g unix:/s web"));
        assert_eq!(parse("--json -g h:1 watch"), parse("watch --endpoint h:1 --json"));
    }

    #[test]
    fn help_names_every_command() {
        let Ok(Asked::Print(text)) = parse("--help") else { panic!("help") };
        for name in [
            "processes",
            "status",
            "start",
            "stop",
            "restart",
            "add",
            "sub",
            "numprocesses",
            "running",
            "pids",
            "kill",
            "watch",
            "stats",
            "logs",
            "add_process",
            "load_process",
            "update_process",
            "get_process",
            "del_process",
            "groups",
            "group_start",
            "group_stop",
            "group_restart",
            "group_remove",
            "help",
        ] {
            assert!(text.contains(&format!("\n  {name} ")), "{name}: {text}");
            let Ok(Asked::Print(help)) = parse(&format!("help {name}")) else { panic!("help of {name}") };
            assert!(help.lines().all(|line| line.chars().count() <= 80), "{help}");
        }
        let failure = parse("stauts").expect_err("a typing error");
        assert!(failure.to_string().contains("did you mean `status`?"), "{failure}");
        assert_eq!(failure.code(), Code::Usage);
    }
}
