//! `/metrics`: figures as OpenMetrics 1.0 text, by the names that a node gives to the same ones.

use std::collections::BTreeMap;

use super::doors::Doors;
use super::routes::directory;
#[cfg(feature = "etcd")]
use crate::lookup::etcd::Status;
use crate::lookup::registry::Totals;
use crate::proto::lookup::Refused;
use crate::server::openmetrics::Page;
use crate::server::{Call, Refusal, Reply};

/// What has happened since the start.
#[derive(Clone, Debug, Default)]
pub(super) struct Counts {
    messages: u64,
    /// By the number of the error, of which there are few.
    refused: BTreeMap<u16, u64>,
    /// Connections that took the place of an older one of their node.
    pub(super) returned: u64,
    /// Connections of nodes that said nothing for too long.
    pub(super) silent: u64,
}

impl Counts {
    /// A node has sent a message, and this is the answer.
    pub(super) fn message<T>(&mut self, outcome: &Result<T, Refused>) {
        self.messages += 1;
        if let Err(refused) = outcome {
            *self.refused.entry(refused.errno).or_default() += 1;
        }
    }
}

/// What is known at one moment.
#[derive(Debug)]
pub(super) struct Figures {
    pub(super) totals: Totals,
    pub(super) listeners: usize,
    pub(super) counts: Counts,
    /// `None` if it is in memory.
    #[cfg(feature = "etcd")]
    pub(super) registry: Option<Status>,
}

pub(super) fn text(call: &mut Call<'_, '_>) -> Result<Reply, Refusal> {
    let figures = directory(call)?.figures();
    let mut page = Page::default();
    page.family("gaffer_lookup", "info", "", "The version of the lookup server.");
    page.sample("gaffer_lookup_info", &[("version", env!("CARGO_PKG_VERSION"))], 1_u8);
    page.clients(call.counters);
    if let Some(doors) = call.provided.get::<Doors>() {
        page.family("gaffer_lookup_requests_refused", "counter", "", "Requests refused for want of a key, by status.");
        for (status, n) in doors.refused() {
            page.sample("gaffer_lookup_requests_refused_total", &[("status", &status.to_string())], n);
        }
    }
    known(&figures, &mut page);
    #[cfg(feature = "etcd")]
    shared(figures.registry.as_ref(), &mut page);
    page.turns(call.cx.turn_times());
    if let Ok(own) = call.cx.own_stats() {
        page.itself(&own);
    }
    Ok(page.finish())
}

fn known(figures: &Figures, page: &mut Page) {
    let Figures { totals, listeners, counts, .. } = figures;
    for (name, help, n) in [
        ("nodes", "Nodes that are known, wherever they are connected.", totals.nodes),
        ("jobs", "Jobs of these; one that two nodes have counts twice.", totals.jobs),
        ("processes", "Processes that these jobs keep alive.", totals.processes),
        ("node_connections", "Connections of nodes to this server.", totals.connections),
        ("listeners", "Who is told what changes.", *listeners),
    ] {
        page.one(&format!("gaffer_lookup_{name}"), "gauge", "", help, n);
    }
    for (name, help, n) in [
        ("messages", "Messages of nodes, refused ones included.", counts.messages),
        ("nodes_returned", "Nodes that came back before their old connection was missed.", counts.returned),
        ("nodes_silent", "Connections of nodes that were given up because they said nothing.", counts.silent),
    ] {
        page.one(&format!("gaffer_lookup_{name}"), "counter", "", help, n);
    }
    page.family("gaffer_lookup_messages_refused", "counter", "", "Messages of nodes that were refused, by errno.");
    for (errno, n) in &counts.refused {
        page.sample("gaffer_lookup_messages_refused_total", &[("errno", &errno.to_string())], *n);
    }
}

/// How a registry in etcd fares; of one in memory there is nothing to say.
#[cfg(feature = "etcd")]
fn shared(status: Option<&Status>, page: &mut Page) {
    let Some(status) = status else { return };
    for (name, help, n) in [
        (
            "follows",
            "Whether changes by other servers arrive; if not, answers may be stale.",
            usize::from(status.follows),
        ),
        ("writes", "Whether what nodes tell this server reaches etcd.", usize::from(status.writes)),
        ("queued", "Changes that wait to be written to etcd.", status.queued),
        ("registrations", "Registrations at other servers.", status.registrations),
    ] {
        page.one(&format!("gaffer_lookup_registry_{name}"), "gauge", "", help, n);
    }
    for (name, help, n) in [
        ("rounds", "How often everything was registered anew in etcd, the first time included.", status.rounds),
        ("errors", "Requests to etcd that failed, and keys that were not understood.", status.errors),
    ] {
        page.one(&format!("gaffer_lookup_registry_{name}"), "counter", "", help, n);
    }
}
