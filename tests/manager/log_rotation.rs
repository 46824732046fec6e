//! Log files that grow: no line is lost, none is split, and what others do to the files is noticed.

use std::fs::{self, OpenOptions};
use std::io;

use gaffer::process::{LogFormat, Pid};

use crate::logs::{cat, status};
use crate::watch::{Scratch, Watch, sh};

/// The files of a log, the oldest first.
fn files(scratch: &Scratch) -> Vec<String> {
    let mut n = 0;
    let mut all = Vec::new();
    while scratch.file(&format!("log.{}", n + 1)).exists() {
        n += 1;
        all.push(scratch.text(&format!("log.{n}")));
    }
    all.reverse();
    all.push(scratch.text("log"));
    all
}

fn numbers(from: usize, to: usize) -> String {
    (from..=to).map(|n| format!("{n}\n")).collect()
}

#[test]
fn no_line_is_lost_or_split() {
    // The first is rotated far from what the kernel may move on its own, the second has room for that.
    for (max, lines) in [(10_000, 50_000), (300_000, 300_000)] {
        let scratch = Scratch::new();
        let mut w = Watch::new();
        let job = sh("a", &format!("exec seq 1 {lines}")).stdout_logfile(scratch.file("log"));
        w.run(job.logfile_maxbytes(max).logfile_backups(1000));
        let files = files(&scratch);
        assert!(files.concat() == numbers(1, lines), "not all, or not in order");
        for file in &files {
            assert!(file.ends_with('\n') && file.len() as u64 <= max, "{} bytes", file.len());
        }
        let (last, full) = files.split_last().expect("a file");
        assert!(!last.is_empty() && full.iter().all(|file| file.len() as u64 > max - 10));
        let status = status(&w, "a");
        assert_eq!(status.rotations as usize, full.len());
        assert!(max < 20_000 || !cfg!(target_os = "linux") || status.spliced > status.bytes / 2, "{status:?}");
        w.finish();
    }
}

#[test]
fn lines_of_any_length() {
    let seed = 0x5eed_u64;
    let mut state = seed;
    let mut below = |n: u64| {
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % n
    };
    let mut text = String::new();
    for n in 0..2000 {
        let length = if below(50) == 0 { below(9000) } else { below(200) };
        text += &format!("{n} {}\n", "x".repeat(length as usize));
    }
    let scratch = Scratch::new();
    fs::write(scratch.file("text"), &text).expect("write");
    let mut w = Watch::new();
    let job = sh("a", "exec cat text").cwd(&scratch.0).stdout_logfile(scratch.file("log"));
    w.run(job.logfile_maxbytes(2000).logfile_backups(1000));
    let files = files(&scratch);
    assert!(files.concat() == text, "seed {seed}");
    for file in &files {
        let is_short = file.len() <= 2000;
        // Longer only for the sake of one line, which may have begun before its length was known.
        let before = file.trim_end_matches('\n').rfind('\n').map_or(0, |end| end + 1);
        assert!(file.ends_with('\n') && (is_short || before <= 2000), "seed {seed}: {} bytes", file.len());
    }
    w.finish();
}

#[test]
fn so_many_are_kept() {
    let scratch = Scratch::new();
    let mut w = Watch::new();
    let job = |name: &str| sh(name, "exec seq 1 20000").stdout_logfile(scratch.file("log")).logfile_maxbytes(5_000);
    w.run(job("a").logfile_backups(3));
    let kept = files(&scratch);
    assert_eq!(kept.len(), 4);
    assert!(numbers(1, 20_000).ends_with(&kept.concat()));

    // None: the file begins anew.
    w.manager.unload("a").expect("unload");
    for n in 1..=3 {
        fs::remove_file(scratch.file(&format!("log.{n}"))).expect("remove");
    }
    w.run(job("b").logfile_backups(0));
    let kept = files(&scratch);
    assert!(kept.len() == 1 && kept[0].len() <= 5_000 && numbers(1, 20_000).ends_with(&kept[0]), "{kept:?}");
    w.finish();
}

#[test]
fn a_budget_for_all_files() {
    let scratch = Scratch::new();
    let mut w = Watch::new();
    // A file system's clock may tick only every 10 ms, and the files are to differ in their age.
    let job = sh("a", "seq 1 30000; sleep 0.1; exec seq 1 30000 >&2").stdout_logfile(scratch.file("log"));
    w.run(job.stderr_logfile(scratch.file("err")).logfile_maxbytes(10_000).logfile_total(50_000));
    // One that is being deleted may be gone by the time its size is asked for.
    let size = |entry: io::Result<fs::DirEntry>| entry.expect("an entry").metadata().map_or(0, |found| found.len());
    let sizes = || fs::read_dir(&scratch.0).expect("a folder").map(size).sum::<u64>();
    // The oldest goes first: those of stdout, which was written before.
    w.until("what is too much goes", |_| sizes() <= 50_000 && !scratch.file("log.1").exists());
    w.finish();
    assert!(sizes() > 30_000, "{} bytes", sizes());
    assert!(numbers(1, 30_000).ends_with(&files(&scratch).concat()));
    assert!(scratch.file("err.2").exists());
}

#[test]
fn what_is_there_is_continued() {
    let scratch = Scratch::new();
    for round in 1..=3 {
        let mut w = Watch::new();
        let job = sh("a", "exec seq 1 300").stdout_logfile(scratch.file("log")).logfile_maxbytes(2048);
        w.run(job);
        assert_eq!(files(&scratch).concat(), numbers(1, 300).repeat(round));
        w.finish();
    }
    assert_eq!(files(&scratch).len(), 2);
}

#[test]
fn renamed_by_another_program() {
    let scratch = Scratch::new();
    let mut w = Watch::new();
    w.start(cat(&scratch));
    w.running("cat", 1);
    w.write("1\n", (&scratch, "log"), "1\n");
    let rename = |to: &str| fs::rename(scratch.file("log"), scratch.file(to)).expect("rename");
    rename("old");
    w.write("2\n", (&scratch, "old"), "1\n2\n");
    w.manager.reopen_logs().expect("opened");
    w.write("3\n4", (&scratch, "log"), "3\n4");
    rename("older");
    w.manager.reopen_logs().expect("opened");
    // The line is finished where it has begun.
    w.write("5\n6\n", (&scratch, "log"), "6\n");
    assert_eq!((scratch.text("old"), scratch.text("older")), ("1\n2\n".to_owned(), "3\n45\n".to_owned()));
    // Nothing has changed: nothing happens.
    w.manager.reopen_logs().expect("opened");
    w.write("7\n", (&scratch, "log"), "6\n7\n");
    w.finish();
}

#[test]
fn truncated_deleted_or_continued_by_another_program() {
    for format in [LogFormat::Raw, LogFormat::Prefix] {
        let scratch = Scratch::new();
        let mut w = Watch::new();
        w.start(cat(&scratch).log_format(format));
        w.running("cat", 1);
        let mut write = |text: &str, want: &str| {
            w.manager.send(Pid(1), None, text.as_bytes()).expect("send");
            w.until(want, |_| {
                let all = scratch.text("log");
                let lines: Vec<&str> =
                    all.lines().map(|line| line.split_once(" | ").map_or(line, |(_, text)| text)).collect();
                lines.join(" ") == want
            });
        };
        write("one\n", "one");
        write("two\n", "one two");
        OpenOptions::new().write(true).open(scratch.file("log")).expect("open").set_len(0).expect("truncate");
        write("three\n", "three");
        fs::remove_file(scratch.file("log")).expect("remove");
        write("four\n", "four");
        let mut all = scratch.text("log");
        all += "mine\n";
        fs::write(scratch.file("log"), all).expect("write");
        write("five\n", "four mine five");
        w.finish();
    }
}
