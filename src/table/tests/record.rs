//! What a job tells of its past.

use super::*;
use crate::process::Health;

impl Bench {
    #[track_caller]
    fn stands(&self, id: JobId, health: Health, restarts: u64, last: Option<(i32, Duration)>) {
        let info = self.table.job(id, self.now).expect("a loaded job");
        let found = info.last_exit.map(|last| (last.exit.code().expect("a code"), last.ago));
        assert_eq!((info.health, info.restarts, found), (health, restarts, last));
    }
}

#[test]
fn from_the_first_crash_to_the_loop_and_back() {
    let mut b = Bench::new();
    let id = b.load(job("web", 1));
    b.act();
    b.stands(id, Health::Active, 0, None);
    // After a long life nothing is remarkable but that it happened.
    b.now += s(3600);
    b.exit(1, 3);
    b.stands(id, Health::Active, 1, Some((3, s(0))));
    b.now += s(10);
    b.stands(id, Health::Active, 1, Some((3, s(10))));
    b.exit(2, 4);
    b.stands(id, Health::Active, 2, Some((4, s(0))));
    b.now += ms(10);
    b.exit(3, 5);
    b.stands(id, Health::BackingOff, 2, Some((5, s(0))));
    b.pass(ms(100));
    b.stands(id, Health::Active, 3, Some((5, ms(100))));
    b.exit(4, 6);
    b.stands(id, Health::CrashLoop, 3, Some((6, s(0))));
    b.pass(ms(200));
    b.stands(id, Health::CrashLoop, 4, Some((6, ms(200))));
    // A minute after the first of them it is over, without anything that happens.
    b.now += s(60);
    assert_eq!(b.table.next_deadline(), None);
    b.stands(id, Health::Active, 4, Some((6, ms(60_200))));
}

#[test]
fn what_somebody_asked_for_is_no_crash() {
    let mut b = Bench::new();
    let id = b.load(job("web", 4));
    b.act();
    // All at once, after a long life: nobody knows yet whether the next ones stay.
    b.now += s(3600);
    for pid in 1..=4 {
        b.exit(pid, 1);
    }
    b.stands(id, Health::Active, 4, Some((1, s(0))));
    b.table.restart_job(id, b.now).expect("restart");
    b.act();
    for pid in 5..=8 {
        b.exit(pid, 2);
    }
    b.table.stop_process(Pid(9), b.now).expect("stop");
    b.act();
    b.exit(9, 2);
    b.table.commit(id, Commit::default(), b.now).expect("commit");
    b.act();
    b.exit(14, 2);
    b.stands(id, Health::Active, 4, Some((1, s(0))));
    b.table.stop_job(id, b.now).expect("stop");
    b.stands(id, Health::Stopped, 4, Some((1, s(0))));
}

#[test]
fn commands_begin_anew_and_the_count_stays() {
    for command in [ProcessTable::start_job, ProcessTable::reload, ProcessTable::restart_job] {
        let mut b = Bench::new();
        let id = b.load(job("web", 1));
        assert_eq!(b.fail(), 2);
        b.stands_failed(id, Health::BackingOff, 1);
        b.now += s(1);
        b.table.handle_timeout(b.now);
        b.fail();
        b.stands_failed(id, Health::CrashLoop, 2);
        command(&mut b.table, id, b.now).expect("a command");
        b.act();
        assert_eq!(b.table.job(id, b.now).expect("loaded").health, Health::Active);
    }
}

impl Bench {
    #[track_caller]
    fn stands_failed(&self, id: JobId, health: Health, restarts: u64) {
        let info = self.table.job(id, self.now).expect("a loaded job");
        assert_eq!((info.health, info.restarts), (health, restarts));
        assert_eq!(info.last_exit.map(|last| last.exit), Some(Exit::Failed("exec: no such file".to_owned())));
    }
}

#[test]
fn given_up_until_somebody_starts_or_stops_it() {
    let give_up = || {
        let mut b = Bench::new();
        let id = b.load(job("web", 1).flapping(Flapping::new(1, s(60), s(7), 1)));
        b.act();
        b.exit(1, 9);
        b.stands(id, Health::Flapping, 0, Some((9, s(0))));
        b.pass(s(7));
        b.exit(2, 9);
        b.stands(id, Health::GaveUp, 1, Some((9, s(0))));
        (b, id)
    };
    let (mut b, id) = give_up();
    b.table.stop_job(id, b.now).expect("stop");
    b.stands(id, Health::Stopped, 1, Some((9, s(0))));
    let (mut b, id) = give_up();
    b.table.start_job(id, b.now).expect("start");
    b.act();
    b.stands(id, Health::Active, 1, Some((9, s(0))));
}

#[test]
fn a_job_that_is_done_is_finished() {
    let mut b = Bench::new();
    let id = b.load(job("web", 2).restart(Restart::Never));
    b.act();
    b.exit(1, 0);
    b.stands(id, Health::Active, 0, Some((0, s(0))));
    b.exit(2, 1);
    b.stands(id, Health::Finished, 0, Some((1, s(0))));
}
