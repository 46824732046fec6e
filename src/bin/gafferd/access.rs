//! Keys and users, as the configuration has them, and what the command line does with them.

use std::path::PathBuf;

use gaffer::access::{Access, NewUser, Permissions, Who};
use gaffer::cli::{self, Code, Failure};
use gaffer::config::GafferdConfig;
use gaffer::log::Log;
use gaffer::server::Guard;
use gaffer::{Error, ErrorKind, Result};
use serde_json::{Value, json};

use crate::args::Args;

/// What is wrong with the settings.
pub(crate) fn fault(config: &GafferdConfig) -> Option<Error> {
    let auth = &config.auth;
    let two = auth.auth_dbname.is_some() && auth.keys_dbname.is_some() && auth.auth_dbname != auth.keys_dbname;
    two.then(|| Error::new(ErrorKind::Invalid, "[auth]: keys and users are in one file: set auth_dbname alone"))
}

/// The file: that of the configuration, else `access.json` beside the configuration, else in `~/.gaffer`.
pub(crate) fn file(args: &Args, config: &GafferdConfig) -> Result<PathBuf> {
    if let Some(file) = config.auth.auth_dbname.as_ref().or(config.auth.keys_dbname.as_ref()) {
        return Ok(file.clone());
    }
    if let Some(path) = &args.config {
        let folder = if path.is_dir() { Some(path.as_path()) } else { path.parent() };
        return Ok(folder.unwrap_or(path).join("access.json"));
    }
    match std::env::var_os("HOME").filter(|home| !home.is_empty()) {
        Some(home) => Ok(PathBuf::from(home).join(".gaffer/access.json")),
        None => Err(Error::new(ErrorKind::Invalid, "no place for keys and users: set auth_dbname in [auth]")),
    }
}

/// Why the keys that are asked for cannot be read.
pub(crate) fn unreadable(args: &Args, config: &GafferdConfig) -> Option<Error> {
    if !config.require_key {
        return None;
    }
    file(args, config).and_then(Access::open).err()
}

/// What asks for keys, if they are asked for.
pub(crate) fn guard(args: &Args, config: &GafferdConfig, log: &Log) -> Result<Option<Guard>> {
    if !config.require_key {
        return Ok(None);
    }
    let file = file(args, config)?;
    let access = Access::open(&file)?;
    if access.keys(&Who::Trusted, false)?.is_empty() && config.auth.trust_uid.is_empty() {
        let file = file.display();
        log.warning(format_args!("require_key is set, but '{file}' has no key: see gafferd --create-admin-user"));
    }
    let audit = log.clone();
    let guard = Guard::new(access).trust(config.auth.trust_uid.iter().copied());
    Ok(Some(guard.on_audit(move |line| match line.refused {
        Some(_) => audit.warning(format_args!("audit: {line}")),
        None => audit.info(format_args!("audit: {line}")),
    })))
}

/// `gafferd --create-admin-user`.
pub(crate) fn create_admin(args: &Args, config: &GafferdConfig) -> Result<Code> {
    let unheard = |failure: Failure| Error::new(ErrorKind::Invalid, failure.to_string());
    let name = cli::user_name(args.username.as_deref()).map_err(unheard)?;
    let password = cli::password_of(&name, args.password.as_deref()).map_err(unheard)?;
    let file = file(args, config)?;
    let access = Access::open(&file)?;
    if access.user(&Who::Trusted, &name).is_ok() {
        return Err(Error::new(ErrorKind::Conflict, format!("there is a user {name:?} already")));
    }
    let key = access.create_key(&Who::Trusted, Permissions::admin(), "admin key", None)?;
    if let Err(e) = access.create_user(&Who::Trusted, &name, &password, NewUser::new(0, Some(key.id.clone()))) {
        // Nobody will know that key.
        access.remove_key(&Who::Trusted, &key.id)?;
        return Err(e);
    }
    let text =
        format!("{name} is an administrator in {}. The key, which is not shown again:\n{}\n", file.display(), key.key);
    cli::print(text).map_err(|e| Error::new(ErrorKind::Io, e.to_string()))?;
    Ok(Code::Ok)
}

/// `gafferd --list-admins`.
pub(crate) fn list_admins(args: &Args, config: &GafferdConfig) -> Result<Code> {
    let access = Access::open(file(args, config)?)?;
    let users = access.users(&Who::Trusted, true)?;
    let admins = users.iter().filter(|user| user["user_type"] == 0);
    let text = if args.json {
        let all = admins.map(|user| json!({"username": user["username"], "key": user["key"]}));
        format!("{}\n", Value::from(all.collect::<Vec<_>>()))
    } else {
        admins.filter_map(|user| user["username"].as_str()).fold(String::new(), |text, name| text + name + "\n")
    };
    cli::print(text).map_err(|e| Error::new(ErrorKind::Io, e.to_string()))?;
    Ok(Code::Ok)
}
