//! The ports of the applications on one node: no two get the same, unless somebody says so.

use std::fmt;
use std::ops::Range;

use gaffer::client::Server;
use gaffer::config::Application;
use gaffer::process::{JobConfig, JobName};

/// From one base port to the next, where the first ones are taken.
const STEP: u16 = 1000;

/// What a type has before the next one's ports begin.
pub(crate) const PER_TYPE: u32 = 100;

/// Who has ports on the node.
pub(crate) struct Ports(Vec<Taken>);

/// The ports of a job, or of the node itself.
struct Taken {
    name: Option<JobName>,
    first: u16,
    processes: u32,
}

impl Taken {
    fn ports(&self, at_least: u32) -> Range<u32> {
        let first = u32::from(self.first);
        let count = if self.name.is_none() { 1 } else { self.processes.max(at_least) };
        first..first.saturating_add(count)
    }

    fn is_of(&self, session: &str) -> bool {
        self.name.as_ref().is_some_and(|name| name.session() == session)
    }
}

impl fmt::Display for Taken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            Some(name) => write!(f, "'{name}'"),
            None => f.write_str("the node itself"),
        }
    }
}

fn meet(a: &Range<u32>, b: &Range<u32>) -> bool {
    a.start.max(b.start) < a.end.min(b.end)
}

impl Ports {
    /// Asks the node. If it does not tell, it is as if nobody had ports: so it was before anybody asked.
    pub(crate) fn of(server: &Server) -> Self {
        let itself = port_of(&server.address()).map(|first| Taken { name: None, first, processes: 1 });
        let jobs = server.infos().into_iter().flatten().filter_map(|job| {
            let first = u16::try_from(job.config["port"].as_u64()?).ok()?;
            Some(Taken { name: Some(job.status.name), first, processes: job.status.numprocesses })
        });
        Self(jobs.chain(itself).collect())
    }

    /// The base port of an application for which nobody has said one: that which it has on the node already, else the
    /// first of 5000, 6000 … at which each of its types has a hundred ports that are nobody's. What is to be told, if it is not the usual one.
    pub(crate) fn choose(&self, application: &mut Application) -> Option<String> {
        let session = application.session.clone();
        let port_there = |label: &str| {
            let mut own = self.0.iter().filter(|taken| taken.is_of(&session));
            own.find(|taken| taken.name.as_ref().is_some_and(|name| name.label() == label)).map(|taken| taken.first)
        };
        let known: Vec<Option<u16>> = application.entries.iter().map(|entry| port_there(&entry.name)).collect();
        let usual = application.port;
        if let Some(Some(first)) = known.first() {
            application.port = *first;
            return None;
        }
        // The first type is new: it belongs before the others.
        if let Some(least) = known.into_iter().flatten().min() {
            application.port = least - least.saturating_sub(usual) % STEP;
            return None;
        }
        let types = u32::try_from(application.entries.len()).unwrap_or(u32::MAX).max(1);
        let ports = |base: u16| u32::from(base)..u32::from(base).saturating_add(types.saturating_mul(PER_TYPE));
        let in_the_way = |base: u16| {
            self.0.iter().find(|taken| !taken.is_of(&session) && meet(&taken.ports(PER_TYPE), &ports(base)))
        };
        let other = in_the_way(usual)?;
        let mut bases =
            (usual..=u16::MAX).step_by(STEP.into()).filter(|base| ports(*base).end <= u32::from(u16::MAX) + 1);
        application.port = bases.find(|base| in_the_way(*base).is_none())?;
        let base = application.port;
        Some(format!(
            "'{session}' gets the ports from {base} on, as {other} has those from {usual} on; -p or PORT in .env says others"
        ))
    }

    /// What is to be told of jobs that get the ports of others, on the node or among themselves.
    pub(crate) fn clashes(&self, jobs: &[JobConfig]) -> Option<String> {
        let new: Vec<Taken> = jobs.iter().filter_map(of_job).collect();
        let replaced = |taken: &Taken| new.iter().any(|job| job.name == taken.name);
        let others: Vec<&Taken> = self.0.iter().filter(|taken| !replaced(taken)).collect();
        let pairs = new.iter().enumerate().flat_map(|(nth, job)| {
            let all = others.iter().copied().chain(&new[nth + 1..]);
            all.filter(|other| meet(&job.ports(0), &other.ports(0))).map(move |other| (job, other))
        });
        tell(pairs.collect())
    }

    /// The same of a job of the node that has so many processes now.
    pub(crate) fn clashes_of(&self, name: &JobName, processes: u32) -> Option<String> {
        let job = self.0.iter().find(|taken| taken.name.as_ref() == Some(name))?;
        let job = Taken { name: job.name.clone(), first: job.first, processes };
        let others = self.0.iter().filter(|other| other.name != job.name);
        tell(others.filter(|other| meet(&job.ports(0), &other.ports(0))).map(|other| (&job, other)).collect())
    }
}

fn of_job(job: &JobConfig) -> Option<Taken> {
    // One without processes has no ports yet.
    let first = job.port.filter(|_| job.numprocesses > 0)?;
    Some(Taken { name: Some(job.name.clone()), first, processes: job.numprocesses })
}

/// One line, however many there are.
fn tell(pairs: Vec<(&Taken, &Taken)>) -> Option<String> {
    let (job, other) = pairs.first()?;
    let (a, b) = (job.ports(0), other.ports(0));
    let (first, last) = (a.start.max(b.start), a.end.min(b.end) - 1);
    let which = if first == last { format!("port {first}") } else { format!("ports {first} to {last}") };
    let more = if pairs.len() > 1 { format!("; so have {} more pairs", pairs.len() - 1) } else { String::new() };
    Some(format!("{job} and {other} have the same {which}{more}"))
}

/// The port of an address, `http://127.0.0.1:5000`.
fn port_of(address: &str) -> Option<u16> {
    let digits = address.trim_end_matches('/').rsplit_once(':')?.1;
    digits.parse().ok().filter(|_| !address.starts_with("unix:"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ports(all: &[(&str, u16, u32)]) -> Ports {
        let taken = |(name, first, processes): &(&str, u16, u32)| Taken {
            name: Some(*name).filter(|name| !name.is_empty()).map(|name| name.parse().expect("a name")),
            first: *first,
            processes: *processes,
        };
        Ports(all.iter().map(taken).collect())
    }

    fn job(name: &str, port: u16, processes: u32) -> JobConfig {
        let mut job = JobConfig::new(name, "x").expect("a name").numprocesses(processes);
        job.port = Some(port);
        job
    }

    #[test]
    fn addresses() {
        for (address, want) in [
            ("http://127.0.0.1:5000", Some(5000)),
            ("https://[::1]:443/", Some(443)),
            ("unix:/run/x:80", None),
            ("http://h", None),
        ] {
            assert_eq!(port_of(address), want, "{address}");
        }
    }

    #[test]
    fn clashes() {
        let node = ports(&[("blog.web", 6000, 2), ("blog.clock", 6100, 0), ("shop.web", 6000, 9), ("", 5000, 1)]);
        for (jobs, want) in [
            (vec![job("shop.web", 6002, 100), job("shop.worker", 6102, 1)], None),
            (vec![job("shop.web", 6001, 1)], Some("'shop.web' and 'blog.web' have the same port 6001")),
            (
                vec![job("shop.a", 5990, 12)],
                Some("'shop.a' and 'blog.web' have the same ports 6000 to 6001; so have 1 more pairs"),
            ),
            (vec![job("shop.web", 4999, 2)], Some("'shop.web' and the node itself have the same port 5000")),
            (vec![job("shop.web", 6000, 0)], None),
            (
                vec![job("shop.web", 7000, 150), job("shop.b", 7100, 3)],
                Some("'shop.web' and 'shop.b' have the same ports 7100 to 7102"),
            ),
        ] {
            assert_eq!(node.clashes(&jobs).as_deref(), want, "{jobs:?}");
        }
        let scaled = |name: &str, n| node.clashes_of(&name.parse().expect("a name"), n);
        assert_eq!(scaled("blog.none", 500), None);
        assert!(scaled("blog.web", 2).is_some_and(|what| what.contains("'shop.web'")));
        let node = ports(&[("blog.web", 6000, 2), ("blog.clock", 6100, 1)]);
        assert_eq!([node.clashes_of(&"blog.web".parse().expect("a name"), 100)], [None]);
        let want = Some("'blog.web' and 'blog.clock' have the same port 6100".to_owned());
        assert_eq!(node.clashes_of(&"blog.web".parse().expect("a name"), 101), want);
    }

    #[test]
    fn bases() {
        let folder = std::env::temp_dir().join(format!("gaffer-ports-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder");
        std::fs::write(folder.join("Procfile"), "web: x\nclock: x\n").expect("a file");
        let mut options = gaffer::config::Options::default();
        options.root = Some(folder.clone());
        let (mut application, _) = Application::load(&options, |_| None).expect("an application");
        application.session = "shop".to_owned();
        for (node, want) in [
            (ports(&[]), 5000),
            (ports(&[("", 5000, 1)]), 6000),
            (ports(&[("blog.web", 4901, 1)]), 6000),
            (ports(&[("blog.web", 4900, 1), ("blog.b", 5200, 1)]), 5000),
            (ports(&[("blog.web", 5150, 1), ("blog.b", 6050, 150)]), 7000),
            (ports(&[("", 5000, 1), ("shop.web", 5000, 1)]), 5000),
            (ports(&[("shop.web", 1234, 1), ("shop.clock", 6100, 1)]), 1234),
            (ports(&[("shop.clock", 6200, 1), ("blog.web", 6000, 1)]), 6000),
            (ports(&[("shop.old", 5000, 1)]), 5000),
        ] {
            application.port = 5000;
            let told = node.choose(&mut application);
            assert_eq!(application.port, want);
            let is_new = !node.0.iter().any(|taken| taken.is_of("shop"));
            assert_eq!(told.is_some(), is_new && want != 5000, "{told:?}");
        }
        std::fs::remove_dir_all(folder).expect("it is ours");
    }
}
