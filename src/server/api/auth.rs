//! `/auth`: a key for a password; and what `/keys` and `/users` have in common.

use std::net::IpAddr;
use std::thread;
use std::time::Instant;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use super::params::{bad, refuse};
use crate::access::{Access, LoginError, Who};
use crate::server::guard::{Guard, place, scheme};
use crate::server::{Call, Peer, Refusal, Reply};
use crate::{Error, ErrorKind};

/// Basic authentication (RFC 7617) in, a new key out, which is good until the user has logged in sixteen times more.
pub(super) fn login(call: &mut Call<'_, '_>) -> Result<Reply, Refusal> {
    let guard = guard(call)?;
    let (name, password) = credentials(call).ok_or_else(|| wrong("expected Authorization: Basic"))?;
    let peer = counted(&call.request.peer);
    guard.access().attempt(&name, &peer, Instant::now()).map_err(|wait| {
        let seconds = wait.as_secs() + 1;
        let reason = format!("too many wrong passwords: try again in {seconds} s");
        guard.audit(&Who::Nobody, &format!("login of {name}"), &call.request.peer, Some(&reason));
        refuse(429, "too_many_requests", reason).header("Retry-After", seconds.to_string())
    })?;
    let what = format!("login of {name}");
    work(call, guard, what, move |access, _| match access.login(&name, &password, &peer) {
        Ok(new) => {
            let headers = vec![("X-Api-Key", new.key.clone())];
            Ok(Reply::Private(200, json!({"api_key": new.key, "key": new.id}), headers))
        }
        Err(LoginError::NoKey) => Err(refuse(403, "forbidden", "this user has no key, so it has no rights")),
        Err(LoginError::Failed(e)) => Err(e.into()),
        Err(_) => Err(wrong("the name or the password is wrong")),
    })
}

/// Who is counted as one: of IPv6 a whole /64, for that is what one customer has.
fn counted(peer: &Peer) -> String {
    match peer {
        Peer::Tcp(address) => match address.ip().to_canonical() {
            IpAddr::V6(ip) => format!("{:x?}", &ip.segments()[..4]),
            ip @ IpAddr::V4(_) => ip.to_string(),
        },
        Peer::Unix { .. } => place(peer),
    }
}

fn wrong(reason: &str) -> Refusal {
    refuse(401, "unauthorized", reason).header("WWW-Authenticate", "Basic realm=\"gaffer\", charset=\"UTF-8\"")
}

/// A password may have colons.
fn credentials(call: &Call<'_, '_>) -> Option<(String, String)> {
    let value = call.request.head.headers().get("authorization")?;
    let encoded = scheme(std::str::from_utf8(value).ok()?, "basic")?;
    let text = String::from_utf8(STANDARD.decode(encoded).ok()?).ok()?;
    text.split_once(':').map(|(name, password)| (name.to_owned(), password.to_owned()))
}

/// What asks for keys.
pub(super) fn guard(call: &Call<'_, '_>) -> Result<Guard, Refusal> {
    let off = || Refusal::not_found("nobody is asked for a key here, so there are no keys and no users (require_key)");
    call.guard.cloned().ok_or_else(off)
}

/// Does what writes the file or hashes a password on a thread of its own, and tells what came of it.
pub(super) fn work(
    call: &Call<'_, '_>,
    guard: Guard,
    what: String,
    f: impl FnOnce(&Access, &Who) -> Result<Reply, Refusal> + Send + 'static,
) -> Result<Reply, Refusal> {
    let Some(leave) = guard.access().work() else {
        let reason = "too many changes of keys and users are under way";
        return Err(refuse(503, "full", reason).header("Retry-After", "1"));
    };
    let (later, handle) = (call.later(), call.cx.handle());
    let (who, peer) = (call.who.clone(), call.request.peer.clone());
    let run = move || {
        let reply = f(guard.access(), &who);
        drop(leave);
        // If the manager has stopped, nobody waits for it.
        let _ = handle.post(move |cx| {
            guard.audit(&who, &what, &peer, reply.as_ref().err().map(|refusal| refusal.reason.as_str()));
            later.answer(cx, reply);
        });
    };
    let thread = thread::Builder::new().name("gaffer-access".to_owned()).spawn(run);
    thread.map_err(|e| Refusal::from(Error::io("cannot start a thread", e)))?;
    // What was begun is done, whether somebody waits for it or not.
    Ok(Reply::Later(Box::new(|_| {})))
}

/// A member that is a text.
pub(super) fn text(members: &Map<String, Value>, name: &str) -> Result<Option<String>, Refusal> {
    match members.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        // It may be a password.
        Some(_) => Err(bad(format!("{name}: expected a text"))),
    }
}

/// The same for one that must be there.
pub(super) fn required(members: &Map<String, Value>, name: &str) -> Result<String, Refusal> {
    text(members, name)?.ok_or_else(|| bad(format!("`{name}` is missing")))
}

/// An administrator may do anything, so it is the content that is wrong.
pub(super) fn of_change(error: Error) -> Refusal {
    if error.kind() == ErrorKind::Conflict { refuse(409, "conflict", error.to_string()) } else { error.into() }
}
