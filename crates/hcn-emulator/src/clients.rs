//! The clients of a service, each with its open handles.
//!
//! A handle is valid for one client only, however many connections the client has.

use std::collections::HashMap;

use hcn::call::Handle;
use hcn::{Guid, Kind};

/// Clients by the id that they chose.
#[derive(Debug, Default)]
pub(crate) struct Clients(HashMap<Guid, Client>);

#[derive(Debug, Default)]
struct Client {
    connections: usize,
    handles: HashMap<Handle, Kind>,
}

impl Clients {
    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn connect(&mut self, client: Guid) {
        self.0.entry(client).or_default().connections += 1;
    }

    /// Ends one connection. After the last one the client is gone: the result is the handles that it left open.
    pub(crate) fn disconnect(&mut self, client: Guid) -> HashMap<Handle, Kind> {
        let Some(entry) = self.0.get_mut(&client) else { return HashMap::new() };
        entry.connections = entry.connections.saturating_sub(1);
        if entry.connections > 0 {
            return HashMap::new();
        }
        self.0.remove(&client).map(|client| client.handles).unwrap_or_default()
    }

    pub(crate) fn has_opened(&self, client: Guid, handle: Handle) -> bool {
        self.0.get(&client).is_some_and(|client| client.handles.contains_key(&handle))
    }

    pub(crate) fn opened(&mut self, client: Guid, handle: Handle, kind: Kind) {
        if let Some(client) = self.0.get_mut(&client) {
            client.handles.insert(handle, kind);
        }
    }

    pub(crate) fn closed(&mut self, client: Guid, handle: Handle) {
        if let Some(client) = self.0.get_mut(&client) {
            client.handles.remove(&handle);
        }
    }
}
