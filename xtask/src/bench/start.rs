//! Time from the start of the process until HNS is in sync: with an empty HNS, and again after a crash.

use std::time::Duration;

use anyhow::Result;

use super::{Table, number};
use crate::cluster;
use crate::rig::Rig;

/// Services, and the backends of each.
pub(super) const SIZES: [(u32, u32); 2] = [(2_000, 3), (10_000, 5)];
pub(super) const COLUMNS: [&str; 6] = ["seconds", "calls", "writes", "CPU s", "RSS MB", "peak MB"];
/// Local pods, with endpoints of the CNI plugin.
const PODS: u8 = 20;

pub(super) fn run() -> Result<Table> {
    let mut rows = Vec::new();
    for (services, backends) in SIZES {
        let mut rig = Rig::new("15.5", cluster::objects(services, backends), &[])?;
        for pod in 0..PODS {
            let address = std::net::Ipv4Addr::new(10, 244, 1, 10 + pod);
            rig.emulator().add_local_endpoint(crate::rig::NETWORK, &format!("pod-{pod}"), &[address.into()]);
        }
        rows.extend(first_and_again(&mut rig, &format!("{services} x {backends}"))?);
    }
    let title = "Start of hnsproxy until HNS is in sync: API server and emulator on this machine, without delays";
    Ok(Table { title, columns: &COLUMNS, rows })
}

/// Starts the program, and starts it again after a crash. Returns the figures of both starts.
pub(super) fn first_and_again(rig: &mut Rig, size: &str) -> Result<Vec<(String, Vec<f64>)>> {
    let mut rows = Vec::new();
    for what in ["first", "again"] {
        rig.emulator().reset_journal();
        let took = rig.start()?;
        let (calls, writes) = (rig.emulator().native_calls(), rig.emulator().writes());
        let cpu = rig.cpu()?;
        // The allocator may return memory of the start-up.
        std::thread::sleep(Duration::from_secs(2));
        let [memory, peak] = rig.memory()?;
        let figures = vec![took.as_secs_f64(), number(calls), number(writes), cpu, memory, peak];
        rows.push((format!("{size}, {what}"), figures));
    }
    Ok(rows)
}
