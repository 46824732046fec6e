//! `gaffer export`: what it writes is read by those it is for.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use gaffer::config::{GafferdConfig, Job};
use serde_json::Value;

use crate::support::Room;

/// Commands and variables with what each of the targets could take for something else.
const PROCFILE: &str = "\
web: python3 -m http.server --bind 127.0.0.1 $PORT
worker: echo 'it''s 50%' \"a ; b # c %(x)s\" ${HOME}; sleep 100
clock: /bin/sleep 100
";
const ENV: &str = r#"GREETING="hi \"you\" it's 100% ${X} \\ ; x # y"
PLAIN=a b
EMPTY=
"#;

fn room() -> Room {
    // `${X}` in a double-quoted value is X of the environment; here it shall stay.
    Room::new(PROCFILE).file(".env", ENV.replace("${X}", "\\${X}"))
}

/// Where `.ci/tools` has put what the tests need.
fn tools() -> PathBuf {
    let default = || Path::new(env!("CARGO_MANIFEST_DIR")).join("target/net-tools");
    std::env::var_os("GAFFER_NET_TOOLS").map_or_else(default, PathBuf::from)
}

fn skip(test: &str, why: &str) {
    assert!(std::env::var_os("GAFFER_NET_REQUIRE").is_none(), "{test}: {why} (run .ci/tools)");
    let _ = writeln!(std::io::stderr(), "\nSKIPPED {test}: {why} (run .ci/tools)");
}

/// What a script in Python prints as JSON; `None` and a word about it where it needs what is not there.
fn python(test: &str, needs: &str, script: &str, argument: &Path) -> Option<Value> {
    let command = || {
        let mut command = Command::new("python3");
        command.env("PYTHONPATH", tools().join("python")).stdin(Stdio::null());
        command
    };
    let there = command().args(["-c", needs]).stderr(Stdio::null()).status();
    if !there.is_ok_and(|status| status.success()) {
        skip(test, needs);
        return None;
    }
    let done = command().arg("-c").arg(script).arg(argument).output().expect("python3");
    let (out, err) = (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    assert!(done.status.success(), "{out}{err}\n{}", fs::read_to_string(argument).unwrap_or_default());
    Some(serde_json::from_str(&out).unwrap_or_else(|e| panic!("{e}: {out}{err}")))
}

/// Exports into a file or folder of the room.
#[track_caller]
fn exported(room: &Room, format: &str, name: &str) -> PathBuf {
    room.run(&format!("export --format {format} --out {name} -c web=2")).expect(0);
    room.path(name)
}

fn jobs(path: &Path) -> Vec<Job> {
    GafferdConfig::load(path).unwrap_or_else(|e| panic!("{e}")).jobs
}

#[test]
fn gafferd_loads_the_same_jobs_from_ini_and_json() {
    let room = room();
    let (ini, json) = (jobs(&exported(&room, "ini", "g.ini")), jobs(&exported(&room, "json", "g.json")));
    assert_eq!(ini, json);
    assert_eq!(ini.len(), 3);
    let web = &ini[0].config;
    assert_eq!((web.name.as_str(), web.numprocesses, web.port, web.ps), ("app.web", 2, Some(5000), true));
    assert_eq!(web.env["GREETING"], r#"hi "you" it's 100% ${X} \ ; x # y"#);
    assert_eq!(web.cwd.as_deref(), Some(Path::new(room.dir())));
    assert!(ini[1].config.cmd.ends_with("%(x)s\" ${HOME}; sleep 100"), "{}", ini[1].config.cmd);
}

#[test]
fn systemd_verifies_its_units() {
    let room = room();
    let folder = exported(&room, "systemd", "units");
    let mut units: Vec<PathBuf> = fs::read_dir(&folder).expect("a folder").map(|e| e.expect("a file").path()).collect();
    units.sort();
    assert_eq!(units.len(), 5, "{units:?}");
    let mut command = Command::new("systemd-analyze");
    command.arg("verify").args(&units).env("SYSTEMD_UNIT_PATH", format!("{}:", folder.display()));
    let Ok(done) = command.output() else { return skip("systemd_verifies_its_units", "systemd-analyze") };
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    // What it finds in units of others is not ours, nor what it thinks of the umask of the tests.
    let told = said.lines().filter(|line| !line.contains("marked world-writable"));
    let ours: Vec<&str> = told.filter(|line| line.contains("app-") || line.contains("app.target")).collect();
    assert!(done.status.success() && ours.is_empty(), "{said}");
}

#[test]
fn supervisord_reads_its_configuration() {
    let room = room();
    let file = exported(&room, "supervisord", "supervisord.conf");
    let script = "
import json, shlex, sys
from supervisor.options import ServerOptions
options = ServerOptions()
options.realize(['-c', sys.argv[1], '-n', '-u', 'root'][:3])
options.process_config(do_usage=False)
out = {}
for group in options.process_group_configs:
    for process in group.process_configs:
        out[group.name + ':' + process.name] = {
            'argv': shlex.split(process.command), 'env': process.environment, 'directory': process.directory,
            'stop': int(process.stopsignal), 'wait': process.stopwaitsecs, 'restart': str(process.autorestart)}
print(json.dumps(out))
";
    let test = "supervisord_reads_its_configuration";
    let Some(read) = python(test, "import supervisor.options", script, &file) else { return };
    let programs = read.as_object().expect("programs");
    assert_eq!(programs.len(), 4, "{read:#}");
    let greeting = r#"GREETING=hi "you" it's 100% ${X} \ ; x # y"#;
    let web = &read["app:app-web-2"];
    let script = "python3 -m http.server --bind 127.0.0.1 $PORT";
    assert_eq!(web["argv"], serde_json::json!(["/usr/bin/env", greeting, "/bin/sh", "-c", script]));
    assert_eq!(web["env"], serde_json::json!({"EMPTY": "", "PLAIN": "a b", "PORT": "5001", "PS": "web.2"}));
    assert_eq!((&web["stop"], &web["wait"], &web["directory"]), (&15.into(), &30.into(), &room.dir().into()));
    let worker = &read["app:app-worker"]["argv"];
    assert_eq!(worker[4], "echo 'it''s 50%' \"a ; b # c %(x)s\" ${HOME}; sleep 100");
    assert_eq!(read["app:app-clock"]["argv"][2], "/bin/sleep");
}

#[test]
fn compose_has_its_services() {
    let room = room();
    let file = exported(&room, "compose", "compose.yaml");
    let script = "
import json, os, sys, yaml, jsonschema, importlib.util
with open(sys.argv[1]) as file:
    composed = yaml.safe_load(file)
# The schema of that version is from before projects had names in their files.
name = composed.pop('name')
folder = os.path.dirname(importlib.util.find_spec('compose').origin)
with open(os.path.join(folder, 'config', 'compose_spec.json')) as file:
    jsonschema.Draft7Validator(json.load(file)).validate(composed)
composed['name'] = name
print(json.dumps(composed))
";
    let needs = "import yaml, jsonschema, importlib.util; assert importlib.util.find_spec('compose')";
    let Some(read) = python("compose_has_its_services", needs, script, &file) else { return };
    let services = read["services"].as_object().expect("services");
    assert_eq!(services.keys().collect::<Vec<_>>(), ["clock", "web-1", "web-2", "worker"]);
    let web = &services["web-2"];
    assert_eq!(web["command"][2], "python3 -m http.server --bind 127.0.0.1 $$PORT");
    assert_eq!(web["environment"]["GREETING"], r#"hi "you" it's 100% $${X} \ ; x # y"#);
    assert_eq!((&web["environment"]["PORT"], &web["stop_signal"]), (&"5001".into(), &"SIGTERM".into()));
}

/// docker-compose itself; `config` asks no daemon.
#[test]
fn docker_compose_reads_its_file() {
    let room = room();
    let file = exported(&room, "compose", "compose.yaml");
    let folder = tools().join("compose");
    let script = format!(
        "
import json, os, subprocess, sys
sys.path.insert(0, {folder:?})
import yaml
with open(sys.argv[1]) as file:
    composed = yaml.safe_load(file)
# That version is from before projects had names in their files.
name = composed.pop('name')
with open(sys.argv[1] + '.unnamed', 'w') as file:
    yaml.safe_dump(composed, file)
command = [sys.executable, '-m', 'compose', '-f', file.name, 'config']
done = subprocess.run(command, env={{**os.environ, 'PYTHONPATH': {folder:?}}}, capture_output=True, text=True)
assert done.returncode == 0, done.stderr
print(json.dumps({{'name': name, **yaml.safe_load(done.stdout)}}))
"
    );
    let needs = format!("import sys; sys.path.insert(0, {folder:?}); import compose.cli.main");
    let Some(read) = python("docker_compose_reads_its_file", &needs, &script, &file) else { return };
    let services = read["services"].as_object().expect("services");
    assert_eq!(services.keys().collect::<Vec<_>>(), ["clock", "web-1", "web-2", "worker"]);
    let web = &services["web-2"];
    // It doubles the dollars again that it has halved.
    assert_eq!(web["command"][2], "python3 -m http.server --bind 127.0.0.1 $$PORT");
    assert_eq!(web["environment"]["GREETING"], r#"hi "you" it's 100% $${X} \ ; x # y"#);
    assert_eq!(web["environment"]["EMPTY"], "");
    assert_eq!((&web["ports"][0], &web["restart"]), (&"127.0.0.1:5001:5001/tcp".into(), &"always".into()));
    assert_eq!((&web["stop_signal"], &web["stop_grace_period"]), (&"SIGTERM".into(), &"30000ms".into()));
}

#[test]
fn honcho_reads_the_procfile_and_so_do_we() {
    let room = room();
    let file = exported(&room, "Procfile", "Procfile.out");
    let again = room.run("check --json -f Procfile.out").expect(0);
    let plan: Value = serde_json::from_str(&again.text()).expect("JSON");
    assert_eq!(plan["programs"].as_array().map(Vec::len), Some(3));
    // The shell gets the very words that it got before.
    let script = "
import json, subprocess, sys
from honcho.environ import parse_procfile
with open(sys.argv[1]) as file:
    processes = parse_procfile(file.read()).processes
out = {name: command for name, command in processes.items()}
clock = subprocess.run(['/bin/sh', '-c', out['clock'].replace('/bin/sleep 100', 'printenv GREETING PLAIN EMPTY')], capture_output=True, text=True)
print(json.dumps({'commands': out, 'said': clock.stdout}))
";
    let test = "honcho_reads_the_procfile_and_so_do_we";
    let Some(read) = python(test, "import honcho.environ", script, &file) else { return };
    assert_eq!(read["said"], "hi \"you\" it's 100% ${X} \\ ; x # y\na b\n\n");
    assert!(read["commands"]["worker"].as_str().is_some_and(|c| c.ends_with("sleep 100")), "{read:#}");
}

#[test]
fn what_cannot_be_is_said() {
    let room = Room::new("web: sleep 1\n").file(".env", "GAFFER_GID=root\n");
    let done = room.run("export --format supervisord").expect(0);
    assert!(done.err.contains("gaffer: app.web: gid is left out"), "{done}");
    room.run("export").expect(2).complains("gaffer: --format is missing");
    let done = room.run("export --format systemd --out Procfile").expect(1);
    assert!(done.err.contains("gaffer: cannot write 'Procfile': "), "{done}");
    let done = room.run("export --format systemd").expect(0);
    assert!(done.text().starts_with("# app.target\n") && done.text().contains("\n# app-web.1.service\n"), "{done}");
}
