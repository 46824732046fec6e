//! Grammar and help.

use super::*;
use crate::cli::{Code, Program};
use std::time::Duration;

#[derive(Debug, Default, PartialEq)]
struct Args {
    loud: u32,
    port: Option<u16>,
    grace: Duration,
    keep: Option<bool>,
    words: Vec<OsString>,
}

fn table() -> Command<Args> {
    Command::new("serve", "Serves.")
        .option(Opt::switch("loud", "Say more.").short('l'), |a: &mut Args, _| {
            a.loud += 1;
            Ok(())
        })
        .option(Opt::value("port", "PORT", "Listen there.").short('p').default("80").aliases(&["listen"]), |a, v| {
            a.port = Some(v.parse()?);
            Ok(())
        })
        .option(Opt::value("grace", "SECONDS", "Wait so long."), |a, v| {
            a.grace = v.duration()?;
            Ok(())
        })
        .option(Opt::maybe("keep", "BOOL", "Keep what is there."), |a, v| {
            a.keep = Some(v.boolean()?);
            Ok(())
        })
}

fn with_words() -> Command<Args> {
    table().words("[NAME...]", "Names.", |a, v| {
        a.words.push(v.os());
        Ok(())
    })
}

fn with_rest() -> Command<Args> {
    table()
        .rest("PROGRAM [ARGS...]", "A program.", |a, v| {
            a.words.push(v.os());
            Ok(())
        })
        .check(|a| if a.words.is_empty() { Err(Failure::usage("PROGRAM is missing")) } else { Ok(()) })
}

fn os(line: &str) -> Vec<OsString> {
    line.split_whitespace().map(Into::into).collect()
}

#[track_caller]
fn read(command: &Command<Args>, line: &str) -> Args {
    match command.parse(os(line)) {
        Ok(Asked::Run(args)) => args,
        other => panic!("{line:?}: {other:?}"),
    }
}

#[track_caller]
fn refused(command: &Command<Args>, line: &str, want: &str) {
    let failure = command.parse(os(line)).expect_err(line);
    assert_eq!(failure.code(), Code::Usage);
    assert_eq!(failure.to_string(), format!("{want}\nTry `serve --help`."));
}

#[test]
fn one_grammar() {
    for line in ["--port 8 a", "--port=8 a", "-p 8 a", "-p8 a", "-p=8 a", "a -p 8", "--listen 8 -- a"] {
        let args = read(&with_words(), line);
        assert_eq!((args.port, args.words), (Some(8), os("a")), "{line}");
    }
    assert_eq!(read(&with_words(), "-lllp9").port, Some(9));
    assert_eq!(read(&with_words(), "-lll --loud").loud, 4);
    assert_eq!(read(&with_words(), "-- -l --port").words, os("-l --port"));
    assert_eq!(read(&with_words(), "-").words, os("-"));
    assert_eq!(read(&with_words(), "--grace 1.5").grace, Duration::from_millis(1500));
    for (line, keep, words) in [("--keep x", true, "x"), ("--keep=no x", false, "x"), ("--keep=true", true, "")] {
        let args = read(&with_words(), line);
        assert_eq!((args.keep, args.words), (Some(keep), os(words)), "{line}");
    }
}

#[test]
fn the_rest_belongs_to_another_program() {
    let args = read(&with_rest(), "-l ls -l --port -- x");
    assert_eq!((args.loud, args.words), (1, os("ls -l --port -- x")));
    assert_eq!(read(&with_rest(), "-- -l").words, os("-l"));
    refused(&with_rest(), "-l", "PROGRAM is missing");
}

#[test]
fn faults_are_named() {
    let command = with_words();
    refused(&command, "--prot 1", "unknown option `--prot`; did you mean `--port`?");
    refused(&command, "--lisen 1", "unknown option `--lisen`; did you mean `--listen`?");
    refused(&command, "--hlep", "unknown option `--hlep`; did you mean `--help`?");
    refused(&command, "--banana", "unknown option `--banana`");
    refused(&command, "-lx", "unknown option `-x`");
    refused(&command, "--port", "--port needs a value: PORT");
    refused(&command, "-p x", "invalid value `x` for -p: invalid digit found in string");
    refused(&command, "--loud=1", "--loud takes no value, but got `1`");
    refused(&command, "--keep=perhaps", "invalid value `perhaps` for --keep: expected true or false");
    refused(&table(), "a", "unexpected argument `a`");
    use std::os::unix::ffi::OsStringExt;
    let broken = ["-p".into(), OsString::from_vec(vec![0xff])];
    let failure = table().parse(broken).expect_err("not UTF-8");
    assert!(failure.to_string().starts_with("invalid value `\u{fffd}` for -p: it is not UTF-8"), "{failure}");
}

#[test]
fn help_is_the_table() {
    let want = "\
Serves.

Usage: serve [OPTIONS] [NAME...]

Arguments:
  [NAME...]                   Names.

Options:
  -l, --loud                  Say more.
  -p, --port PORT             Listen there. [default: 80] [also: --listen]
      --grace SECONDS         Wait so long.
      --keep[=BOOL]           Keep what is there.
  -h, --help                  Print this help.
      --version               Print the version.
";
    for line in ["-h", "--help", "x --help", "-lh"] {
        assert_eq!(with_words().parse(os(line)), Ok(Asked::Print(want.to_owned())), "{line}");
    }
    let version = format!("serve {}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!(with_words().parse(os("--version")), Ok(Asked::Print(version)));
}

#[test]
fn long_texts_are_wrapped() {
    let long = "word ".repeat(40);
    let command = Command::<Args>::new("c", "C.")
        .option(Opt::value("a-very-long-option-name", "AND-A-VALUE", long.leak()), |_, _| Ok(()));
    let Ok(Asked::Print(text)) = command.parse(os("-h")) else { panic!("help") };
    assert!(text.lines().all(|line| line.len() <= 80), "{text}");
    assert_eq!(text.matches("word").count(), 40);
}

#[derive(Debug, PartialEq)]
enum Do {
    Serve(Args),
    Run(Args),
}

fn program() -> Program<Do> {
    let mut run = with_rest();
    run.spec.name = "run";
    Program::new("tool", "A tool.").command(with_words().aliases(&["dev:serve"]), Do::Serve).command(run, Do::Run)
}

#[test]
fn options_may_stand_before_the_command() {
    for line in ["serve -p 8 -l x", "-p 8 -l serve x", "--listen=8 serve -l x", "-l dev:serve -p8 x", "-lp8 serve -- x"]
    {
        let want = Args { loud: 1, port: Some(8), words: os("x"), ..Args::default() };
        assert_eq!(program().parse(os(line)), Ok(Asked::Run(Do::Serve(want))), "{line}");
    }
    let want = Args { loud: 1, keep: Some(true), words: os("ls -l"), ..Args::default() };
    assert_eq!(program().parse(os("-l --keep run ls -l")), Ok(Asked::Run(Do::Run(want))));
}

#[test]
fn commands_that_are_wrong() {
    for (line, want) in [
        ("", "a command is missing\nTry `tool --help`."),
        ("-l", "a command is missing\nTry `tool --help`."),
        ("sevre", "unknown command `sevre`; did you mean `serve`?\nTry `tool --help`."),
        ("banana", "unknown command `banana`\nTry `tool --help`."),
        ("--prot serve", "unknown option `--prot`; did you mean `--port`?\nTry `tool --help`."),
        ("help srve", "unknown command `srve`; did you mean `serve`?\nTry `tool --help`."),
        ("help serve run", "unexpected argument `run`\nTry `tool --help`."),
        ("run", "PROGRAM is missing\nTry `tool run --help`."),
    ] {
        let failure = program().parse(os(line)).expect_err(line);
        assert_eq!((failure.code(), failure.to_string().as_str()), (Code::Usage, want), "{line}");
    }
}

#[test]
fn help_of_programs() {
    let text = |line| match program().parse(os(line)) {
        Ok(Asked::Print(text)) => text,
        other => panic!("{line:?}: {other:?}"),
    };
    let all = text("--help");
    assert!(all.contains("\n  serve                       Serves.\n"), "{all}");
    for line in ["-h", "help", "help help", "-l -h", "-h serve"] {
        assert_eq!(text(line), all, "{line}");
    }
    let serve = text("help serve");
    assert!(serve.contains("Usage: tool serve [OPTIONS] [NAME...]\nAlso known as: dev:serve\n"), "{serve}");
    for line in ["serve --help", "serve x -h", "help dev:serve", "-l serve -h"] {
        assert_eq!(text(line), serve, "{line}");
    }
    assert!(text("--version").starts_with("tool "));
    assert_eq!(text("serve --version"), text("--version"));
}

#[test]
#[should_panic(expected = "--port and --print cannot be told apart")]
fn commands_that_cannot_be_told_apart() {
    let other = Command::<Args>::new("other", "").option(Opt::value("port", "N", "").short('x'), |_, _| Ok(()));
    let one = Command::<Args>::new("one", "").option(Opt::switch("print", "").short('x'), |_, _| Ok(()));
    let _ = Program::new("tool", "").command(one, Do::Run).command(other, Do::Run);
}

#[test]
fn one_letter_for_two_options() {
    let port = Opt::value("port", "PORT", "").short('x');
    let serve = Command::<Args>::new("serve", "").option(port, |a, v| {
        a.port = Some(v.parse()?);
        Ok(())
    });
    let name = Opt::value("extra", "WORD", "").short('x');
    let run = Command::<Args>::new("run", "").option(name, |a, v| {
        a.words.push(v.os());
        Ok(())
    });
    let tool = Program::new("tool", "").command(serve, Do::Serve).command(run, Do::Run);
    let want = Args { port: Some(8), ..Args::default() };
    assert_eq!(tool.parse(os("-x 8 serve")), Ok(Asked::Run(Do::Serve(want))));
    let want = Args { words: os("A=1"), ..Args::default() };
    assert_eq!(tool.parse(os("-x A=1 run")), Ok(Asked::Run(Do::Run(want))));
    let failure = tool.parse(os("--port 8 run")).expect_err("an option of the other");
    assert!(failure.to_string().starts_with("unknown option `--port`"), "{failure}");
}
