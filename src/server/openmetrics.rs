//! Pages of OpenMetrics 1.0 text, and the figures that every server has.

use std::fmt::Write;

use super::{Counters, Reply};
use crate::manager::TurnTimes;
use crate::process::ProcessStats;

const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// A value of a sample.
pub(crate) trait Figure {
    fn write(self, page: &mut String);
}

macro_rules! figures {
    ($($type:ty)*) => {
        $(impl Figure for $type {
            fn write(self, page: &mut String) {
                // Writing to a string cannot fail.
                let _ = write!(page, "{self}");
            }
        })*
    };
}
figures!(u8 u32 u64 usize f64);

impl Figure for bool {
    fn write(self, page: &mut String) {
        page.push(if self { '1' } else { '0' });
    }
}

/// OpenMetrics 1.0 text, family by family.
#[derive(Debug, Default)]
pub(crate) struct Page(String);

impl Page {
    /// Begins a family; its samples follow. The name of one with a unit ends in that.
    pub(crate) fn family(&mut self, name: &str, kind: &str, unit: &str, help: &str) {
        let _ = writeln!(self.0, "# TYPE {name} {kind}");
        if !unit.is_empty() {
            let _ = writeln!(self.0, "# UNIT {name} {unit}");
        }
        let _ = writeln!(self.0, "# HELP {name} {}", escaped(help));
    }

    pub(crate) fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl Figure) {
        self.0.push_str(name);
        for (i, (label, text)) in labels.iter().enumerate() {
            let _ = write!(self.0, "{}{label}=\"{}\"", if i == 0 { '{' } else { ',' }, escaped(text));
        }
        self.0.push_str(if labels.is_empty() { " " } else { "} " });
        value.write(&mut self.0);
        self.0.push('\n');
    }

    /// A family of one sample without labels.
    pub(crate) fn one(&mut self, name: &str, kind: &str, unit: &str, help: &str, value: impl Figure) {
        self.family(name, kind, unit, help);
        let total = if kind == "counter" { "_total" } else { "" };
        self.sample(&format!("{name}{total}"), &[], value);
    }

    /// Connections and requests.
    pub(crate) fn clients(&mut self, counters: Counters) {
        self.one("gaffer_connections", "gauge", "", "Open connections.", counters.connections);
        self.one("gaffer_connections_accepted", "counter", "", "Connections taken.", counters.accepted);
        let help = "Connections that broke by TLS: not trusted, nothing in common, or not in time.";
        self.one("gaffer_tls_failed", "counter", "", help, counters.tls_failed);
        self.one("gaffer_requests", "counter", "", "Requests answered, refused ones included.", counters.requests);
    }

    /// How long turns of the loop took.
    pub(crate) fn turns(&mut self, times: TurnTimes) {
        let name = "gaffer_turn_seconds";
        self.family(name, "histogram", "seconds", "How long turns of the loop took, for which nobody else was served.");
        for (bound, count) in times.up_to() {
            // A bound has a fraction, so that all who read it take it for the same number.
            self.sample("gaffer_turn_seconds_bucket", &[("le", &format!("{:?}", bound.as_secs_f64()))], count);
        }
        self.sample("gaffer_turn_seconds_bucket", &[("le", "+Inf")], times.count());
        self.sample("gaffer_turn_seconds_sum", &[], times.sum().as_secs_f64());
        self.sample("gaffer_turn_seconds_count", &[], times.count());
    }

    /// What the manager's process uses, by the names that Prometheus's own clients give these.
    pub(crate) fn itself(&mut self, own: &ProcessStats) {
        self.one("process_resident_memory_bytes", "gauge", "bytes", "Resident memory of the manager.", own.rss);
        self.one("process_virtual_memory_bytes", "gauge", "bytes", "Virtual memory of the manager.", own.vms);
        let help = "Processor time that the manager has used.";
        self.one("process_cpu_seconds", "counter", "seconds", help, own.cpu_time.as_secs_f64());
        if let Some(fds) = own.num_fds {
            self.one("process_open_fds", "gauge", "", "Open descriptors of the manager.", fds);
        }
        let start = crate::server::json::unix_time(own.started);
        self.one("process_start_time_seconds", "gauge", "seconds", "When the manager was started, UNIX time.", start);
    }

    pub(crate) fn finish(mut self) -> Reply {
        self.0.push_str("# EOF\n");
        let body = self.0.into_bytes();
        Reply::Bytes { status: 200, content_type: CONTENT_TYPE.to_owned(), body, cache: false }
    }
}

/// As label values and help are escaped alike (OpenMetrics 1.0, "Escaping").
fn escaped(text: &str) -> String {
    text.replace('\\', r"\\").replace('\n', r"\n").replace('"', "\\\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes() {
        let mut page = Page::default();
        page.family("x", "gauge", "", "a \\ b\nc");
        page.sample("x", &[("l", "say \"hi\"\\\n"), ("m", "")], 1.5);
        let want = "# TYPE x gauge\n# HELP x a \\\\ b\\nc\nx{l=\"say \\\"hi\\\"\\\\\\n\",m=\"\"} 1.5\n# EOF\n";
        let Reply::Bytes { body, .. } = page.finish() else { panic!("it is bytes") };
        assert_eq!(String::from_utf8(body).as_deref(), Ok(want));
    }
}
