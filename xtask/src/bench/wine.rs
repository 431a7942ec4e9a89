//! The start under Wine, where `hnsproxy.exe` reaches HNS through the stand-in DLLs; and what a program that does nothing needs there.

use anyhow::Result;

use super::rig::Rig;
use super::start::{COLUMNS, SIZES, first_and_again};
use super::{Table, cluster};
use crate::process::memory;
use crate::wine_bench;

pub(super) fn run() -> Result<Table> {
    let wine = wine_bench::Rig::ready()?;
    let mut rows = vec![("nothing".to_owned(), empty(&wine)?)];
    for (services, backends) in SIZES {
        let mut rig = Rig::under_wine(&wine, "15.5", cluster::objects(services, backends), &[])?;
        rows.extend(first_and_again(&mut rig, &format!("{services} x {backends}"))?);
    }
    let title = "As \"start\", but hnsproxy.exe under Wine, and beside it a program that does nothing";
    Ok(Table { title, columns: &COLUMNS, rows })
}

/// The memory of a program that waits.
fn empty(wine: &wine_bench::Rig) -> Result<Vec<f64>> {
    let program = wine.prefix.start_waiting()?;
    let [memory, peak] = memory(program.0.id())?;
    Ok(vec![0.0, 0.0, 0.0, 0.0, memory, peak])
}
