//! Under which topics an event is published.

use std::fmt::Write;
use std::sync::Arc;

use super::Emitter;
use crate::process::Event;

/// Publishes an event under its own name and, right after, under `proc.<name>.<event>`; and, for
/// those who ask for them by prefix, under the names of the 0.5 generation: `load`, `unload`,
/// `stop_process`, `job.<session>.<label>.<event>` and `proc.<pid>.<event>` (spec 4).
pub(super) fn publish(events: &mut Emitter, topic: &mut String, event: &Arc<Event>) {
    let name = event.what.name();
    events.publish(name, Arc::clone(event));
    let Some(job) = &event.job else { return };
    set(topic, format_args!("proc.{}.{name}", job.short()));
    events.publish(topic, Arc::clone(event));

    let name = event.what.name_0_5();
    if name != event.what.name() {
        alias(events, 1, name, event);
    }
    if events.has_patterns_under("job") {
        set(topic, format_args!("job.{}.{name}", job.as_str()));
        alias(events, 1, topic, event);
    }
    if let (Some(pid), true) = (event.what.pid(), events.has_patterns_under("proc")) {
        set(topic, format_args!("proc.{pid}.{name}"));
        alias(events, 2, topic, event);
    }
}

/// Aliases that nobody asked for do not take room in the queue.
fn alias(events: &mut Emitter, literal: usize, topic: &str, event: &Arc<Event>) {
    if events.has_subscribers_under(literal, topic) {
        events.publish_under(literal, topic, Arc::clone(event));
    }
}

fn set(topic: &mut String, text: std::fmt::Arguments<'_>) {
    topic.clear();
    // Writing to a string cannot fail.
    let _ = topic.write_fmt(text);
}
