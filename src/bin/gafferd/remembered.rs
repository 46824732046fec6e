//! The jobs that the configuration had when it was read last.

use gaffer::Result;
use gaffer::config::{Job, job_from_json, job_to_json};

/// Jobs as text: only the next reload looks at them, and hundreds of them as values would be memory for nothing.
#[derive(Debug, Default)]
pub(crate) struct Remembered(Vec<Box<str>>);

impl Remembered {
    pub(crate) fn new<'a>(jobs: impl IntoIterator<Item = &'a Job>) -> Self {
        let text = |job: &Job| {
            let mut value = job_to_json(&job.config);
            value["start"] = job.start.into();
            value.to_string().into_boxed_str()
        };
        Self(jobs.into_iter().map(text).collect())
    }

    /// The jobs in their order. Their priorities are gone; they matter to a start only.
    pub(crate) fn jobs(&self) -> Result<Vec<Job>> {
        let job = |text: &str| {
            let value = serde_json::from_str(text)
                .map_err(|e| gaffer::Error::new(gaffer::ErrorKind::Invalid, e.to_string()))?;
            let (config, start) = job_from_json(&value, None)?;
            let mut job = Job::new(config);
            job.start = start;
            Ok(job)
        };
        self.0.iter().map(|text| job(text)).collect()
    }
}

#[cfg(test)]
mod tests {
    use gaffer::process::JobConfig;

    use super::*;

    #[test]
    fn nothing_of_a_job_is_forgotten() {
        let config = JobConfig::new("shop.web", "bin/web -p $PORT").expect("a name");
        let config = config.env("A", "b\n\"c\"").redirect_output(["out", "err"]).numprocesses(0).shell(true);
        let mut jobs = vec![Job::new(JobConfig::new("clock", "bin/clock").expect("a name")), Job::new(config)];
        jobs[1].start = false;
        assert_eq!(Remembered::new(&jobs).jobs().expect("its own text"), jobs);
    }
}
