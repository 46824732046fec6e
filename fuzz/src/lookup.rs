//! The messages of lookup servers: what is read is written the same, and bad ones have an answer.

use gaffer::proto::lookup::{Event, Message, Reply};
use serde_json::Value;

/// Reads the input as each of the three.
pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    match Message::read(text) {
        Ok(message) if is_exact(&message.id) => assert_eq!(Message::read(&message.to_json()), Ok(message)),
        Err(reply) if is_exact(&reply.id) => assert_eq!(Reply::read(&reply.to_json()), Some(reply)),
        _ => {}
    }
    if let Some(reply) = Reply::read(text).filter(|reply| is_exact(&reply.id)) {
        assert_eq!(Reply::read(&reply.to_json()), Some(reply));
    }
    if let Some(event) = serde_json::from_str(text).ok().as_ref().and_then(Event::read) {
        assert_eq!(Event::read(&event.to_json()), Some(event));
    }
}

/// Fractions may lose their last digit from text to text; nobody uses them as ids.
fn is_exact(id: &Value) -> bool {
    match id {
        Value::Null | Value::Bool(_) | Value::String(_) => true,
        Value::Number(number) => !number.is_f64(),
        Value::Array(_) | Value::Object(_) => false,
    }
}
