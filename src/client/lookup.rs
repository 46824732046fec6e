//! Lookup servers: which node has which job.

use std::collections::BTreeMap;

use serde_json::Value;

use super::address::{Address, encode};
use super::answer::{job_name, missing, pids};
use super::http::Http;
use crate::process::{JobName, Pid};
use crate::{Error, ErrorKind, Result};

use super::lookup_events::LookupEvents;

/// A lookup server, by its address.
///
/// ```no_run
/// use gaffer::client::LookupServer;
///
/// let lookup = LookupServer::new("http://127.0.0.1:5010")?;
/// for source in lookup.find_job("shop.web")? {
///     println!("{} has {} processes", source.node.origin, source.pids.len());
/// }
/// # Ok::<(), gaffer::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct LookupServer {
    pub(super) http: Http,
}

/// A node, as lookup servers know it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub struct LookupNode {
    /// The name of its host.
    pub name: String,
    /// Where it is reached, for [`Server::new`](super::Server::new).
    pub origin: String,
    /// The version of the protocol it speaks.
    pub version: String,
}

/// A node that has a job.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LookupSource {
    /// The node.
    pub node: LookupNode,
    /// The processes that it keeps alive for it.
    pub pids: Vec<Pid>,
}

/// A job, and which nodes have it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LookupJob {
    /// Its name.
    pub name: JobName,
    /// The nodes.
    pub sources: Vec<LookupSource>,
}

/// A session, and which nodes have jobs of it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LookupSession {
    /// Its name.
    pub name: String,
    /// Its jobs, by name.
    pub jobs: Vec<LookupJob>,
}

impl LookupServer {
    /// The lookup server at `http://HOST:PORT`, `https://HOST:PORT` or `unix:/PATH`. Nothing is sent yet.
    ///
    /// One at `https` needs a certificate that an authority of the system has signed, unless [`tls`](Self::tls) names others.
    ///
    /// # Errors
    ///
    /// As for [`Server::new`](super::Server::new).
    pub fn new(address: &str) -> Result<Self> {
        Ok(Self { http: Http::new(Address::parse(address)?) })
    }

    /// The nodes that are there, in the order in which they came.
    ///
    /// # Errors
    ///
    /// Those of the [module](super#errors); so for all methods.
    pub fn nodes(&self) -> Result<Vec<LookupNode>> {
        list(&self.http.get("/nodes")?["nodes"], "nodes", LookupNode::read)
    }

    /// The sessions of all nodes, or of those of this name; none for a name that is not known.
    pub fn sessions(&self, node: Option<&str>) -> Result<Vec<LookupSession>> {
        let path = node.map_or_else(|| "/sessions".to_owned(), |node| format!("/sessions/{}", encode(node)));
        list(&self.http.get(&path)?["sessions"], "sessions", |session| {
            let name = session["sessionid"].as_str().ok_or_else(|| missing("sessionid"))?.to_owned();
            let jobs = session["jobs"].as_object().ok_or_else(|| missing("jobs"))?;
            let jobs = jobs.iter().map(|(name, list)| LookupJob::read(name, list)).collect::<Result<_>>()?;
            Ok(LookupSession { name, jobs })
        })
    }

    /// All jobs, by name.
    pub fn jobs(&self) -> Result<Vec<LookupJob>> {
        jobs(&self.http.get("/jobs")?)
    }

    /// The nodes that have a job: `label`, `session.label`, `session:label` or `session/label`.
    pub fn find_job(&self, name: &str) -> Result<Vec<LookupSource>> {
        let name = job_name(name)?;
        sources(&self.http.get(&format!("/findJob?name={}", encode(name.as_str())))?["sources"])
    }

    /// The jobs of a session, by name; none for one that is not known.
    pub fn find_session(&self, session: &str) -> Result<Vec<LookupJob>> {
        jobs(&self.http.get(&format!("/findSession?sessionid={}", encode(session)))?)
    }

    /// What changes from now on.
    pub fn events(&self) -> Result<LookupEvents> {
        LookupEvents::open(&self.http)
    }

    /// The same, as the original's client calls it.
    pub fn lookup(&self) -> Result<LookupEvents> {
        self.events()
    }
}

/// Several lookup servers, each of which may know what the others do not: answers are merged.
#[derive(Clone, Debug)]
pub struct LookupServers {
    servers: Vec<LookupServer>,
}

/// What several servers know, and which of them did not answer.
#[derive(Debug)]
#[non_exhaustive]
pub struct Merged<T> {
    /// What those know that answered.
    pub found: T,
    /// Addresses of the others, and why.
    pub lost: Vec<(String, Error)>,
}

impl LookupServers {
    /// These servers, at least one.
    #[must_use]
    pub fn new(servers: Vec<LookupServer>) -> Self {
        Self { servers }
    }

    /// The servers.
    #[must_use]
    pub fn servers(&self) -> &[LookupServer] {
        &self.servers
    }

    fn ask<T>(&self, ask: impl Fn(&LookupServer) -> Result<Vec<T>>) -> Result<Merged<Vec<T>>> {
        let (mut found, mut lost) = (Vec::new(), Vec::new());
        for server in &self.servers {
            match ask(server) {
                Ok(answer) => found.push(answer),
                Err(e) => lost.push((server.address(), e)),
            }
        }
        if found.is_empty() {
            let first = lost.into_iter().next().map(|(_, e)| e);
            return Err(first.unwrap_or_else(|| Error::new(ErrorKind::Invalid, "no lookup server was named")));
        }
        Ok(Merged { found: found.into_iter().flatten().collect(), lost })
    }

    /// The nodes that any of them knows, each once.
    ///
    /// # Errors
    ///
    /// That of the first server, if none has answered; so for all methods.
    pub fn nodes(&self) -> Result<Merged<Vec<LookupNode>>> {
        let Merged { found, lost } = self.ask(LookupServer::nodes)?;
        let mut nodes: Vec<LookupNode> = Vec::new();
        for node in found {
            if !nodes.iter().any(|known| (&known.name, &known.origin) == (&node.name, &node.origin)) {
                nodes.push(node);
            }
        }
        Ok(Merged { found: nodes, lost })
    }

    /// The jobs that any of them knows, by name.
    pub fn jobs(&self) -> Result<Merged<Vec<LookupJob>>> {
        let Merged { found, lost } = self.ask(LookupServer::jobs)?;
        Ok(Merged { found: merge_jobs(found), lost })
    }

    /// The jobs of a session that any of them knows, by name.
    pub fn find_session(&self, session: &str) -> Result<Merged<Vec<LookupJob>>> {
        let Merged { found, lost } = self.ask(|server| server.find_session(session))?;
        Ok(Merged { found: merge_jobs(found), lost })
    }

    /// The sessions that any of them knows, by name.
    pub fn sessions(&self, node: Option<&str>) -> Result<Merged<Vec<LookupSession>>> {
        let Merged { found, lost } = self.ask(|server| server.sessions(node))?;
        let mut sessions: BTreeMap<String, Vec<LookupJob>> = BTreeMap::new();
        for session in found {
            sessions.entry(session.name).or_default().extend(session.jobs);
        }
        let merged = sessions.into_iter().map(|(name, jobs)| LookupSession { name, jobs: merge_jobs(jobs) });
        Ok(Merged { found: merged.collect(), lost })
    }

    /// The nodes that any of them knows to have a job.
    pub fn find_job(&self, name: &str) -> Result<Merged<Vec<LookupSource>>> {
        let Merged { found, lost } = self.ask(|server| server.find_job(name))?;
        Ok(Merged { found: merge_sources(found), lost })
    }
}

fn merge_jobs(jobs: Vec<LookupJob>) -> Vec<LookupJob> {
    let mut merged: BTreeMap<JobName, Vec<LookupSource>> = BTreeMap::new();
    for job in jobs {
        merged.entry(job.name).or_default().extend(job.sources);
    }
    merged.into_iter().map(|(name, sources)| LookupJob { name, sources: merge_sources(sources) }).collect()
}

/// One of two servers may be behind for a moment: what either knows counts.
fn merge_sources(sources: Vec<LookupSource>) -> Vec<LookupSource> {
    let mut merged: Vec<LookupSource> = Vec::new();
    for source in sources {
        let same = |known: &&mut LookupSource| {
            (&known.node.name, &known.node.origin) == (&source.node.name, &source.node.origin)
        };
        match merged.iter_mut().find(same) {
            Some(known) => {
                known.pids.extend(source.pids);
                known.pids.sort_unstable();
                known.pids.dedup();
            }
            None => merged.push(source),
        }
    }
    merged
}

impl LookupNode {
    pub(super) fn read(value: &Value) -> Result<Self> {
        let text = |key: &str| value[key].as_str().map(str::to_owned).ok_or_else(|| missing(key));
        Ok(Self { name: text("name")?, origin: text("origin")?, version: text("version")? })
    }
}

impl LookupJob {
    fn read(name: &str, list: &Value) -> Result<Self> {
        Ok(Self { name: job_name(name)?, sources: sources(list)? })
    }
}

fn jobs(answer: &Value) -> Result<Vec<LookupJob>> {
    list(&answer["jobs"], "jobs", |job| {
        LookupJob::read(job["name"].as_str().ok_or_else(|| missing("name"))?, &job["sources"])
    })
}

fn sources(value: &Value) -> Result<Vec<LookupSource>> {
    list(value, "sources", |source| {
        Ok(LookupSource { node: LookupNode::read(&source["node_info"])?, pids: pids(&source["pids"])? })
    })
}

fn list<T>(value: &Value, what: &str, read: impl Fn(&Value) -> Result<T>) -> Result<Vec<T>> {
    value.as_array().ok_or_else(|| missing(&format!("list of {what}")))?.iter().map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_either_knows_counts() {
        let source = |origin: &str, pids: &[u64]| LookupSource {
            node: LookupNode { name: "n".into(), origin: origin.into(), version: "0.1".into() },
            pids: pids.iter().copied().map(Pid).collect(),
        };
        let job = |name: &str, sources| LookupJob { name: name.parse().expect("a name"), sources };
        let merged = merge_jobs(vec![
            job("s.b", vec![source("a", &[1])]),
            job("s.a", vec![source("a", &[2])]),
            job("s.b", vec![source("b", &[1]), source("a", &[3, 1])]),
        ]);
        let want = [job("s.a", vec![source("a", &[2])]), job("s.b", vec![source("a", &[1, 3]), source("b", &[1])])];
        assert_eq!(merged, want);
    }
}
