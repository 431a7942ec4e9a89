//! From the change of an EndpointSlice on the API server to the first write to HNS, and what a change costs, at three sizes of cluster.

use std::time::Duration;

use anyhow::{Context, Result};

use super::rig::{Rig, median_and_p99};
use super::{Table, cluster, number};

const SIZES: [u32; 3] = [200, 2_000, 10_000];
const CHANGES: u32 = 200;

pub(super) fn run() -> Result<Table> {
    let mut rows = Vec::new();
    for services in SIZES {
        let mut rig = Rig::new("15.5", cluster::objects(services, 3), &["--hns-audit-interval=3600"])?;
        rig.start()?;
        rig.settle()?;
        let cpu = rig.cpu()?;
        let (mut latencies, mut most_calls, mut most_writes) = (Vec::new(), 0, 0);
        for change in 0..CHANGES {
            // One backend more, then one less, of Services all over the cluster.
            let (service, backends) = ((change / 2 * 37) % services, if change % 2 == 0 { 4 } else { 3 });
            rig.emulator().reset_journal();
            let begun = rig.emulator().age();
            rig.api.put(cluster::slice(service, backends))?;
            // Two writes each way: the endpoint's and the load balancer's.
            rig.until("the change in HNS", || rig.emulator().writes() >= 2)?;
            std::thread::sleep(Duration::from_millis(5));
            let details = rig.emulator().journal_details();
            let first = details.iter().find(|detail| detail.entry.is_write).context("a write")?;
            latencies.push((first.at.saturating_sub(begun)).as_secs_f64() * 1000.0);
            most_calls = most_calls.max(rig.emulator().native_calls());
            most_writes = most_writes.max(rig.emulator().writes());
        }
        let [median, p99] = median_and_p99(latencies);
        let cpu = (rig.cpu()? - cpu) * 1000.0 / f64::from(CHANGES);
        rows.push((format!("{services} Services"), vec![number(most_calls), number(most_writes), median, p99, cpu]));
    }
    let title = "One backend more or less, 200 times: the most calls of one change, and the time from the API server to the first write";
    Ok(Table { title, columns: &["calls", "writes", "median ms", "99 % ms", "CPU ms each"], rows })
}
