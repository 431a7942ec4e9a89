//! Latency from a change of an EndpointSlice on the API server to the first write to HNS, and calls per change, at three sizes of cluster;
//! for the largest also with audits, which delay changes that arrive during one.

use std::time::Duration;

use anyhow::{Context, Result};

use super::{Table, number};
use crate::cluster;
use crate::rig::{Rig, median_and_p99};

struct Case {
    services: u32,
    audits: bool,
    changes: u32,
    /// The pause after each change.
    pace: Duration,
}

impl Case {
    const fn without_audits(services: u32) -> Self {
        Self { services, audits: false, changes: 200, pace: Duration::from_millis(5) }
    }
}

const CASES: [Case; 4] = [
    Case::without_audits(200),
    Case::without_audits(2_000),
    Case::without_audits(10_000),
    // One minute, which is a cycle of twelve audits with different lists. The pause is as long as an audit, so that each audit delays
    // at most one change.
    Case { services: 10_000, audits: true, changes: 600, pace: Duration::from_millis(100) },
];

pub(super) fn run() -> Result<Table> {
    let rows = CASES.iter().map(row).collect::<Result<_>>()?;
    let title = "One backend added or removed, 200 times, and 600 times with audits every 5 s: calls of the most expensive change, and \
                 time from the API server to the first write";
    let columns = &["calls", "writes", "median ms", "99 % ms", "worst ms", "CPU ms each"];
    Ok(Table { title, columns, rows })
}

fn row(case: &Case) -> Result<(String, Vec<f64>)> {
    let Case { services, audits, changes, pace } = *case;
    let flags: &[&str] = if audits { &[] } else { &["--hns-audit-interval=3600"] };
    let mut rig = Rig::new("15.5", cluster::objects(services, 3), flags)?;
    rig.start()?;
    rig.settle()?;
    let cpu = rig.cpu()?;
    let (mut latencies, mut most_calls, mut most_writes) = (Vec::new(), 0, 0);
    for change in 0..changes {
        // Adds and removes one backend of Services across the cluster.
        let (service, backends) = ((change / 2 * 37) % services, if change % 2 == 0 { 4 } else { 3 });
        rig.emulator().reset_journal();
        let begun = rig.emulator().age();
        rig.api.put(cluster::slice(service, backends))?;
        // Two writes per change: of the endpoint and of the load balancer.
        rig.until("the change in HNS", || rig.emulator().writes() >= 2)?;
        std::thread::sleep(pace);
        let details = rig.emulator().journal_details();
        let first = details.iter().find(|detail| detail.entry.is_write).context("a write")?;
        latencies.push((first.at.saturating_sub(begun)).as_secs_f64() * 1000.0);
        most_calls = most_calls.max(rig.emulator().native_calls());
        most_writes = most_writes.max(rig.emulator().writes());
    }
    let worst = latencies.iter().copied().fold(0.0, f64::max);
    let [median, p99] = median_and_p99(latencies);
    let cpu = (rig.cpu()? - cpu) * 1000.0 / f64::from(changes);
    let name = format!("{services} Services{}", if audits { ", audits" } else { "" });
    Ok((name, vec![number(most_calls), number(most_writes), median, p99, worst, cpu]))
}
