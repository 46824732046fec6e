//! t
use crate::server::{Call, Refusal, Reply};
pub(super) fn document(_: &mut Call<'_, '_>) -> Result<Reply, Refusal> {
    Ok(Reply::Empty(204))
}
