use super::*;
use crate::words::tests::Rng;

fn read(value: Value) -> Result<(JobConfig, bool)> {
    job_from_json(&value, None)
}

fn base() -> JobConfig {
    JobConfig::new("web", "x").expect("a name")
}

/// A job with one more key.
fn with(key: &str, value: &Value) -> Value {
    let mut job = json!({"name": "web", "cmd": "x"});
    job.as_object_mut().expect("an object").insert(key.to_owned(), value.clone());
    job
}

/// `key` with any of `values` makes `want` of a job, and the first of them is how it is written.
#[track_caller]
fn key(key: &str, values: &[Value], want: JobConfig) {
    for value in values {
        let (job, start) = read(with(key, value)).expect(key);
        assert_eq!(job, want, "{key}: {value}");
        assert!(start);
    }
    let mut written = job_to_json(&want);
    assert_eq!(written[key], values[0], "{written}");
    written.as_object_mut().expect("an object").remove("numprocesses");
    if key != "numprocesses" {
        assert_eq!(written, with(key, &values[0]));
    }
}

#[test]
fn every_key_is_read_and_written() {
    let words = |words: &[&str]| words.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>();
    key("cmd", &[json!("y 'a b'")], JobConfig::new("web", "y 'a b'").expect("a name"));
    key("args", &[json!(["-a", "b c"]), json!("-a 'b c'")], base().arg("-a").arg("b c"));
    key("shell", &[json!(true)], base().shell(true));
    let env = base().env("A", "1").env("b", "");
    key("env", &[json!({"A": "1", "b": ""}), json!({"A": 1, "b": ""})], env);
    key("os_env", &[json!(false)], base().os_env(false));
    key("port", &[json!(5000)], base().port(5000));
    key("ps", &[json!(true)], base().ps(true));
    key("cwd", &[json!("/srv")], base().cwd("/srv"));
    key("uid", &[json!(0), json!("0")], base().uid(UserRef::Id(0)));
    key("uid", &[json!("www")], base().uid(UserRef::from("www")));
    key("gid", &[json!("www")], base().gid(UserRef::from("www")));
    key("umask", &[json!("027"), json!("0027")], base().umask(0o27));
    key("tty", &[json!(true)], base().tty(true));
    key("detach", &[json!(true)], base().detach(true));
    key("numprocesses", &[json!(0), json!(0.0)], base().numprocesses(0));
    key("restart", &[json!("on-failure")], base().restart(Restart::OnFailure));
    key("restart", &[json!("on-success")], base().restart(Restart::OnSuccess));
    key("restart", &[json!("never")], base().restart(Restart::Never));
    let rule = Flapping::new(3, Duration::from_millis(1500), Duration::from_secs(7), 0);
    let forms = [
        json!({"attempts": 3, "window": 1.5, "retry_in": 7, "max_retry": 0}),
        json!({"attempts": 3, "window": 1.5, "max_retry": 0}),
        json!("3, 1.5, 7., 0"),
        json!("3 1.5 7 0."),
    ];
    key("flapping", &forms, base().flapping(rule));
    let pace = Backoff::new(Duration::from_millis(500), Duration::from_secs(10));
    key("backoff", &[json!({"first": 0.5, "max": 10}), json!("0.5, 10"), json!("0.5 10.")], base().backoff(pace));
    key("backoff", &[json!({"first": 0, "max": 0}), json!(0), json!("0")], base().backoff(Backoff::OFF));
    let pace = Backoff::new(Duration::from_secs(9), Duration::from_secs(9));
    key("backoff", &[json!({"first": 9, "max": 9}), json!(9)], base().backoff(pace));
    key(
        "redirect_output",
        &[json!(["out", "err"]), json!("out, err"), json!("out err")],
        base().redirect_output(["out", "err"]),
    );
    key("stdout_logfile", &[json!("/var/log/x")], base().stdout_logfile("/var/log/x"));
    key("stderr_logfile", &[json!("-")], base().stderr_logfile("-"));
    let sizes = [json!(10_240), json!("10k"), json!("10 KiB"), json!("10KB")];
    key("logfile_maxbytes", &sizes, base().logfile_maxbytes(10_240));
    key("logfile_maxbytes", &[json!(0), json!("0")], base().logfile_maxbytes(0));
    key("logfile_backups", &[json!(3)], base().logfile_backups(3));
    key("logfile_total", &[json!(1 << 30), json!("1GB")], base().logfile_total(1 << 30));
    key("log_format", &[json!("prefix")], base().log_format(LogFormat::Prefix));
    key("log_format", &[json!("json")], base().log_format(LogFormat::Json));
    key("redirect_input", &[json!(true)], base().redirect_input(true));
    key("custom_streams", &[json!(["ctrl"]), json!("ctrl")], base().custom_stream("ctrl"));
    key("stdio", &[json!("inherit")], base().stdio(Stdio::Inherit));
    key("graceful_timeout", &[json!(0.25)], base().graceful_timeout(Duration::from_millis(250)));
    let signals = [json!("SIGINT"), json!("int"), json!(2), json!("2")];
    key("stop_signal", &signals, base().stop_signal(Signal::INT));
    key("log_history", &[json!(4096), json!("4 KiB")], base().log_history(4096));
    key("log_history", &[json!(0), json!("0")], base().log_history(0));

    // They belong to the list of jobs, not to the definition.
    assert!(!read(with("start", &json!(false))).expect("start").1);
    assert_eq!(read(with("priority", &json!(7))).expect("priority").0, base());
    let mut job = Job::new(base());
    (job.start, job.priority) = (false, Some(-7));
    let want = json!({"name": "web", "cmd": "x", "numprocesses": 1, "start": false, "priority": -7});
    assert_eq!(Value::Object(to_map(&job)), want);
    assert_eq!(base().arg("a").args, words(&["a"]));
    // The table has no key that is not tested here.
    assert_eq!(KEYS.len(), 35);
}

#[test]
fn nothing_means_the_default() {
    for name in KEYS.iter().map(|key| key.name).filter(|name| !["name", "cmd"].contains(name)) {
        assert_eq!(read(with(name, &Value::Null)).expect(name).0, base(), "{name}");
    }
    for name in ["session", "cwd", "uid", "gid", "args", "redirect_output", "custom_streams", "flapping"] {
        assert_eq!(read(with(name, &json!(""))).expect(name).0, base(), "{name}");
    }
    assert_eq!(read(with("flapping", &json!(false))).expect("false").0, base());
    assert_eq!(read(with("redirect_output", &json!(false))).expect("false").0, base());
    assert_eq!(read(with("flapping", &json!({}))).expect("{}").0, base().flapping(Flapping::default()));
    let rule = Flapping { attempts: 4, ..Flapping::default() };
    assert_eq!(read(with("flapping", &json!("4"))).expect("4").0, base().flapping(rule));
}

#[test]
fn names_and_sessions() {
    let name = |value: Value, session| job_from_json(&value, session).map(|(job, _)| job.name.to_string());
    for (value, session, want) in [
        (json!({"name": "a", "cmd": "x"}), None, "default.a"),
        (json!({"name": "a", "cmd": "x"}), Some("s"), "s.a"),
        (json!({"name": "s.a", "cmd": "x"}), Some("s"), "s.a"),
        (json!({"name": "s.a", "cmd": "x"}), None, "s.a"),
        (json!({"name": "s/a", "cmd": "x"}), None, "s.a"),
        (json!({"name": "s:a", "cmd": "x"}), None, "s.a"),
        (json!({"name": "a", "session": "s", "cmd": "x"}), None, "s.a"),
        (json!({"name": "s.a", "group": "s", "cmd": "x"}), Some("s"), "s.a"),
        (json!({"name": "a", "sessionid": "s", "cmd": "x"}), None, "s.a"),
    ] {
        assert_eq!(name(value, session).expect(want), want);
    }
    for (value, session, want) in [
        (json!({"name": "t.a", "cmd": "x"}), Some("s"), "name: the session is \"s\" here, but \"t\" in \"t.a\""),
        (
            json!({"name": "a", "session": "t", "cmd": "x"}),
            Some("s"),
            "session: the session is \"s\" here, found \"t\"",
        ),
        (
            json!({"name": "12", "cmd": "x"}),
            None,
            "name: invalid job name \"12\": a name of digits alone would be taken for a process id",
        ),
        (
            json!({"name": "a.b.c", "cmd": "x"}),
            None,
            "name: invalid job name \"b.c\": '.' is not one of A-Z a-z 0-9 _ + -",
        ),
        (json!({"name": "", "cmd": "x"}), None, "name: expected text, found \"\""),
        (json!({"name": 3, "cmd": "x"}), None, "name: expected text, found 3"),
        (json!({"cmd": "x"}), None, "a job has no `name`"),
        (json!({"name": "a"}), None, "a job has no `cmd`"),
        (json!({"name": "a", "cmd": null}), None, "a job has no `cmd`"),
        (json!([]), None, "a job: expected an object, found a list"),
        (json!("x"), None, "a job: expected an object, found \"x\""),
    ] {
        let e = name(value, session).expect_err(want);
        assert_eq!((e.kind(), e.to_string().as_str()), (ErrorKind::Invalid, want));
    }
}

#[test]
fn says_what_was_expected() {
    let long = "y".repeat(60);
    let seconds = "expected a number of seconds, found";
    let form = "expected `attempts, window, retry_in, max_retry` such as 2, 1., 7., 5, found";
    let pause = "expected the first and the longest pause in seconds, such as 0.1, 5, found";
    for (key, value, want) in [
        ("numproceses", json!(1), "a job has no key `numproceses`; did you mean `numprocesses`?".to_owned()),
        ("custom_channels", json!([]), "a job has no key `custom_channels`".to_owned()),
        ("colour", json!(1), "a job has no key `colour`".to_owned()),
        ("cmd", json!(""), "cmd: expected text, found \"\"".to_owned()),
        ("cmd", json!("a 'b"), "cmd: character 3: this single quote is never closed".to_owned()),
        ("cmd", json!("a\0"), "cmd: a NUL cannot be part of it".to_owned()),
        ("args", json!({}), "args: expected a list of texts, or a text, found an object".to_owned()),
        ("args", json!(["a", 80]), "args[1]: expected text, found 80".to_owned()),
        ("args", json!(["\0"]), "args[0]: a NUL cannot be part of it".to_owned()),
        ("args", json!("'"), "args: character 1: this single quote is never closed".to_owned()),
        ("shell", json!(1), "shell: expected true or false, found 1".to_owned()),
        ("env", json!("A=1"), "env: expected an object, found \"A=1\"".to_owned()),
        ("env", json!({"A": []}), "env.A: expected text, found a list".to_owned()),
        ("env", json!({"A=": ""}), "env.A=: \"A=\" is not a variable's name".to_owned()),
        ("port", json!(0), "port: expected a number from 1 to 65535, found 0".to_owned()),
        ("port", json!(65536), "port: expected a number from 1 to 65535, found 65536".to_owned()),
        ("cwd", json!(1), "cwd: expected text, found 1".to_owned()),
        ("uid", json!(-1), "uid: expected a name or number, found -1".to_owned()),
        ("uid", json!(true), "uid: expected a name or number, found true".to_owned()),
        ("umask", json!(18), "umask: expected octal digits up to \"777\", as text, found 18".to_owned()),
        ("umask", json!("8"), "umask: expected octal digits up to \"777\", as text, found \"8\"".to_owned()),
        ("numprocesses", json!("two"), "numprocesses: expected a whole number, found \"two\"".to_owned()),
        ("numprocesses", json!("2"), "numprocesses: expected a whole number, found \"2\"".to_owned()),
        ("numprocesses", json!(1.5), "numprocesses: expected a whole number, found 1.5".to_owned()),
        ("numprocesses", json!(-1), "numprocesses: expected a number from 0 to 10000, found -1".to_owned()),
        ("numprocesses", json!(10001), "numprocesses: expected a number from 0 to 10000, found 10001".to_owned()),
        ("start", json!("no"), "start: expected true or false, found \"no\"".to_owned()),
        ("priority", json!(1e300), "priority: expected a whole number, found 1e+300".to_owned()),
        (
            "restart",
            json!("maybe"),
            "restart: expected always, on-failure, on-success or never, found \"maybe\"".to_owned(),
        ),
        ("restart", json!(true), "restart: expected always, on-failure, on-success or never, found true".to_owned()),
        ("flapping", json!(2), "flapping: expected an object, or text, found 2".to_owned()),
        ("flapping", json!("a, 2"), format!("flapping: {form} \"a, 2\"")),
        ("flapping", json!("1,2,3,4,5"), format!("flapping: {form} \"1,2,3,4,5\"")),
        ("flapping", json!("1,,2"), format!("flapping: {form} \"1,,2\"")),
        ("flapping", json!("inf"), format!("flapping: {form} \"inf\"")),
        ("flapping", json!("1.5"), "flapping.attempts: expected a whole number, found 1.5".to_owned()),
        ("flapping", json!("0"), "flapping.attempts: expected a number from 1 to 1000, found 0".to_owned()),
        (
            "flapping",
            json!({"window": 0}),
            "flapping.window: expected a number of seconds, more than 0, found 0".to_owned(),
        ),
        ("flapping", json!({"retry_in": -1}), format!("flapping.retry_in: {seconds} -1")),
        ("flapping", json!({"retryin": 1}), "flapping: there is no `retryin`; did you mean `retry_in`?".to_owned()),
        ("backoff", json!([]), format!("backoff: {pause} a list")),
        ("backoff", json!("1,2,3"), format!("backoff: {pause} \"1,2,3\"")),
        ("backoff", json!("soon"), format!("backoff: {pause} \"soon\"")),
        ("backoff", json!("2 1"), "backoff: the first pause is longer than the longest".to_owned()),
        ("backoff", json!({"last": 1}), "backoff: there is no `last`".to_owned()),
        ("redirect_output", json!(["a", "b", "c"]), "redirect_output: expected at most 2 labels, found 3".to_owned()),
        (
            "redirect_output",
            json!(["a/b"]),
            "redirect_output: \"a/b\" is no label: it must not be empty nor contain '/'".to_owned(),
        ),
        (
            "logfile_maxbytes",
            json!("50 blocks"),
            "logfile_maxbytes: expected 0, or a number of bytes of at least 1024 such as 10k or 50 MiB, found \"50 blocks\""
                .to_owned(),
        ),
        (
            "logfile_maxbytes",
            json!(1023),
            "logfile_maxbytes: expected 0, or a number of bytes of at least 1024 such as 10k or 50 MiB, found 1023".to_owned(),
        ),
        ("logfile_backups", json!(1001), "logfile_backups: expected a number from 0 to 1000, found 1001".to_owned()),
        ("log_format", json!("JSON"), "log_format: expected raw, prefix or json, found \"JSON\"".to_owned()),
        ("redirect_output", json!(true), "redirect_output: expected a list of texts, found true".to_owned()),
        ("redirect_output", json!([null]), "redirect_output[0]: expected text, found null".to_owned()),
        ("stdio", json!("file"), "stdio: expected null or inherit, found \"file\"".to_owned()),
        ("graceful_timeout", json!("30"), format!("graceful_timeout: {seconds} \"30\"")),
        ("graceful_timeout", json!(-0.5), format!("graceful_timeout: {seconds} -0.5")),
        ("graceful_timeout", json!(1e9), format!("graceful_timeout: {seconds} 1000000000.0")),
        (
            "stop_signal",
            json!(0),
            "stop_signal: expected a signal's name such as TERM, or its number, found 0".to_owned(),
        ),
        (
            "stop_signal",
            json!("NOPE"),
            "stop_signal: expected a signal's name such as TERM, or its number, found \"NOPE\"".to_owned(),
        ),
        (
            "restart",
            json!(long),
            format!("restart: expected always, on-failure, on-success or never, found {:?}…", &long[..40]),
        ),
    ] {
        let e = read(with(key, &value)).expect_err(&want);
        assert_eq!((e.kind(), e.to_string()), (ErrorKind::Invalid, want), "{key}: {value}");
    }
    // A shell reads its own line.
    let job = json!({"name": "a", "cmd": "echo 'it''s' # don't", "shell": true});
    assert!(read(job).is_ok());
}

fn random_value(rng: &mut Rng, depth: usize) -> Value {
    match rng.below(if depth > 2 { 7 } else { 9 }) {
        0 => Value::Null,
        1 => json!(rng.below(2) == 0),
        2 => json!(rng.below(12)),
        3 => json!(rng.next() as i64),
        4 => json!(rng.below(100_000) as f64 / 1000.0),
        5 => json!(
            ["", "a", "out", "2, 1., 7., 5", "TERM", "027", "never", "0.5 9", "a 'b", "www", "s.x"][rng.below(11)]
        ),
        6 => json!(rng.garbage(6)),
        7 => (0..rng.below(4)).map(|_| random_value(rng, depth + 1)).collect(),
        _ => {
            let names = ["attempts", "window", "first", "max", "A", "b"];
            (0..rng.below(3)).map(|_| (names[rng.below(6)].to_owned(), random_value(rng, depth + 1))).collect()
        }
    }
}

#[test]
fn what_was_read_can_be_written_and_read_again() {
    let mut read_well = 0;
    for seed in 0..100_000 {
        let mut rng = Rng(seed);
        let mut job = json!({"name": "web", "cmd": "x"});
        for _ in 0..rng.below(4) {
            let key = KEYS[rng.below(KEYS.len())].name;
            job[key] = random_value(&mut rng, 0);
        }
        let Ok((config, _)) = read(job.clone()) else { continue };
        read_well += 1;
        let again = read(job_to_json(&config)).expect("what was read can be written").0;
        assert_eq!(again, config, "seed {seed}: {job}");
    }
    assert!(read_well > 10_000, "only {read_well} jobs were right");
}
