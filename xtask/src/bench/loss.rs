//! HNS loses every load balancer and remote endpoint: how soon the first is back, how soon all, beside what the writes take by themselves.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use hcn::Kind;

use super::rig::Rig;
use super::{Table, cluster, number};

/// What a creation takes on Windows, of either kind.
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
        // Counted, not listed: a list takes HNS as long as a write.
        let wanted = u64::try_from(endpoints + load_balancers)?;
        rig.until("all is written", || emulator.writes() >= wanted)?;
        rig.settle()?;
        ensure!((all(Kind::Endpoint), all(Kind::LoadBalancer)) == (endpoints, load_balancers), "not all is back");
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
    let title = "HNS restarts and has lost all load balancers and remote endpoints; a creation takes it 9 ms";
    Ok(Table { title, columns: &["calls", "writes", "first s", "all s", "delays s", "ratio"], rows })
}
