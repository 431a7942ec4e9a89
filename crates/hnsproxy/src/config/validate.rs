//! From the object to typed values. All that is wrong is collected, each with the path that kube-proxy names.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use ipnet::IpNet;
use serde_json::Value;

use super::gates::Gates;
use super::kind::{bytes, ip, socket};
use super::object::Object;
use super::{DetectLocalMode, LogFormat, MINOR_VERSION};

/// Something wrong with a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The field below `KubeProxyConfiguration`, as kube-proxy names it.
    pub path: String,
    /// What it says.
    pub value: String,
    /// What is wrong with that.
    pub reason: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KubeProxyConfiguration.{}: invalid value {:?}: {}", self.path, self.value, self.reason)
    }
}

/// Reads fields, and remembers what is wrong.
pub(super) struct Checker<'a> {
    pub(super) object: &'a Object,
    pub(super) failures: Vec<Failure>,
}

impl Checker<'_> {
    pub(super) fn fail(&mut self, path: &str, value: impl fmt::Display, reason: impl Into<String>) {
        self.failures.push(Failure { path: path.to_owned(), value: value.to_string(), reason: reason.into() });
    }

    fn between(&mut self, path: &str, field: &str, least: i64, most: i64) {
        let number = self.object.number(field);
        if !(least..=most).contains(&number) {
            self.fail(path, number, format!("must be from {least} to {most}"));
        }
    }

    /// A duration that may not be negative; such a one is nothing.
    fn duration(&mut self, path: &str, field: &str, least: i64, reason: &str) -> Duration {
        let nanoseconds = self.object.nanoseconds(field);
        if nanoseconds < least {
            self.fail(path, self.object.text(field), reason);
        }
        Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or_default())
    }

    /// Fields that nothing here uses, but that kube-proxy looks at.
    pub(super) fn unused(&mut self) {
        const CONNTRACK: &str = "KubeProxyLinuxConfiguration.KubeProxyConntrackConfiguration";
        self.between("KubeProxyIPTablesConfiguration.MasqueradeBit", "iptables.masqueradeBit", 0, 31);
        for (name, field) in [("MaxPerCore", "conntrack.maxPerCore"), ("Min", "conntrack.min")] {
            self.between(&format!("{CONNTRACK}.{name}"), field, 0, i64::from(i32::MAX));
        }
        for (name, field) in [
            ("TCPEstablishedTimeout", "conntrack.tcpEstablishedTimeout"),
            ("TCPCloseWaitTimeout", "conntrack.tcpCloseWaitTimeout"),
            ("UDPTimeout", "conntrack.udpTimeout"),
            ("UDPStreamTimeout", "conntrack.udpStreamTimeout"),
        ] {
            self.duration(&format!("{CONNTRACK}.{name}"), field, 0, "must be greater than or equal to 0");
        }
        self.between("KubeProxyLinuxConfiguration.OOMScoreAdj", "oomScoreAdj", -1000, 1000);
        let mode = self.object.text("mode");
        if !["", "kernelspace"].contains(&mode) {
            self.fail("Mode.ProxyMode", mode, "must be kernelspace or blank on Windows (blank means kernelspace)");
        }
        for (index, address) in self.object.list("nodePortAddresses").iter().enumerate() {
            let path = format!("NodePortAddresses[{index}]");
            if address == "primary" {
                if index > 0 || self.object.list("nodePortAddresses").len() > 1 {
                    self.fail(&path, address, "can't use primary together with others");
                }
                break;
            }
            if address.parse::<IpNet>().is_err() {
                self.fail(&path, address, "must be a valid CIDR");
            }
        }
    }

    /// The shortest and the longest time between two runs, and how often everything is looked at again.
    pub(super) fn periods(&mut self) -> (Duration, Duration, Duration) {
        let config_sync = self.duration("ConfigSyncPeriod", "configSyncPeriod", 1, "must be greater than 0");
        let sync = self.duration("SyncPeriod", "iptables.syncPeriod", 1, "must be greater than 0");
        let shortest = "must be greater than or equal to 0";
        let min_sync = self.duration("MinSyncPeriod", "iptables.minSyncPeriod", 0, shortest);
        if min_sync > sync {
            let value = self.object.text("iptables.minSyncPeriod");
            self.fail("SyncPeriod", value, format!("must be greater than or equal to MinSyncPeriod: {value}"));
        }
        (min_sync, sync, config_sync)
    }

    pub(super) fn burst(&mut self) -> u32 {
        let burst = self.object.number("clientConnection.burst");
        u32::try_from(burst).unwrap_or_else(|_| {
            self.fail("ClientConnection.Burst", burst, "must be greater than or equal to 0");
            0
        })
    }

    pub(super) fn bind_address(&mut self) -> IpAddr {
        let address = self.object.text("bindAddress");
        ip(address).unwrap_or_else(|| {
            self.fail("BindAddress", address, "not a valid textual representation of an IP address");
            IpAddr::from([0, 0, 0, 0])
        })
    }

    /// An address to listen at.
    pub(super) fn listen(&mut self, path: &str, field: &str) -> Option<SocketAddr> {
        let text = self.object.text(field);
        let found = socket(text);
        if found.is_none() {
            let reason = match text.rsplit_once(':') {
                Some((host, port)) if ip(host.trim_start_matches('[').trim_end_matches(']')).is_some() => {
                    let numeric = port.parse::<u64>().is_ok();
                    if numeric { "must be a valid port, from 1 to 65535" } else { "must be IP:port" }
                }
                Some(_) if text.matches(':').count() == 1 => "must be a valid IP",
                _ => "must be IP:port",
            };
            self.fail(path, text, reason);
        }
        found
    }

    pub(super) fn hidden_metrics(&mut self) -> bool {
        let version = self.object.text("showHiddenMetricsForVersion");
        let previous = format!("1.{}", MINOR_VERSION - 1);
        if version != previous && !version.is_empty() {
            self.fail(
                "ShowHiddenMetricsForVersion",
                version,
                format!("must be omitted, or the previous minor version {previous}"),
            );
        }
        version == previous
    }

    pub(super) fn source_vip(&mut self) -> Option<IpAddr> {
        let text = self.object.text("winkernel.sourceVip").trim();
        let address = ip(text);
        if address.is_none() && !text.is_empty() {
            self.fail("Winkernel.SourceVip", text, "--source-vip is no IP address");
        }
        address
    }

    pub(super) fn detect_local_mode(&mut self) -> DetectLocalMode {
        let mode = self.object.text("detectLocalMode");
        let needs = |checker: &mut Self, path: &str, field: &str| {
            if checker.object.text(field).is_empty() {
                checker.fail(
                    &format!("DetectLocalConfiguration.{path}"),
                    "",
                    format!("must not be empty if DetectLocalMode is {mode}"),
                );
            }
        };
        match mode {
            "" => DetectLocalMode::None,
            "ClusterCIDR" => DetectLocalMode::ClusterCidr,
            "NodeCIDR" => DetectLocalMode::NodeCidr,
            "BridgeInterface" => {
                needs(self, "InterfaceName", "detectLocal.bridgeInterface");
                DetectLocalMode::BridgeInterface
            }
            "InterfaceNamePrefix" => {
                needs(self, "InterfacePrefix", "detectLocal.interfaceNamePrefix");
                DetectLocalMode::InterfaceNamePrefix
            }
            _ => {
                let modes = "must be ClusterCIDR, NodeCIDR, BridgeInterface, InterfaceNamePrefix, or blank";
                self.fail("DetectLocalMode", mode, modes);
                DetectLocalMode::None
            }
        }
    }

    /// The CIDRs of pods. They are looked at only where the mode needs them; elsewhere what is none is left out.
    pub(super) fn cluster_cidrs(&mut self, mode: DetectLocalMode) -> Vec<IpNet> {
        const PATH: &str = "DetectLocalConfiguration.ClusterCIDRs";
        let text = self.object.text("clusterCIDR");
        let texts: Vec<&str> = text.split(',').filter(|_| !text.is_empty()).collect();
        let cidrs: Vec<IpNet> = texts.iter().filter_map(|text| text.parse().ok()).collect();
        if mode != DetectLocalMode::ClusterCidr {
            return cidrs;
        }
        if texts.len() > 2 {
            self.fail(PATH, text, "must be one CIDR, or one of each family");
        } else if cidrs.len() < texts.len() {
            for (index, text) in texts.iter().enumerate().filter(|(_, text)| text.parse::<IpNet>().is_err()) {
                self.fail(&format!("{PATH}[{index}]"), text, "must be a valid CIDR");
            }
        } else if let [first, second] = cidrs.as_slice()
            && first.addr().is_ipv4() == second.addr().is_ipv4()
        {
            self.fail(PATH, text, "must be one of each family");
        }
        cidrs
    }

    /// Format and verbosity of the log.
    pub(super) fn logging(&mut self, gates: &Gates) -> (LogFormat, u32) {
        self.duration("Logging.FlushFrequency", "logging.flushFrequency", 1, "must be greater than zero");
        let format = self.object.text("logging.format");
        let form = match format {
            "text" => LogFormat::Text,
            "json" => LogFormat::Json,
            _ => {
                self.fail("Logging.Format", format, "must be text or json");
                LogFormat::Text
            }
        };
        let verbosity = self.object.get("logging.verbosity").and_then(Value::as_u64).unwrap_or_default();
        if verbosity > 2_147_483_647 {
            self.fail("Logging.Verbosity", verbosity, "must be 2147483647 at most");
        }
        let modules = self.object.get("logging.vmodule").and_then(Value::as_array).cloned().unwrap_or_default();
        if form == LogFormat::Json && !modules.is_empty() {
            self.fail("Logging.VModule", modules.len(), "only supported for the text format");
        }
        for (index, module) in modules.iter().enumerate() {
            let pattern = module.get("filePattern").and_then(Value::as_str).unwrap_or_default();
            if pattern.is_empty() || pattern.contains(['=', ',']) {
                let path = format!("Logging.VModule[{index}].FilePattern");
                self.fail(&path, pattern, "must not be empty, nor have commas or equal signs");
            }
        }
        if !gates.enabled("LoggingAlphaOptions") {
            for form in ["text", "json"] {
                let split = self.object.flag(&format!("logging.options.{form}.splitStream"));
                let buffer = bytes(self.object.text(&format!("logging.options.{form}.infoBufferSize")));
                for (name, is_set) in [("SplitStream", split), ("InfoBufferSize", buffer.is_some_and(|size| size > 0))]
                {
                    if is_set {
                        let path = format!("Logging.Options.{form}.{name}");
                        self.fail(&path, "set", "the feature gate LoggingAlphaOptions is off");
                    }
                }
            }
        }
        (form, u32::try_from(verbosity).unwrap_or(u32::MAX))
    }
}
