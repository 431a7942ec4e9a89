//! The benchmark `start` under Wine, where `hnsproxy.exe` calls HNS through the emulator's DLLs; and the memory of an idle program there.

use anyhow::Result;

use super::Table;
use super::start::{COLUMNS, SIZES, first_and_again};
use crate::cluster;
use crate::process::memory;
use crate::rig::Rig;
use crate::wine_bench;

pub(super) fn run() -> Result<Table> {
    let wine = wine_bench::Rig::ready()?;
    let mut rows = vec![("nothing".to_owned(), empty(&wine)?)];
    for (services, backends) in SIZES {
        let mut rig = Rig::under_wine(&wine, "15.5", cluster::objects(services, backends), &[])?;
        rows.extend(first_and_again(&mut rig, &format!("{services} x {backends}"))?);
    }
    let title = "As \"start\" with hnsproxy.exe under Wine, and an idle program for comparison";
    Ok(Table { title, columns: &COLUMNS, rows })
}

/// The memory of an idle program.
fn empty(wine: &wine_bench::Rig) -> Result<Vec<f64>> {
    let program = wine.prefix.start_waiting()?;
    let [memory, peak] = memory(program.0.id())?;
    Ok(vec![0.0, 0.0, 0.0, 0.0, memory, peak])
}
