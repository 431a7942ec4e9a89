//! The start under Wine, where `hnsproxy.exe` reaches HNS through the stand-in DLLs; and what a program that does nothing needs there.

use std::io::Read;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result};

use super::rig::{Rig, memory};
use super::{Table, cluster, number};
use crate::process::Guarded;
use crate::wine_bench;

const SIZES: [(u32, u32); 2] = [(2_000, 3), (10_000, 5)];

pub(super) fn run() -> Result<Table> {
    let wine = wine_bench::Rig::ready()?;
    let mut rows = vec![("nothing".to_owned(), empty(&wine)?)];
    for (services, backends) in SIZES {
        let mut rig = Rig::under_wine(&wine, "15.5", cluster::objects(services, backends), &[])?;
        for what in ["first", "again"] {
            rig.emulator().reset_journal();
            let took = rig.start()?;
            let (calls, writes) = (rig.emulator().native_calls(), rig.emulator().writes());
            let cpu = rig.cpu()?;
            // What start-up needs for a moment is given back, or not.
            std::thread::sleep(Duration::from_secs(2));
            let [memory, peak] = rig.memory()?;
            let figures = vec![took.as_secs_f64(), number(calls), number(writes), cpu, memory, peak];
            rows.push((format!("{services} x {backends}, {what}"), figures));
        }
    }
    let title = "As \"start\", but hnsproxy.exe under Wine, and beside it a program that does nothing";
    Ok(Table { title, columns: &["seconds", "calls", "writes", "CPU s", "RSS MB", "peak MB"], rows })
}

/// The memory of a program that waits.
fn empty(wine: &wine_bench::Rig) -> Result<Vec<f64>> {
    let mut command = wine.prefix.command();
    command.args(["cmd", "/c", "pause"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut program = Guarded(command.spawn().context("can't run Wine")?);
    // Once it says that it waits, it has all that it needs.
    program.0.stdout.as_mut().context("no output")?.read_exact(&mut [0])?;
    let [memory, peak] = memory(program.0.id())?;
    Ok(vec![0.0, 0.0, 0.0, 0.0, memory, peak])
}
