//! The time of a native call under Wine, through the emulator's DLL and service, compared with a round trip over TCP.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::thread;

use anyhow::{Context, Result};
use hcn_emulator::{Emulator, Host};
use serde_json::Value;

use super::Table;
use crate::process::output;
use crate::wine_bench::{Hns, Rig};

const CALLS: &str = "20000";

pub(super) fn run() -> Result<Table> {
    let rig = Rig::ready()?;
    let hns = Hns::new(Emulator::new("latest".parse().map_err(anyhow::Error::msg)?), &Host::default())?;
    let mut command = rig.prefix.command();
    command.arg(rig.program("latency.exe")?).arg(CALLS).env("ECHO", echo()?.to_string());
    let text = output(hns.set_address(&mut command))?;
    let rows = text.lines().map(row).collect::<Result<_>>()?;
    let title = "A native call under Wine: hcn, the emulator's DLL, TCP, emulator in another process";
    Ok(Table { title, columns: &["calls", "median us", "99 % us"], rows })
}

fn row(line: &str) -> Result<(String, Vec<f64>)> {
    let object: Value = serde_json::from_str(line).with_context(|| line.to_owned())?;
    let figure = |name: &str| object.get(name).and_then(Value::as_f64).with_context(|| format!("no {name}: {line}"));
    let what = object.get("what").and_then(Value::as_str).unwrap_or_default().to_owned();
    Ok((what, vec![figure("calls")?, figure("median_us")?, figure("p99_us")?]))
}

/// The address of an echo server, which runs until this process ends.
fn echo() -> io::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let echo = move || stream.set_nodelay(true).and_then(|()| io::copy(&mut &stream, &mut &stream));
            thread::spawn(echo);
        }
    });
    Ok(address)
}
