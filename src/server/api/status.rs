//! `/status`: how jobs stand, in few words.

use serde_json::Value;

use super::processes::job_of;
use super::shapes;
use crate::server::{Call, Refusal, Reply};

pub(super) fn all(call: &mut Call<'_, '_>) -> Result<Reply, Refusal> {
    let mut jobs = Vec::new();
    call.cx.walk(|info| jobs.push(shapes::status(&info)));
    Ok(Reply::Json(200, Value::Array(jobs)))
}

pub(super) fn one(call: &mut Call<'_, '_>) -> Result<Reply, Refusal> {
    let name = job_of(call)?;
    Ok(Reply::Json(200, shapes::status(&call.cx.info(name.as_str())?)))
}
