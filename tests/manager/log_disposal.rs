//! Old log files are deleted by another thread: none stays, whenever the program ends.

use std::fs;

use crate::logs::cat;
use crate::watch::{Scratch, Watch, sh};

/// The names that are waiting to be deleted, or look so.
fn hidden(scratch: &Scratch) -> Vec<String> {
    let entries = fs::read_dir(&scratch.0).expect("a folder");
    let names = entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned());
    let mut hidden: Vec<String> = names.filter(|name| name.starts_with('.')).collect();
    hidden.sort();
    hidden
}

#[test]
fn what_was_left_of_them_goes_at_the_next_start() {
    let scratch = Scratch::new();
    for name in [".log.doomed-1", ".log.doomed-8", ".log.doomed-9", ".logs.doomed-1"] {
        fs::write(scratch.file(name), "x").expect("write");
    }
    // None of ours, and in the way.
    fs::create_dir(scratch.file(".log.doomed-3")).expect("a folder");
    let mut w = Watch::new();
    w.start(cat(&scratch));
    w.until("what is left", |_| hidden(&scratch) == [".log.doomed-3", ".log.doomed-9", ".logs.doomed-1"]);
    w.finish();
    fs::remove_file(scratch.file("log")).expect("remove");
    let mut w = Watch::new();
    let lines: String = (1..=50_000).map(|n| format!("{n}\n")).collect();
    let job = sh("a", "exec seq 1 50000").stdout_logfile(scratch.file("log")).logfile_maxbytes(2_000);
    w.run(job.logfile_backups(2));
    let kept = ["log.2", "log.1", "log"].map(|name| scratch.text(name)).concat();
    assert!(kept.len() > 2_000 && lines.ends_with(&kept), "{} bytes", kept.len());
    w.finish();
    assert_eq!(hidden(&scratch), [".log.doomed-3", ".log.doomed-9", ".logs.doomed-1"]);
}

#[test]
fn none_is_left_at_the_end() {
    for backups in [0, 1, 3] {
        let scratch = Scratch::new();
        let mut w = Watch::new();
        let job = sh("a", "exec seq 1 100000").stdout_logfile(scratch.file("log")).logfile_maxbytes(200_000);
        w.run(job.logfile_backups(backups));
        w.finish();
        assert_eq!(hidden(&scratch), [""; 0]);
        let lines: String = (1..=100_000).map(|n| format!("{n}\n")).collect();
        let kept: String = (1..=backups).rev().map(|n| scratch.text(&format!("log.{n}"))).collect();
        let kept = kept + &scratch.text("log");
        assert!(lines.ends_with(&kept) && kept.len() > 150_000 * backups as usize, "{} bytes", kept.len());
    }
}

#[test]
fn a_budget_that_shrinks() {
    let scratch = Scratch::new();
    for n in (1..=30).rev() {
        fs::write(scratch.file(&format!("log.{n}")), [b'x'; 1000]).expect("write");
    }
    let mut w = Watch::new();
    w.start(cat(&scratch).logfile_maxbytes(1024).logfile_backups(40).logfile_total(5_000));
    let there = |n: u32| scratch.file(&format!("log.{n}")).exists();
    w.until("three of them", |_| (1..=30).filter(|n| there(*n)).count() == 3 && hidden(&scratch).is_empty());
    assert!((1..=3).all(there), "the newest stay");
    w.finish();
}
