//! What is wrong with a file, all of it: who moves hundreds of lines from elsewhere should not be told one at a time.

use crate::{Error, ErrorKind, Result};

/// So many are told, and the others counted.
const MAX_FAULTS: usize = 20;

/// Faults in the order of the files, told as one error with a line each.
#[derive(Debug, Default)]
pub(super) struct Faults {
    lines: Vec<String>,
    more: usize,
}

impl Faults {
    /// Remembers what went wrong, if anything did.
    pub(super) fn note(&mut self, outcome: Result<()>) {
        if let Err(e) = outcome {
            for line in e.to_string().lines() {
                if self.lines.len() < MAX_FAULTS { self.lines.push(line.to_owned()) } else { self.more += 1 }
            }
        }
    }

    /// Nothing, or all of them.
    pub(super) fn end(self) -> Result<()> {
        if self.lines.is_empty() { Ok(()) } else { Err(self.error()) }
    }

    /// All of them, where there are some.
    pub(super) fn error(mut self) -> Error {
        if self.more > 0 {
            self.lines.push(format!("and {} more", self.more));
        }
        Error::new(ErrorKind::Invalid, self.lines.join("\n"))
    }

    /// The same with what has ended the reading; alone it keeps its kind.
    pub(super) fn and(mut self, outcome: Result<()>) -> Result<()> {
        if self.lines.is_empty() {
            return outcome;
        }
        self.note(outcome);
        self.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_are_told_and_the_others_counted() {
        let fault = |n: usize| Err(Error::new(ErrorKind::Invalid, format!("fault {n}")));
        let mut faults = Faults::default();
        faults.note(Ok(()));
        (0..25).for_each(|n| faults.note(fault(n)));
        let text = faults.and(Err(Error::new(ErrorKind::NotFound, "no file"))).expect_err("faults").to_string();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!((lines.len(), lines[0], lines[19], lines[20]), (21, "fault 0", "fault 19", "and 6 more"));
        let alone = Faults::default().and(Err(Error::new(ErrorKind::NotFound, "no file"))).expect_err("no file");
        assert_eq!(alone.kind(), ErrorKind::NotFound);
    }
}
