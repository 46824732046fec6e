//! `gaffer lookup:…` and `--lookup`: which nodes have what.

use gaffer::cli::node::{self, Node, failure};
use gaffer::cli::{self, Code, Command, Failure, Opt, TrustedNodes};
use gaffer::client::{DEFAULT_LOOKUP, LookupJob, LookupNode, LookupServers, LookupSource, Merged, Server};
use gaffer::process::{JobName, Pid};
use serde_json::{Value, json};

use crate::NAME;

/// Which lookup servers are asked, and how.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Servers {
    addresses: Vec<String>,
    key: Option<String>,
    /// `--trust-nodes`, where nodes are asked.
    trusted: Vec<TrustedNodes>,
}

/// Adds `--lookup` and `--lookup-key`.
pub(crate) fn option<T: AsMut<Servers>>(command: Command<T>, default: &'static str) -> Command<T> {
    let help = "A lookup server: http://HOST:PORT, https://HOST:PORT or unix:/PATH. May be repeated.";
    let option = Opt::value("lookup", "URL", help).short('L').aliases(&["lookupd-address"]).default(default);
    let key = Opt::value("lookup-key", "KEY", "The key to show lookup servers; other users can see it here.")
        .default("GAFFER_LOOKUP_KEY, else `key` of [node \"URL\"] in ~/.gaffer/gaffer.ini");
    let command = command.option(option, |a: &mut T, v| {
        a.as_mut().addresses.push(v.string()?);
        Ok(())
    });
    command.option(key, |a, v| {
        a.as_mut().key = Some(v.string()?);
        Ok(())
    })
}

/// Adds `--trust-nodes`, for commands that ask the nodes that were found.
pub(crate) fn trust<T: AsMut<Servers>>(command: Command<T>) -> Command<T> {
    let help = "Show the key to nodes like this that --lookup has found, too: 10.0.7.*, *.example.org:5000, https://*. \
                May be repeated.";
    let default = "on this machine, https by --cacert, or in a [node \"URL\"]";
    command.option(Opt::value("trust-nodes", "PATTERN", help).default(default), |a: &mut T, v| {
        let nodes = v.string()?.parse().map_err(|why| Failure::usage(format!("--trust-nodes: {why}")))?;
        a.as_mut().trusted.push(nodes);
        Ok(())
    })
}

impl Servers {
    /// Whether any was named.
    pub(crate) fn any(&self) -> bool {
        !self.addresses.is_empty()
    }

    /// Those that were named, else the default one.
    pub(crate) fn open(&self, node: &Node) -> Result<LookupServers, Failure> {
        let default = [DEFAULT_LOOKUP.to_owned()];
        let named = if self.any() { &self.addresses[..] } else { &default };
        let open = |address: &String| node.lookup(address, self.key.as_deref());
        Ok(LookupServers::new(named.iter().map(open).collect::<Result<_, Failure>>()?))
    }

    /// The same where nobody else is asked, so that files of TLS are for these or for nobody.
    pub(crate) fn alone(&self, node: &Node) -> Result<LookupServers, Failure> {
        let servers = self.open(node)?;
        #[cfg(feature = "tls")]
        if node.tls != Default::default() && !servers.servers().iter().any(gaffer::client::LookupServer::is_tls) {
            let what = "--cacert, --certfile and --keyfile are for https, and none of these lookup servers is";
            return Err(Failure::usage(what));
        }
        Ok(servers)
    }

    /// The nodes that have a job of the application, each with the address by which it is known.
    pub(crate) fn nodes_of(&self, node: &Node, session: &str) -> Result<Vec<(String, Server)>, Failure> {
        let jobs = warned(self.open(node)?.find_session(session))?;
        let sources = jobs.into_iter().flat_map(|job| job.sources).collect();
        Ok(self.reach(node, vec![(session, sources)])?.concat())
    }

    /// The nodes that have each of these jobs. What there is to say of a lookup server, or of a node, is said once.
    pub(crate) fn nodes_with(&self, node: &Node, jobs: &[&JobName]) -> Result<Vec<Vec<(String, Server)>>, Failure> {
        let servers = self.open(node)?;
        let (mut found, mut silent): (Vec<(&str, Vec<LookupSource>)>, Vec<String>) = Default::default();
        for job in jobs {
            let mut merged = servers.find_job(job.as_str()).map_err(lost)?;
            merged.lost.retain(|(address, _)| !silent.contains(address));
            silent.extend(merged.lost.iter().map(|(address, _)| address.clone()));
            found.push((job.as_str(), warned(Ok(merged))?));
        }
        self.reach(node, found)
    }

    /// The nodes of each of these, each of them once.
    fn reach(
        &self,
        node: &Node,
        wanted: Vec<(&str, Vec<LookupSource>)>,
    ) -> Result<Vec<Vec<(String, Server)>>, Failure> {
        let (mut all, mut withheld) = (Vec::new(), Vec::new());
        let mut servers: Vec<(String, Server)> = Vec::new();
        for (what, sources) in wanted {
            let mut nodes: Vec<(String, Server)> = Vec::new();
            for origin in sources.into_iter().map(|source| source.node.origin) {
                if nodes.iter().any(|(known, _)| *known == origin) {
                    continue;
                }
                if !servers.iter().any(|(known, _)| *known == origin) {
                    let (server, is_withheld) = node.named(&origin, &self.trusted)?;
                    withheld.extend(is_withheld.then(|| origin.clone()));
                    servers.push((origin.clone(), server));
                }
                nodes.extend(servers.iter().find(|(known, _)| *known == origin).cloned());
            }
            if nodes.is_empty() {
                return Err(Failure::new(Code::NoSuch, format!("no node has '{what}'")));
            }
            all.push(nodes);
        }
        if let Some(first) = withheld.first() {
            let who = match withheld.len() {
                1 => first.clone(),
                n => format!("{first} and {} more", n - 1),
            };
            let what = format!(
                "the key is not shown to {who}: a lookup server has named it, and it could be anybody's \
             (--trust-nodes, --cacert, or [node \"{first}\"] in ~/.gaffer/gaffer.ini)"
            );
            cli::complain(NAME, what);
        }
        Ok(all)
    }
}

/// What was found; that some servers did not answer is only a warning.
pub(crate) fn warned<T>(answer: gaffer::Result<Merged<T>>) -> Result<T, Failure> {
    let merged = answer.map_err(lost)?;
    for (address, e) in &merged.lost {
        cli::complain(NAME, format!("lookup {address} does not answer, others do: {e}"));
    }
    Ok(merged.found)
}

/// What lookup servers have answered, in their own words.
pub(crate) fn lost(error: gaffer::Error) -> Failure {
    let found = failure(error);
    let text = found.to_string();
    let why = |end: &str| text.split(end).next().unwrap_or_default().to_owned();
    let words = match found.code() {
        Code::Unreachable => {
            format!("{}; is gaffer_lookupd running? (--lookup names another one)", why("; is gafferd running?"))
        }
        Code::NotAllowed if text.contains("--api-key") => {
            format!("{}; a key that may is given by --lookup-key or GAFFER_LOOKUP_KEY", why("; a key that may"))
        }
        _ => return found,
    };
    Failure::new(found.code(), words)
}

/// Defines what a command is asked: whom, and perhaps a word.
macro_rules! asked {
    ($($name:ident)*) => {
        $(
            #[derive(Debug, Default, PartialEq)]
            pub(crate) struct $name {
                pub(crate) node: Node,
                pub(crate) lookup: Servers,
                word: Option<String>,
            }

            impl AsMut<Node> for $name {
                fn as_mut(&mut self) -> &mut Node {
                    &mut self.node
                }
            }

            impl AsMut<Servers> for $name {
                fn as_mut(&mut self) -> &mut Servers {
                    &mut self.lookup
                }
            }
        )*
    };
}

asked! { Nodes Jobs Job Sessions Session }

fn command<T: AsMut<Servers> + AsMut<Node>>(name: &'static str, summary: &'static str) -> Command<T> {
    node::screen(node::secure(option(Command::new(name, summary), DEFAULT_LOOKUP)))
}

pub(crate) fn nodes() -> Command<Nodes> {
    command("lookup:nodes", "Show the nodes that lookup servers know.")
        .details("JSON: {\"nodes\": [{\"name\", \"origin\", \"version\"}]}.")
}

pub(crate) fn show_nodes(asked: &Nodes) -> Result<Code, Failure> {
    let nodes = warned(asked.lookup.alone(&asked.node)?.nodes())?;
    let text = || {
        let lines = nodes.iter().map(|n| format!("{} - {} (protocol: {})\n", n.origin, n.name, n.version));
        format!("{} node(s) found\n{}", nodes.len(), lines.collect::<String>())
    };
    asked.node.print(|| json!({"nodes": nodes.iter().map(node_json).collect::<Vec<_>>()}), text)?;
    Ok(Code::Ok)
}

pub(crate) fn jobs() -> Command<Jobs> {
    command("lookup:jobs", "Show all jobs, and which nodes have them.")
        .details("JSON: {\"jobs\": [{\"name\", \"sources\": [{\"name\", \"origin\", \"version\", \"pids\"}]}]}.")
}

pub(crate) fn show_jobs(asked: &Jobs) -> Result<Code, Failure> {
    let jobs = warned(asked.lookup.alone(&asked.node)?.jobs())?;
    let text = || {
        let job = |job: &LookupJob| format!("=== {}\n{}\n", job.name.as_str(), lines(&job.sources));
        format!("{} job(s) found\n\n{}", jobs.len(), jobs.iter().map(job).collect::<String>())
    };
    asked.node.print(|| json!({"jobs": jobs.iter().map(job_json).collect::<Vec<_>>()}), text)?;
    Ok(Code::Ok)
}

pub(crate) fn job() -> Command<Job> {
    command("lookup:job", "Show which nodes have a job.")
        .words("JOB", "The job: label or session.label.", |a: &mut Job, v| word(&mut a.word, v.string()?))
        .check(|a| need(&a.word, "JOB"))
        .details("JSON: {\"sources\": [{\"name\", \"origin\", \"version\", \"pids\"}]}.")
}

pub(crate) fn show_job(asked: &Job) -> Result<Code, Failure> {
    let name = asked.word.as_deref().unwrap_or_default();
    let servers = asked.lookup.alone(&asked.node)?;
    let name = cli::names::job_name(name)?;
    let sources = warned(servers.find_job(name.as_str()))?;
    let code = if sources.is_empty() { Code::NoSuch } else { Code::Ok };
    let text = || {
        let source = |LookupSource { node, pids, .. }: &LookupSource| {
            let (pids, LookupNode { name, origin, version, .. }) = (join(pids), node);
            format!("=== {name} (Protocol: {version})\nOrigin: {origin}\nPids: {pids}\n\n")
        };
        let all: String = sources.iter().map(source).collect();
        if all.is_empty() { "no job found\n".to_owned() } else { all }
    };
    asked.node.print(|| json!({"sources": sources.iter().map(source_json).collect::<Vec<_>>()}), text)?;
    Ok(code)
}

pub(crate) fn sessions() -> Command<Sessions> {
    command("lookup:sessions", "Show all sessions and their jobs, or those of one node.")
        .words("[NODE]", "The name of a node.", |a: &mut Sessions, v| word(&mut a.word, v.string()?))
        .details("JSON: {\"sessions\": [{\"name\", \"jobs\": [as in lookup:jobs]}]}.")
}

pub(crate) fn show_sessions(asked: &Sessions) -> Result<Code, Failure> {
    let sessions = warned(asked.lookup.alone(&asked.node)?.sessions(asked.word.as_deref()))?;
    let json = || {
        let session = |s: &gaffer::client::LookupSession| json!({"name": s.name, "jobs": s.jobs.iter().map(job_json).collect::<Vec<_>>()});
        json!({"sessions": sessions.iter().map(session).collect::<Vec<_>>()})
    };
    let text = || {
        let all: String = sessions.iter().map(|session| session_text(&session.name, &session.jobs)).collect();
        format!("{} session(s) found\n\n{all}", sessions.len())
    };
    asked.node.print(json, text)?;
    Ok(Code::Ok)
}

pub(crate) fn session() -> Command<Session> {
    command("lookup:session", "Show the jobs of a session, and which nodes have them.")
        .words("SESSION", "The session.", |a: &mut Session, v| word(&mut a.word, v.string()?))
        .check(|a| need(&a.word, "SESSION"))
        .details("JSON: as of lookup:jobs.")
}

pub(crate) fn show_session(asked: &Session) -> Result<Code, Failure> {
    let name = asked.word.as_deref().unwrap_or_default();
    let jobs = warned(asked.lookup.alone(&asked.node)?.find_session(name))?;
    let code = if jobs.is_empty() { Code::NoSuch } else { Code::Ok };
    let text = || if jobs.is_empty() { "no session found\n".to_owned() } else { session_text(name, &jobs) };
    asked.node.print(|| json!({"jobs": jobs.iter().map(job_json).collect::<Vec<_>>()}), text)?;
    Ok(code)
}

fn word(place: &mut Option<String>, given: String) -> Result<(), Failure> {
    match place {
        Some(_) => Err(Failure::usage(format!("unexpected argument `{given}`"))),
        None => {
            *place = Some(given);
            Ok(())
        }
    }
}

fn need(word: &Option<String>, what: &str) -> Result<(), Failure> {
    if word.is_some() { Ok(()) } else { Err(Failure::usage(format!("{what} is missing"))) }
}

fn session_text(name: &str, jobs: &[LookupJob]) -> String {
    let job = |job: &LookupJob| format!("=== job: {}\n{}", job.name.as_str(), lines(&job.sources));
    format!("*** session: {name}\n{}\n", jobs.iter().map(job).collect::<String>())
}

fn lines(sources: &[LookupSource]) -> String {
    let line = |s: &LookupSource| format!("{} - name: {}, protocol: {}\n", s.node.origin, s.node.name, s.node.version);
    sources.iter().map(line).collect()
}

fn join(pids: &[Pid]) -> String {
    pids.iter().map(Pid::to_string).collect::<Vec<_>>().join(",")
}

fn node_json(node: &LookupNode) -> Value {
    json!({"name": node.name, "origin": node.origin, "version": node.version})
}

fn source_json(source: &LookupSource) -> Value {
    let mut json = node_json(&source.node);
    json["pids"] = source.pids.iter().map(|pid| pid.0).collect();
    json
}

fn job_json(job: &LookupJob) -> Value {
    json!({"name": job.name.as_str(), "sources": job.sources.iter().map(source_json).collect::<Vec<_>>()})
}
