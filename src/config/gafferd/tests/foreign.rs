//! What is said of the keys of other supervisors.

use super::{fails, read};
use crate::config::foreign::{GAFFER, JOB, SECTIONS};
use crate::config::gafferd::{load, tables};
use crate::config::job;
use crate::config::keys::Key;

fn names<T>(keys: &[Key<T>]) -> Vec<&'static str> {
    keys.iter().flat_map(|key| key.aliases.iter().copied().chain([key.name])).collect()
}

#[test]
fn words_are_answered_once_and_none_of_them_is_ours() {
    let tables = [(JOB, names(job::KEYS)), (GAFFER, names(tables::GAFFER)), (SECTIONS, load::section_names())];
    for (answers, ours) in tables {
        let mut words: Vec<&str> = answers.iter().flat_map(|(words, _)| *words).copied().collect();
        for word in &words {
            assert_eq!(*word, word.to_ascii_lowercase());
            assert!(!ours.contains(word), "{word} is a key of ours");
        }
        let all = words.len();
        words.sort_unstable();
        words.dedup();
        assert_eq!(words.len(), all, "a word has two answers");
    }
}

#[test]
fn answers_name_keys_that_there_are() {
    let mut ours = names(job::KEYS);
    ours.extend(names(tables::GAFFER));
    ours.extend(["/stats", "/metrics", "ulimit", "gafferctl", "gafferd", "unexpected", "env.NAME"]);
    for (_, answer) in JOB.iter().chain(GAFFER) {
        for quoted in answer.split('`').skip(1).step_by(2) {
            let word = quoted.split([' ', '=']).next().unwrap_or_default();
            assert!(ours.contains(&word), "{word} in {answer:?}");
        }
    }
}

#[test]
fn a_file_of_another_supervisor_is_answered_in_whole() {
    let text = "[supervisord]\nlogfile = /x\n[program:web]\ncommand = x\n[job:a]\ncommand = x\nautorestart = true\nStopSignal = INT\n\
                [env:a]\nA = 1\n[gaffer]\nloglevel = info\n[job:b]\ncmd = y\nnumproceses = 2\n";
    fails(
        text,
        "g.ini:1:2: there is no section [supervisord]; it is [gaffer] here\n\
         g.ini:2:1: [supervisord] has `logfile`; it is `error_log` here\n\
         g.ini:3:2: there is no section [program:web]; it is [job:NAME] here\n\
         g.ini:4:1: [program:web] has `command`; it is `cmd` here\n\
         g.ini:6:1: [job:a] has no key `command`; it is `cmd` here\n\
         g.ini:7:1: [job:a] has no key `autorestart`; it is `restart = always, on-failure, on-success or never` here; \
         `unexpected` is on-failure\n\
         g.ini:8:1: [job:a] has no key `stopsignal`; it is `stop_signal` here\n\
         g.ini:12:1: [gaffer] has no key `loglevel`; it is `log_level` here\n\
         g.ini:15:1: [job:b] has no key `numproceses`; did you mean `numprocesses`?",
    );
    fails(
        "{\"jobs\": [{\"name\": \"a\", \"script\": \"a.js\", \"instances\": 2}]}",
        "g.ini:1:43: jobs[0] has no key `instances`; it is `numprocesses` here\n\
         g.ini:1:25: jobs[0] has no key `script`; it is `cmd` here",
    );
    assert!(read("[job:a]\ncmd = x\n").is_ok());
}
