//! `/metrics` is OpenMetrics 1.0 text.

use std::collections::{BTreeMap, HashSet};

use super::{Node, SLEEP};
use crate::manager::Target;

/// Checks a page by the rules of the specification that concern us, and gives its samples.
fn check(text: &str) -> Result<BTreeMap<String, f64>, String> {
    let body = text.strip_suffix("# EOF\n").ok_or("it does not end in # EOF and a line feed")?;
    let mut families: HashSet<&str> = HashSet::new();
    let (mut family, mut kind, mut unit) = ("", "", "");
    let mut samples = BTreeMap::new();
    for line in body.lines() {
        let fault = |why: &str| Err(format!("{why}: {line}"));
        if let Some(meta) = line.strip_prefix("# ") {
            let mut words = meta.splitn(3, ' ');
            let (word, name, rest) = (words.next(), words.next().unwrap_or(""), words.next().unwrap_or(""));
            match word {
                Some("TYPE") => {
                    if !families.insert(name) {
                        return fault("a family comes twice");
                    }
                    if !["gauge", "counter", "info", "stateset", "histogram"].contains(&rest) {
                        return fault("unknown type");
                    }
                    (family, kind, unit) = (name, rest, "");
                }
                Some("UNIT") if name == family => {
                    unit = rest;
                    if !family.ends_with(&format!("_{unit}")) {
                        return fault("the name does not end in the unit");
                    }
                }
                Some("HELP") if name == family && !rest.is_empty() => {
                    if unescape(rest).is_none() {
                        return fault("bad escape");
                    }
                }
                _ => return fault("misplaced metadata"),
            }
            continue;
        }
        let (name, labels, value) = sample(line).ok_or_else(|| format!("not a sample: {line}"))?;
        let suffix = name.strip_prefix(family).ok_or_else(|| format!("not of the family {family}: {line}"))?;
        let expected: &[&str] = match kind {
            "counter" => &["_total"],
            "info" => &["_info"],
            "histogram" => &["_bucket", "_sum", "_count"],
            _ => &[""],
        };
        if !expected.contains(&suffix) {
            return fault("wrong suffix");
        }
        if kind == "stateset" && labels.last().is_none_or(|(label, _)| label != family) {
            return fault("a state without its label");
        }
        let names: HashSet<_> = labels.iter().map(|(label, _)| label).collect();
        if names.len() < labels.len() {
            return fault("a label comes twice");
        }
        if kind == "counter" && (value.is_nan() || value < 0.0) {
            return fault("a counter cannot be that");
        }
        let _ = unit;
        let key = line[..line.rfind(' ').expect("checked")].to_owned();
        if samples.insert(key, value).is_some() {
            return fault("a sample comes twice");
        }
    }
    Ok(samples)
}

fn unescape(text: &str) -> Option<String> {
    let mut plain = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => plain.push(match chars.next()? {
                'n' => '\n',
                c @ ('\\' | '"') => c,
                _ => return None,
            }),
            '"' | '\n' => return None,
            c => plain.push(c),
        }
    }
    Some(plain)
}

/// `name{label="value",…} number`.
fn sample(line: &str) -> Option<(&str, Vec<(String, String)>, f64)> {
    let end = line.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == ':'))?;
    let (name, mut rest) = line.split_at(end);
    if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let mut labels = Vec::new();
    if let Some(inner) = rest.strip_prefix('{') {
        rest = inner;
        while !rest.starts_with('}') {
            let (label, after) = rest.split_once("=\"")?;
            let valid = |c: char| c.is_ascii_alphanumeric() || c == '_';
            if label.is_empty() || !label.chars().all(valid) {
                return None;
            }
            let mut escaped = false;
            let close = after.find(|c| match (escaped, c) {
                (true, _) => {
                    escaped = false;
                    false
                }
                (false, '\\') => {
                    escaped = true;
                    false
                }
                (false, c) => c == '"',
            })?;
            labels.push((label.to_owned(), unescape(&after[..close])?));
            rest = &after[close + 1..];
            rest = rest.strip_prefix(',').unwrap_or(rest);
        }
        rest = &rest[1..];
    }
    let value = rest.strip_prefix(' ')?;
    Some((name, labels, value.parse().ok()?))
}

#[test]
fn the_checker_checks() {
    let good = "# TYPE a counter\n# HELP a b \\\\ c\na_total{x=\"\\\"}\\n\",y=\"\"} 1.5\n# EOF\n";
    assert_eq!(check(good).expect("good").len(), 1);
    for bad in [
        "",
        "# EOF",
        "# EOF\nx 1\n# EOF\n",
        "# TYPE a counter\na 1\n# EOF\n",
        "# TYPE a gauge\nb 1\n# EOF\n",
        "# TYPE a gauge\na 1\na 2\n# EOF\n",
        "# TYPE a gauge\n# TYPE a gauge\n# EOF\n",
        "# TYPE a gauge\na{x=\"\\q\"} 1\n# EOF\n",
        "# TYPE a gauge\na{x=\"1\",x=\"2\"} 1\n# EOF\n",
        "# TYPE a gauge\n# UNIT a bytes\n# EOF\n",
        "# TYPE a counter\na_total -1\n# EOF\n",
        "# TYPE a gauge\na one\n# EOF\n",
    ] {
        assert!(check(bad).is_err(), "{bad:?}");
    }
}

#[test]
fn figures() {
    let mut node = Node::new();
    check(&node.text("GET /metrics")).expect("without jobs");
    node.json("POST /processes", SLEEP, 200);
    node.json("POST /processes", r#"{"name": "shop:bad", "cmd": "sh -c 'exit 3'", "backoff": 100}"#, 200);
    let log = r#"{"name": "log", "cmd": "sh -c 'echo hello; exec sleep 1000'", "stdout_logfile": "/dev/null"}"#;
    node.json("POST /processes", log, 200);
    node.wait(|m| m.info("log").expect("loaded").logs.first().filter(|log| log.bytes == 6).map(drop));
    node.settle("web", 1);
    node.json("POST /1/signal", r#"{"signal": "KILL"}"#, 202);
    node.wait(|m| m.pids("web").expect("loaded").first().filter(|pid| pid.0 > 1).map(drop));
    node.settle("web", 1);
    // exec lets the parent go on a moment before the new image is complete.
    node.wait(|m| m.stats(&Target::All).expect("a look").iter().all(|sample| sample.stats.rss > 0).then_some(()));
    let metrics = node.metrics.clone();
    node.wait(|_| {
        let metrics = metrics.lock().expect("not poisoned");
        metrics.jobs().any(|(name, job)| name.label() == "bad" && job.exits().count() > 0).then_some(())
    });
    let text = node.text("GET /metrics");
    let samples = check(&text).unwrap_or_else(|why| panic!("{why}\n{text}"));
    let get = |key: &str| samples.get(key).copied().unwrap_or_else(|| panic!("no {key} in\n{text}"));
    for (key, value) in [
        ("gaffer_up", 1.0),
        (concat!("gaffer_info{version=\"", env!("CARGO_PKG_VERSION"), "\"}"), 1.0),
        ("gaffer_connections", 1.0),
        ("gaffer_connections_accepted_total", 2.0),
        ("gaffer_requests_total", 3.0),
        ("gaffer_events_dropped_total", 0.0),
        (r#"gaffer_job_processes_wanted{job="default.web"}"#, 1.0),
        (r#"gaffer_job_processes{job="default.web"}"#, 1.0),
        (r#"gaffer_job_spawns_total{job="default.web"}"#, 2.0),
        (r#"gaffer_job_restarts_total{job="default.web"}"#, 1.0),
        (r#"gaffer_job_restarts_total{job="shop.bad"}"#, get(r#"gaffer_job_spawns_total{job="shop.bad"}"#) - 1.0),
        (r#"gaffer_job_exits_total{job="default.web",signal="SIGKILL"}"#, 1.0),
        (r#"gaffer_log_written_bytes_total{job="default.log",file="/dev/null"}"#, 6.0),
        (r#"gaffer_log_dropped_bytes_total{job="default.log",file="/dev/null"}"#, 0.0),
        (r#"gaffer_log_rotations_total{job="default.log",file="/dev/null"}"#, 0.0),
        (r#"gaffer_log_failing{job="default.log",file="/dev/null"}"#, 0.0),
        (r#"gaffer_job_state{job="default.web",gaffer_job_state="active"}"#, 1.0),
        (r#"gaffer_job_state{job="default.web",gaffer_job_state="stopped"}"#, 0.0),
    ] {
        assert_eq!(get(key), value, "{key}");
    }
    assert!(get(r#"gaffer_job_exits_total{job="shop.bad",code="3"}"#) >= 1.0);
    assert!(get(r#"gaffer_process_resident_memory_bytes{job="default.web",process="web.1"}"#) > 0.0);
    assert!(get(r#"gaffer_process_cpu_seconds_total{job="default.web",process="web.1"}"#) >= 0.0);
    // Buckets have those of the buckets before, up to the last one, which has all.
    let mut buckets: Vec<f64> = ["0.0001", "0.001", "0.005", "0.025", "0.1", "1.0", "+Inf"]
        .map(|bound| get(&format!("gaffer_turn_seconds_bucket{{le=\"{bound}\"}}")))
        .into();
    assert!(buckets.is_sorted() && buckets.pop() == Some(get("gaffer_turn_seconds_count")), "{text}");
    assert!(get("gaffer_turn_seconds_sum") > 0.0);
    assert!(get("process_open_fds") > 0.0 && get("process_resident_memory_bytes") > 0.0);
    node.manager.stop();
    assert_eq!(check(&node.text("GET /metrics")).expect("valid")["gaffer_up"], 0.0);
}
