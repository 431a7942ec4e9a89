//! What a user can try while the lab is kept running.

use std::fmt::Write;

use anyhow::Result;
use vswitch_lab::tun::Namespace;

use super::cluster::{CLIENT_OUTSIDE, CLIENT_POD, CLUSTER_IP, EXTERNAL_IP, PORT};
use super::requests::Target;
use super::world::World;
use crate::folder;

/// The command lines to try.
pub(super) fn text(world: &World, targets: &[(Target, &Namespace)], in_user_namespace: bool) -> Result<String> {
    let mut text = String::from("\nThe lab runs until Ctrl-C. In another terminal:\n");
    for (Target { client, kind, url }, namespace) in targets {
        // Writing to a string does not fail.
        let _ = writeln!(text, "  {} curl -sS {url}    # {client} to {kind}", enter(namespace, in_user_namespace));
    }
    let program = folder::target()?.join("debug/hnsproxy");
    let (program, hns) = (program.display(), format!("--hns=tcp://{}", world.rig.hns.address()));
    let _ = writeln!(text, "  {program} state {hns}");
    for (from, vip) in [(CLIENT_POD, CLUSTER_IP), (CLIENT_OUTSIDE, EXTERNAL_IP)] {
        let _ = writeln!(text, "  {program} explain packet {hns} --from {from} --to {vip}:{PORT}/TCP");
    }
    let _ = write!(text, "  curl http://{}/statusz", world.rig.metrics_address()?);
    Ok(text)
}

/// The begin of a command line that runs a program in a namespace.
fn enter(namespace: &Namespace, in_user_namespace: bool) -> String {
    let net = format!("--net={}", namespace.path().display());
    if in_user_namespace {
        return format!("nsenter --user=/proc/{}/ns/user --preserve-credentials {net}", std::process::id());
    }
    let sudo = if std::env::var_os("SUDO_USER").is_some() { "sudo " } else { "" };
    format!("{sudo}nsenter {net}")
}
