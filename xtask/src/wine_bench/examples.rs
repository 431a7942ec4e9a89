//! Runs the examples of the crate `hcn` as Windows programs with an emulated HNS, as a test of another project would run its programs.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use hcn::Kind;

use super::recording::Recording;
use super::{Hns, Rig};
use crate::process::{Guarded, output};

/// A network of the recordings, an address in it that no pod has, and an address that no Service has.
const LOAD_BALANCER: [&str; 3] = ["cbr0", "10.244.1.199", "10.96.99.99"];

/// The examples list what HNS has, create and delete a load balancer, and receive a notification.
pub(super) fn run(recording: &Recording, rig: &Rig) -> Result<()> {
    let hns = recording.hns()?;
    let listed = output(hns.set_address(rig.prefix.command().arg(rig.program("networks.exe")?)))?;
    let networks = hns.emulator().documents(Kind::Network);
    for network in &networks {
        let name = network.get("Name").and_then(serde_json::Value::as_str).context("a network without a name")?;
        ensure!(listed.contains(name), "network {name} is not in the output:\n{listed}");
    }
    let before = objects(&hns);
    let created = rig.program("load_balancer.exe")?;
    let text = output(hns.set_address(rig.prefix.command().arg(created).args(LOAD_BALANCER)))?;
    ensure!(text.contains("1 backend"), "unexpected output of load_balancer: {text}");
    ensure!(objects(&hns) == before, "load_balancer has left objects or removed others");
    ensure!(hns.emulator().writes() == 4, "{} writes instead of 4", hns.emulator().writes());
    notification(&hns, rig, &rig.program("watch.exe")?)
}

fn notification(hns: &Hns, rig: &Rig, program: &Path) -> Result<()> {
    let mut command = rig.prefix.command();
    hns.set_address(command.arg(program).arg("1"));
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
    let mut child = Guarded(child.context("cannot run watch.exe")?);
    let mut output = BufReader::new(child.0.stdout.take().context("no output")?);
    let mut text = String::new();
    // The program prints a line once it has subscribed.
    output.read_line(&mut text)?;
    let network = hns.emulator().documents(Kind::Network).into_iter().next().context("no network")?;
    let id = network.get("ID").and_then(serde_json::Value::as_str).context("a network without an id")?.parse()?;
    hns.emulator().add_local_endpoint(id, "new pod", &["10.244.1.198".parse()?]);
    output.read_to_string(&mut text)?;
    let status = child.0.wait()?;
    ensure!(status.success() && text.contains("EndpointAttached"), "unexpected output of watch ({status}):\n{text}");
    Ok(())
}

fn objects(hns: &Hns) -> Vec<Vec<serde_json::Value>> {
    [Kind::Network, Kind::Endpoint, Kind::LoadBalancer].map(|kind| hns.emulator().documents(kind)).into()
}
