use super::*;
use std::fs;
use std::sync::atomic::{AtomicU32, Ordering};

/// A folder of files that goes when the test ends.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str, files: &[(&str, &str)]) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let unique = format!("gaffer-application-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let folder = Self(std::env::temp_dir().join(unique).join(name));
        fs::create_dir_all(&folder.0).expect("temporary folder");
        for (file, text) in files {
            fs::write(folder.0.join(file), text).expect("temporary file");
        }
        folder
    }

    fn options(&self) -> Options {
        Options { root: Some(self.0.clone()), ..Options::default() }
    }

    fn load(&self) -> Result<(Application, Vec<String>)> {
        Application::load(&self.options(), |_| None)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(self.0.parent().expect("made with a parent"));
    }
}

fn pairs(vars: &[(&str, &str)]) -> Vec<(String, String)> {
    vars.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect()
}

#[test]
fn jobs_of_a_procfile() {
    let folder = Folder::new(
        "my.shop",
        &[
            ("Procfile", "web: server -p $PORT\nworker: work --fast\nclock: tick\n"),
            (".env", "GAFFER_UID=1000\nGAFFER_GID=www\nGAFFER_REDIRECT_INPUT='worker clock'\nA=1\nPORT=6000\nPS=x\n"),
        ],
    );
    let (app, warnings) = folder.load().expect("loads");
    assert_eq!((app.session.as_str(), app.port, warnings), ("my-shop", 6000, vec![]));
    assert!(app.is_port_given());
    assert_eq!(app.root, folder.0);

    let concurrency = Concurrency::parse("web=2,worker=0").expect("valid");
    let jobs = app.jobs::<&str>(&concurrency, &[]).expect("jobs");
    let found: Vec<_> = jobs.iter().map(|j| (j.name.as_str(), j.shell, j.numprocesses, j.port)).collect();
    let want = [
        ("my-shop.web", true, 2, Some(6000)),
        ("my-shop.worker", false, 0, Some(6100)),
        ("my-shop.clock", false, 1, Some(6200)),
    ];
    assert_eq!(found, want);
    assert_eq!(jobs.iter().map(|j| j.redirect_input).collect::<Vec<_>>(), [false, true, true]);
    let web = &jobs[0];
    assert_eq!((web.cmd.as_str(), web.cwd.as_deref()), ("server -p $PORT", Some(&*folder.0)));
    assert_eq!((web.uid.clone(), web.gid.clone()), (Some(UserRef::Id(1000)), Some(UserRef::Name("www".to_owned()))));
    assert!(web.ps && web.os_env);
    assert_eq!(web.redirect_output, ["out", "err"]);
    assert_eq!(web.env.get("A").map(String::as_str), Some("1"));
    assert!(!web.env.contains_key("PORT") && !web.env.contains_key("PS"), "{:?}", web.env);

    let jobs = app.jobs(&concurrency, &["clock"]).expect("jobs");
    assert_eq!((jobs.len(), jobs[0].port), (1, Some(6200)), "types that are left out keep their ports");
}

#[test]
fn unknown_names_are_refused_with_the_nearest() {
    let folder = Folder::new("app", &[("Procfile", "web: a\nworker: b\n")]);
    let (mut app, _) = folder.load().expect("loads");
    let none = Concurrency::default();
    let e = app.jobs(&none, &["web", "wroker"]).expect_err("unknown");
    assert_eq!(e.kind(), ErrorKind::NotFound);
    assert_eq!(e.to_string(), "the Procfile has no process type `wroker`; did you mean `worker`?");
    let e = app.jobs::<&str>(&Concurrency::parse("wep=1").expect("valid"), &[]).expect_err("unknown");
    assert!(e.to_string().ends_with("did you mean `web`?"), "{e}");
    app.env = pairs(&[("GAFFER_REDIRECT_INPUT", "nothing")]);
    let e = app.jobs::<&str>(&none, &[]).expect_err("unknown");
    assert_eq!(e.to_string(), "GAFFER_REDIRECT_INPUT: the Procfile has no process type `nothing`");
}

#[test]
fn ports_and_labels_have_their_limits() {
    let folder = Folder::new("app", &[("Procfile", "web: a\nworker: b\n\n12: c\n")]);
    let mut options = folder.options();
    options.port = Some(65400);
    let (mut app, _) = Application::load(&options, |_| None).expect("loads");
    let e = app.jobs(&Concurrency::parse("worker=37").expect("valid"), &["worker"]).expect_err("too high");
    assert!(e.to_string().ends_with("`worker` would get the ports 65500 to 65536, but the last port is 65535"), "{e}");
    assert!(app.jobs(&Concurrency::parse("worker=36").expect("valid"), &["worker"]).is_ok());
    assert!(app.jobs(&Concurrency::parse("worker=4294967295").expect("valid"), &["worker"]).is_err());
    app.port = 5000;
    let e = app.jobs(&Concurrency::default(), &["12"]).expect_err("no label");
    assert!(e.to_string().contains("Procfile:4: invalid job name \"12\""), "{e}");
}

#[test]
fn files_and_the_environment() {
    let folder = Folder::new(
        "app",
        &[
            ("Procfile", "web: a\n"),
            (".env", "A=default\n"),
            ("one.env", "A=one\nB=$A-$REAL\nPORT=7000\n"),
            ("two.env", "A=two\nC=$B+$A\nREAL=file\n"),
        ],
    );
    let real = |name: &str| match name {
        "REAL" => Some("real".to_owned()),
        "PORT" => Some("8000".to_owned()),
        _ => None,
    };
    let (app, _) = Application::load(&folder.options(), real).expect("loads");
    assert_eq!((app.env, app.port), (pairs(&[("A", "default")]), 8000));

    let mut options = folder.options();
    options.env_files = vec![folder.0.join("one.env"), folder.0.join("two.env")];
    let (app, _) = Application::load(&options, real).expect("loads");
    let want = [("A", "two"), ("B", "one-real"), ("PORT", "7000"), ("C", "one-real+two"), ("REAL", "file")];
    assert_eq!((app.env, app.port), (pairs(&want), 7000));

    options.env_override = false;
    let (app, _) = Application::load(&options, real).expect("loads");
    let want = [("A", "two"), ("B", "one-real"), ("C", "one-real+two")];
    assert_eq!((app.env, app.port), (pairs(&want), 8000));

    options.port = Some(9000);
    assert_eq!(Application::load(&options, real).expect("loads").0.port, 9000);

    options.env_files.push(folder.0.join("none.env"));
    let e = Application::load(&options, real).expect_err("missing");
    assert_eq!(e.kind(), ErrorKind::NotFound);
    assert!(e.to_string().contains("none.env: No such file"), "{e}");

    let e = Application::load(&folder.options(), |_| Some("http".to_owned())).expect_err("no port");
    assert_eq!(e.to_string(), "invalid PORT \"http\" in the environment: expected 1 to 65535");
}

#[test]
fn the_root_is_the_folder_of_the_procfile() {
    let folder = Folder::new("2026", &[("Procfile.dev", "web: a\n"), (".env", "A=1\n")]);
    let mut options = Options { procfile: Some(folder.0.join("Procfile.dev")), ..Options::default() };
    let (app, _) = Application::load(&options, |_| None).expect("loads");
    assert_eq!((&app.root, app.session.as_str(), app.env.len()), (&folder.0, "app-2026", 1));
    options.root = Some(PathBuf::from("/"));
    let (app, _) = Application::load(&options, |_| None).expect("loads");
    assert_eq!((app.root.as_path(), app.session.as_str()), (Path::new("/"), "app"));

    for (root, procfile, kind) in [
        (Some("/nonexistent"), None, ErrorKind::NotFound),
        (None, Some("/nonexistent/Procfile"), ErrorKind::NotFound),
        (Some("/dev/null"), None, ErrorKind::Invalid),
    ] {
        options.root = root.map(PathBuf::from);
        options.procfile = procfile.map(PathBuf::from);
        assert_eq!(Application::load(&options, |_| None).expect_err("no root").kind(), kind, "{root:?}");
    }
}

#[test]
fn faults_of_files_have_their_place() {
    let folder = Folder::new("app", &[("Procfile", "web: sh -c 'a\nworker: b # don't\nnonsense\n")]);
    let place = folder.0.join("Procfile").display().to_string();
    let e = folder.load().expect_err("nonsense");
    assert!(e.to_string().starts_with(&format!("{place}:3:9: expected `name: command`")), "{e}");
    let mut options = folder.options();
    options.lenient = true;
    let (app, warnings) = Application::load(&options, |_| None).expect("lenient");
    assert_eq!(app.entries.len(), 2);
    assert!(warnings[0].starts_with(&format!("{place}:3:9: ")), "{warnings:?}");
    let quote = format!("{place}:1:12: this single quote is never closed, so the shell will refuse the command");
    assert_eq!(warnings[1..], [quote]);

    fs::write(folder.0.join("Procfile"), b"web: a\n\xc3\xa9\xff").expect("written");
    assert_eq!(folder.load().expect_err("not UTF-8").to_string(), format!("{place}:2:2: this is not UTF-8"));
    fs::write(folder.0.join("Procfile"), vec![b'#'; crate::config::MAX_FILE as usize + 1]).expect("written");
    assert!(folder.load().expect_err("too large").to_string().contains("larger than 1048576 bytes"));
}
