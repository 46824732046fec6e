use std::path::Path;
use std::time::Duration;

use super::*;
use crate::config::gafferd::{GafferdConfig, Sources};
use crate::config::{Job, Procfile};
use crate::process::{Backoff, Flapping, JobConfig, Restart, Stdio, UserRef};
use crate::words::tests::Rng;

/// Texts with everything that one of the targets may take for something else.
const TEXTS: [&str; 20] = [
    "plain",
    "two words",
    "it's",
    "a \"b\" c",
    "back\\slash\\",
    "100%",
    "%(here)s %i %%",
    "${HOME} $X $$ $",
    "a; b ;c",
    "x #y # z",
    "",
    "ünï→😀",
    "=",
    "a=b,c",
    "{}[]:!&*?|>@`",
    "-",
    "~/x",
    "a'b\"c",
    ": x",
    "tab\there",
];

fn any<'a, T>(rng: &mut Rng, list: &'a [T]) -> &'a T {
    &list[rng.below(list.len())]
}

/// A job whose command has any of the texts, written as a command line has them.
fn job(rng: &mut Rng, name: &str) -> Job {
    let text = |rng: &mut Rng| (*any(rng, &TEXTS)).to_owned();
    let mut config = JobConfig::new(name, "x").expect("a name");
    if rng.below(3) == 0 {
        config = config.shell(true);
        config.cmd = format!("echo {} | cat", any(rng, &["$X", "'a; b'", "\"50%\"", "x # no", "${PORT}"]));
    } else {
        // A `$` in a word of the command is `$$`.
        let words: Vec<String> = (0..rng.below(4)).map(|_| text(rng).replace('$', "$$")).collect();
        config.cmd = crate::words::join(["/bin/echo".to_owned()].into_iter().chain(words));
    }
    for _ in 0..rng.below(3) {
        let word = text(rng);
        config.args.push(if config.shell { word } else { word.replace('$', "$$") });
    }
    for name in ["A", "MY_VAR", "PATH"].iter().take(rng.below(4)) {
        config.env.insert((*name).to_owned(), text(rng).trim().to_owned());
    }
    config.numprocesses = u32::try_from(1 + rng.below(3)).expect("small");
    let mut flag = || rng.below(2) == 0;
    (config.os_env, config.ps, config.redirect_input) = (flag(), flag(), flag());
    if flag() {
        config.port = Some(5000);
    }
    if flag() {
        config.cwd = Some("/srv/my app%".into());
    }
    if flag() {
        config.uid = Some(UserRef::Id(65534));
        config.gid = Some(UserRef::from("nogroup"));
    }
    if flag() {
        config.umask = Some(0o027);
    }
    if flag() {
        config.flapping = Some(Flapping::new(3, Duration::from_millis(1500), Duration::from_secs(7), 5));
    }
    if flag() {
        config.backoff = Backoff::new(Duration::from_millis(500), Duration::from_secs(9));
    }
    if flag() {
        config.redirect_output = vec!["out".to_owned(), "err".to_owned()];
    }
    if flag() {
        config.stdio = Stdio::Inherit;
    }
    if flag() {
        config.log_history = Some(0);
    }
    if flag() {
        config.graceful_timeout = Duration::from_millis(2500);
    }
    config.restart = *any(rng, &[Restart::Always, Restart::OnFailure, Restart::OnSuccess, Restart::Never]);
    let mut job = Job::new(config);
    job.start = rng.below(4) > 0;
    job
}

fn read(text: &str) -> Vec<Job> {
    let sources = Sources {
        read: &|_| Ok(text.to_owned()),
        list_dir: &|_| Ok(Vec::new()),
        environment: &|name| panic!("nothing is taken from the environment: {name}"),
        current_dir: Path::new("/"),
    };
    let config = GafferdConfig::read(Path::new("f"), &sources);
    config.unwrap_or_else(|e| panic!("{e}\n{text}")).jobs
}

#[test]
fn ini_and_json_load_back_into_the_same_jobs() {
    for seed in 0..300 {
        let mut rng = Rng(seed);
        let jobs: Vec<Job> = ["web", "shop.web", "shop.mail"].iter().map(|name| job(&mut rng, name)).collect();
        for format in [Format::Ini, Format::Json] {
            let exported = export(&jobs, format).unwrap_or_else(|e| panic!("seed {seed}: {e}"));
            let text = &exported.files[0].1;
            assert_eq!(read(text), jobs, "seed {seed}\n{text}");
        }
    }
}

#[test]
fn what_an_ini_file_cannot_hold_is_refused_and_json_has_it() {
    let job = |change: &dyn Fn(&mut JobConfig)| {
        let mut config = JobConfig::new("web", "x").expect("a name");
        change(&mut config);
        [Job::new(config)]
    };
    let cases: [(&str, &dyn Fn(&mut JobConfig)); 4] = [
        ("env", &|c| drop(c.env.insert("A".to_owned(), " blank".to_owned()))),
        ("env", &|c| drop(c.env.insert("A".to_owned(), "a\n#b".to_owned()))),
        ("", &|c| drop(c.env.insert("A B:".to_owned(), "a".to_owned()))),
        ("cmd", &|c| c.cmd = "sh -c 'a\n  b'".to_owned()),
    ];
    for (key, change) in cases {
        let jobs = job(change);
        let error = export(&jobs, Format::Ini).expect_err(key).to_string();
        assert!(error.starts_with("job web: an ini file cannot hold it") && error.contains(key), "{error}");
        assert_eq!(read(&export(&jobs, Format::Json).expect("JSON").files[0].1), jobs);
    }
}

/// Whatever there is in a job: it is written, or refused with its name.
#[test]
fn every_target_takes_every_job_or_says_which_it_does_not() {
    for seed in 0..300 {
        let mut rng = Rng(seed);
        let jobs = [job(&mut rng, "web"), job(&mut rng, "worker")];
        for (name, format) in NAMES {
            match export(&jobs, format) {
                Ok(exported) => {
                    assert!(exported.files.iter().all(|(name, text)| !name.is_empty() && text.ends_with('\n')));
                    assert!(exported.notes.iter().all(|note| !note.contains('\n')), "{:?}", exported.notes);
                }
                Err(e) => assert!(e.to_string().starts_with("job w"), "{name}, seed {seed}: {e}"),
            }
        }
    }
}

#[test]
fn a_procfile_and_its_words() {
    let jobs = |cmd: &str| [Job::new(JobConfig::new("web", cmd).expect("a name").env("A", "it's"))];
    let line = |jobs: &[Job]| {
        let text = export(jobs, Format::Procfile).expect("a Procfile").files[0].1.clone();
        Procfile::parse(&text, "Procfile").expect("it parses").entries[0].command.clone()
    };
    assert_eq!(line(&jobs("run '$A' $$5 $B")), r#"env 'A=it'\''s' run 'it'\''s' '$5' "${B}""#);
    let mut shell = jobs("cd x && run $A");
    shell[0].config.shell = true;
    assert_eq!(line(&shell), r"export 'A=it'\''s'; cd x && run $A");
    let twice = [jobs("x")[0].clone(), Job::new(JobConfig::new("shop.web", "y").expect("a name"))];
    assert!(export(&twice, Format::Procfile).expect_err("twice").to_string().contains("one process type"));
}

#[test]
fn units() {
    let config = JobConfig::new("shop.web", "bin/web -p $PORT --rate 50% '$$5 \"x\"' $HOME").expect("a name");
    let config = config.cwd("/srv/shop").port(5000).ps(true).numprocesses(2).env("GREETING", "hi \\ \"you\" 100%");
    let exported = export(&[Job::new(config)], Format::Systemd).expect("units");
    let names: Vec<&str> = exported.files.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["shop.target", "shop-web.1.service", "shop-web.2.service"]);
    let unit = &exported.files[2].1;
    for line in [
        r#"ExecStart=/srv/shop/bin/web -p 5001 --rate 50%% "$$5 \"x\"" ${HOME}"#,
        r#"Environment="GREETING=hi \\ \"you\" 100%%""#,
        "Environment=PORT=5001",
        "Environment=PS=web.2",
        "WorkingDirectory=/srv/shop",
        "Restart=always",
        "KillSignal=SIGTERM",
        "TimeoutStopSec=30",
        "PartOf=shop.target",
    ] {
        assert!(unit.lines().any(|l| l == line), "{line}\n{unit}");
    }
    assert!(exported.files[0].1.contains("Wants=shop-web.2.service\n"));
    assert!(exported.notes.iter().any(|note| note.contains("$HOME")), "{:?}", exported.notes);
}

#[test]
fn names_of_formats() {
    for (name, format) in NAMES {
        assert_eq!(name.to_lowercase().parse::<Format>().expect(name), format);
    }
    let error = "systmed".parse::<Format>().expect_err("a typing error").to_string();
    assert!(error.contains("did you mean `systemd`?"), "{error}");
}
