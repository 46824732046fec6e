//! Files that include files, and how much of it all there may be.

use super::*;

#[test]
fn includes() {
    let job = |name: &str| format!("[process:{name}]\ncmd = %(here)s/x\n");
    let files = [
        ("etc/g.ini", "[gaffer]\ninclude = one.ini ./two.json\ninclude_dir = conf.d .\n[process:main]\ncmd = x"),
        ("etc/one.ini", &format!("[gaffer]\npidfile = p\ninclude = sub/three.ini\n{}", job("one"))),
        ("etc/sub/three.ini", &job("three")),
        ("etc/two.json", r#"{"jobs": [{"name": "two", "cmd": "%(x)s ${Y}"}]}"#),
        ("etc/conf.d/b.ini", &job("b")),
        ("etc/conf.d/a/z.ini", &job("z")),
        ("etc/conf.d/c.json", "{}"),
        ("etc/conf.d/README", "not read"),
        ("etc/conf.d/.#b.ini", "not read"),
        ("etc/conf.d/b.ini~", "not read"),
        ("etc/conf.d/.hidden/x.ini", "not read"),
    ];
    let config = read_files(&files).expect("all");
    let names: Vec<_> = config.jobs.iter().map(|j| (j.config.name.short(), j.config.cmd.as_str())).collect();
    let want = [
        ("main", "x"),
        ("one", "/cwd/etc/x"),
        ("three", "/cwd/etc/sub/x"),
        ("two", "%(x)s ${Y}"),
        ("b", "/cwd/etc/conf.d/x"),
        ("z", "/cwd/etc/conf.d/a/x"),
    ];
    assert_eq!(names, want);
    assert_eq!(config.pidfile.as_deref(), Some(Path::new("p")));
    // What `include_dir = .` finds of these was read already.
    let read = ["g.ini", "one.ini", "sub/three.ini", "./two.json", "conf.d/b.ini", "conf.d/c.json", "conf.d/a/z.ini"];
    assert_eq!(config.files, read.map(|file| Path::new("etc").join(file)));

    let missing = "No such file or directory (os error 2)";
    for (files, kind, want) in [
        (
            &[("g.ini", "[gaffer]\n\ninclude = a.ini")][..],
            ErrorKind::NotFound,
            format!("g.ini:3:11: include: cannot read a.ini: {missing}"),
        ),
        (
            &[("g.ini", "[gaffer]\ninclude_dir = d")],
            ErrorKind::NotFound,
            format!("g.ini:2:15: include_dir: cannot read d: {missing}"),
        ),
        (&[("g.ini", "")][..0], ErrorKind::NotFound, String::new()),
        (
            &[("g.ini", "[gaffer]\ninclude = a.ini a.ini"), ("a.ini", "")],
            ErrorKind::Invalid,
            "g.ini:2:11: include: a.ini is read already".to_owned(),
        ),
        (
            &[("g.ini", "[gaffer]\ninclude = ./g.ini")],
            ErrorKind::Invalid,
            "g.ini:2:11: include: ./g.ini is read already".to_owned(),
        ),
        (
            &[("g.ini", "[gaffer]\ninclude = a.ini"), ("a.ini", "[gaffer]\nx = 1")],
            ErrorKind::Invalid,
            "a.ini:2:1: [gaffer] has no key `x`".to_owned(),
        ),
        (
            &[("g.ini", "[gaffer]\ninclude = a.ini\npidfile = p"), ("a.ini", "[gaffer]\n\nPidfile = p")],
            ErrorKind::Invalid,
            "a.ini:3:1: the key `Pidfile` is given twice: g.ini:3 has it already".to_owned(),
        ),
        (
            &[
                ("g.ini", "[gaffer]\ninclude = a.json\n[job:a]\ncmd = x"),
                ("a.json", "{\"jobs\": [{\"name\": \"a\", \"cmd\": \"y\"}]}"),
            ],
            ErrorKind::Invalid,
            "a.json:1:11: the job default.a is given twice: g.ini:3 has it already".to_owned(),
        ),
    ] {
        if files.is_empty() {
            continue;
        }
        let e = read_files(files).expect_err(&want);
        assert_eq!((e.kind(), e.to_string()), (kind, want));
    }
}

#[test]
fn everything_is_bounded() {
    let read_with = |read: &dyn Fn(&Path) -> Result<String>,
                     list_dir: &dyn Fn(&Path) -> Result<Vec<(String, bool)>>| {
        let sources = Sources { read, list_dir, environment: &|_| None, current_dir: Path::new("/") };
        GafferdConfig::read(Path::new("g.ini"), &sources).expect_err("a bound").to_string()
    };
    // Files that include each other under ever new names.
    let deep = |_: &Path| Ok("[gaffer]\ninclude = x/../y.ini".to_owned());
    let e = read_with(&deep, &|_| Ok(vec![]));
    assert!(e.ends_with("files include each other more than 16 deep"), "{e}");
    let text = |path: &Path| Ok(if path == Path::new("g.ini") { "[gaffer]\ninclude_dir = d" } else { "" }.to_owned());
    let e = read_with(&text, &|_| Ok(vec![("d".to_owned(), true)]));
    assert!(e.ends_with("folders stand in each other more than 16 deep"), "{e}");
    let e = read_with(&text, &|_| Ok((0..MAX_FILES).map(|n| (format!("{n}.ini"), false)).collect()));
    assert!(e.ends_with("there are more than 1000 files"), "{e}");
    let long = |path: &Path| {
        Ok(format!("[gaffer]\ninclude_dir = d\n#{}", "x".repeat(MAX_FILE as usize)))
            .map(|text: String| if path == Path::new("g.ini") { text } else { text.replace("include_dir = d", "") })
    };
    let e = read_with(&long, &|_| Ok((0..20).map(|n| (format!("{n}.ini"), false)).collect()));
    assert!(e.ends_with("all files together have more than 16777216 bytes"), "{e}");
    // Counting the columns of one long line is not quadratic.
    let jobs: Vec<String> = (0..20_000).map(|n| format!(r#"{{"name":"j{n}","cmd":"x"}}"#)).collect();
    let text = format!(r#"{{"jobs":[{},{{"name":"j7","cmd":"y"}}]}}"#, jobs.join(","));
    let column = text.chars().count() - 24;
    fails(&text, &format!("g.ini:1:{column}: the job default.j7 is given twice: line 1 has it already"));
}

#[test]
fn loads_files_and_folders() {
    let folder = std::env::temp_dir().join(format!("gaffer-gafferd-{}", std::process::id()));
    std::fs::create_dir_all(folder.join("conf.d/sub")).expect("a folder");
    std::fs::write(folder.join("gafferd.ini"), "[gaffer]\ninclude_dir = conf.d\n").expect("written");
    std::fs::write(folder.join("conf.d/sub/a.ini"), "[process:a]\ncmd = x\ncwd = %(here)s\n").expect("written");
    let config = GafferdConfig::load(&folder).expect("the folder");
    assert_eq!(config, GafferdConfig::load(folder.join("gafferd.ini")).expect("the file"));
    assert_eq!(config.jobs[0].config.cwd, Some(folder.join("conf.d/sub")));
    std::fs::write(folder.join("conf.d/bad.ini"), b"[gaffer]\n\xff").expect("written");
    let e = GafferdConfig::load(&folder).expect_err("not UTF-8").to_string();
    assert!(e.ends_with("bad.ini:2:1: this is not UTF-8"), "{e}");
    std::fs::remove_dir_all(&folder).expect("removed");
    assert_eq!(GafferdConfig::load(&folder).expect_err("gone").kind(), ErrorKind::NotFound);
}

#[test]
fn the_example_is_right() {
    let text = include_str!("../../../../examples/gaffer.ini");
    let mut config = read(text).expect("the example");
    let written = config.to_json().to_string();
    let mut again = read(&written).expect("the example as JSON");
    // Where they stand is where they stand there.
    let places = [&mut config, &mut again].map(|config| std::mem::take(&mut config.places));
    assert!(places[0].keys().eq(places[1].keys()) && places[1].values().all(|place| place.starts_with("g.ini:1:")));
    assert_eq!(again, config);
    config.files.clear();
    assert_eq!(config.jobs.len(), 5);
    // A manager takes them: their variables are set, their labels differ.
    let mut manager = crate::Manager::new().expect("a manager");
    for job in &config.jobs {
        manager.load(job.config.clone(), false).expect("a job of the example");
    }
    // All keys are documented: each stands in the file, in use or behind a `;`.
    let stands = |name: &str| {
        let name = name.trim_end_matches('*');
        text.lines().any(|line| line.trim_start_matches([';', ' ']).starts_with(name))
    };
    let jobs =
        crate::config::job::KEYS.iter().map(|key| key.name).filter(|key| !["name", "session", "env"].contains(key));
    let keys = jobs
        .chain(tables::GAFFER.iter().map(|key| key.name))
        .chain(tables::ENDPOINT.iter().map(|key| key.name))
        .chain(tables::LIMITS.iter().map(|key| key.name))
        .chain(tables::WEBHOOKS.iter().map(|key| key.name))
        .chain(tables::AUTH.iter().map(|key| key.name))
        .chain(["[ssl]", "[lookup_ssl]", "[plugin:", "[env:", "cacert"]);
    for key in keys {
        assert!(stands(key), "{key} is not in examples/gaffer.ini");
    }
    // What is commented out is right as well, in a file of its own.
    let uncommented: String =
        text.lines().map(|line| line.strip_prefix(';').unwrap_or(line)).map(|l| format!("{l}\n")).collect();
    let files = [("g.ini", uncommented.as_str()), ("more.ini", ""), ("conf.d/a.ini", "")];
    let all = read_files(&files).expect("with everything uncommented");
    assert_ne!(all.limits.connections, 0);
}
