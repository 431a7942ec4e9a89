//! Recovery after HNS has lost all load balancers and remote endpoints: time to the first and to all, compared with the time of the writes.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use hcn::Kind;

use super::{Table, number};
use crate::cluster;
use crate::rig::Rig;

/// The time of a creation on Windows, of either kind.
const DELAY: Duration = Duration::from_millis(9);

pub(super) fn run() -> Result<Table> {
    let mut rows = Vec::new();
    for (services, backends) in [(200, 3), (2_000, 3)] {
        let mut rig = Rig::new("15.5", cluster::objects(services, backends), &[])?;
        rig.start()?;
        rig.settle()?;
        let emulator = rig.emulator();
        let all = |kind| emulator.documents(kind).len();
        let (endpoints, load_balancers) = (all(Kind::Endpoint), all(Kind::LoadBalancer));
        for function in ["HcnCreateEndpoint", "HcnCreateLoadBalancer"] {
            emulator.delay(function, DELAY);
        }
        emulator.reset_journal();
        let begun = emulator.age();
        emulator.stop(&[Kind::LoadBalancer, Kind::Endpoint]);
        emulator.start();
        // Counts writes instead of listing objects, since a list blocks HNS as long as a write.
        let wanted = u64::try_from(endpoints + load_balancers)?;
        rig.until("all writes", || emulator.writes() >= wanted)?;
        rig.settle()?;
        ensure!(
            (all(Kind::Endpoint), all(Kind::LoadBalancer)) == (endpoints, load_balancers),
            "objects are missing after the recovery"
        );
        let details = emulator.journal_details();
        let mut writes = details.iter().filter(|detail| detail.entry.is_write);
        let first = writes.clone().next().context("a write")?.at;
        let last = writes.next_back().context("a write")?.at;
        let count = emulator.writes();
        let by_themselves = DELAY.as_secs_f64() * number(count);
        let took = (last.saturating_sub(first) + DELAY).as_secs_f64();
        let figures = vec![
            number(emulator.native_calls()),
            number(count),
            first.saturating_sub(begun).as_secs_f64(),
            took,
            by_themselves,
            took / by_themselves,
        ];
        rows.push((format!("{services} x {backends}"), figures));
    }
    let title = "HNS restarts without its load balancers and remote endpoints; a creation takes 9 ms";
    Ok(Table { title, columns: &["calls", "writes", "first s", "all s", "delays s", "ratio"], rows })
}
