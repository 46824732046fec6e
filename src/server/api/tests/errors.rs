//! What is refused, with which status, word and reason.

use super::{Node, SLEEP};

#[test]
fn refusals() {
    let mut node = Node::new();
    node.json("POST /processes", SLEEP, 200);
    node.json("POST /processes", r#"{"name": "cat", "cmd": "sleep 1000", "redirect_output": ["out"]}"#, 200);
    node.settle("web", 1);
    node.settle("cat", 1);
    // Request, body, status, word, part of the reason.
    let cases = [
        ("GET /jobs/nope", "", 404, "not_found", "no such session `nope`"),
        ("GET /jobs/default/wev", "", 404, "not_found", "web"),
        ("GET /jobs/default/a.b", "", 400, "bad_request", "'.' is not one of"),
        ("POST /jobs/default", SLEEP, 409, "conflict", "job 'default.web' is loaded already"),
        ("POST /jobs/default", "{", 400, "bad_request", "line 1"),
        ("POST /jobs/default", "[]", 400, "bad_request", "expected an object"),
        ("POST /jobs/default", r#"{"cmd": "x"}"#, 400, "bad_request", "has no `name`"),
        ("POST /jobs/default", r#"{"name": "x"}"#, 400, "bad_request", "has no `cmd`"),
        ("POST /jobs/default", r#"{"name": "x", "cmd": "x", "numproceses": 1}"#, 400, "bad_request", "numprocesses"),
        ("POST /jobs/default", r#"{"name": "s.x", "cmd": "x"}"#, 400, "bad_request", "session"),
        ("POST /jobs/default", r#"{"name": "x", "cmd": "x", "uid": "no-such-user"}"#, 404, "not_found", "no-such-user"),
        ("POST /jobs/default", r#"{"name": "x", "cmd": "echo $NO_SUCH_VAR_"}"#, 400, "bad_request", "NO_SUCH_VAR_"),
        ("PUT /jobs/default/web", r#"{"name": "x", "cmd": "x"}"#, 400, "bad_request", "in the path"),
        ("PUT /jobs/default/nope", r#"{"cmd": "x"}"#, 404, "not_found", "nope"),
        ("DELETE /jobs/default/nope", "", 404, "not_found", "nope"),
        ("GET /jobs/default/nope/stats", "", 404, "not_found", "nope"),
        ("GET /jobs/default/nope/state", "", 404, "not_found", "nope"),
        ("GET /jobs/default/nope/pids", "", 404, "not_found", "nope"),
        ("GET /jobs/default/nope/numprocesses", "", 404, "not_found", "nope"),
        ("POST /jobs/default/web/numprocesses", r#"{"scale": 1.5}"#, 400, "bad_request", "`scale`"),
        ("POST /jobs/default/web/numprocesses", r#"{"scale": "*2"}"#, 400, "bad_request", "*2"),
        ("POST /jobs/default/web/numprocesses", r#"{"scal": 1}"#, 400, "bad_request", "`scal`"),
        ("POST /jobs/default/web/numprocesses", "1", 400, "bad_request", "object"),
        ("POST /jobs/default/nope/numprocesses", r#"{"scale": 1}"#, 404, "not_found", "nope"),
        ("POST /jobs/default/web/signal", "{}", 400, "bad_request", "`signal`"),
        ("POST /jobs/default/web/signal", r#"{"signal": "NOPE"}"#, 400, "bad_request", "NOPE"),
        ("POST /jobs/default/nope/signal", r#"{"signal": 1}"#, 404, "not_found", "nope"),
        ("POST /jobs/default/web/state", "\"1\"", 400, "bad_request", "expected 1 (start)"),
        ("POST /jobs/default/nope/state", "1", 404, "not_found", "nope"),
        ("POST /jobs/default/web/commit", r#"{"graceful_timeout": -1}"#, 400, "bad_request", "graceful_timeout"),
        ("POST /jobs/default/web/commit", r#"{"env": {"A=": "x"}}"#, 400, "bad_request", "A="),
        ("POST /jobs/default/web/commit", r#"{"env": {"A": []}}"#, 400, "bad_request", "env.A"),
        ("POST /jobs/default/web/commit", r#"{"enw": {}}"#, 400, "bad_request", "env"),
        ("POST /jobs/default/nope/commit", "{}", 404, "not_found", "nope"),
        ("GET /nope", "", 404, "not_found", "nothing at /nope"),
        ("GET /1^2", "", 404, "not_found", "nothing at"),
        ("POST /nope", "", 404, "not_found", "nothing at"),
        ("GET /wstreams/x", "", 404, "not_found", "nothing at"),
        ("POST /1", "", 405, "method_not_allowed", "DELETE, GET"),
        ("PUT /jobs", "", 405, "method_not_allowed", "GET"),
        ("GET /99", "", 404, "not_found", "process 99"),
        ("GET /99999999999999999999999", "", 404, "not_found", "no such process"),
        ("DELETE /99", "", 404, "not_found", "process 99"),
        ("GET /99/stats", "", 404, "not_found", "process 99"),
        ("POST /99/signal", r#"{"signal": 0}"#, 404, "not_found", "process 99"),
        ("POST /1/signal", r#"{"signal": 65}"#, 400, "bad_request", "65"),
        ("POST /1/signal", r#"{"signal": 1.5}"#, 400, "bad_request", "1.5"),
        ("GET /processes?running=maybe", "", 400, "bad_request", "running"),
        ("GET /processes/nope", "", 404, "not_found", "nope"),
        ("GET /processes/99", "", 404, "not_found", "process 99"),
        ("GET /processes/a:b:c", "", 400, "bad_request", "':' is not one of"),
        ("PUT /processes/web", r#"{"name": "x", "cmd": "x"}"#, 400, "bad_request", "in the path"),
        ("PUT /processes/web", r#"{"cmd": "x", "group": "shop"}"#, 400, "bad_request", "session"),
        ("PUT /processes/1", r#"{"cmd": "x"}"#, 400, "bad_request", "a process cannot be updated"),
        ("DELETE /processes/nope", "", 404, "not_found", "nope"),
        ("POST /processes/1/_start", "", 400, "bad_request", "a process cannot be started"),
        ("POST /processes/1/_restart", "", 400, "bad_request", "a process cannot be restarted"),
        ("POST /processes/1/_add", "", 400, "bad_request", "a process cannot be scaled"),
        ("POST /processes/web/_add/x", "", 400, "bad_request", "whole number"),
        ("POST /processes/web/_sub/-1", "", 400, "bad_request", "whole number"),
        ("POST /processes/nope/_add", "", 404, "not_found", "nope"),
        ("POST /processes/web/_signal", "", 400, "bad_request", "_signal/15"),
        ("POST /processes/web/_signal/what", "", 400, "bad_request", "what"),
        ("POST /processes/nope/_stop", "", 404, "not_found", "nope"),
        ("GET /status/nope", "", 404, "not_found", "nope"),
        ("GET /groups/nope", "", 404, "not_found", "no such session `nope`"),
        ("DELETE /groups/nope", "", 404, "not_found", "nope"),
        ("POST /groups/nope/_start", "", 404, "not_found", "nope"),
        ("GET /stats/nope", "", 404, "not_found", "nope"),
        ("GET /stats/nope?feed=eventsource", "", 404, "not_found", "nope"),
        ("GET /stats/web/99", "", 404, "not_found", "process 99"),
        ("GET /stats/cat/1", "", 404, "not_found", "process 1 is none of default.cat"),
        ("GET /stats/web?feed=continuous&interval=0.05", "", 400, "bad_request", "interval"),
        ("GET /stats/web?feed=continuous&interval=inf", "", 400, "bad_request", "interval"),
        ("GET /watch?feed=eventsorce", "", 400, "bad_request", "eventsource"),
        ("GET /watch?feed=normal", "", 400, "bad_request", "feed"),
        ("GET /watch?heartbeat=0", "", 400, "bad_request", "heartbeat"),
        ("GET /watch?heartbeat=nan", "", 400, "bad_request", "heartbeat"),
        ("GET /streams/99/out", "", 404, "not_found", "process 99"),
        ("GET /streams/1/out", "", 400, "io_not_redirected", "not redirected"),
        ("GET /streams/2/err", "", 404, "io_not_found", "'err'"),
        ("POST /streams/2/stdin", "x", 403, "forbidden_write", "not redirected"),
        ("POST /streams/2/ctl", "x", 404, "not_found", "'ctl'"),
        ("POST /streams/99/stdin", "x", 404, "not_found", "process 99"),
        ("GET /wstreams/99", "", 404, "not_found", "process 99"),
    ];
    for (line, body, status, word, reason) in cases {
        let refusal = node.refused(line, body, status);
        assert_eq!(refusal.error, word, "{line} {body}: {}", refusal.reason);
        assert!(refusal.reason.contains(reason), "{line} {body}: {}", refusal.reason);
    }
    assert_eq!(node.json("GET /jobs", "", 200)["jobs"].as_array().expect("a list").len(), 2, "nothing was left behind");

    node.manager.stop();
    for (line, body) in [
        ("POST /jobs/default", r#"{"name": "x", "cmd": "sleep 1"}"#),
        ("POST /processes", r#"{"name": "x", "cmd": "sleep 1"}"#),
        ("POST /jobs/default/web/state", "1"),
        ("POST /processes/web/_start", ""),
    ] {
        assert_eq!(node.refused(line, body, 503).error, "stopping", "{line}");
    }
}
