//! The words of other supervisors, and what says the same here.
//!
//! Who moves a configuration from supervisord, circus, systemd or pm2 meets their keys as errors; the nearest of our names by
//! letters would lead astray (`autorestart` is not `autostart`). None of these words is taken: each is an answer alone.
//!
//! supervisord: <https://supervisord.org/configuration.html>; circus: <https://circus.readthedocs.io/en/latest/for-ops/configuration/>;
//! systemd.service(5), systemd.exec(5), systemd.kill(5); pm2: <https://pm2.keymetrics.io/docs/usage/application-declaration/>.

use super::keys::Foreign;

/// Words, and the sentence that answers all of them. Words are in lower case, as ini keys are when they are looked for.
pub(super) type Answers = &'static [(&'static [&'static str], &'static str)];

/// Of a job: `[program:x]`, `[watcher:x]`, `[Service]`, an app of pm2.
pub(super) const JOB: Answers = &[
    (&["command", "execstart", "script", "exec"], "it is `cmd` here"),
    (&["process_name"], "the section has the name here, and `ps = true` gives each process its own as PS"),
    (&["numprocs", "instances"], "it is `numprocesses` here"),
    (&["singleton"], "it is `numprocesses = 1` here"),
    (&["numprocs_start"], "`port` here gives each process a number of its own, as PORT"),
    (&["directory", "working_dir", "workingdirectory"], "it is `cwd` here"),
    (&["user"], "it is `uid` here, and `gid` the group"),
    (&["environment"], "it is `env.NAME = value` here, or a section [env:JOB]"),
    (&["environmentfile", "env_file"], "variables stand in a section [env:JOB] here, which an included file may have"),
    (&["copy_env"], "it is `os_env` here, which is true unless it is set"),
    (&["autostart"], "it is `start` here"),
    (
        &["autorestart", "respawn"],
        "it is `restart = always, on-failure, on-success or never` here; `unexpected` is on-failure",
    ),
    (&["exitcodes", "stop_exit_codes", "successexitstatus"], "`restart = on-failure` here takes 0 alone for success"),
    (
        &["startsecs", "startretries", "max_retry", "max_restarts", "min_uptime", "startlimitburst"],
        "`flapping = ATTEMPTS, WINDOW, RETRY_IN, MAX_RETRY` here says when crashes are too many",
    ),
    (
        &["restartsec", "restart_delay", "exp_backoff_restart_delay"],
        "it is `backoff = FIRST, LONGEST` here, in seconds",
    ),
    (&["stopsignal", "killsignal"], "it is `stop_signal` here"),
    (&["stopwaitsecs", "timeoutstopsec", "kill_timeout"], "it is `graceful_timeout` here, in seconds"),
    (
        &["stopasgroup", "killasgroup", "stop_children", "killmode", "treekill"],
        "leave it out: a stop reaches the whole process group here, always",
    ),
    (
        &["redirect_stderr", "merge_logs", "combine_logs"],
        "the same path for `stdout_logfile` and `stderr_logfile` merges both here",
    ),
    (&["out_file", "standardoutput", "stdout_stream.filename"], "it is `stdout_logfile = PATH` here"),
    (&["error_file", "standarderror", "stderr_stream.filename"], "it is `stderr_logfile = PATH` here"),
    (
        &["stdout_stream.class", "stderr_stream.class"],
        "`stdout_logfile` and `stderr_logfile` are files here, and `redirect_output` streams to watch",
    ),
    (
        &["stdout_logfile_maxbytes", "stderr_logfile_maxbytes", "stdout_stream.max_bytes", "stderr_stream.max_bytes"],
        "it is `logfile_maxbytes` here, for both",
    ),
    (
        &[
            "stdout_logfile_backups",
            "stderr_logfile_backups",
            "stdout_stream.backup_count",
            "stderr_stream.backup_count",
        ],
        "it is `logfile_backups` here, for both",
    ),
    (&["log_date_format", "stdout_stream.time_format"], "it is `log_format = prefix` here"),
    (
        &["stdout_capture_maxbytes", "stderr_capture_maxbytes", "stdout_events_enabled", "stderr_events_enabled"],
        "`redirect_output = out, err` makes output readable for others here, `log_history` what is kept of it",
    ),
    (&["stdout_syslog", "stderr_syslog"], "pipe it: `cmd = PROGRAM | logger -t NAME` with `shell = true`"),
    (
        &["max_memory_restart", "memorymax", "memorylimit", "max_age"],
        "nothing restarts a job by its size or age here; `/stats` and `/metrics` have its figures, and `ulimit` in `cmd` with \
         `shell = true` bounds it",
    ),
    (
        &["limitnofile", "rlimit_nofile", "rlimit_core", "rlimit_as", "minfds"],
        "limits are those of gafferd, or of `ulimit` in `cmd` with `shell = true`",
    ),
    (&["cron_restart"], "nothing is restarted by the clock here; cron can call `gafferctl restart JOB`"),
    (&["interpreter"], "it is the first word of `cmd` here"),
    (&["virtualenv"], "give the path of its program in `cmd`"),
    (&["exec_mode"], "every process is one of its own here, and `port` gives each its PORT"),
    (&["warmup_delay"], "nothing waits between starts here; `priority` has their order"),
    (&["depends_on", "after", "requires", "wants"], "nothing waits for another job here; `priority` has their order"),
];

/// Of `[gaffer]`: `[supervisord]`, `[circus]`.
pub(super) const GAFFER: Answers = &[
    (&["logfile", "logoutput"], "it is `error_log` here"),
    (&["loglevel"], "it is `log_level` here"),
    (&["nodaemon"], "it is `daemonize` here, the other way round"),
    (&["file", "port", "endpoint", "pubsub_endpoint", "httpd_host", "httpd_port"], "it is `bind` here"),
    (&["files"], "it is `include` here, or `include_dir` for a folder"),
    (&["chmod"], "it is `mode` here"),
    (&["chown"], "it is `owner` here"),
    (
        &["username", "password"],
        "it is `require_key = true` here: keys and users are made by `gafferd --create-admin-user`",
    ),
    (&["logfile_maxbytes", "logfile_backups"], "logrotate does that for gafferd's own log: SIGUSR1 opens it anew"),
    (&["childlogdir"], "each job says its `stdout_logfile` and `stderr_logfile` here"),
    (&["user"], "gafferd stays who has started it, and each job says its `uid`"),
    (&["umask", "directory"], "each job says its own here: `umask`, `cwd`"),
    (&["minfds", "minprocs"], "limits are those gafferd was started with (`ulimit`)"),
    (&["warmup_delay", "check_delay"], "leave it out: nothing is polled here"),
];

/// Sections, by what stands before the colon.
pub(super) const SECTIONS: Answers = &[
    (&["supervisord", "circus"], "it is [gaffer] here"),
    (&["program", "watcher", "app"], "it is [job:NAME] here"),
    (&["group"], "a group is part of the name here: [job:GROUP:NAME]"),
    (&["unix_http_server", "inet_http_server"], "it is `bind = unix:PATH` or `bind = HOST:PORT` in [gaffer] here"),
    (&["supervisorctl"], "it is `[gaffer] endpoint` of ~/.gaffer/gaffer.ini here, or --connect of gafferctl"),
    (&["include"], "it is `include` or `include_dir` in [gaffer] here"),
    (&["rpcinterface"], "leave it out: the API is served at `bind` of [gaffer]"),
    (&["eventlistener"], "it is a section [webhooks] here, or a plugin"),
    (&["fcgi-program", "socket"], "a job opens its own sockets here; `port` gives each process its PORT"),
    (&["service"], "it is [job:NAME] here"),
    (&["unit", "install"], "leave it out: a job has all in [job:NAME]"),
];

/// `; it is `cmd` here` for a key of a job that others have.
pub(super) fn of_job(key: &str) -> Option<String> {
    answer(JOB, key)
}

/// The same for a key of `[gaffer]`.
pub(super) fn of_gaffer(key: &str) -> Option<String> {
    answer(GAFFER, key)
}

/// The same for the first word of a section.
pub(super) fn of_section(prefix: &str) -> Option<String> {
    answer(SECTIONS, prefix)
}

/// What answers the keys of a section of another program, by its first word.
pub(super) fn keys_of(prefix: &str) -> Option<Foreign> {
    match prefix.to_ascii_lowercase().as_str() {
        "program" | "watcher" | "app" | "service" | "fcgi-program" => Some(of_job),
        "supervisord" | "circus" | "unix_http_server" | "inet_http_server" | "include" => Some(of_gaffer),
        _ => None,
    }
}

fn answer(answers: Answers, word: &str) -> Option<String> {
    let known = |words: &[&str]| words.iter().any(|known| known.eq_ignore_ascii_case(word));
    answers.iter().find(|(words, _)| known(words)).map(|(_, answer)| format!("; {answer}"))
}
