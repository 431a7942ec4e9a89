//! Reads the version, the port ranges and the processes of Windows.

use hcn_survey::{HostFacts, output};
use sysinfo::{ProcessRefreshKind, ProcessesToUpdate, System};

use super::super::facts::HnsFacts;
use super::super::port_ranges::{self, PortRanges};

pub(super) fn facts() -> HostFacts {
    HostFacts::read(None)
}

pub(super) fn with_version(host: HostFacts, hns: Option<&HnsFacts>) -> HostFacts {
    HostFacts { hns_version: hns.map(|hns| hns.version.to_string()), ..host }
}

/// The port ranges that `netsh` prints. Calling the Windows API instead would require unsafe code.
pub(super) fn port_ranges() -> PortRanges {
    let mut text = String::new();
    for (what, protocol) in
        ["dynamicport", "excludedportrange"].into_iter().flat_map(|what| [(what, "tcp"), (what, "udp")])
    {
        let output = output("netsh.exe", &["int", "ipv4", "show", what, protocol]).unwrap_or_default();
        // The output is localized and may not contain the name of the protocol, so the name is added.
        text.push_str(&format!("{protocol}\n{output}\n"));
    }
    port_ranges::parse(&text)
}

/// Lists the other processes with the name of a proxy. hnsproxy is named kube-proxy if it has replaced the program of kube-proxy.
pub(super) fn proxies() -> Vec<String> {
    let mut system = System::new();
    system.refresh_processes_specifics(ProcessesToUpdate::All, true, ProcessRefreshKind::nothing().without_tasks());
    let own = sysinfo::get_current_pid().ok();
    let others = system.processes().iter().filter(|(id, _)| Some(**id) != own);
    let names: Vec<_> = others.map(|(id, process)| (process.name().to_string_lossy().to_lowercase(), id)).collect();
    let is_proxy = |name: &str| ["hnsproxy", "kube-proxy"].contains(&name.strip_suffix(".exe").unwrap_or(name));
    let found = names.iter().filter(|(name, _)| is_proxy(name));
    found.map(|(name, id)| format!("{name} (process id {id})")).collect()
}
