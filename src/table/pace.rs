//! The pace of respawns: back-off and flapping.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::process::{Backoff, Flapping};

/// The back-off of a job: the pause it took last.
#[derive(Debug, Default)]
pub(super) struct Pace {
    last: Option<Duration>,
}

impl Pace {
    /// The pause before whatever is started now.
    pub(super) fn last(&self) -> Duration {
        self.last.unwrap_or_default()
    }

    /// The next pause, after a process that `outlived` the pause before it or did not.
    pub(super) fn next(&mut self, rule: Backoff, outlived: bool) -> Duration {
        if outlived {
            self.last = None;
        }
        let pause = match self.last {
            None => Duration::ZERO,
            Some(Duration::ZERO) => rule.first,
            Some(last) => last.saturating_mul(2).min(rule.max.max(rule.first)),
        };
        self.last = Some(pause);
        pause
    }

    pub(super) fn reset(&mut self) {
        self.last = None;
    }
}

/// Whether a process that was started after a pause of `waited` and lived so long resets the pace.
///
/// It must outlive the pause before it, and in any case the first pause: after a pause of zero
/// everything outlives "the pause", and a program that dies after a millisecond would be respawned
/// in a hot loop.
pub(super) fn outlives(rule: Backoff, waited: Duration, lived: Duration) -> bool {
    lived > waited.max(rule.first)
}

/// What an exit leads to under a flapping rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Go on.
    Respawn,
    /// Pause; this is the n-th retry.
    Retry(u32),
    /// Enough.
    GiveUp,
}

/// The flapping record of a job.
#[derive(Debug, Default)]
pub(super) struct Flaps {
    /// The last exits, at most `attempts` of them.
    history: VecDeque<Instant>,
    retries: u32,
}

impl Flaps {
    /// Judges the exit of a process that lived so long.
    ///
    /// As the original (`state.py`) but for three corrections. It kept `max_retry` exits instead of
    /// `attempts`, so that `attempts > max_retry` could never trigger. It cleared the retries with
    /// the history whenever the kept exits spread over more than the window; as a pause longer
    /// than the window has that very effect, giving up was out of reach: here only a process that
    /// outlives the window clears them. And the timer of the pause belongs to the job and dies
    /// with it.
    pub(super) fn exit(&mut self, rule: &Flapping, lived: Duration, now: Instant) -> Verdict {
        if lived > rule.window {
            self.retries = 0;
        }
        let attempts = rule.attempts as usize;
        while !self.history.is_empty() && self.history.len() >= attempts {
            self.history.pop_front();
        }
        self.history.push_back(now);
        if self.history.len() < attempts {
            return Verdict::Respawn;
        }
        let spread = self.history.front().map_or(Duration::ZERO, |oldest| now.saturating_duration_since(*oldest));
        if spread > rule.window {
            self.history.clear();
            Verdict::Respawn
        } else if self.retries < rule.max_retry {
            self.retries += 1;
            Verdict::Retry(self.retries)
        } else {
            self.clear();
            Verdict::GiveUp
        }
    }

    pub(super) fn clear(&mut self) {
        self.history.clear();
        self.retries = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    /// Plays a program that lives `life` ms each time, and writes down the time (ms) and the
    /// verdict of each exit.
    fn play(rule: Flapping, life: u64, exits: usize) -> String {
        let (zero, mut flaps, mut out) = (Instant::now(), Flaps::default(), Vec::new());
        let mut now = zero;
        for _ in 0..exits {
            now += ms(life);
            let verdict = flaps.exit(&rule, ms(life), now);
            let at = now.duration_since(zero).as_millis();
            match verdict {
                Verdict::Respawn => out.push(format!("{at}")),
                Verdict::Retry(n) => out.push(format!("{at} flap({n})")),
                Verdict::GiveUp => {
                    out.push(format!("{at} GIVE UP"));
                    break;
                }
            }
            if let Verdict::Retry(_) = verdict {
                now += rule.retry_in;
            }
        }
        out.join(" · ")
    }

    #[track_caller]
    fn check(attempts: u32, window: u64, retry_in: u64, max_retry: u32, life: u64, expected: &str) {
        let rule = Flapping::new(attempts, ms(window), ms(retry_in), max_retry);
        assert_eq!(play(rule, life, 100), expected);
    }

    // The golden vectors of `original.md` 2.1, row by row.

    #[test]
    fn defaults_give_up_at_last() {
        // Changed by the second correction: every decision falls at the original's time, but the
        // original's counter was back at 0 with the first exit after each pause, so it said
        // flap(1) for ever.
        check(
            2,
            1000,
            7000,
            5,
            100,
            "100 · 200 flap(1) · 7300 · 7400 · 7500 flap(2) · 14600 · 14700 · 14800 flap(3) · \
             21900 · 22000 · 22100 flap(4) · 29200 · 29300 · 29400 flap(5) · 36500 · 36600 · 36700 GIVE UP",
        );
    }

    #[test]
    fn short_pauses() {
        // Unchanged: all retries fit into one window.
        check(2, 1000, 500, 2, 100, "100 · 200 flap(1) · 800 flap(2) · 1400 GIVE UP");
        // Unchanged, too.
        check(
            2,
            1000,
            100,
            5,
            50,
            "50 · 100 flap(1) · 250 flap(2) · 400 flap(3) · 550 flap(4) · 700 flap(5) · 850 GIVE UP",
        );
    }

    #[test]
    fn three_attempts() {
        // Changed by the second correction, as the first row: the original repeated flap(1).
        check(
            3,
            1000,
            7000,
            5,
            100,
            "100 · 200 · 300 flap(1) · 7400 · 7500 · 7600 · 7700 flap(2) · 14800 · 14900 · 15000 · 15100 flap(3) · \
             22200 · 22300 · 22400 · 22500 flap(4) · 29600 · 29700 · 29800 · 29900 flap(5) · \
             37000 · 37100 · 37200 · 37300 GIVE UP",
        );
    }

    #[test]
    fn long_windows() {
        // Unchanged, both: the pause is shorter than the window.
        check(
            2,
            60_000,
            7000,
            5,
            100,
            "100 · 200 flap(1) · 7300 flap(2) · 14400 flap(3) · 21500 flap(4) · 28600 flap(5) · 35700 GIVE UP",
        );
        check(2, 10_000, 1000, 3, 100, "100 · 200 flap(1) · 1300 flap(2) · 2400 flap(3) · 3500 GIVE UP");
    }

    #[test]
    fn more_attempts_than_retries() {
        // The first correction: the original kept two exits and never saw a third.
        check(3, 1000, 500, 2, 100, "100 · 200 · 300 flap(1) · 900 flap(2) · 1500 · 1600 · 1700 · 1800 GIVE UP");
        check(1, 1000, 100, 1, 50, "50 flap(1) · 200 GIVE UP");
    }

    #[test]
    fn a_long_life_clears_the_retries_alone() {
        let (rule, zero) = (Flapping::new(2, ms(1000), ms(500), 5), Instant::now());
        let mut flaps = Flaps::default();
        assert_eq!(flaps.exit(&rule, ms(100), zero), Verdict::Respawn);
        assert_eq!(flaps.exit(&rule, ms(100), zero + ms(100)), Verdict::Retry(1));
        // An old process and a young one die at once: still two exits within the window.
        assert_eq!(flaps.exit(&rule, ms(100), zero + ms(900)), Verdict::Retry(2));
        assert_eq!(flaps.exit(&rule, ms(9000), zero + ms(950)), Verdict::Retry(1));
    }

    #[test]
    fn back_off_doubles_and_resets() {
        let (rule, mut pace) = (Backoff::default(), Pace::default());
        let pauses: Vec<_> = (0..9).map(|_| pace.next(rule, false).as_millis()).collect();
        assert_eq!(pauses, [0, 100, 200, 400, 800, 1600, 3200, 5000, 5000]);
        assert_eq!([true, false, false].map(|outlived| pace.next(rule, outlived)), [ms(0), ms(100), ms(200)]);
        assert_eq!((0..9).map(|_| pace.next(Backoff::OFF, false)).max(), Some(ms(0)));
        let odd = Backoff::new(ms(300), ms(100));
        pace.reset();
        let pauses: Vec<_> = (0..3).map(|_| pace.next(odd, false).as_millis()).collect();
        assert_eq!(pauses, [0, 300, 300], "a maximum below the first pause counts as the first pause");
        for (waited, lived, outlived) in
            [(0, 1, false), (0, 100, false), (0, 101, true), (400, 400, false), (400, 401, true)]
        {
            assert_eq!(outlives(rule, ms(waited), ms(lived)), outlived, "{waited} {lived}");
        }
    }
}
