//! Outages of the test API server: how each begins and ends.

use anyhow::Result;
use test_api_server::{ApiServer, FaultMode};

/// An outage of the API server.
pub(crate) struct Outage {
    pub(crate) name: &'static str,
    pub(crate) begin: fn(&ApiServer),
    pub(crate) end: fn(&ApiServer) -> Result<()>,
}

pub(crate) const OUTAGES: [Outage; 10] = [
    Outage { name: "unavailable", begin: ApiServer::make_unavailable, end: make_available },
    Outage {
        name: "unavailable, then 410: versions expired",
        begin: ApiServer::make_unavailable,
        end: |server| {
            server.forget();
            make_available(server)
        },
    },
    Outage {
        name: "unavailable, then a restored etcd",
        begin: ApiServer::make_unavailable,
        end: |server| {
            server.restore(server.objects().into())?;
            make_available(server)
        },
    },
    Outage { name: "429, Retry-After: 1", begin: |server| refuse(server, 429, Some(1)), end: remove_fault },
    Outage { name: "500", begin: |server| refuse(server, 500, None), end: remove_fault },
    Outage { name: "410 to all requests", begin: |server| refuse(server, 410, None), end: remove_fault },
    Outage { name: "invalid JSON", begin: |server| set_fault(server, FaultMode::Garbage), end: remove_fault },
    Outage { name: "half a line", begin: |server| set_fault(server, FaultMode::Half), end: remove_fault },
    Outage {
        name: "no response, then closed connections",
        begin: |server| set_fault(server, FaultMode::Hangs),
        end: |server| {
            server.set_fault_mode(FaultMode::None);
            server.cut();
            Ok(())
        },
    },
    Outage {
        name: "no response to pending requests",
        begin: |server| set_fault(server, FaultMode::Hangs),
        end: remove_fault,
    },
];

fn make_available(server: &ApiServer) -> Result<()> {
    Ok(server.make_available()?)
}

fn refuse(server: &ApiServer, code: u16, retry_after: Option<u32>) {
    set_fault(server, FaultMode::Refuses { code, retry_after });
}

/// Changes how requests are answered, and closes all connections so that clients send new ones.
fn set_fault(server: &ApiServer, fault_mode: FaultMode) {
    server.set_fault_mode(fault_mode);
    server.cut();
}

fn remove_fault(server: &ApiServer) -> Result<()> {
    server.set_fault_mode(FaultMode::None);
    Ok(())
}
