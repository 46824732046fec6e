//! `.env` files.

use gaffer::config::dotenv::{MAX_TOTAL, MAX_VALUE};
use gaffer::config::{Dotenv, Expand, MAX_WARNINGS};

/// The limits hold, names differ, and what was read can be written and read again.
pub fn run(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let environment = |name: &str| (name.len() % 2 == 0).then(|| name.to_lowercase());
    for expand in [Expand::Off, Expand::FileFirst(&environment), Expand::EnvironmentFirst(&environment)] {
        let Ok(env) = Dotenv::parse(&text, ".env", expand) else { continue };
        assert!(env.warnings.len() <= MAX_WARNINGS + 1);
        assert!(env.vars.iter().all(|(_, value)| value.len() <= MAX_VALUE));
        assert!(env.vars.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>() <= MAX_TOTAL);

        let written: String = env.vars.iter().map(|(name, value)| format!("{name}=\"{}\"\n", escape(value))).collect();
        let again = Dotenv::parse(&written, "written", Expand::FileFirst(&environment)).expect("what was read");
        assert_eq!(again.vars, env.vars);
        assert!(again.warnings.is_empty());
    }
}

fn escape(value: &str) -> String {
    let escaped = value.replace('\\', "\\\\").replace('"', "\\\"").replace('$', "\\$");
    escaped.replace('\n', "\\n").replace('\t', "\\t")
}
