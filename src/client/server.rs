//! A node.

use std::time::Duration;

use serde_json::Value;

use super::address::{Address, encode};
use super::answer::{job_name, missing, names, pids};
use super::feed::{Events, Output, Samples};
use super::http::{Content, Http};
use super::logs::{LogQuery, Logs};
use super::values::{JobInfo, JobStatus};
use super::{Job, Process, Socket};
use crate::process::{DEFAULT_SESSION, Pid};
use crate::{Error, ErrorKind, Result};

/// A node, by its address.
///
/// Methods that take a job's name understand `label`, `session.label`, `session:label` and `session/label`.
///
/// ```
/// # #[cfg(feature = "server")] include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/client/example.rs"));
/// # #[cfg(feature = "server")] fn main() -> Result<(), Box<dyn std::error::Error>> { let node = Node::start()?; let address = node.address();
/// use gaffer::ErrorKind;
/// use gaffer::client::Server;
/// use serde_json::json;
///
/// let server = Server::new(address)?;
/// server.ping()?;
/// let web = json!({"name": "web", "cmd": "sleep 100"});
/// server.load(&web, Some("shop"), false, false)?;
/// assert_eq!(server.load(&web, Some("shop"), false, false).unwrap_err().kind(), ErrorKind::Conflict);
/// server.load(&web, Some("shop"), true, true)?; // replaces it, and starts it
///
/// assert_eq!((server.sessions()?, server.jobs(Some("shop"))?), (vec!["shop".to_owned()], vec!["shop.web".to_owned()]));
/// assert!(server.job_exists("shop.web")? && !server.job_exists("web")?);
/// assert_eq!(server.pids()?, server.get_job("shop:web")?.pids()?);
/// for job in server.jobs_walk(None)? {
///     job.reload()?;
/// }
/// assert_eq!((server.groups()?, server.processes()?), (vec!["shop".to_owned()], vec!["shop:web".to_owned()])); // of 0.4
/// server.unload("shop.web")?;
/// assert!(server.statuses()?.is_empty());
/// # Ok(()) }
/// # #[cfg(not(feature = "server"))] fn main() {}
/// ```
#[derive(Clone, Debug)]
pub struct Server {
    pub(super) http: Http,
}

impl Server {
    /// The node at `http://HOST:PORT` (also with a path before its own, or without `http://`), `https://HOST:PORT` or `unix:/PATH`.
    ///
    /// A node at `https` needs a certificate that an authority of the system has signed, unless [`tls`](Self::tls) names others.
    ///
    /// Nothing is sent yet.
    ///
    /// # Errors
    ///
    /// The address is malformed, or is `https` and this build has no TLS.
    pub fn new(address: &str) -> Result<Self> {
        Ok(Self { http: Http::new(Address::parse(address)?) })
    }

    /// The key that is sent.
    #[must_use]
    pub fn key(&self) -> Option<&str> {
        self.http.api_key.as_deref()
    }

    /// How often feeds ask for a sign of life; three that are missing end the feed. From 0.1 s to a day. Default: 20 s.
    #[must_use]
    pub fn heartbeat(mut self, heartbeat: Duration) -> Self {
        self.http.heartbeat = heartbeat.clamp(Duration::from_millis(100), Duration::from_secs(86_400));
        self
    }

    /// All processes, committed ones included; those that were told to end are not among them.
    ///
    /// # Errors
    ///
    /// Those of the [module](super#errors); so for all methods.
    pub fn pids(&self) -> Result<Vec<Pid>> {
        pids(&self.http.get("/pids")?["pids"])
    }

    /// The same, as the original's client also calls it.
    pub fn running(&self) -> Result<Vec<Pid>> {
        self.pids()
    }

    /// The sessions that have a job.
    pub fn sessions(&self) -> Result<Vec<String>> {
        names(&self.http.get("/sessions")?["sessions"])
    }

    /// The jobs of a session, or of all: `session.label`, in the order in which they were loaded.
    pub fn jobs(&self, session: Option<&str>) -> Result<Vec<String>> {
        let path = session.map_or_else(|| "/jobs".to_owned(), |session| format!("/jobs/{}", encode(session)));
        names(&self.http.get(&path)?["jobs"])
    }

    /// The same as [`Job`]s, one after the other.
    pub fn jobs_walk(&self, session: Option<&str>) -> Result<impl Iterator<Item = Job>> {
        let names = self.jobs(session)?.iter().map(|name| job_name(name)).collect::<Result<Vec<_>>>()?;
        let http = self.http.clone();
        Ok(names.into_iter().map(move |name| Job::new(http.clone(), name)))
    }

    /// All jobs as they are, definitions included, in one request.
    pub fn infos(&self) -> Result<Vec<JobInfo>> {
        let answer = self.http.get("/jobs?details=true")?;
        let list = answer["jobs"].as_array().ok_or_else(|| missing("list of jobs"))?;
        list.iter().map(JobInfo::read).collect()
    }

    /// How all jobs stand, in one request.
    pub fn statuses(&self) -> Result<Vec<JobStatus>> {
        let answer = self.http.get("/status")?;
        let list = answer.as_array().or_else(|| answer["jobs"].as_array()).ok_or_else(|| missing("list of jobs"))?;
        list.iter().map(|job| JobStatus::read(job, None)).collect()
    }

    /// How a job stands.
    pub fn status(&self, name: &str) -> Result<JobStatus> {
        let name = job_name(name)?;
        JobStatus::read(&self.http.get(&format!("/status/{name}"))?, Some(&name))
    }

    /// Whether a job is loaded.
    pub fn job_exists(&self, name: &str) -> Result<bool> {
        match self.status(name) {
            Ok(_) => Ok(true),
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(false),
            Err(e) => Err(e),
        }
    }

    /// Loads a job and, if `start`, starts it. `definition` is what [`job_to_json`](crate::config::job_to_json) writes: an object with `name`, `cmd`
    /// and any other settings; `session` is where the definition names none. With `force` a job that exists is replaced instead of refused.
    pub fn load(&self, definition: &Value, session: Option<&str>, start: bool, force: bool) -> Result<Job> {
        let invalid = |what: &str| Error::new(ErrorKind::Invalid, format!("a job's definition {what}"));
        let mut definition = definition.clone();
        let object = definition.as_object_mut().ok_or_else(|| invalid("is an object"))?;
        let own = ["session", "group", "sessionid"].iter().find_map(|key| object.remove(*key));
        let own = own.as_ref().and_then(Value::as_str);
        let name = object.get("name").and_then(Value::as_str).ok_or_else(|| invalid("has a `name`"))?;
        let name = if name.contains([':', '.', '/']) {
            job_name(name)?
        } else {
            let session = own.or(session).unwrap_or(DEFAULT_SESSION);
            crate::process::JobName::new(session, name)?
        };
        if own.is_some_and(|own| own != name.session()) {
            return Err(invalid(&format!(
                "names two sessions: {:?} and {:?}",
                own.unwrap_or_default(),
                name.session()
            )));
        }
        object.insert("name".to_owned(), name.label().into());
        object.insert("start".to_owned(), start.into());
        let job = Job::new(self.http.clone(), name.clone());
        match self.http.post(&format!("/jobs/{}", name.session()), Content::Json(&definition)) {
            Err(e) if force && e.kind() == ErrorKind::Conflict => self.http.put(&job.path(""), &definition)?,
            answer => answer?,
        };
        Ok(job)
    }

    /// Replaces a job's definition and its processes.
    pub fn update(&self, definition: &Value, name: &str, start: bool) -> Result<Job> {
        let name = job_name(name)?;
        let mut definition = definition.clone();
        let object = definition
            .as_object_mut()
            .ok_or_else(|| Error::new(ErrorKind::Invalid, "a job's definition is an object"))?;
        object.insert("name".to_owned(), name.label().into());
        object.insert("start".to_owned(), start.into());
        let job = Job::new(self.http.clone(), name);
        self.http.put(&job.path(""), &definition)?;
        Ok(job)
    }

    /// Stops a job and forgets it.
    pub fn unload(&self, name: &str) -> Result<()> {
        self.job(name)?.unload()
    }

    /// Starts a job again, with its configured number of processes, all of them new.
    pub fn reload(&self, name: &str) -> Result<()> {
        self.job(name)?.reload()
    }

    /// A job, which exists.
    pub fn get_job(&self, name: &str) -> Result<Job> {
        let job = self.job(name)?;
        job.info()?;
        Ok(job)
    }

    /// A job by its name, without asking the node.
    pub fn job(&self, name: &str) -> Result<Job> {
        Ok(Job::new(self.http.clone(), job_name(name)?))
    }

    /// A process, which exists.
    pub fn get_process(&self, pid: Pid) -> Result<Process> {
        let process = self.process(pid);
        process.info()?;
        Ok(process)
    }

    /// A process by its number, without asking the node.
    #[must_use]
    pub fn process(&self, pid: Pid) -> Process {
        Process::new(self.http.clone(), pid)
    }

    /// The events under a pattern of topics: `.` for all, `exit`, `proc.web`, `proc.*.exit`.
    ///
    /// ```
    /// # #[cfg(feature = "server")] include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/client/example.rs"));
    /// # #[cfg(feature = "server")] fn main() -> Result<(), Box<dyn std::error::Error>> { let node = Node::start()?; let address = node.address();
    /// use gaffer::client::Server;
    /// use serde_json::json;
    ///
    /// let server = Server::new(address)?;
    /// let mut events = server.watch("proc.web")?;
    /// server.load(&json!({"name": "web", "cmd": "sleep 100"}), None, false, false)?;
    /// let created = events.next().expect("it goes on")?;
    /// assert_eq!((created.topic.as_str(), created.event.as_str()), ("proc.web.create", "create"));
    /// // After a connection that broke, what was missed comes first.
    /// let id = events.last_id().to_owned();
    /// drop(events);
    /// server.unload("web")?;
    /// let missed = server.watch_after("proc.web", &id)?.next().expect("it goes on")?;
    /// assert_eq!(missed.event, "delete");
    /// # Ok(()) }
    /// # #[cfg(not(feature = "server"))] fn main() {}
    /// ```
    pub fn watch(&self, pattern: &str) -> Result<Events> {
        self.watch_after(pattern, "")
    }

    /// The same, beginning with what has happened after the event of this [id](Events::last_id), as far as the node remembers it.
    pub fn watch_after(&self, pattern: &str, last_id: &str) -> Result<Events> {
        let path: String =
            pattern.split(['.', '/']).filter(|s| !s.is_empty()).map(|s| format!("/{}", encode_segment(s))).collect();
        Events::open(&self.http, &format!("/watch{path}"), last_id)
    }

    /// What the processes of a job, or of all jobs, use now: for each job `name`, `stats` of its processes, and their sums.
    pub fn stats(&self, name: Option<&str>) -> Result<Vec<Value>> {
        match name {
            Some(name) => Ok(vec![self.job(name)?.stats()?]),
            None => match self.http.get("/stats")? {
                Value::Array(jobs) => Ok(jobs),
                _ => Err(missing("list of jobs")),
            },
        }
    }

    /// The same again and again; `interval` is at least 0.1 s.
    pub fn stats_feed(&self, name: Option<&str>, interval: Duration) -> Result<Samples> {
        let path = match name {
            Some(name) => format!("/stats/{}", job_name(name)?),
            None => "/stats".to_owned(),
        };
        Samples::open(&self.http, &format!("{path}?interval={}", interval.as_secs_f64()))
    }

    /// What programs have written lately, as far as the node has kept it, and what they write.
    pub fn logs(&self, query: &LogQuery) -> Result<Logs> {
        Logs::open(&self.http, query)
    }

    /// A connection for commands and topics; the key is sent when it is opened.
    pub fn socket(&self) -> Result<Socket> {
        Socket::open(&self.http)
    }

    /// The output of a process under one of the labels of its `redirect_output` or `custom_streams`.
    pub fn stream(&self, pid: Pid, label: &str) -> Result<Output> {
        self.process(pid).stream(label)
    }
}

/// A `*` stands for any segment, and is as good in a path as it is.
fn encode_segment(segment: &str) -> String {
    if segment == "*" { segment.to_owned() } else { encode(segment) }
}
