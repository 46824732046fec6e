//! Sections of jobs, and of their environment.

use super::*;

/// A key of a job in both formats.
#[track_caller]
fn job(key: &str, text: &str, value: Value, change: impl Fn(&mut Job)) {
    let mut job = Job::new(JobConfig::new("s.web", "x").expect("a name"));
    change(&mut job);
    let want = GafferdConfig { jobs: vec![job], ..default() };
    let cmd = if key == "cmd" { "" } else { "cmd = x\n" };
    let mut json = json!({"name": "web", "session": "s", "cmd": "x"});
    json[key] = value;
    both(&format!("[process:s:web]\n{cmd}{key} = {text}\n"), &json!({"jobs": [json]}), &want);
}

#[test]
fn every_key_of_a_job() {
    let on = || json!(true);
    job("cmd", "run  'a b' $HOME ${HOME} 5%%", json!("run  'a b' $HOME ${HOME} 5%"), |j| {
        j.config.cmd = "run  'a b' $HOME ${HOME} 5%".to_owned();
    });
    job("cmd", "run\n  --a\n  port=1", json!("run\n--a\nport=1"), |j| j.config.cmd = "run\n--a\nport=1".to_owned());
    job("args", "-a 'b c' ${X}", json!(["-a", "b c", "${X}"]), |j| j.config.args = strings(&["-a", "b c", "${X}"]));
    job("shell", "1", on(), |j| j.config.shell = true);
    job("env.Path", "${HOME}:/bin", json!("/home/g:/bin"), |j| {
        j.config.env.insert("Path".to_owned(), "/home/g:/bin".to_owned());
    });
    job("os_env", "no", json!(false), |j| j.config.os_env = false);
    job("port", "5000", json!(5000), |j| j.config.port = Some(5000));
    job("ps", "yes", on(), |j| j.config.ps = true);
    job("cwd", "%(here)s/x", json!("/cwd/x"), |j| j.config.cwd = Some("/cwd/x".into()));
    job("uid", "www", json!("www"), |j| j.config.uid = Some("www".into()));
    job("gid", "7", json!(7), |j| j.config.gid = Some(UserRef::Id(7)));
    job("umask", "022", json!("022"), |j| j.config.umask = Some(0o22));
    job("tty", "yes", on(), |j| j.config.tty = true);
    job("detach", "TRUE", on(), |j| j.config.detach = true);
    job("numprocesses", "4", json!(4), |j| j.config.numprocesses = 4);
    job("start", "false", json!(false), |j| j.start = false);
    job("priority", "-2", json!(-2), |j| j.priority = Some(-2));
    job("restart", "never", json!("never"), |j| j.config.restart = Restart::Never);
    for form in ["2, 1., 7., 5", "2 1. 7. 5", "2,1,7", "2"] {
        job("flapping", form, json!(form), |j| j.config.flapping = Some(Flapping::default()));
    }
    job("backoff", "1 2", json!("1 2"), |j| {
        j.config.backoff = crate::process::Backoff::new(Duration::from_secs(1), Duration::from_secs(2));
    });
    job("redirect_output", "stdout, stderr", json!(["stdout", "stderr"]), |j| {
        j.config.redirect_output = strings(&["stdout", "stderr"]);
    });
    job("stdout_logfile", "/var/log/a", json!("/var/log/a"), |j| j.config.stdout_logfile = Some("/var/log/a".into()));
    job("stderr_logfile", "-", json!("-"), |j| j.config.stderr_logfile = Some("-".into()));
    job("logfile_maxbytes", "50MB", json!("50MB"), |j| j.config.logfile_maxbytes = 50 << 20);
    job("logfile_maxbytes", "10k", json!(10_240), |j| j.config.logfile_maxbytes = 10_240);
    job("logfile_maxbytes", "0", json!(0), |j| j.config.logfile_maxbytes = 0);
    job("logfile_backups", "3", json!(3), |j| j.config.logfile_backups = 3);
    job("logfile_total", "1 GiB", json!("1 GiB"), |j| j.config.logfile_total = Some(1 << 30));
    job("log_format", "json", json!("json"), |j| j.config.log_format = crate::process::LogFormat::Json);
    job("redirect_input", "true", on(), |j| j.config.redirect_input = true);
    job("custom_streams", "a b", json!(["a", "b"]), |j| j.config.custom_streams = strings(&["a", "b"]));
    job("stdio", "inherit", json!("inherit"), |j| j.config.stdio = crate::process::Stdio::Inherit);
    job("graceful_timeout", "2.5", json!(2.5), |j| j.config.graceful_timeout = Duration::from_millis(2500));
    job("stop_signal", "int", json!("SIGINT"), |j| j.config.stop_signal = Signal::INT);
    job("log_history", "4k", json!(4096), |j| j.config.log_history = Some(4096));
    // All but `name` and `session`, which an ini file has in the section; `env` is told apart.
    assert_eq!(crate::config::job::KEYS.len(), 35);
}

#[test]
fn names_of_jobs_and_their_environment() {
    let names = |config: &GafferdConfig| config.jobs.iter().map(|j| j.config.name.to_string()).collect::<Vec<_>>();
    let text = "[process:a]\ncmd=x\n[job:s.b]\ncmd=x\n[process:s:c]\nCMD=x\n[job:s/d]\ncmd=x\n[process:e]\ncmd=x\npriority=0\n[job:f]\ncmd=x\npriority=-1\n[job:g]\ncmd=x\npriority=0\n";
    let config = read(&format!("{text}[env:s.c]\nport = 80\nMixed_case = ${{HOME}}\n")).expect(text);
    assert_eq!(names(&config), ["default.f", "default.e", "default.g", "default.a", "s.b", "s.c", "s.d"]);
    let env: Vec<_> = config.jobs[5].config.env.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    assert_eq!(env, [("MIXED_CASE", "/home/g"), ("PORT", "80")]);

    for (text, want) in [
        ("[process]\ncmd = x", "g.ini:1:2: [process] has no name: expected [process:NAME]"),
        ("[process: ]\ncmd = x", "g.ini:1:2: [process: ] has no name: expected [process:NAME]"),
        (
            "[process:12]\ncmd = x",
            "g.ini:1:2: invalid job name \"12\": a name of digits alone would be taken for a process id",
        ),
        ("[process:a:b:c]\ncmd = x", "g.ini:1:2: invalid job name \"b:c\": ':' is not one of A-Z a-z 0-9 _ + -"),
        ("[process:a]\nargs = x", "g.ini:1:2: [process:a] has no `cmd`"),
        ("[process:a]\ncmd =", "g.ini:2:6: cmd: expected text, found nothing"),
        ("[process:a]\nargs = b\ncmd = don't", "g.ini:3:7: cmd: character 4: this single quote is never closed"),
        ("[process:a]\ncmd = x\nname = b", "g.ini:3:8: name: the section has the name already"),
        ("[process:a]\ncmd = x\nCmd = y", "g.ini:3:1: the key `Cmd` is given twice: line 2 has it already"),
        ("[process:a]\ncmd = x\nenv:A = b", "g.ini:3:5: env: write `env.NAME = value` here, or a section [env:JOB]"),
        ("[process:a]\ncmd = x\nenv. = b", "g.ini:3:8: env.: \"\" is not a variable's name"),
        ("[process:a]\ncmd = x\nenv.A = 1\n[env:a]\na = 2", "g.ini:5:1: the variable A of default.a is given twice"),
        (
            "[process:a]\ncmd = x\n[job:default.a]\ncmd = x",
            "g.ini:3:2: the job default.a is given twice: line 1 has it already",
        ),
        (
            "[process:web]\ncmd = x\n[env:wep]\nA = 1",
            "g.ini:3:2: there is no job default.wep for this environment; did you mean `web`?",
        ),
        (
            "[env:a]\nA=1\n[process:a]\ncmd = x\n[env:default/a]\nA=1",
            "g.ini:5:2: the environment of default.a is given twice: line 1 has it already",
        ),
        (
            "[process:a]\ncmd = x\n  numprocesses = 2",
            "g.ini:2:7: cmd: the value goes on with \"numprocesses = 2\", because that line is indented",
        ),
        ("{\"jobs\": [{\"name\": \"a\"}]}", "g.ini:1:11: jobs[0] has no `cmd`"),
        ("{\"jobs\": [{\"cmd\": \"a\"}]}", "g.ini:1:11: jobs[0] has no `name`"),
        ("{\"jobs\": {}}", "g.ini:1:10: jobs: expected a list, found an object"),
        ("{\"jobs\": [3]}", "g.ini:1:11: jobs[0]: expected an object, found 3"),
        (
            "{\"jobs\": [\n{\"name\": \"a\", \"cmd\": \"x\", \"session\": \"b.c\"}]}",
            "g.ini:2:38: jobs[0].session: invalid session name \"b.c\": '.' is not one of A-Z a-z 0-9 _ + -",
        ),
        (
            "{\"jobs\": [{\"name\": \"a\", \"cmd\": \"x\"},\n {\"name\": \"default.a\", \"cmd\": \"y\"}]}",
            "g.ini:2:2: the job default.a is given twice: line 1 has it already",
        ),
        (
            "{\"jobs\": [{\"name\": \"a\", \"cmd\": \"x\"},\n {\"name\": \"b\", \"cmd\": \"y\", \"env\": {\"A\": true}}]}",
            "g.ini:2:35: jobs[1].env.A: expected text, found true",
        ),
        (
            "{\"jobs\": [{\"name\": \"a\", \"cmd\": \"x\", \"session\": \"s\", \"group\": \"s\"}]}",
            "g.ini:1:37: the key `jobs[0].session` is given twice: line 1 has it already",
        ),
    ] {
        fails(text, want);
    }
}
