//! The jobs that the configuration had when it was read last.

use std::sync::Arc;

use gaffer::config::Job;
use gaffer::process::{JobConfig, JobName};

/// The next reload looks for the difference. A definition that runs is the manager's own: hundreds of jobs
/// twice would be memory for nothing.
#[derive(Clone, Debug, Default)]
pub(crate) struct Remembered(Vec<(Arc<JobConfig>, bool)>);

impl Remembered {
    /// Those of a configuration that was just read; nothing of them runs yet.
    pub(crate) fn new(jobs: Vec<Job>) -> Self {
        Self(jobs.into_iter().map(|job| (Arc::new(job.config), job.start)).collect())
    }

    /// These jobs; a definition that is `loaded` is shared.
    pub(crate) fn of<'a>(
        jobs: impl IntoIterator<Item = &'a Job>,
        loaded: impl Fn(&JobName) -> Option<Arc<JobConfig>>,
    ) -> Self {
        let own = |job: &Job| {
            let loaded = loaded(&job.config.name).filter(|config| **config == job.config);
            (loaded.unwrap_or_else(|| Arc::new(job.config.clone())), job.start)
        };
        Self(jobs.into_iter().map(own).collect())
    }

    /// The definitions in their order, and whether to start each.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Arc<JobConfig>, bool)> {
        self.0.iter().map(|(config, start)| (config, *start))
    }

    /// The jobs in their order. Their priorities are gone; they matter to a start only.
    pub(crate) fn jobs(&self) -> Vec<Job> {
        let job = |(config, start): (&Arc<JobConfig>, bool)| {
            let mut job = Job::new(JobConfig::clone(config));
            job.start = start;
            job
        };
        self.iter().map(job).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(name: &str, cmd: &str) -> JobConfig {
        JobConfig::new(name, cmd).expect("a name")
    }

    #[test]
    fn nothing_of_a_job_is_forgotten() {
        let web = config("shop.web", "bin/web -p $PORT").env("A", "b\n\"c\"").numprocesses(0).shell(true);
        let mut jobs = vec![Job::new(config("clock", "bin/clock")), Job::new(web)];
        jobs[1].start = false;
        assert_eq!(Remembered::new(jobs.clone()).jobs(), jobs);
        assert_eq!(Remembered::of(&jobs, |_| None).jobs(), jobs);
    }

    #[test]
    fn what_runs_is_shared_and_what_differs_is_not() {
        let jobs = [Job::new(config("same", "x")), Job::new(config("other", "x"))];
        let loaded = [Arc::new(config("same", "x")), Arc::new(config("other", "y"))];
        let find = |name: &JobName| loaded.iter().find(|config| config.name == *name).cloned();
        let remembered = Remembered::of(&jobs, find);
        let shared: Vec<bool> = remembered.iter().zip(&loaded).map(|((a, _), b)| Arc::ptr_eq(a, b)).collect();
        assert_eq!(shared, [true, false]);
        assert_eq!(remembered.jobs(), jobs);
    }
}
