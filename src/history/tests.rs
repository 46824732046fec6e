use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::*;
use crate::process::{JobName, OsPid, Pid};
use crate::words::tests::Rng;

fn origin(name: &str, pid: u64, fd: i32) -> StreamOrigin {
    let name: JobName = name.parse().expect("a name");
    let label = if fd == 2 { "err" } else { "out" };
    StreamOrigin { name: Arc::new(name), pid: Pid(pid), os_pid: OsPid(1), instance: 1, label: label.into(), fd }
}

fn at(second: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(second)
}

fn push(history: &History, origin: &StreamOrigin, text: &str, second: u64) {
    history.lock().push(origin, None, text.as_bytes(), at(second));
}

fn text(snapshot: &Snapshot) -> String {
    snapshot.records.iter().map(|record| String::from_utf8_lossy(&record.data)).collect()
}

#[test]
fn lines_of_all_streams_in_the_order_of_their_first_bytes() {
    let history = History::new(Limits::default());
    let (a, b) = (origin("a", 1, 1), origin("b", 2, 2));
    push(&history, &a, "one\ntwo", 1);
    push(&history, &b, "between\n", 2);
    push(&history, &a, " goes on\nthree\nfo", 3);
    push(&history, &b, "last\n", 4);
    let all = history.read(&Query::default());
    let got: Vec<_> = all.records.iter().map(|r| (r.time, String::from_utf8_lossy(&r.data).into_owned())).collect();
    let want = [(1, "one\n"), (1, "two goes on\n"), (2, "between\n"), (3, "three\n"), (3, "fo"), (4, "last\n")];
    assert_eq!(got, want.map(|(second, text)| (at(second), text.to_owned())));

    let query = |change: &dyn Fn(&mut Query)| {
        let mut query = Query::default();
        change(&mut query);
        let snapshot = history.read(&query);
        (text(&snapshot), snapshot.is_cut)
    };
    assert_eq!(query(&|q| q.lines = 2), ("folast\n".to_owned(), false));
    assert_eq!(query(&|q| q.lines = 0), (String::new(), false));
    assert_eq!(query(&|q| q.bytes = 263), ("folast\n".to_owned(), true));
    assert_eq!(query(&|q| q.bytes = 1), ("last\n".to_owned(), true));
    assert_eq!(query(&|q| q.since = Some(at(3))), ("three\nfolast\n".to_owned(), false));
    assert_eq!(query(&|q| q.stderr = Some(true)), ("between\nlast\n".to_owned(), false));
    assert_eq!(query(&|q| q.stderr = Some(false)).0, "one\ntwo goes on\nthree\nfo");
    assert_eq!(query(&|q| q.label = Some("err".to_owned())).0, "between\nlast\n");
    assert_eq!(query(&|q| q.pid = Some(Pid(1))).0, "one\ntwo goes on\nthree\nfo");
    assert_eq!(query(&|q| q.jobs = vec![JobPattern::new("b").expect("a name")]).0, "between\nlast\n");
}

#[test]
fn patterns_of_names() {
    for (pattern, name, want) in [
        ("web", "web", true),
        ("web", "shop.web", false),
        ("w*", "web", true),
        ("w?b", "web", true),
        ("w?b", "wb", false),
        ("*", "shop.web", true),
        ("*.*", "web", true),
        ("shop.*", "shop.web", true),
        ("shop:*", "web", false),
        ("*b", "shop.web", true),
        ("*/web", "shop.web", true),
        ("*.*b*b", "shop.abcbdb", true),
        ("*.*b*b", "shop.abcbdx", false),
        ("s*p.w**", "shop.w", true),
    ] {
        let name: JobName = name.parse().expect("a name");
        assert_eq!(JobPattern::new(pattern).expect(pattern).matches(&name), want, "{pattern} {name}");
    }
    for bad in ["", ".", "a.", ".a", "a.b.c", "a b", "[a]"] {
        assert!(JobPattern::new(bad).is_err(), "{bad}");
    }
    assert_eq!(JobPattern::new("shop:web").expect("a name").exact(), "shop.web".parse().ok());
    assert_eq!(JobPattern::new("w*").expect("a pattern").exact(), None);
}

/// Whatever the pieces: what is kept is the end of what came, cut at a line's start, and no more than allowed.
#[test]
fn a_ring_keeps_the_newest_whole_lines() {
    for seed in 0..400 {
        let mut rng = Rng(seed);
        let limit = 200 + rng.below(400);
        let history = History::new(Limits::default().stream(limit));
        let (from, mut all) = (origin("a", 1, 1), Vec::new());
        for second in 0..60 {
            let longest = if rng.below(10) == 0 { 900 } else { 40 };
            let piece: Vec<u8> = (0..1 + rng.below(longest))
                .map(|_| if rng.below(12) == 0 { b'\n' } else { b'a' + u8::try_from(rng.below(26)).unwrap_or(0) })
                .collect();
            all.extend_from_slice(&piece);
            history.lock().push(&from, None, &piece, at(second));
            let snapshot = history.read(&Query::default());
            let kept: Vec<u8> = snapshot.records.iter().flat_map(|r| r.data.clone()).collect();
            assert!(all.ends_with(&kept), "seed {seed}");
            assert!(!kept.is_empty() && kept.len() <= limit, "seed {seed}: {} of {limit}", kept.len());
            let before = all.len() - kept.len();
            let whole = before == 0 || all[before - 1] == b'\n';
            assert!(whole || snapshot.records.len() == 1, "seed {seed}: it begins in the middle of a line");
            for record in &snapshot.records[..snapshot.records.len() - 1] {
                assert_eq!(record.data.iter().position(|&b| b == b'\n'), Some(record.data.len() - 1), "seed {seed}");
            }
            assert!(snapshot.records.is_sorted_by_key(|record| record.time), "seed {seed}");
            // Twice while it grows, and the notes of arrivals.
            assert!(history.usage().0 <= 3 * limit + 600, "seed {seed}: {:?} for {limit}", history.usage());
        }
    }
}

#[test]
fn all_rings_share_a_bound_and_the_oldest_output_goes_first() {
    let total = 256 << 10;
    let history = History::new(Limits::default().total(total));
    let line = format!("{}\n", "x".repeat(999));
    let mut rng = Rng(7);
    for second in 0..5000 {
        let pid = 1 + rng.below(20) as u64;
        push(&history, &origin("a", pid, 1), &line, second);
        let (memory, streams) = history.usage();
        assert!(memory <= total, "{memory}");
        assert!(streams <= 20);
    }
    let snapshot = history.read(&Query::default());
    assert!(snapshot.records.len() > 128, "{}", snapshot.records.len());
    assert!(snapshot.records[0].time > at(4500), "the newest are there");
    history.set_limits(Limits::default().stream(0));
    assert_eq!(history.usage(), (0, 0));
    push(&history, &origin("a", 1, 1), &line, 1);
    assert_eq!(history.usage(), (0, 0));
}

#[test]
fn last_words_stay_and_a_crashing_job_drives_out_its_own() {
    let history = History::new(Limits::default().ended(4));
    let name = |text: &str| Arc::new(text.parse::<JobName>().expect("a name"));
    push(&history, &origin("once", 1, 1), "I was here\n", 1);
    history.lock().end(Pid(1), &name("once"));
    for pid in 2..50 {
        push(&history, &origin("crash", pid, 2), &format!("{pid}\n"), pid);
        history.lock().end(Pid(pid), &name("crash"));
    }
    // One that has said nothing takes no place.
    history.lock().end(Pid(100), &name("quiet"));
    assert_eq!(text(&history.read(&Query::default())), "I was here\n47\n48\n49\n");
    assert_eq!(history.usage().1, 4);
    assert!(history.usage().0 < 2000, "{:?}", history.usage());
}
