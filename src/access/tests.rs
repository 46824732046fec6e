#![allow(clippy::unwrap_used)]

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::json;

use super::*;
use crate::process::JobName;

struct Folder(std::path::PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("gaffer-access-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        Self(path)
    }

    fn file(&self) -> std::path::PathBuf {
        self.0.join("access.json")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

struct Random(u64);

impl Random {
    fn next(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % below
    }

    fn patterns(&mut self) -> Vec<Pattern> {
        const ALL: [&str; 6] = ["*", "a", "b", "a.x", "a.y", "b.x"];
        (0..self.next(3)).map(|_| ALL[self.next(6) as usize].parse().unwrap()).collect()
    }

    fn permissions(&mut self) -> Permissions {
        Permissions {
            admin: self.next(8) == 0,
            create_key: self.next(3) == 0,
            create_user: self.next(3) == 0,
            manage: self.patterns(),
            write: self.patterns(),
            read: self.patterns(),
        }
    }
}

const RIGHTS: [Right; 6] =
    [Right::Read, Right::Write, Right::Manage, Right::CreateKey, Right::CreateUser, Right::Admin];

fn scopes() -> Vec<Scope> {
    let jobs = ["a.x", "a.y", "b.x", "c.x"].map(|name| Scope::Job(name.parse::<JobName>().unwrap()));
    let sessions = ["a", "b", "c"].map(|name| Scope::Session(name.to_owned()));
    [Scope::Node].into_iter().chain(sessions).chain(jobs).collect()
}

#[test]
fn properties_of_the_algebra() {
    let seed = std::time::SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as u64;
    let mut random = Random(seed);
    for _ in 0..20_000 {
        let (one, other, third) = (random.permissions(), random.permissions(), random.permissions());
        let about = format!("seed {seed}: {one:?} {other:?}");
        assert_eq!(Permissions::from_json(&one.to_json()).unwrap(), one, "{about}");
        assert!(one.contains(&one) && one.contains(&Permissions::default()), "{about}");
        assert!(Permissions::admin().contains(&one), "{about}");
        let mut all = true;
        for on in scopes() {
            for pair in RIGHTS[..3].windows(2) {
                assert!(one.allows(pair[0], &on) || !one.allows(pair[1], &on), "each includes those before: {about}");
            }
            for right in RIGHTS {
                all &= one.allows(right, &on) || !other.allows(right, &on);
                assert!(!one.allows(right, &Scope::Node) || one.allows(right, &on), "the node is all: {about}");
            }
        }
        // What a key contains is what it can do, and the other way round: `c` stands for all names that no list has.
        assert_eq!(one.contains(&other), all, "{about}");
        assert!(!(one.contains(&other) && other.contains(&third)) || one.contains(&third), "{about} {third:?}");
    }
}

#[test]
fn bad_rights_are_told_where() {
    for (value, want) in [
        (json!([]), "permissions: expected an object"),
        (json!({"mange": ["*"]}), "did you mean"),
        (json!({"admin": "yes"}), "admin: expected true or false"),
        (json!({"read": "*"}), "read: expected a list"),
        (json!({"read": [1]}), "read: expected a text"),
        (json!({"read": ["a.b.c"]}), "permissions: read"),
        (json!({"read": [""]}), "permissions: read"),
        (json!({"read": vec!["a"; 1001]}), "1001 entries"),
    ] {
        let e = Permissions::from_json(&value).unwrap_err().to_string();
        assert!(e.contains(want), "{value}: {e}");
    }
}

#[test]
fn waits_grow_and_end_and_are_bounded() {
    let (mut throttle, start) = (Throttle::default(), Instant::now());
    let bob = ["user bob".to_owned()];
    for _ in 0..5 {
        assert_eq!(throttle.attempt(&bob, start), Ok(()));
    }
    let mut now = start;
    for wait in [1, 2, 4, 8, 16, 32, 60, 60] {
        assert_eq!(throttle.attempt(&bob, now), Ok(()));
        assert_eq!(throttle.attempt(&bob, now), Err(Duration::from_secs(wait)));
        now += Duration::from_secs(wait);
    }
    throttle.succeeded(&bob);
    assert_eq!((throttle.attempt(&bob, now), throttle.attempt(&bob, now)), (Ok(()), Ok(())));
    for n in 0..3 * MAX_REMEMBERED {
        assert_eq!(throttle.attempt(&[format!("peer {n}")], now), Ok(()));
    }
    assert_eq!(throttle.len(), MAX_REMEMBERED);
}

fn rights(value: Value) -> Permissions {
    Permissions::from_json(&value).unwrap()
}

#[test]
fn keys_give_no_more_than_they_have() {
    let folder = Folder::new("mint");
    let access = Access::open(folder.file()).unwrap();
    let make = |who: &Who, value: Value| access.create_key(who, rights(value), "", None);
    let admin = access.identify(&make(&Who::Trusted, json!({"admin": true})).unwrap().key).unwrap();
    let maker = make(&admin, json!({"create_key": true, "read": ["shop"]})).unwrap();
    let who = access.identify(&maker.key).unwrap();
    for beyond in
        [json!({"admin": true}), json!({"manage": ["*"]}), json!({"write": ["shop"]}), json!({"create_user": true})]
    {
        assert_eq!(make(&who, beyond).unwrap_err().kind(), ErrorKind::Forbidden);
    }
    let child = make(&who, json!({"read": ["shop.web"], "create_key": true})).unwrap();
    let grandchild = make(&access.identify(&child.key).unwrap(), json!({})).unwrap();
    let Who::Key(admin_id) = &admin else { panic!("a key") };
    assert_eq!(access.key(&who, admin_id, false).unwrap_err().kind(), ErrorKind::Forbidden);
    assert_eq!(access.remove_key(&who, admin_id).unwrap_err().kind(), ErrorKind::Forbidden);
    assert_eq!(access.remove_key(&who, "nope").unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(access.keys(&who, false).unwrap_err().kind(), ErrorKind::Forbidden);
    assert_eq!(access.key(&who, "self", true).unwrap()["keys"], json!([child.id]));
    // What a key has made goes with it, and what that has made.
    access.remove_key(&who, "self").unwrap();
    for key in [&maker, &child, &grandchild] {
        assert!(access.identify(&key.key).is_err());
    }
    assert!(
        !access.is_somebody(&who)
            && access.check(&who, Right::Read, &Scope::Session("shop".into())) != Decision::Allowed
    );
    let text = std::fs::read_to_string(folder.file()).unwrap();
    assert!(!text.contains(&maker.key) && text.contains(admin_id));
    // Another one reads the same.
    let again = Access::open(folder.file()).unwrap();
    assert_eq!(again.keys(&Who::Trusted, true).unwrap(), access.keys(&Who::Trusted, true).unwrap());
    let id = &maker.key[..ID];
    assert!(access.identify(id).is_err() && access.identify("").is_err() && access.identify("é").is_err());
}

#[test]
fn users_are_no_way_to_more_rights() {
    let folder = Folder::new("users");
    let access = Access::open(folder.file()).unwrap();
    let top = access.create_key(&Who::Trusted, Permissions::admin(), "", None).unwrap();
    let admin = access.identify(&top.key).unwrap();
    access.create_user(&admin, "root", "a:b:c", NewUser::new(0, Some(top.id.clone()))).unwrap();
    let maker = access.create_key(&admin, rights(json!({"create_user": true, "read": ["*"]})), "", None).unwrap();
    let maker = access.identify(&maker.key).unwrap();
    let refused = |outcome: Result<()>| assert_eq!(outcome.unwrap_err().kind(), ErrorKind::Forbidden);
    refused(access.set_password(&maker, "root", "mine now"));
    refused(access.set_key(&maker, "root", None));
    refused(access.remove_user(&maker, "root"));
    refused(access.update_user(&maker, "root", "p", NewUser::new(1, None)));
    refused(access.create_user(&maker, "x", "p", NewUser::new(0, None)));
    refused(access.create_user(&maker, "x", "p", NewUser::new(1, Some(top.id.clone()))));
    access.create_user(&maker, "app", "p", NewUser::new(1, None)).unwrap();
    refused(access.set_key(&maker, "app", Some(top.id.clone())));
    assert!(matches!(access.login("app", "p", "here"), Err(LoginError::NoKey)));
    assert!(matches!(access.login("app", "q", "here"), Err(LoginError::Wrong)));
    assert!(matches!(access.login("nobody", "", "here"), Err(LoginError::Wrong)));
    let login = access.login("root", "a:b:c", "here").unwrap();
    let who = access.identify(&login.key).unwrap();
    assert_eq!(access.check(&who, Right::Admin, &Scope::Node), Decision::Allowed);
    // A login of an administrator sees itself, and its end with the password.
    assert_eq!(access.user(&who, "root").unwrap(), json!({"username": "root", "user_type": 0, "key": top.id}));
    access.set_password(&who, "root", "new").unwrap();
    assert!(access.identify(&login.key).is_err());
    let text = std::fs::read_to_string(folder.file()).unwrap();
    assert!(!text.contains("a:b:c") && text.contains("argon2id"));
    for name in ["", "a:b", "a/b", "a\n"] {
        let outcome = access.create_user(&admin, name, "p", NewUser::new(1, None));
        assert_eq!(outcome.unwrap_err().kind(), ErrorKind::Invalid, "{name:?}");
    }
    let outcome = access.create_user(&admin, "app", "p", NewUser::new(1, None));
    assert_eq!(outcome.unwrap_err().kind(), ErrorKind::Conflict);
}

#[test]
fn a_file_others_may_use_is_refused() {
    use std::os::unix::fs::PermissionsExt;
    let folder = Folder::new("mode");
    Access::open(folder.file()).unwrap().create_key(&Who::Trusted, Permissions::admin(), "", None).unwrap();
    assert_eq!(std::fs::metadata(folder.file()).unwrap().permissions().mode() & 0o777, 0o600);
    std::fs::set_permissions(folder.file(), std::fs::Permissions::from_mode(0o640)).unwrap();
    assert!(Access::open(folder.file()).unwrap_err().to_string().contains("mode 0640"));
    std::fs::set_permissions(folder.file(), std::fs::Permissions::from_mode(0o600)).unwrap();
    std::fs::write(folder.file(), "{").unwrap();
    assert_eq!(Access::open(folder.file()).unwrap_err().kind(), ErrorKind::Invalid);
}

/// Not a test: what the next one starts and kills.
#[test]
#[ignore = "it is started by the test that kills it"]
#[allow(clippy::print_stdout)]
fn a_writer_that_is_killed() {
    let Some(path) = std::env::var_os("GAFFER_ACCESS_FILE") else { return };
    let access = Access::open(path).unwrap();
    loop {
        let new = access.create_key(&Who::Trusted, Permissions::admin(), "", None).unwrap();
        println!("\nmade {}", new.key);
    }
}

#[test]
fn whoever_is_killed_while_writing_loses_nothing() {
    let folder = Folder::new("kill");
    let mut random = Random(7);
    let mut made: Vec<String> = Vec::new();
    for round in 0..12 {
        let mut writer = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "access::tests::a_writer_that_is_killed", "--ignored", "--nocapture"])
            .env("GAFFER_ACCESS_FILE", folder.file())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(writer.stdout.take().unwrap()).lines();
        let mut keys =
            lines.map_while(|line| line.ok()).filter_map(|line| line.strip_prefix("made ").map(str::to_owned));
        made.extend(keys.by_ref().take(2 + random.next(8) as usize));
        // At whatever moment of the next write this is.
        std::thread::sleep(Duration::from_micros(random.next(1500)));
        writer.kill().unwrap();
        made.extend(keys);
        writer.wait().unwrap();
        let access = Access::open(folder.file()).unwrap_or_else(|e| panic!("round {round}: {e}"));
        for key in &made {
            assert!(access.identify(key).is_ok(), "round {round}: a key that was promised is lost");
        }
        let there = access.keys(&Who::Trusted, false).unwrap().len();
        assert!(there >= made.len() && there <= made.len() + round + 1, "round {round}: {there} of {}", made.len());
    }
}
