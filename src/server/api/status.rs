//! `/status`: how jobs stand, in few words.

use super::processes::job_of;
use super::shapes;
use crate::server::{Call, Refusal, Reply};

pub(super) fn all(call: &mut Call<'_, '_>) -> Result<Reply, Refusal> {
    let mut text = b"{\"jobs\":[".to_vec();
    let (start, failing) = (text.len(), call.cx.failing_logs());
    for job in call.cx.views() {
        if text.len() > start {
            text.push(b',');
        }
        shapes::status_text(job, call.cx.started_of(job), &failing, &mut text);
    }
    text.extend_from_slice(b"]}");
    Ok(Reply::JsonText(200, text))
}

pub(super) fn one(call: &mut Call<'_, '_>) -> Result<Reply, Refusal> {
    let name = job_of(call)?;
    let mut text = Vec::with_capacity(256);
    let job = call.cx.view(name.session(), name.label())?;
    shapes::status_text(job, call.cx.started_of(job), &call.cx.failing_logs(), &mut text);
    Ok(Reply::JsonText(200, text))
}
