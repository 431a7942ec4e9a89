//! The cost of a cluster without changes.

use std::time::Duration;

use anyhow::Result;

use super::{Table, number};
use crate::cluster;
use crate::rig::Rig;

const SIZES: [(u32, u32); 3] = [(200, 5), (2_000, 3), (10_000, 5)];
/// Six audits, one every 5 s.
const TIME: Duration = Duration::from_secs(30);
/// With this time, a cycle of twelve audits is complete, including the lists with documents.
const REST_OF_ROUND: Duration = Duration::from_secs(35);

pub(super) fn run() -> Result<Table> {
    let mut rows = Vec::new();
    for (services, backends) in SIZES {
        let mut rig = Rig::new("15.5", cluster::objects(services, backends), &[])?;
        rig.start()?;
        rig.settle()?;
        let cpu = rig.cpu()?;
        rig.emulator().reset_journal();
        std::thread::sleep(TIME);
        let (calls, writes) = (rig.emulator().native_calls(), rig.emulator().writes());
        let cpu = (rig.cpu()? - cpu) * 1000.0;
        std::thread::sleep(REST_OF_ROUND);
        let [memory, peak] = rig.memory()?;
        rows.push((format!("{services} x {backends}"), vec![number(calls), number(writes), cpu, memory, peak]));
    }
    let title = "30 s without changes, with audits every 5 s; memory after a cycle of twelve audits";
    Ok(Table { title, columns: &["calls", "writes", "CPU ms", "RSS MB", "peak MB"], rows })
}
