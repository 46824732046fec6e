//! What a job has been through: how often its processes were replaced, how the last one ended, and whether that is a
//! crash loop.

use std::time::{Duration, Instant};

use crate::process::{Exit, LastExit};

/// So many ends by themselves within [`WINDOW`], each of a process that was started within it, are a crash loop. What
/// ends after a long life, also many at once, is not: nobody knows yet whether its successors stay.
const LOOP: usize = 3;
const WINDOW: Duration = Duration::from_secs(60);

/// The record of a job. Most jobs start and run: the rest is there once something else has happened.
#[derive(Debug, Default)]
pub(super) struct Record(Option<Box<Past>>);

#[derive(Debug, Default)]
struct Past {
    restarts: u64,
    /// Processes that have ended by themselves, whose successors are not announced yet.
    owed: usize,
    last: Option<(Exit, Instant)>,
    /// When the last ones of a short life ended, oldest first.
    ends: [Option<Instant>; LOOP],
    given_up: bool,
}

impl Record {
    /// A kept-alive process has ended without being told to, after it lived so long.
    pub(super) fn ended(&mut self, exit: &Exit, lived: Duration, now: Instant) {
        let past = self.0.get_or_insert_default();
        past.last = Some((exit.clone(), now));
        if lived < WINDOW {
            past.ends.rotate_left(1);
            past.ends[LOOP - 1] = Some(now);
        }
    }

    /// It is to be replaced.
    pub(super) fn owes(&mut self) {
        self.0.get_or_insert_default().owed += 1;
    }

    /// So many are announced, and so many wait on. How many of the former are replacements: as many as there can be.
    pub(super) fn announced(&mut self, announced: usize, waiting: usize) -> usize {
        let Some(past) = self.0.as_mut().filter(|past| past.owed > 0) else { return 0 };
        let replaced = past.owed.min(announced);
        past.owed = (past.owed - replaced).min(waiting);
        replaced
    }

    /// The spawn of a replacement is answered.
    pub(super) fn restarted(&mut self) {
        self.0.get_or_insert_default().restarts += 1;
    }

    /// Somebody has started the job, given it another definition, or replaced its processes: it may be well now.
    pub(super) fn begins_anew(&mut self) {
        if let Some(past) = &mut self.0 {
            past.ends = [None; LOOP];
        }
    }

    /// The job is stopped, by somebody or because it is given up. Nothing is replaced any more.
    pub(super) fn stopped(&mut self, given_up: bool) {
        if let Some(past) = &mut self.0 {
            (past.owed, past.given_up) = (0, given_up);
        }
    }

    /// The job is started.
    pub(super) fn started(&mut self) {
        self.stopped(false);
        self.begins_anew();
    }

    pub(super) fn restarts(&self) -> u64 {
        self.0.as_ref().map_or(0, |past| past.restarts)
    }

    pub(super) fn last_exit(&self, now: Instant) -> Option<LastExit> {
        let (exit, at) = self.0.as_ref()?.last.as_ref()?;
        Some(LastExit { exit: exit.clone(), ago: now.saturating_duration_since(*at) })
    }

    pub(super) fn is_given_up(&self) -> bool {
        self.0.as_ref().is_some_and(|past| past.given_up)
    }

    pub(super) fn is_looping(&self, now: Instant) -> bool {
        let oldest = self.0.as_ref().and_then(|past| past.ends[0]);
        oldest.is_some_and(|oldest| now.saturating_duration_since(oldest) < WINDOW)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crash_loop_is_of_short_lives_close_together() {
        let (zero, s) = (Instant::now(), Duration::from_secs);
        // The length of the lives, the time of the ends, and what is so at which time.
        for (lives, ends, at, want) in [
            (1, vec![1, 2], 2, false),
            (1, vec![1, 2, 3], 3, true),
            (1, vec![1, 2, 3], 60, true),
            (1, vec![1, 2, 3], 61, false),
            (25, vec![25, 50, 75], 75, true),
            (31, vec![31, 62, 93], 93, false),
            (3600, vec![3600, 3600, 3600, 3600], 3600, false),
        ] {
            let mut record = Record::default();
            for end in &ends {
                record.ended(&Exit::Code(1), s(lives), zero + s(*end));
            }
            assert_eq!(record.is_looping(zero + s(at)), want, "{lives} {ends:?} {at}");
            record.begins_anew();
            assert!(!record.is_looping(zero + s(at)));
        }
    }

    #[test]
    fn replacements_are_of_what_ended_by_itself() {
        let mut record = Record::default();
        assert_eq!((record.announced(3, 0), record.0.is_none()), (0, true), "what only starts has no record");
        record.owes();
        record.owes();
        assert_eq!([record.announced(1, 1), record.announced(5, 0), record.announced(1, 0)], [1, 1, 0]);
        // Scaled down: nobody waits for it any more.
        record.owes();
        assert_eq!([record.announced(0, 0), record.announced(1, 0)], [0, 0]);
        record.owes();
        record.stopped(true);
        assert_eq!((record.announced(1, 0), record.is_given_up()), (0, true));
        record.started();
        assert!(!record.is_given_up());
    }
}
