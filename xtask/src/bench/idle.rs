//! What it costs when nothing happens.

use std::time::Duration;

use anyhow::Result;

use super::rig::Rig;
use super::{Table, cluster, number};

const SIZES: [(u32, u32); 3] = [(200, 5), (2_000, 3), (10_000, 5)];
/// Audits are due every 5 s.
const TIME: Duration = Duration::from_secs(30);

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
        rows.push((
            format!("{services} x {backends}"),
            vec![number(calls), number(writes), (rig.cpu()? - cpu) * 1000.0],
        ));
    }
    let title = "30 s in which nothing happens, with audits every 5 s";
    Ok(Table { title, columns: &["calls", "writes", "CPU ms"], rows })
}
