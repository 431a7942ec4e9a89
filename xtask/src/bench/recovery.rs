//! Recovery from outages of the API server while backends change: time from the end of the outage until HNS is in sync, and writes during
//! the outage.

use std::net::Ipv4Addr;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::{Table, number};
use crate::cluster;
use crate::outage::{OUTAGES, Outage};
use crate::rig::{Rig, median_and_p99};

const SERVICES: u32 = 200;
const RUNS: u32 = 3;
/// The length of an outage, after which the backoff of hnsproxy has reached its maximum.
const TIME: Duration = Duration::from_secs(3);

pub(super) fn run() -> Result<Table> {
    let mut rig = Rig::new("15.5", cluster::objects(SERVICES, 3), &[])?;
    rig.start()?;
    rig.settle()?;
    let mut rows = Vec::new();
    for (service, outage) in (0..).zip(&OUTAGES) {
        let (mut times, mut meanwhile, mut after) = (Vec::new(), 0, 0);
        for run in 0..RUNS {
            // Adds and removes one backend.
            let found = once(&rig, outage, service, if run % 2 == 0 { 4 } else { 3 });
            let found = found.with_context(|| outage.name)?;
            times.push(found.time.as_secs_f64() * 1000.0);
            meanwhile = meanwhile.max(found.meanwhile);
            after = after.max(found.after);
        }
        // With three runs, the 99th percentile is the worst.
        let [median, worst] = median_and_p99(times);
        rows.push((outage.name.to_owned(), vec![median, worst, number(meanwhile), number(after)]));
    }
    let title = "An outage of the API server of 3 s during which one EndpointSlice changes, 3 times each at 200 Services: time from its end \
                 until HNS is in sync; the limit is 2000 ms, without writes during the outage";
    Ok(Table { title, columns: &["median ms", "worst ms", "writes during", "writes after"], rows })
}

/// The result of one outage.
struct Found {
    /// From the end of the outage to the last write.
    time: Duration,
    /// Writes during the outage.
    meanwhile: u64,
    /// Writes after the outage.
    after: u64,
}

fn once(rig: &Rig, outage: &Outage, service: u32, backends: u32) -> Result<Found> {
    let (server, emulator) = (&rig.api, rig.emulator());
    rig.until("all kinds are watched", || {
        use test_api_server::Kind::{EndpointSlice, Node, Service};
        [Service, EndpointSlice, Node].iter().all(|kind| server.watches(*kind) == 1)
    })?;
    emulator.reset_journal();
    (outage.begin)(server);
    server.put(cluster::slice(service, backends))?;
    std::thread::sleep(TIME);
    let meanwhile = emulator.writes();
    let well = emulator.age();
    (outage.end)(server)?;
    rig.until("HNS in sync", || emulator.writes() > meanwhile && has_backends(rig, service, backends))?;
    rig.settle()?;
    ensure!(has_backends(rig, service, backends), "HNS was in sync, but does not stay in sync");
    let details = emulator.journal_details();
    let last = details.iter().rev().find(|detail| detail.entry.is_write).context("a write")?;
    Ok(Found { time: last.at.saturating_sub(well), meanwhile, after: emulator.writes().saturating_sub(meanwhile) })
}

/// Whether the load balancer of a Service has this number of backends.
fn has_backends(rig: &Rig, service: u32, backends: u32) -> bool {
    let address = cluster::service_address(service);
    let is_of_service = |document: &&Value| {
        let addresses = document.get("FrontendVIPs").and_then(Value::as_array);
        addresses.is_some_and(|addresses| addresses.iter().any(|found| is_address(found, address)))
    };
    let documents = rig.emulator().documents(hcn::Kind::LoadBalancer);
    let endpoints = |document: &Value| Some(document.get("HostComputeEndpoints")?.as_array()?.len());
    let found = documents.iter().find(is_of_service).and_then(endpoints);
    found.and_then(|count| u32::try_from(count).ok()) == Some(backends)
}

fn is_address(found: &Value, address: Ipv4Addr) -> bool {
    found.as_str().and_then(|text| text.parse().ok()) == Some(address)
}
