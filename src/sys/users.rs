//! Users and groups by number and by name.

use std::ffi::{CStr, CString, c_char, c_int};
use std::io;
use std::mem;
use std::ptr;

use super::cvt;
use crate::process::UserRef;
use crate::{Error, ErrorKind, Result};

/// Who a process runs as.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Credentials {
    /// The user.
    pub uid: u32,
    /// The group.
    pub gid: u32,
    /// The supplementary groups; they replace those of the parent.
    pub groups: Vec<u32>,
}

impl Credentials {
    /// A user, a group and supplementary groups by number.
    #[must_use]
    pub fn new(uid: u32, gid: u32, groups: Vec<u32>) -> Self {
        Self { uid, gid, groups }
    }

    /// Those this process acts with.
    #[must_use]
    pub fn current() -> Self {
        // SAFETY: these read numbers.
        let (uid, gid, n) = unsafe { (libc::geteuid(), libc::getegid(), libc::getgroups(0, ptr::null_mut())) };
        let mut groups = vec![0; usize::try_from(n).unwrap_or(0)];
        // SAFETY: room for `n` groups.
        let n = unsafe { libc::getgroups(groups.len() as c_int, groups.as_mut_ptr()) };
        groups.truncate(usize::try_from(n).unwrap_or(0));
        Self { uid, gid, groups }
    }

    /// Makes these the credentials of this process, for good: groups, group, user, verified. Nothing is done where it has
    /// them already.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Forbidden`] unless the process is privileged; after another error some of them may be set, so that the
    /// process should end.
    pub fn assume(&self) -> Result<()> {
        let now = Self::current();
        if (now.uid, now.gid) == (self.uid, self.gid) && now.same_groups(self) {
            return Ok(());
        }
        let fail = |e| Error::io(format!("cannot become user {} and group {}", self.uid, self.gid), e);
        // SAFETY: the pointer is to that many ids, and the calls keep nothing. For a privileged process setgid and setuid
        // set the real, the effective and the saved id (setuid(2)).
        unsafe {
            cvt(libc::setgroups(self.groups.len() as _, self.groups.as_ptr())).map_err(fail)?;
            cvt(libc::setgid(self.gid)).map_err(fail)?;
            cvt(libc::setuid(self.uid)).map_err(fail)?;
            // What can become root again has not given it up.
            let back = self.uid != 0 && libc::setuid(0) == 0;
            let is = [libc::getuid(), libc::geteuid()] == [self.uid; 2]
                && [libc::getgid(), libc::getegid()] == [self.gid; 2];
            if back || !is {
                return Err(fail(io::Error::from_raw_os_error(libc::EPERM)));
            }
        }
        Ok(())
    }

    /// Whether both have the same supplementary groups, in any order.
    pub(super) fn same_groups(&self, other: &Self) -> bool {
        let sorted = |groups: &[u32]| {
            let mut groups = groups.to_vec();
            groups.sort_unstable();
            groups.dedup();
            groups
        };
        sorted(&self.groups) == sorted(&other.groups)
    }
}

/// The credentials of a job that names a user, a group, both or neither (`None`).
///
/// A user without a group gets the group of its entry in the user database, and the supplementary groups
/// it is a member of, as initgroups(3) would. A group without a user changes the group alone.
///
/// # Errors
///
/// [`ErrorKind::NotFound`] for a name that does not exist, or a number without an entry where the entry is
/// needed to know the group; [`ErrorKind::Io`] if the database cannot be read.
pub fn resolve(user: Option<&UserRef>, group: Option<&UserRef>) -> Result<Option<Credentials>> {
    let gid = match group {
        Some(UserRef::Id(id)) => Some(*id),
        Some(UserRef::Name(name)) => Some(group_id(name)?),
        None => None,
    };
    let Some(user) = user else {
        return Ok(gid.map(|gid| Credentials { gid, ..Credentials::current() }));
    };
    let entry = match user {
        UserRef::Id(id) => by_uid(*id),
        UserRef::Name(name) => match CString::new(name.as_str()) {
            Ok(name) => by_name(&name),
            Err(_) => Ok(None),
        },
    }
    .map_err(|e| Error::io(format!("cannot look up user {user}"), e))?;
    match (entry, user, gid) {
        (Some(entry), _, gid) => {
            let gid = gid.unwrap_or(entry.gid);
            Ok(Some(Credentials { uid: entry.uid, gid, groups: groups_of(&entry.name, gid) }))
        }
        (None, UserRef::Id(uid), Some(gid)) => Ok(Some(Credentials { uid: *uid, gid, groups: vec![gid] })),
        (None, UserRef::Id(uid), None) => Err(Error::new(
            ErrorKind::NotFound,
            format!("user {uid} is not in the user database, so its group is not known: set the group too"),
        )),
        (None, UserRef::Name(_), _) => Err(Error::new(ErrorKind::NotFound, format!("no such user: {user}"))),
    }
}

/// The name of a user, if it has one.
#[must_use]
pub fn user_name(uid: u32) -> Option<String> {
    by_uid(uid).ok().flatten().map(|entry| entry.name.to_string_lossy().into_owned())
}

struct Entry {
    name: CString,
    uid: u32,
    gid: u32,
}

fn by_name(name: &CStr) -> io::Result<Option<Entry>> {
    entry(|passwd, buffer, len, found| {
        // SAFETY: `entry` gives a record, a buffer of that length and a place for the result.
        unsafe { libc::getpwnam_r(name.as_ptr(), passwd, buffer, len, found) }
    })
}

fn by_uid(uid: u32) -> io::Result<Option<Entry>> {
    entry(|passwd, buffer, len, found| {
        // SAFETY: `entry` gives a record, a buffer of that length and a place for the result.
        unsafe { libc::getpwuid_r(uid, passwd, buffer, len, found) }
    })
}

fn entry(
    call: impl Fn(*mut libc::passwd, *mut c_char, usize, *mut *mut libc::passwd) -> c_int,
) -> io::Result<Option<Entry>> {
    look_up(call, |passwd| {
        // SAFETY: a record that was found has a name, in the buffer that is still there.
        let name = unsafe { CStr::from_ptr(passwd.pw_name) }.to_owned();
        Entry { name, uid: passwd.pw_uid, gid: passwd.pw_gid }
    })
}

fn group_id(name: &str) -> Result<u32> {
    let found = match CString::new(name) {
        Ok(c_name) => look_up(
            |group, buffer, len, found| {
                // SAFETY: `look_up` gives a record, a buffer of that length and a place for the result.
                unsafe { libc::getgrnam_r(c_name.as_ptr(), group, buffer, len, found) }
            },
            |group: &libc::group| group.gr_gid,
        ),
        Err(_) => Ok(None),
    };
    found
        .map_err(|e| Error::io(format!("cannot look up group {name:?}"), e))?
        .ok_or_else(|| Error::new(ErrorKind::NotFound, format!("no such group: {name:?}")))
}

/// The protocol of the `getpw…_r` calls: a larger buffer as long as they say `ERANGE`, up to 1 MiB.
fn look_up<R, T>(
    call: impl Fn(*mut R, *mut c_char, usize, *mut *mut R) -> c_int,
    read: impl Fn(&R) -> T,
) -> io::Result<Option<T>> {
    let mut buffer: Vec<c_char> = vec![0; 1024];
    loop {
        // SAFETY: the records of pwd.h and grp.h are numbers and pointers; all zeroes is a valid value.
        let mut record: R = unsafe { mem::zeroed() };
        let mut found: *mut R = ptr::null_mut();
        match call(&mut record, buffer.as_mut_ptr(), buffer.len(), &mut found) {
            0 if !found.is_null() => return Ok(Some(read(&record))),
            libc::ERANGE if buffer.len() < 1 << 20 => buffer.resize(buffer.len() * 4, 0),
            libc::EINTR => {}
            // "0 or ENOENT or ESRCH or EBADF or EPERM or ...: The given name or uid was not found."
            0 | libc::ENOENT | libc::ESRCH | libc::EBADF | libc::EPERM => return Ok(None),
            error => return Err(io::Error::from_raw_os_error(error)),
        }
    }
}

/// The groups the user is a member of, with `gid`, as initgroups(3) would set them.
fn groups_of(name: &CStr, gid: u32) -> Vec<u32> {
    let mut groups = vec![0; 32];
    loop {
        let mut n = groups.len() as c_int;
        // SAFETY: room for `n` groups. (Apple calls the same 32 bits an int.)
        let done = unsafe { libc::getgrouplist(name.as_ptr(), gid as _, groups.as_mut_ptr().cast(), &mut n) } >= 0;
        let room = groups.len();
        if done || room >= 65_536 {
            groups.truncate(usize::try_from(n).unwrap_or(0));
            // setgroups(2) of macOS takes 16 and finds the others by itself.
            #[cfg(target_vendor = "apple")]
            groups.truncate(16);
            return groups;
        }
        // Not every system says how many there are.
        groups.resize((room * 2).max(usize::try_from(n).unwrap_or(0)), 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root(group: Option<&str>) -> Credentials {
        let group = group.map(UserRef::from);
        resolve(Some(&"root".into()), group.as_ref()).expect("root").expect("credentials")
    }

    #[test]
    fn names_and_numbers() {
        let by_name = root(None);
        assert_eq!((by_name.uid, by_name.gid), (0, 0));
        assert!(by_name.groups.contains(&0));
        assert_eq!(resolve(Some(&UserRef::Id(0)), None).expect("0"), Some(by_name));
        assert_eq!(user_name(0).as_deref(), Some("root"));
        assert_eq!(user_name(0x7fff_fff0), None);
    }

    #[test]
    fn a_user_without_a_group_gets_its_own() {
        let text = std::fs::read_to_string("/etc/passwd").expect("the user database");
        for line in text.lines().filter(|line| !line.starts_with(['#', '+', '-'])) {
            let fields: Vec<_> = line.split(':').collect();
            let [name, _, uid, gid, ..] = fields[..] else { continue };
            let found = resolve(Some(&name.into()), None).expect(name).expect("credentials");
            assert_eq!((found.uid.to_string().as_str(), found.gid.to_string().as_str()), (uid, gid), "{name}");
            assert!(found.groups.contains(&found.gid), "{name}");
        }
    }

    #[test]
    fn groups() {
        assert_eq!(resolve(None, None).expect("nothing"), None);
        let other = root(Some("4321"));
        assert_eq!((other.uid, other.gid), (0, 4321));
        assert!(other.groups.contains(&4321));
        let only = resolve(None, Some(&UserRef::Id(4321))).expect("a group").expect("credentials");
        assert_eq!(only, Credentials { gid: 4321, ..Credentials::current() });
        let unknown = UserRef::Id(0x7fff_fff0);
        let both = resolve(Some(&unknown), Some(&UserRef::Id(5))).expect("both").expect("credentials");
        assert_eq!(both, Credentials::new(0x7fff_fff0, 5, vec![5]));
    }

    #[test]
    fn errors_name_the_user() {
        let message = |user: Option<UserRef>, group: Option<UserRef>| {
            let error = resolve(user.as_ref(), group.as_ref()).expect_err("unknown");
            assert_eq!(error.kind(), ErrorKind::NotFound);
            error.to_string()
        };
        assert_eq!(message(Some("no-such-user".into()), None), "no such user: \"no-such-user\"");
        assert_eq!(message(Some("a\0b".into()), None), "no such user: \"a\\0b\"");
        assert_eq!(message(None, Some("no-such-group".into())), "no such group: \"no-such-group\"");
        let number = message(Some(UserRef::Id(0x7fff_fff0)), None);
        assert!(number.starts_with("user 2147483632 is not in the user database"), "{number}");
    }
}
