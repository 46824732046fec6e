//! Certificates for one test, made by `openssl`, and gone with it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// A folder with authorities and what they have signed: of each `NAME.pem` and `NAME.key`.
pub(crate) struct Pki(PathBuf);

/// What `openssl` wants to know. `leaf` may be a server and a client.
const CONFIG: &str = "\
[req]
distinguished_name = nobody
[nobody]
[authority]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign, cRLSign
[leaf]
basicConstraints = CA:FALSE
subjectAltName = DNS:localhost, IP:127.0.0.1
[ca]
default_ca = one
[one]
database = index
new_certs_dir = .
default_md = sha256
policy = any
unique_subject = no
rand_serial = yes
[any]
commonName = supplied
";

impl Pki {
    /// With the authorities `ca` and `other`, and `server` and `client`, signed by `ca`. `None`, loudly, where there is no `openssl`.
    pub(crate) fn new() -> Option<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        if !runs("openssl", "version") {
            eprintln!("SKIPPED: there is no openssl here, so nothing is known about TLS");
            return None;
        }
        let name = format!("gaffer-pki-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let pki = Self(crate::place::place().join(name));
        fs::create_dir_all(&pki.0).expect("a folder");
        fs::write(pki.path("config"), CONFIG).expect("a file");
        fs::write(pki.path("index"), "").expect("a file");
        pki.authority("ca");
        pki.authority("other");
        pki.sign("ca", "server");
        pki.sign("ca", "client");
        Some(pki)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// The same as text.
    pub(crate) fn text(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    fn openssl(&self, line: &str) {
        let made = Command::new("openssl").args(line.split(' ')).current_dir(&self.0).output().expect("openssl");
        assert!(made.status.success(), "openssl {line}: {}", String::from_utf8_lossy(&made.stderr));
    }

    pub(crate) fn authority(&self, name: &str) {
        self.openssl(&format!(
            "req -x509 -config config -extensions authority -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30 \
             -subj /CN=authority-{name} -keyout {name}.key -out {name}.pem"
        ));
    }

    /// A certificate for `localhost` and `127.0.0.1`.
    pub(crate) fn sign(&self, authority: &str, name: &str) {
        self.sign_until(authority, name, 30);
    }

    /// The same, from 40 days ago until some days from now.
    pub(crate) fn sign_until(&self, authority: &str, name: &str, days: i64) {
        self.openssl(&format!(
            "req -new -config config -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN={name} -keyout \
             {name}.key -out {name}.csr"
        ));
        let (from, until) = (date(-40), date(days));
        self.openssl(&format!(
            "ca -batch -notext -config config -extensions leaf -startdate {from} -enddate {until} -cert {authority}.pem -keyfile \
             {authority}.key -in {name}.csr -out {name}.pem"
        ));
    }

    /// Puts a certificate and its key in the place of another.
    pub(crate) fn replace(&self, old: &str, new: &str) {
        for end in ["pem", "key"] {
            fs::copy(self.path(&format!("{new}.{end}")), self.path(&format!("{old}.{end}"))).expect("a copy");
        }
    }
}

impl Drop for Pki {
    fn drop(&mut self) {
        // What cannot be removed is in the folder for such things.
        let _ = fs::remove_dir_all(Path::new(&self.0));
    }
}

/// Whether a program is here.
pub(crate) fn runs(program: &str, argument: &str) -> bool {
    Command::new(program).arg(argument).output().is_ok_and(|ran| ran.status.success())
}

/// `YYYYMMDDHHMMSSZ`, at midnight so many days from today.
fn date(days: i64) -> String {
    let today = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs() as i64 / 86_400;
    // Years begin in March, eras in 2000.
    let day = today + days - 11_017;
    let (era, day) = (day.div_euclid(146_097), day.rem_euclid(146_097));
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = 2000 + era * 400 + year + i64::from(month < 3);
    format!("{year:04}{month:02}{day:02}000000Z")
}
