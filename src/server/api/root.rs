//! The server itself, and all of what it manages.

use serde_json::json;

use super::shapes;
use crate::server::{Call, Refusal, Reply};

const VERSION: &str = env!("CARGO_PKG_VERSION");

pub(super) fn welcome(_: &mut Call<'_, '_>) -> Result<Reply, Refusal> {
    Ok(Reply::Json(200, json!({"welcome": "gaffer", "version": VERSION})))
}

pub(super) fn version(_: &mut Call<'_, '_>) -> Result<Reply, Refusal> {
    Ok(Reply::Json(200, json!({"name": "gaffer", "version": VERSION})))
}

pub(super) fn ping(_: &mut Call<'_, '_>) -> Result<Reply, Refusal> {
    Ok(Reply::Text(200, "OK".to_owned()))
}

pub(super) fn pids(call: &mut Call<'_, '_>) -> Result<Reply, Refusal> {
    Ok(Reply::Json(200, json!({"pids": shapes::pids(&call.cx.list())})))
}

pub(super) fn sessions(call: &mut Call<'_, '_>) -> Result<Reply, Refusal> {
    Ok(Reply::Json(200, json!({"sessions": call.cx.sessions()})))
}
