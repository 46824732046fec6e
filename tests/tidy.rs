//! What no compiler checks: the layers, and that version, changelog and crate agree.

use std::fs;
use std::path::{Path, PathBuf};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// All Rust files below `folder`, relative to the crate.
fn sources(folder: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display())) {
            let path: PathBuf = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(root()).expect("below the crate").display().to_string();
                found.push((name, fs::read_to_string(&path).expect("a source file")));
            }
        }
    }
    assert!(!found.is_empty(), "no sources in {folder}");
    found
}

/// The code without what only tests and examples in comments do.
fn code(text: &str) -> String {
    let body = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    let lines = body.lines().filter(|line| !line.trim_start().starts_with("//"));
    lines.collect::<Vec<_>>().join("\n")
}

fn is_test_file(name: &str) -> bool {
    name.ends_with("/tests.rs") || name.contains("/tests/")
}

/// Layers: an arrow down only. Each part names the parts above it, which it must not know.
#[test]
fn layers() {
    let above_l0 = [
        "table",
        "event_loop",
        "sys",
        "manager",
        "server",
        "client",
        "console",
        "signals",
        "config",
        "cli",
        "controller",
        "lookup",
        "stream",
    ];
    let l3 = ["server", "client", "console", "signals", "config", "cli", "controller", "lookup", "stream"];
    let rules: &[(&str, &[&str])] = &[
        ("src/events", &[&above_l0[..], &["process", "proto", "words"]].concat()),
        ("src/process", &above_l0),
        ("src/proto", &[&above_l0[..], &["process"]].concat()),
        ("src/table", &[&l3[..], &["manager", "sys", "event_loop", "events", "proto"]].concat()),
        ("src/event_loop", &[&l3[..], &["manager", "table", "process", "events", "proto", "sys"]].concat()),
        ("src/sys", &[&l3[..], &["manager", "table", "event_loop", "events", "proto"]].concat()),
        ("src/manager", &l3),
        ("src/webhooks", &["server", "client", "console", "signals", "config", "cli", "controller", "plugins", "sys"]),
        (
            "src/tls",
            &[
                "manager",
                "server",
                "client",
                "console",
                "signals",
                "config",
                "cli",
                "controller",
                "webhooks",
                "event_loop",
                "table",
                "stream",
            ],
        ),
        ("src/plugins", &["server", "client", "console", "signals", "config", "cli", "webhooks", "event_loop"]),
        ("src/controller", &["server", "client", "console", "signals", "cli", "event_loop", "sys"]),
        (
            "src/config",
            &["manager", "server", "controller", "client", "console", "signals", "cli", "event_loop", "sys"],
        ),
        ("src/lookup", &["client", "console", "signals", "config", "cli", "controller", "plugins"]),
        // It stands above `config`, `client` and `console`, which its tools use; `sys` for the modes of a terminal.
        ("src/cli", &["manager", "server", "signals", "table", "event_loop"]),
    ];
    for (folder, forbidden) in rules {
        for (name, text) in sources(folder).into_iter().filter(|(name, _)| !is_test_file(name)) {
            let code = code(&text);
            for module in *forbidden {
                for path in
                    [format!("crate::{module}::"), format!("crate::{module};"), format!("use crate::{{{module}")]
                {
                    assert!(!code.contains(&path), "{name} uses {path}, which is above it");
                }
            }
        }
    }
}

#[test]
fn the_table_reads_no_clock_and_does_no_io() {
    for (name, text) in sources("src/table").into_iter().filter(|(name, _)| !is_test_file(name)) {
        for word in ["Instant::now", "SystemTime::now", "std::io", "std::fs", "std::net", "libc::"] {
            assert!(!code(&text).contains(word), "{name}: {word}");
        }
    }
    for (name, text) in sources("src/proto").into_iter().filter(|(name, _)| !is_test_file(name)) {
        for word in ["Instant::now", "SystemTime::now", "TcpStream", "TcpListener", "std::fs", "libc::"] {
            assert!(!code(&text).contains(word), "{name}: {word}");
        }
    }
}

#[test]
fn unsafe_stays_in_its_leaves() {
    for (name, text) in sources("src") {
        let allowed = name.starts_with("src/sys/") || name == "src/event_loop/poller.rs";
        let has = code(&text).split(|c: char| !c.is_alphanumeric() && c != '_').any(|word| word == "unsafe");
        assert!(allowed || !has, "{name} has unsafe code");
    }
}

#[test]
fn the_library_prints_nothing() {
    let may_print = ["src/bin/", "src/cli/output.rs"];
    for (name, text) in sources("src").into_iter().filter(|(name, _)| !is_test_file(name)) {
        if may_print.iter().any(|prefix| name.starts_with(prefix)) {
            continue;
        }
        for word in ["println!", "print!", "eprintln!", "eprint!", "dbg!", "todo!", "unimplemented!"] {
            assert!(!code(&text).contains(word), "{name}: {word}");
        }
    }
}

#[test]
fn version_and_changelog_agree() {
    let changelog = fs::read_to_string(root().join("CHANGELOG.md")).expect("the changelog");
    let newest = changelog.lines().find_map(|line| line.strip_prefix("## ")).expect("a version in the changelog");
    assert_eq!(newest.split_whitespace().next(), Some(env!("CARGO_PKG_VERSION")));
}

#[test]
fn the_readme_names_every_feature() {
    let readme = fs::read_to_string(root().join("README.md")).expect("the readme");
    let manifest = fs::read_to_string(root().join("Cargo.toml")).expect("the manifest");
    let features = manifest.split("[features]").nth(1).and_then(|rest| rest.split("\n[").next()).expect("features");
    for line in features.lines().filter(|line| !line.starts_with(['#', ' ']) && line.contains('=')) {
        let name = line.split('=').next().unwrap_or_default().trim();
        assert!(name == "default" || readme.contains(&format!("| `{name}` |")), "README.md lacks the feature {name}");
    }
}

/// The README's first command names no binary, and there are several.
#[test]
fn cargo_run_is_gaffer() {
    let readme = fs::read_to_string(root().join("README.md")).expect("a README");
    assert!(readme.contains("\ncargo run -- start -d examples\n"));
    let manifest = fs::read_to_string(root().join("Cargo.toml")).expect("a manifest");
    assert!(manifest.contains("\ndefault-run = \"gaffer\"\n"));
}
