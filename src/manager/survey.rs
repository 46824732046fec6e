//! What processes use, sampled once.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::monitor::{Sample, Target};
use super::sampling::Asker;
use super::{Cx, Owner, Supervisor, panic_message};
use crate::{Error, Result};

/// A survey; never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SurveyId(u64);

/// The closures of a survey, and what they have made so far.
trait Work: Send {
    fn each(&mut self, sample: &Sample);
    fn done(self: Box<Self>, cx: &mut Cx<'_>, outcome: Result<()>);
}

struct Survey {
    target: Target,
    /// Out of its place while it is called.
    work: Option<Box<dyn Work>>,
}

/// The surveys that are not over.
#[derive(Default)]
pub(super) struct Surveys {
    last: u64,
    map: BTreeMap<SurveyId, Survey>,
}

impl Surveys {
    pub(super) fn target(&self, id: SurveyId) -> Option<&Target> {
        self.map.get(&id).map(|survey| &survey.target)
    }
}

impl fmt::Debug for Surveys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.map.iter().map(|(id, survey)| (id, &survey.target))).finish()
    }
}

struct Closures<T, E, D> {
    made: Vec<T>,
    each: E,
    done: D,
}

impl<T, E, D> Work for Closures<T, E, D>
where
    T: Send,
    E: FnMut(&Sample) -> T + Send,
    D: FnOnce(&mut Cx<'_>, Result<Vec<T>>) + Send,
{
    fn each(&mut self, sample: &Sample) {
        self.made.push((self.each)(sample));
    }

    fn done(self: Box<Self>, cx: &mut Cx<'_>, outcome: Result<()>) {
        let Self { made, done, .. } = *self;
        done(cx, outcome.map(|()| made));
    }
}

impl Supervisor {
    /// Samples once what the target's processes use: calls `each` with every sample, then `done` with what `each` has made of them,
    /// unless the survey is [ended](Self::end_survey) before.
    ///
    /// Neither is called before this call returns. However many processes there are, the loop is held for about a millisecond at a time, over
    /// as many turns as it takes; `each` has its share of that, so it is the place to do what costs time. Surveys that are asked for while one is under way
    /// look through the system together, after it. Processes that end meanwhile are left out.
    ///
    /// `done` gets an error if the system does not tell. A survey whose closure panics is over; a `fault` event tells it.
    ///
    /// ```
    /// use gaffer::Manager;
    /// use gaffer::manager::Target;
    /// use gaffer::process::JobConfig;
    ///
    /// let mut manager = Manager::new()?;
    /// manager.load(JobConfig::new("web", "sleep 100")?.numprocesses(3), true)?;
    /// manager.cx().after(std::time::Duration::from_millis(50), |cx| {
    ///     let resident = |cx: &mut gaffer::manager::Cx<'_>, sizes: gaffer::Result<Vec<u64>>| {
    ///         println!("{} bytes are resident", sizes.map_or(0, |sizes| sizes.iter().sum()));
    ///         cx.stop();
    ///     };
    ///     cx.survey(Target::All, |sample| sample.stats.rss, resident).expect("all is always there");
    /// });
    /// manager.run()?;
    /// # Ok::<(), gaffer::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// No such job or process.
    pub fn survey<T: Send + 'static>(
        &mut self,
        target: Target,
        each: impl FnMut(&Sample) -> T + Send + 'static,
        done: impl FnOnce(&mut Cx<'_>, Result<Vec<T>>) + Send + 'static,
    ) -> Result<SurveyId> {
        self.check_target(&target)?;
        self.surveys.last += 1;
        let id = SurveyId(self.surveys.last);
        let work = Some(Box::new(Closures { made: Vec::new(), each, done }) as Box<dyn Work>);
        self.surveys.map.insert(id, Survey { target, work });
        self.sampling.ask(Asker::Survey(id));
        Ok(id)
    }

    /// Ends a survey, whose closures are not called any more; false if it was over.
    pub fn end_survey(&mut self, id: SurveyId) -> bool {
        let known = self.surveys.map.remove(&id).is_some();
        self.sampling.forget(Asker::Survey(id));
        known
    }

    /// How many surveys are not over.
    #[must_use]
    pub fn surveys(&self) -> usize {
        self.surveys.map.len()
    }
}

pub(super) fn deliver(cx: &mut Cx<'_>, id: SurveyId, sample: &Sample) {
    let Some(survey) = cx.surveys.map.get_mut(&id) else { return };
    let Some(mut work) = survey.work.take() else { return };
    match catch_unwind(AssertUnwindSafe(|| {
        work.each(sample);
        work
    })) {
        Ok(work) => survey.work = Some(work),
        Err(panic) => {
            cx.fault("survey", &panic_message(&*panic));
            cx.end_survey(id);
        }
    }
}

pub(super) fn finish(cx: &mut Cx<'_>, id: SurveyId, outcome: std::result::Result<(), &io::Error>) {
    let Some(work) = cx.surveys.map.remove(&id).and_then(|survey| survey.work) else { return };
    let copy = |e: &io::Error| io::Error::new(e.kind(), e.to_string());
    let outcome = outcome.map_err(|e| Error::io("cannot read what processes use", copy(e)));
    let mut lent = cx.lend(Owner::Nobody);
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| work.done(&mut lent, outcome))) {
        cx.fault("survey", &panic_message(&*panic));
    }
}
