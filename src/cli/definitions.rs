//! Definitions of jobs in files.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read};

use serde_json::Value;

use super::{Code, Failure};

/// More than any definition needs, in bytes.
const MAX_FILE: u64 = 4 << 20;

/// Reads the definitions in a JSON file, or in standard input where it is called `-`: one object, a list of them, or an
/// object whose member `jobs` is such a list. At most 4 MiB.
///
/// # Errors
///
/// It cannot be read, is longer, or has something else in it.
pub fn read(file: &OsStr) -> Result<Vec<Value>, Failure> {
    let shown = if file == "-" { "standard input".into() } else { file.to_string_lossy() };
    let failed = |why: String| Failure::new(Code::Failed, format!("cannot read {shown}: {why}"));
    let source: io::Result<Box<dyn Read>> =
        if file == "-" { Ok(Box::new(io::stdin())) } else { File::open(file).map(|file| Box::new(file) as _) };
    let mut text = Vec::new();
    source.and_then(|source| source.take(MAX_FILE + 1).read_to_end(&mut text)).map_err(|e| failed(e.to_string()))?;
    if text.len() as u64 > MAX_FILE {
        return Err(failed(format!("it is longer than {MAX_FILE} bytes")));
    }
    parse(&text).map_err(failed)
}

fn parse(text: &[u8]) -> Result<Vec<Value>, String> {
    // A byte order mark, as some editors write it.
    let text = text.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(text);
    let mut value: Value = serde_json::from_slice(text).map_err(|e| format!("it is not JSON: {e}"))?;
    let list = match &mut value {
        Value::Object(members) if !members.contains_key("cmd") && members.contains_key("jobs") => {
            members["jobs"].take()
        }
        _ => value,
    };
    match list {
        Value::Array(jobs) if jobs.iter().all(Value::is_object) => Ok(jobs),
        Value::Object(_) => Ok(vec![list]),
        _ => Err("expected a job, which is an object, or a list of jobs".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files() {
        for (text, want) in [
            (r#"{"name":"a","cmd":"b"}"#, 1),
            ("\u{feff}{\"name\":\"a\"}", 1),
            (r#"[{"name":"a"},{"name":"b"}]"#, 2),
            (r#"{"jobs":[{"name":"a"},{"name":"b"}]}"#, 2),
            ("[]", 0),
        ] {
            assert_eq!(parse(text.as_bytes()).expect(text).len(), want, "{text}");
        }
        for bad in ["", "3", "[1]", r#"{"jobs":3}"#, "{"] {
            assert!(parse(bad.as_bytes()).is_err(), "{bad}");
        }
        let failure = read("/nonexistent/job.json".as_ref()).expect_err("no file");
        assert_eq!(failure.code(), Code::Failed);
        assert!(failure.to_string().starts_with("cannot read /nonexistent/job.json: No such file"), "{failure}");
    }
}
