//! Output of many streams.

use std::fmt::{self, Write};
use std::io::{self, Read};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::address::encode;
use super::answer::{ended, job_name, missing, number, refusal};
use super::http::{Http, is_timeout};
use crate::process::{JobName, OsPid, Pid};
use crate::{Error, ErrorKind, Result};

/// So much is read at a time.
const CHUNK: usize = 64 << 10;

/// A longer line is none of a node's: one has 64 KiB of output at most that are not a whole line, and 2 MiB of history.
const LONGEST: usize = 16 << 20;

/// So many heartbeats may be missed before a node is given up.
const MISSED: u32 = 3;

/// Which output is asked for.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct LogQuery {
    /// Only of these jobs: names, and patterns such as `shop.*`. Default: of all.
    pub jobs: Vec<String>,
    /// Only of this process, which may have ended. Default: of all.
    pub pid: Option<Pid>,
    /// Only standard error (`true`), or all but that (`false`). Default: both.
    pub stderr: Option<bool>,
    /// At most so many lines of what the node has kept, the newest. Default: no bound.
    pub lines: Option<u64>,
    /// Of what the node has kept only what is younger than that. Default: all.
    pub since: Option<Duration>,
    /// Whether to go on with what comes. Default: false.
    pub follow: bool,
}

impl LogQuery {
    fn path(&self) -> String {
        let mut path = format!("/logs?feed={}", if self.follow { "continuous" } else { "normal" });
        let mut add = |name: &str, value: &str| {
            // Writing into a `String` never fails.
            let _ = write!(path, "&{name}={}", encode(value));
        };
        self.jobs.iter().for_each(|job| add("job", job));
        if let Some(pid) = self.pid {
            add("pid", &pid.to_string());
        }
        if let Some(stderr) = self.stderr {
            add("stderr", &stderr.to_string());
        }
        if let Some(lines) = self.lines {
            add("n", &lines.to_string());
        }
        if let Some(since) = self.since {
            add("since", &since.as_secs_f64().to_string());
        }
        path
    }
}

/// What [`Logs`] yields.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum LogPiece {
    /// A piece of output, mostly a line.
    Output(Box<LogOutput>),
    /// So many pieces are missing here, since they came faster than they were read; `None` where older ones were left out.
    Gap(Option<u64>),
}

/// A piece of output: a line with its line feed, or without one if its rest is another piece or never came.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct LogOutput {
    /// When it came.
    pub time: SystemTime,
    /// The job.
    pub name: JobName,
    /// The N of `label.N`.
    pub instance: u32,
    /// The process.
    pub pid: Pid,
    /// The system's number of it.
    pub os_pid: OsPid,
    /// The stream's label.
    pub label: String,
    /// The process's descriptor of the stream: 1, 2, or more for custom streams.
    pub fd: i32,
    /// What was written, byte for byte.
    pub data: Vec<u8>,
    /// As the node has written it.
    pub fields: Value,
}

impl LogPiece {
    fn read(fields: Value) -> Result<Self> {
        if fields["event"] == "gap" {
            return Ok(Self::Gap(fields["dropped"].as_u64()));
        }
        let name = job_name(fields["name"].as_str().ok_or_else(|| missing("name"))?)?;
        let seconds = fields["time"].as_f64().ok_or_else(|| missing("time"))?;
        let since = Duration::try_from_secs_f64(seconds).map_err(|_| missing("time"))?;
        let data = match (fields["data"].as_str(), fields["data_base64"].as_str()) {
            (Some(text), _) => text.as_bytes().to_vec(),
            (None, Some(text)) => STANDARD.decode(text).map_err(|_| missing("data_base64"))?,
            (None, None) => return Err(missing("data")),
        };
        let signed = |name: &str| i32::try_from(number(&fields, name)?).map_err(|_| missing(name));
        Ok(Self::Output(Box::new(LogOutput {
            time: UNIX_EPOCH + since,
            name,
            instance: number(&fields, "instance")?,
            pid: Pid(fields["pid"].as_u64().ok_or_else(|| missing("pid"))?),
            os_pid: OsPid(signed("os_pid")?),
            label: fields["label"].as_str().ok_or_else(|| missing("label"))?.to_owned(),
            fd: signed("fd")?,
            data,
            fields,
        })))
    }
}

/// What programs have written, and what they write; ends when the node says so.
///
/// A node that is silent for three [heartbeats](super::Server::heartbeat) is given up: the iterator yields
/// [`ErrorKind::TimedOut`] and ends.
pub struct Logs {
    reader: Box<dyn Read + Send>,
    http: Http,
    buffer: Vec<u8>,
    /// What of the buffer was taken.
    taken: usize,
    silence: Duration,
    done: bool,
}

impl Logs {
    pub(super) fn open(http: &Http, query: &LogQuery) -> Result<Self> {
        let mut path = query.path();
        let mut silence = http.timeout;
        if query.follow {
            silence = http.heartbeat.saturating_mul(MISSED);
            path.push_str(&format!("&heartbeat={}", http.heartbeat.as_secs_f64()));
        }
        let reader = Box::new(http.feed(&path, "", Some(silence))?);
        Ok(Self { reader, http: http.clone(), buffer: Vec::new(), taken: 0, silence, done: false })
    }

    /// The next line that is not empty, without its end.
    fn line(&mut self) -> Result<Option<Vec<u8>>> {
        let mut searched = self.taken;
        loop {
            if let Some(at) = self.buffer[searched..].iter().position(|&b| b == b'\n') {
                let end = searched + at;
                let line = self.buffer[self.taken..end].to_vec();
                self.taken = end + 1;
                searched = self.taken;
                if line.is_empty() {
                    // A sign of life.
                    continue;
                }
                return Ok(Some(line));
            }
            self.buffer.drain(..self.taken);
            self.taken = 0;
            let filled = self.buffer.len();
            searched = filled;
            if filled > LONGEST {
                return Err(self.http.strange("/logs", "lines of output"));
            }
            self.buffer.resize(filled + CHUNK, 0);
            let read = self.reader.read(&mut self.buffer[filled..]);
            self.buffer.truncate(filled + read.as_ref().map_or(0, |read| *read));
            match read {
                Ok(0) if filled > 0 => return Err(self.http.broken(io::ErrorKind::UnexpectedEof.into())),
                Ok(0) => return Ok(None),
                Ok(_) => {}
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) if is_timeout(&e) => {
                    let what = format!("{} is silent since {} s", self.http.address, self.silence.as_secs_f64());
                    return Err(Error::new(ErrorKind::TimedOut, what));
                }
                Err(e) => return Err(self.http.broken(e)),
            }
        }
    }

    fn piece(&mut self) -> Result<Option<LogPiece>> {
        let Some(line) = self.line()? else { return Ok(None) };
        let fields = serde_json::from_slice(&line).map_err(|_| self.http.strange("/logs", "lines of output"))?;
        if let Some(status) = ended(&fields) {
            return Err(refusal(status, "/logs", &line));
        }
        LogPiece::read(fields).map(Some)
    }
}

impl Iterator for Logs {
    type Item = Result<LogPiece>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.done {
            return None;
        }
        let piece = self.piece().transpose();
        self.done = !matches!(piece, Some(Ok(_)));
        piece
    }
}

impl fmt::Debug for Logs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Logs").field("done", &self.done).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn questions() {
        assert_eq!(LogQuery::default().path(), "/logs?feed=normal");
        let query = LogQuery {
            jobs: vec!["shop.*".to_owned(), "web".to_owned()],
            pid: Some(Pid(7)),
            stderr: Some(true),
            lines: Some(0),
            since: Some(Duration::from_millis(1500)),
            follow: true,
        };
        assert_eq!(query.path(), "/logs?feed=continuous&job=shop.%2A&job=web&pid=7&stderr=true&n=0&since=1.5");
    }

    #[test]
    fn answers() {
        let fields = json!({
            "time": 1.5, "name": "shop.web", "instance": 2, "pid": 7, "os_pid": 4711, "label": "err", "fd": 2, "data_base64": "/wo=",
        });
        let Ok(LogPiece::Output(output)) = LogPiece::read(fields) else { panic!("output") };
        assert_eq!((output.name.as_str(), output.instance, &output.data[..]), ("shop.web", 2, &b"\xff\n"[..]));
        assert_eq!(output.time, UNIX_EPOCH + Duration::from_millis(1500));
        let gap = LogPiece::read(json!({"event": "gap", "dropped": 3}));
        assert_eq!(gap.expect("a gap"), LogPiece::Gap(Some(3)));
        for bad in
            [json!({}), json!({"name": "web", "time": -1}), json!({"name": "web", "time": 1, "data_base64": "!"})]
        {
            assert!(LogPiece::read(bad).is_err());
        }
    }
}
