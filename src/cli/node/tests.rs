use super::*;
use crate::cli::Asked;
use std::path::Path;

#[derive(Debug, Default, PartialEq)]
struct Only(Node);

impl AsMut<Node> for Only {
    fn as_mut(&mut self) -> &mut Node {
        &mut self.0
    }
}

fn parse(line: &str) -> Node {
    match options(Command::<Only>::new("x", "")).parse(line.split_whitespace().map(Into::into)) {
        Ok(Asked::Run(Only(node))) => node,
        other => panic!("{other:?}"),
    }
}

#[test]
fn flags() {
    assert_eq!(parse(""), Node::default());
    for line in ["--connect h:1", "--endpoint=h:1", "-g h:1", "-gh:1"] {
        assert_eq!(parse(line).endpoint.as_deref(), Some("h:1"), "{line}");
    }
    assert_eq!(parse("--api-key k").api_key.as_deref(), Some("k"));
    assert_eq!(parse("--timeout 1.5").timeout, Some(Duration::from_millis(1500)));
    #[cfg(feature = "tls")]
    {
        let files = parse("--cacert a --certfile c --keyfile k").tls;
        assert_eq!(files, tls::Files::default().cacert("a").certfile("c").keyfile("k"));
        let of = |line: &str| parse(line).server_with(None, |_| None).expect_err(line).to_string();
        assert!(of("-g http://h:1 --cacert a").contains("are for https, which http://h:1 is not"));
        assert!(of("-g https://h:1 --cacert /nonexistent/a").contains("cannot read '/nonexistent/a'"));
    }
    assert_eq!((parse("--json").json, parse("--color never").color), (true, ColorChoice::Never));
    assert!(options(Command::<Only>::new("x", "")).parse(["--timeout=soon".into()]).is_err());
}

#[test]
fn the_option_the_environment_the_default() {
    let address = |line: &str, var: Option<&str>| {
        let var = |name: &str| var.filter(|_| name == "GAFFER_ENDPOINT").map(OsString::from);
        parse(line).server_with(None, var).expect("a node").address()
    };
    assert_eq!(address("", None), "http://127.0.0.1:5000");
    assert_eq!(address("", Some("")), "http://127.0.0.1:5000");
    assert_eq!(address("", Some("unix:/e")), "unix:/e");
    assert_eq!(address("-g h:1", Some("unix:/e")), "http://h:1");
    let folder = std::env::temp_dir().join(format!("gaffer-cli-node-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let file = folder.join("gaffer.ini");
    let server = |line: &str, text: &str| {
        std::fs::write(&file, text).expect("a file");
        let var = |name: &str| (name == "GAFFER_CONFIG").then(|| Path::new(&file).into());
        parse(line).server_with(None, var)
    };
    let text = "[gaffer]\nendpoint = http://h:1/\n[node \"h:1\"]\nkey = secret\n";
    let key = |line: &str, text: &str| server(line, text).expect("a node").key().map(str::to_owned);
    assert_eq!(server("", text).expect("a node").address(), "http://h:1");
    assert_eq!(key("", text).as_deref(), Some("secret"));
    assert_eq!(key("--api-key mine", text).as_deref(), Some("mine"));
    assert_eq!(key("-g h:2", text), None);
    let failure = server("", "[gaffer]\nx = 1\n").expect_err("a key that is not known");
    assert_eq!(failure.code(), Code::Failed);
    std::fs::remove_dir_all(&folder).expect("it is ours");
    assert_eq!(parse("-g ftp://x").server_with(None, |_| None).expect_err("a scheme").code(), Code::Usage);
}

#[cfg(feature = "tls")]
#[test]
fn lookup_servers() {
    let node = parse("--cacert /nonexistent/a");
    let of = |address: &str| node.lookup_with(address, None, |_| None).map(|server| server.address());
    // Those that are found may be of either kind.
    assert_eq!(of("http://h:1").expect("no TLS"), "http://h:1");
    assert!(of("https://h:1").expect_err("no file").to_string().contains("cannot read '/nonexistent/a'"));
    assert_eq!(of("ftp://h").expect_err("a scheme").code(), Code::Usage);
    assert_eq!(Node::clone(&node).found("http://n:1").tls, tls::Files::default());
    assert_eq!(Node::clone(&node).found("https://n:1").tls, node.tls);
    let var = |name: &str| (name == "GAFFER_LOOKUP_KEY").then(|| OsString::from("k"));
    let shown = |key| format!("{:?}", parse("").lookup_with("h:1", key, var).expect("an address"));
    assert!(shown(None).contains("\"k\"") && shown(Some("mine")).contains("\"mine\""));
}

/// A lookup server names whom it likes.
#[test]
fn who_is_shown_the_key() {
    let folder = std::env::temp_dir().join(format!("gaffer-cli-named-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let file = folder.join("gaffer.ini");
    std::fs::write(&file, "[node \"http://10.0.0.9:5000\"]\n[node \"http://10.0.0.8:5000\"]\nkey = its-own\n")
        .expect("a file");
    let var = |name: &str| (name == "GAFFER_CONFIG").then(|| Path::new(&file).into());
    let trusted: TrustedNodes = "10.0.7.*".parse().expect("a pattern");
    let trusted = std::slice::from_ref(&trusted);
    for (line, origin, key, withheld) in [
        ("--api-key k", "http://10.0.0.7:5000", None, true),
        ("--api-key k", "http://127.0.0.1:5000", Some("k"), false),
        ("--api-key k", "unix:/run/g.sock", Some("k"), false),
        ("--api-key k", "http://10.0.7.1:5000", Some("k"), false),
        ("--api-key k", "http://10.0.0.9:5000", Some("k"), false),
        ("--api-key k", "http://10.0.0.8:5000", Some("k"), false),
        ("", "http://10.0.0.8:5000", Some("its-own"), false),
        ("", "http://10.0.0.7:5000", None, false),
    ] {
        let (server, is_withheld) = parse(line).named_with(origin, trusted, var).expect(origin);
        assert_eq!((server.key(), is_withheld), (key, withheld), "{line} {origin}");
    }
    let environment = |name: &str| (name == "GAFFER_API_KEY").then(|| "k".into());
    let (server, withheld) = parse("").named_with("http://10.0.0.7:5000", trusted, environment).expect("a node");
    assert_eq!((server.key(), withheld), (None, true));
    #[cfg(feature = "tls")]
    {
        // Anybody's certificate is signed by some authority of the system.
        let (server, withheld) = parse("--api-key k").named_with("https://evil.net", &[], |_| None).expect("a node");
        assert_eq!((server.key(), withheld), (None, true));
    }
    std::fs::remove_dir_all(&folder).expect("it is ours");
}

#[test]
fn failures_have_codes_and_advice() {
    for (kind, code, advice) in [
        (ErrorKind::NotFound, Code::NoSuch, ""),
        (ErrorKind::Closed, Code::NoSuch, ""),
        (ErrorKind::Conflict, Code::Failed, ""),
        (ErrorKind::Unreachable, Code::Unreachable, "is gafferd running?"),
        (ErrorKind::Forbidden, Code::NotAllowed, "GAFFER_API_KEY"),
        (ErrorKind::TimedOut, Code::TimedOut, "--timeout"),
    ] {
        let failure = failure(Error::new(kind, "so it is"));
        assert_eq!(failure.code(), code);
        let text = failure.to_string();
        assert!(text.starts_with("so it is") && text.contains(advice) && !text.contains('\n'), "{text}");
    }
    let closed = Error::io("cannot connect to unix:/s", std::io::Error::from(std::io::ErrorKind::PermissionDenied));
    assert_eq!(failure(closed).code(), Code::NotAllowed);
}
