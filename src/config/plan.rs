//! What a reload has to do.

use std::collections::HashMap;
use std::fmt;

use super::Job;
use crate::process::JobName;

/// The difference between the jobs of two configurations.
///
/// ```
/// use gaffer::config::{Job, Plan};
/// use gaffer::process::JobConfig;
///
/// let job = |name: &str, cmd: &str| Ok::<_, gaffer::Error>(Job::new(JobConfig::new(name, cmd)?));
/// let old = [job("web", "bin/web")?, job("clock", "bin/clock")?];
/// let new = [job("web", "bin/web -v")?, job("shop.mail", "bin/mail")?];
/// assert_eq!(Plan::new(&old, &new).to_string(), "0 kept; changed: web; added: shop.mail; removed: clock");
/// # Ok::<(), gaffer::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Plan<'a> {
    /// Not to be touched, in the new order. A priority that changed matters to the next start only.
    pub kept: Vec<&'a JobName>,
    /// Their definition or `start` changed; as they are to be, in the new order.
    pub changed: Vec<&'a Job>,
    /// To be loaded, in the new order.
    pub added: Vec<&'a Job>,
    /// To be unloaded, in the reverse of the old order.
    pub removed: Vec<&'a JobName>,
}

impl<'a> Plan<'a> {
    /// Compares the jobs that a configuration had with those it has now. The names in each differ.
    #[must_use]
    pub fn new(old: &'a [Job], new: &'a [Job]) -> Self {
        let mut gone: HashMap<&JobName, &Job> = old.iter().map(|job| (&job.config.name, job)).collect();
        let mut plan = Self { kept: Vec::new(), changed: Vec::new(), added: Vec::new(), removed: Vec::new() };
        for job in new {
            match gone.remove(&job.config.name) {
                None => plan.added.push(job),
                Some(before) if before.config == job.config && before.start == job.start => {
                    plan.kept.push(&job.config.name);
                }
                Some(_) => plan.changed.push(job),
            }
        }
        plan.removed = old.iter().rev().map(|job| &job.config.name).filter(|name| gone.contains_key(name)).collect();
        plan
    }

    /// Whether there is nothing to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.changed.is_empty() && self.added.is_empty() && self.removed.is_empty()
    }
}

/// For a log line: how many are kept, and the names of the others.
impl fmt::Display for Plan<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let jobs = |jobs: &[&Job]| jobs.iter().map(|job| job.config.name.short()).collect::<Vec<_>>().join(", ");
        write!(f, "{} kept", self.kept.len())?;
        let removed = self.removed.iter().map(|name| name.short()).collect::<Vec<_>>().join(", ");
        for (what, names) in [("changed", jobs(&self.changed)), ("added", jobs(&self.added)), ("removed", removed)] {
            if !names.is_empty() {
                write!(f, "; {what}: {names}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::JobConfig;
    use crate::words::tests::Rng;

    fn job(name: &str, cmd: &str) -> Job {
        Job::new(JobConfig::new(name, cmd).expect("a name"))
    }

    #[test]
    fn only_what_changed_is_touched() {
        let old = [job("a", "x"), job("b", "x"), job("c", "x"), job("d", "x"), job("e", "x")];
        let mut new = [job("n", "x"), job("d", "x"), job("c", "y"), job("a", "x")];
        new[1].priority = Some(1);
        new[3].start = false;
        let plan = Plan::new(&old, &new);
        assert_eq!(plan.kept, [&new[1].config.name]);
        assert_eq!(plan.changed, [&new[2], &new[3]]);
        assert_eq!(plan.added, [&new[0]]);
        assert_eq!(plan.removed, [&old[4].config.name, &old[1].config.name]);
        assert_eq!(plan.to_string(), "1 kept; changed: c, a; added: n; removed: e, b");
        assert!(!plan.is_empty());

        let plan = Plan::new(&old, &old);
        assert!(plan.is_empty());
        assert_eq!(plan.to_string(), "5 kept");
    }

    #[test]
    fn every_job_is_in_one_list_and_the_plan_leads_to_the_new_jobs() {
        for seed in 0..20_000 {
            let mut rng = Rng(seed);
            let mut jobs = || -> Vec<Job> {
                let names = ["a", "b", "s.a", "s.b", "t.a"].iter();
                let jobs: Vec<Job> = names.map(|name| job(name, ["x", "y"][rng.below(2)])).collect();
                jobs.into_iter().filter(|_| rng.below(3) > 0).collect()
            };
            let (old, new) = (jobs(), jobs());
            let plan = Plan::new(&old, &new);
            assert_eq!(plan.kept.len() + plan.changed.len() + plan.added.len(), new.len(), "seed {seed}");
            assert_eq!(plan.kept.len() + plan.changed.len() + plan.removed.len(), old.len(), "seed {seed}");
            let mut result = old.clone();
            result.retain(|job| !plan.removed.contains(&&job.config.name));
            for changed in &plan.changed {
                let place = result.iter_mut().find(|job| job.config.name == changed.config.name).expect("it was there");
                *place = (*changed).clone();
            }
            result.extend(plan.added.iter().map(|job| (*job).clone()));
            result.sort_by(|a, b| a.config.name.cmp(&b.config.name));
            let mut wanted = new.clone();
            wanted.sort_by(|a, b| a.config.name.cmp(&b.config.name));
            assert_eq!(result, wanted, "seed {seed}");
        }
    }
}
