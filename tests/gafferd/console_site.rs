//! The web console as it is served; `tests/net` has it in a browser.

use gaffer::process::Signal;
use gaffer::server::console_site::{CONSOLE, POLICY};

use super::sites::{ask, start, write};
use super::util::{Folder, eventually, run};

const PATH: &str = "/_plugin/console/";

#[test]
fn every_file_with_its_policy() {
    let folder = Folder::new();
    let (mut gafferd, address) = start(&folder, "");
    assert_eq!(ask(&address, "GET", "/_plugin/console?x", "").field("location"), Some("/_plugin/console/?x"));
    for (name, bytes) in CONSOLE.files {
        let path = format!("{PATH}{name}");
        let answer = ask(&address, "GET", &path, "");
        assert_eq!((answer.status, &answer.body[..]), (200, *bytes), "{path}");
        assert_eq!(answer.field("content-security-policy"), Some(POLICY), "{path}");
        assert_eq!(answer.field("x-content-type-options"), Some("nosniff"), "{path}");
        let want = match name.rsplit_once('.') {
            Some((_, "html")) => "text/html; charset=utf-8",
            Some((_, "css")) => "text/css; charset=utf-8",
            _ => "text/javascript; charset=utf-8",
        };
        assert_eq!(answer.field("content-type"), Some(want), "{path}");
        let tag = answer.field("etag").expect("a tag");
        let again = ask(&address, "GET", &path, &format!("If-None-Match: {tag}\r\n"));
        assert_eq!((again.status, again.body.len(), again.field("etag")), (304, 0, Some(tag)), "{path}");
        let head = ask(&address, "HEAD", &path, "");
        assert_eq!((head.status, head.body.len(), head.field("etag")), (200, 0, Some(tag)), "{path}");
        assert_eq!(head.field("content-length"), Some(&*bytes.len().to_string()), "{path}");
        let part = ask(&address, "GET", &path, "Range: bytes=2-5\r\n");
        assert_eq!((part.status, &part.body[..]), (206, &bytes[2..6]), "{path}");
    }
    let page = ask(&address, "GET", PATH, "");
    assert_eq!(page.body, CONSOLE.files[0].1);
    for path in ["none", "console.js/", "console.js/x", "mod.rs", "%2e%2e/x"] {
        let answer = ask(&address, "GET", &format!("{PATH}{path}"), "");
        assert!(matches!(answer.status, 403 | 404), "{path}: {}", answer.status);
    }
    gafferd.stop();
}

/// What a page refers to is embedded, and nothing is of elsewhere.
#[test]
fn nothing_is_loaded_from_elsewhere() {
    let names: Vec<&str> = CONSOLE.files.iter().map(|(name, _)| *name).collect();
    for (name, bytes) in CONSOLE.files {
        let text = std::str::from_utf8(bytes).expect("text");
        for (mark, end) in [(" from './", '\''), (" src=\"", '"'), ("stylesheet\" href=\"", '"')] {
            for rest in text.split(mark).skip(1) {
                let wanted = rest.split(end).next().unwrap_or_default();
                assert!(names.contains(&wanted), "{name}: {wanted}");
            }
        }
        for bad in ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "@import", "https://"] {
            assert!(!text.contains(bad), "{name} has {bad}");
        }
        // Names of XML are no addresses.
        let foreign = text.replace("http://www.w3.org/2000/svg", "");
        assert!(!foreign.contains("http://"), "{name}");
    }
}

#[test]
fn a_folder_goes_before_it_and_it_can_be_switched_off() {
    let folder = Folder::new();
    write(&folder, "console/plugin.json", r#"{"description": "no site"}"#);
    let (mut gafferd, address) = start(&folder, "");
    assert_eq!(ask(&address, "GET", PATH, "").body, CONSOLE.files[0].1, "a plugin without a site");
    write(&folder, "console/_site/index.html", "mine");
    let mine = ask(&address, "GET", PATH, "");
    assert_eq!((&mine.body[..], mine.field("content-security-policy")), (&b"mine"[..], None));
    assert_eq!(ask(&address, "GET", "/_plugin/console/console.js", "").status, 404, "sites are not mixed");
    let config = |more: &str| {
        folder.write("c.ini", &format!("[gaffer]\nbind = 127.0.0.1:0\n{more}\n"));
    };
    config("console = false");
    gafferd.signal(Signal::HUP);
    eventually("no console", || (ask(&address, "GET", PATH, "").status == 404).then_some(()));
    config("web_console = true");
    gafferd.signal(Signal::HUP);
    eventually("the console", || (ask(&address, "GET", PATH, "").body == CONSOLE.files[0].1).then_some(()));
    gafferd.stop();
}

#[test]
fn plugins_may_want_it() {
    let folder = Folder::new();
    write(&folder, "app/plugin.json", r#"{"command": "sleep 1000", "mandatory": ["console"]}"#);
    for (more, want) in [("", 0), ("web_console = no\n", 1)] {
        let config = folder.write("c.ini", &format!("[gaffer]\nplugins_dir = %(here)s/plugins\n{more}"));
        let (code, _, stderr) = run(&["--check", "-c", config.to_str().expect("UTF-8")]);
        assert_eq!(code, want, "{stderr}");
        assert_eq!(stderr.contains("needs the plugin console"), want == 1, "{stderr}");
    }
}
