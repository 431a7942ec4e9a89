//! An API server that is ill while a Service's backends change: how soon HNS is right once the server is well, and that HNS is left alone
//! until then.

use std::net::Ipv4Addr;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use test_api_server::{ApiServer, Mood};

use super::rig::{Rig, median_and_p99};
use super::{Table, cluster, number};

const SERVICES: u32 = 200;
const RUNS: u32 = 3;
/// How long the server is ill: by then it is asked as seldom as it ever is.
const TIME: Duration = Duration::from_secs(3);

/// A way to be ill, and to get well.
struct Illness {
    name: &'static str,
    begin: fn(&ApiServer),
    end: fn(&ApiServer) -> Result<()>,
}

const ILLNESSES: [Illness; 10] = [
    Illness { name: "gone", begin: ApiServer::go_away, end: back },
    Illness {
        name: "gone, then 410: versions forgotten",
        begin: ApiServer::go_away,
        end: |server| {
            server.forget();
            back(server)
        },
    },
    Illness {
        name: "gone, then another history",
        begin: ApiServer::go_away,
        end: |server| {
            server.restore(server.objects().into())?;
            back(server)
        },
    },
    Illness { name: "429, Retry-After: 1", begin: |server| refuse(server, 429, Some(1)), end: well },
    Illness { name: "500", begin: |server| refuse(server, 500, None), end: well },
    Illness { name: "410 to everything", begin: |server| refuse(server, 410, None), end: well },
    Illness { name: "garbage", begin: |server| turn(server, Mood::Garbage), end: well },
    Illness { name: "half a line", begin: |server| turn(server, Mood::Half), end: well },
    Illness {
        name: "silent, then cuts what waits",
        begin: |server| turn(server, Mood::Hangs),
        end: |server| {
            server.set_mood(Mood::Well);
            server.cut();
            Ok(())
        },
    },
    Illness { name: "silent, and so for what waits", begin: |server| turn(server, Mood::Hangs), end: well },
];

fn back(server: &ApiServer) -> Result<()> {
    Ok(server.come_back()?)
}

fn refuse(server: &ApiServer, code: u16, retry_after: Option<u32>) {
    turn(server, Mood::Refuses { code, retry_after });
}

/// Has all be asked anew, and answers so.
fn turn(server: &ApiServer, mood: Mood) {
    server.set_mood(mood);
    server.cut();
}

fn well(server: &ApiServer) -> Result<()> {
    server.set_mood(Mood::Well);
    Ok(())
}

pub(super) fn run() -> Result<Table> {
    let mut rig = Rig::new("15.5", cluster::objects(SERVICES, 3), &[])?;
    rig.start()?;
    rig.settle()?;
    let mut rows = Vec::new();
    for (service, illness) in (0..).zip(&ILLNESSES) {
        let (mut times, mut meanwhile, mut after) = (Vec::new(), 0, 0);
        for run in 0..RUNS {
            // One backend more, then one less.
            let found = once(&rig, illness, service, if run % 2 == 0 { 4 } else { 3 });
            let found = found.with_context(|| illness.name)?;
            times.push(found.time.as_secs_f64() * 1000.0);
            meanwhile = meanwhile.max(found.meanwhile);
            after = after.max(found.after);
        }
        // Of so few, the 99th percentile is the worst.
        let [median, worst] = median_and_p99(times);
        rows.push((illness.name.to_owned(), vec![median, worst, number(meanwhile), number(after)]));
    }
    let title = "An API server is ill for 3 s while one EndpointSlice changes: from when it is well until HNS is right, 3 times each \
                 at 200 Services; 2000 ms is the limit, and no writes meanwhile";
    Ok(Table { title, columns: &["median ms", "worst ms", "writes ill", "writes after"], rows })
}

/// What one illness led to.
struct Found {
    /// From when the server was well to the last write.
    time: Duration,
    /// Writes while it was ill.
    meanwhile: u64,
    /// Writes after that.
    after: u64,
}

fn once(rig: &Rig, illness: &Illness, service: u32, backends: u32) -> Result<Found> {
    let (server, emulator) = (&rig.api, rig.emulator());
    rig.until("all kinds are watched", || {
        use test_api_server::Kind::{EndpointSlice, Node, Service};
        [Service, EndpointSlice, Node].iter().all(|kind| server.watches(*kind) == 1)
    })?;
    emulator.reset_journal();
    (illness.begin)(server);
    server.put(cluster::slice(service, backends))?;
    std::thread::sleep(TIME);
    let meanwhile = emulator.writes();
    let well = emulator.age();
    (illness.end)(server)?;
    rig.until("HNS is right", || emulator.writes() > meanwhile && has_backends(rig, service, backends))?;
    rig.settle()?;
    ensure!(has_backends(rig, service, backends), "HNS was right, and is no longer");
    let details = emulator.journal_details();
    let last = details.iter().rev().find(|detail| detail.entry.is_write).context("a write")?;
    Ok(Found { time: last.at.saturating_sub(well), meanwhile, after: emulator.writes().saturating_sub(meanwhile) })
}

/// Whether the load balancer of a Service has so many backends.
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
