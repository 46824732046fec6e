//! How many processes of each type.

use std::str::FromStr;

use crate::suggest::hint;
use crate::{Error, ErrorKind, Result};

/// How many processes of each type are wanted: `web=2,worker=1`, `all=3,web=0`.
///
/// `all` stands for every type that is not named; without it these get one process each.
///
/// ```
/// use gaffer::config::Concurrency;
///
/// let concurrency: Concurrency = "all=3,web=0".parse()?;
/// assert_eq!((concurrency.of("web"), concurrency.of("worker")), (0, 3));
/// # Ok::<(), gaffer::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Concurrency {
    all: Option<u32>,
    named: Vec<(String, u32)>,
}

impl Concurrency {
    /// Reads `name=n` pairs with commas between them; blanks around them do not count. The last one of a name counts.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`] for anything else.
    pub fn parse(text: &str) -> Result<Self> {
        let mut concurrency = Self::default();
        concurrency.add(text)?;
        Ok(concurrency)
    }

    /// Adds what `text` says, as [`parse`](Self::parse) reads it; it wins over what was there.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`] as for [`parse`](Self::parse); then the pairs before the bad one are added.
    pub fn add(&mut self, text: &str) -> Result<()> {
        for pair in text.split(',') {
            let fail = |why: &str| {
                let what = format!("invalid concurrency {:?}: expected name=number,…{why}", pair.trim());
                Error::new(ErrorKind::Invalid, what)
            };
            let (name, number) = pair.split_once('=').ok_or_else(|| fail(""))?;
            let (name, number) = (name.trim(), number.trim());
            if name.is_empty() || !number.bytes().all(|b| b.is_ascii_digit()) {
                return Err(fail(""));
            }
            let number = number.parse().map_err(|_| fail(&format!(", and a number up to {}", u32::MAX)))?;
            match self.named.iter_mut().find(|(n, _)| n == name) {
                _ if name == "all" => self.all = Some(number),
                Some((_, n)) => *n = number,
                None => self.named.push((name.to_owned(), number)),
            }
        }
        Ok(())
    }

    /// How many processes of the type `name` are wanted.
    #[must_use]
    pub fn of(&self, name: &str) -> u32 {
        let named = self.named.iter().find(|(n, _)| n == name).map(|&(_, number)| number);
        named.or(self.all).unwrap_or(1)
    }

    /// Refuses names that are not among `known`.
    pub(super) fn check(&self, known: &[&str]) -> Result<()> {
        match self.named.iter().find(|(name, _)| !known.contains(&name.as_str())) {
            None => Ok(()),
            Some((name, number)) => {
                let hint = hint(name, known.iter().copied());
                let what = format!("concurrency {name}={number}: the Procfile has no process type `{name}`{hint}");
                Err(Error::new(ErrorKind::NotFound, what))
            }
        }
    }
}

impl FromStr for Concurrency {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::parse(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads() {
        let mut c = Concurrency::parse(" web = 2 ,worker=0,web=3").expect("valid");
        assert_eq!((c.of("web"), c.of("worker"), c.of("clock")), (3, 0, 1));
        c.add("all=5,worker=1").expect("valid");
        assert_eq!((c.of("web"), c.of("worker"), c.of("clock")), (3, 1, 5));
        for bad in ["", "web", "web=", "=2", "web=-1", "web=+1", "web=1.5", "web=1,", "web=1;b=2", "web=99999999999"] {
            assert_eq!(Concurrency::parse(bad).expect_err(bad).kind(), ErrorKind::Invalid);
        }
        let e = Concurrency::parse("wbe=2").expect("valid").check(&["web", "worker"]).expect_err("unknown");
        assert_eq!(e.to_string(), "concurrency wbe=2: the Procfile has no process type `wbe`; did you mean `web`?");
    }
}
