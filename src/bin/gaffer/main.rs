//! The Procfile tool: runs the programs of an application and keeps them alive.

mod app;
mod attach;
mod check;
mod engine;
mod policy;
mod run;
mod start;

use std::process::ExitCode;

use gaffer::cli::{self, Asked, Code, Failure, Program};

/// What the tool was asked to do.
#[derive(Debug, PartialEq)]
enum Task {
    Start(start::Start),
    Run(run::Run),
    Check(check::Check),
}

fn program() -> Program<Task> {
    Program::new("gaffer", "Runs the programs of a Procfile and keeps them alive.")
        .command(start::command(), Task::Start)
        .command(run::command(), Task::Run)
        .command(check::command(), Task::Check)
}

fn main() -> ExitCode {
    cli::main("gaffer", |args| match program().parse(args)? {
        Asked::Print(text) => cli::print(text).map(|()| Code::Ok),
        Asked::Run(task) => perform(task),
    })
}

fn perform(task: Task) -> Result<Code, Failure> {
    match task {
        Task::Start(start) => engine::start(&start),
        Task::Run(run) => run::run(&run),
        Task::Check(check) => check::check(&check),
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
        for (line, old) in [("start -q web", "dev:start -q web"), ("run ls -l", "dev:run ls -l")] {
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
        for name in ["start", "run", "check", "help"] {
            assert!(text.contains(&format!("\n  {name}")), "{text}");
            let Ok(Asked::Print(help)) = parse(&format!("help {name}")) else { panic!("help of {name}") };
            assert!(help.lines().all(|line| line.chars().count() <= 80), "{help}");
        }
    }
}
