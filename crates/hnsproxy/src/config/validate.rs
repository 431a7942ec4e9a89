//! Validation: reads typed values from the object, and collects all problems, each with the path that kube-proxy reports.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use ipnet::IpNet;
use proxy::SourceVip;
use serde_json::Value;

use super::duration;
use super::gates::{Gate, Gates};
use super::key::{Field, Nanoseconds, field};
use super::kind::{bytes, ip, socket};
use super::object::Object;
use super::source_vip;
use super::{DetectLocalMode, LogFormat, Logging, MINOR_VERSION};

/// The largest verbosity that kube-proxy accepts.
const MAX_VERBOSITY: u32 = 2_147_483_647;

/// The modes of kube-proxy on Linux.
pub(super) const LINUX_MODES: [&str; 3] = ["iptables", "ipvs", "nftables"];

/// An invalid value of a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The path below `KubeProxyConfiguration`, in kube-proxy's internal spelling (`Mode.ProxyMode`).
    pub path: String,
    /// The value as configured.
    pub value: String,
    /// The rule that the value breaks.
    pub reason: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KubeProxyConfiguration.{}: invalid value {:?}: {}", self.path, self.value, self.reason)
    }
}

/// Reads fields, and collects failures.
pub(super) struct Checker<'a> {
    pub(super) object: &'a Object,
    pub(super) failures: Vec<Failure>,
}

impl Checker<'_> {
    fn fail(&mut self, path: &str, value: impl fmt::Display, reason: impl Into<String>) {
        self.failures.push(Failure { path: path.to_owned(), value: value.to_string(), reason: reason.into() });
    }

    fn between(&mut self, path: &str, field: Field<i64>, least: i64, most: i64) {
        let number = self.object.get(field);
        if !(least..=most).contains(&number) {
            self.fail(path, number, format!("must be from {least} to {most}"));
        }
    }

    /// A duration of at least `least` nanoseconds. A negative duration is a failure, and read as zero.
    fn duration(&mut self, path: &str, field: Field<Nanoseconds>, least: i64, reason: &str) -> Duration {
        let nanoseconds = self.object.get(field);
        if nanoseconds < least {
            self.fail(path, duration::format(nanoseconds), reason);
        }
        Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or_default())
    }

    /// Validates fields that hnsproxy does not use. kube-proxy rejects invalid ones on Windows too.
    pub(super) fn unused_fields(&mut self) {
        const CONNTRACK: &str = "KubeProxyLinuxConfiguration.KubeProxyConntrackConfiguration";
        self.between("KubeProxyIPTablesConfiguration.MasqueradeBit", field::MASQUERADE_BIT, 0, 31);
        for (name, field) in [("MaxPerCore", field::CONNTRACK_MAX_PER_CORE), ("Min", field::CONNTRACK_MIN)] {
            self.between(&format!("{CONNTRACK}.{name}"), field, 0, i64::from(i32::MAX));
        }
        for (name, field) in [
            ("TCPEstablishedTimeout", field::CONNTRACK_TCP_ESTABLISHED),
            ("TCPCloseWaitTimeout", field::CONNTRACK_TCP_CLOSE_WAIT),
            ("UDPTimeout", field::CONNTRACK_UDP),
            ("UDPStreamTimeout", field::CONNTRACK_UDP_STREAM),
        ] {
            self.duration(&format!("{CONNTRACK}.{name}"), field, 0, "must be greater than or equal to 0");
        }
        self.between("KubeProxyLinuxConfiguration.OOMScoreAdj", field::OOM_SCORE_ADJ, -1000, 1000);
        let mode = self.object.get(field::MODE);
        if !["", "kernelspace"].contains(&mode) && !LINUX_MODES.contains(&mode) {
            self.fail("Mode.ProxyMode", mode, "must be kernelspace or blank on Windows (blank means kernelspace)");
        }
        let addresses = self.object.get(field::NODE_PORT_ADDRESSES);
        for (index, address) in addresses.iter().enumerate() {
            // Mixtures, `all` and `localhost` are those of kube-proxy 1.37.
            if !["all", "localhost", "primary"].contains(address) && address.parse::<IpNet>().is_err() {
                let path = format!("NodePortAddresses[{index}]");
                self.fail(&path, address, "must be a valid CIDR, all, localhost or primary");
            }
        }
    }

    /// Validates all periods, and returns the sync period.
    pub(super) fn sync_period(&mut self) -> Duration {
        self.duration("ConfigSyncPeriod", field::CONFIG_SYNC_PERIOD, 1, "must be greater than 0");
        let sync = self.duration("SyncPeriod", field::SYNC_PERIOD, 1, "must be greater than 0");
        let min_sync = self.duration("MinSyncPeriod", field::MIN_SYNC_PERIOD, 0, "must be greater than or equal to 0");
        if min_sync > sync {
            let value = |field| duration::format(self.object.get(field));
            let reason = format!("must be greater than or equal to MinSyncPeriod ({})", value(field::MIN_SYNC_PERIOD));
            self.fail("SyncPeriod", value(field::SYNC_PERIOD), reason);
        }
        sync
    }

    pub(super) fn burst(&mut self) -> u32 {
        let burst = self.object.get(field::BURST);
        u32::try_from(burst).unwrap_or_else(|_| {
            self.fail("ClientConnection.Burst", burst, "must be greater than or equal to 0");
            0
        })
    }

    pub(super) fn bind_address(&mut self) -> IpAddr {
        let address = self.object.get(field::BIND_ADDRESS);
        ip(address).unwrap_or_else(|| {
            self.fail("BindAddress", address, "must be a valid IP address");
            IpAddr::from([0, 0, 0, 0])
        })
    }

    /// The address and port of a server.
    pub(super) fn listen_address(&mut self, path: &str, field: Field<str>) -> Option<SocketAddr> {
        let text = self.object.get(field);
        let found = socket(text);
        if found.is_none() {
            let reason = match text.rsplit_once(':') {
                Some((host, port)) if ip(host.trim_start_matches('[').trim_end_matches(']')).is_some() => {
                    let numeric = port.parse::<u64>().is_ok();
                    if numeric { "must have a port from 1 to 65535" } else { "must be IP:port" }
                }
                Some(_) if text.matches(':').count() == 1 => "must have a valid IP address",
                _ => "must be IP:port",
            };
            self.fail(path, text, reason);
        }
        found
    }

    pub(super) fn hidden_metrics(&mut self) {
        let version = self.object.get(field::SHOW_HIDDEN_METRICS);
        let previous = format!("1.{}", MINOR_VERSION - 1);
        if version != previous && !version.is_empty() {
            self.fail(
                "ShowHiddenMetricsForVersion",
                version,
                format!("must be blank, or the previous minor version {previous}"),
            );
        }
    }

    pub(super) fn source_vip(&mut self) -> Option<SourceVip> {
        let text = self.object.get(field::SOURCE_VIP).trim();
        let source_vip = source_vip::parse(text);
        if source_vip.is_none() && !text.is_empty() {
            let forms = "must be an IP address, endpoint:NAME[,NAME] for the address of an HNS endpoint, or auto";
            self.fail("Winkernel.SourceVip", text, forms);
        }
        source_vip
    }

    pub(super) fn detect_local_mode(&mut self) -> DetectLocalMode {
        let mode = self.object.get(field::DETECT_LOCAL_MODE);
        let needs = |checker: &mut Self, path: &str, field: Field<str>| {
            if checker.object.get(field).is_empty() {
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
                needs(self, "InterfaceName", field::BRIDGE_INTERFACE);
                DetectLocalMode::BridgeInterface
            }
            "InterfaceNamePrefix" => {
                needs(self, "InterfacePrefix", field::INTERFACE_NAME_PREFIX);
                DetectLocalMode::InterfaceNamePrefix
            }
            _ => {
                let modes = "must be ClusterCIDR, NodeCIDR, BridgeInterface, InterfaceNamePrefix, or blank";
                self.fail("DetectLocalMode", mode, modes);
                DetectLocalMode::None
            }
        }
    }

    /// Validates the CIDRs of pods, for the one mode that uses them. kube-proxy accepts any text in the other modes.
    pub(super) fn cluster_cidrs(&mut self, mode: DetectLocalMode) {
        const PATH: &str = "DetectLocalConfiguration.ClusterCIDRs";
        if mode != DetectLocalMode::ClusterCidr {
            return;
        }
        let text = self.object.get(field::CLUSTER_CIDR);
        let texts: Vec<&str> = text.split(',').filter(|_| !text.is_empty()).collect();
        let cidrs: Vec<IpNet> = texts.iter().filter_map(|text| text.parse().ok()).collect();
        if texts.len() > 2 {
            self.fail(PATH, text, "must be one CIDR, or one of each IP family");
        } else if cidrs.len() < texts.len() {
            for (index, text) in texts.iter().enumerate().filter(|(_, text)| text.parse::<IpNet>().is_err()) {
                self.fail(&format!("{PATH}[{index}]"), text, "must be a valid CIDR");
            }
        } else if let [first, second] = cidrs.as_slice()
            && first.addr().is_ipv4() == second.addr().is_ipv4()
        {
            self.fail(PATH, text, "must be one CIDR of each IP family");
        }
    }

    /// The log settings. hnsproxy uses format and verbosity; the rest is validated as in component-base.
    pub(super) fn logging(&mut self, gates: &Gates) -> Logging {
        self.duration("Logging.FlushFrequency", field::FLUSH_FREQUENCY, 1, "must be greater than 0");
        let format = match self.object.get(field::LOG_FORMAT) {
            "text" => LogFormat::Text,
            "json" => LogFormat::Json,
            other => {
                self.fail("Logging.Format", other, "must be text or json");
                LogFormat::Text
            }
        };
        let configured = self.object.get(field::LOG_VERBOSITY);
        let verbosity = u32::try_from(configured).unwrap_or(u32::MAX);
        if verbosity > MAX_VERBOSITY {
            self.fail("Logging.Verbosity", configured, format!("must be at most {MAX_VERBOSITY}"));
        }
        let patterns = self.object.get(field::VMODULE);
        if format == LogFormat::Json && !patterns.is_empty() {
            self.fail("Logging.VModule", patterns.len(), "must be empty unless the format is text");
        }
        for (index, item) in patterns.iter().enumerate() {
            let pattern = item.get("filePattern").and_then(Value::as_str).unwrap_or_default();
            if pattern.is_empty() || pattern.contains(['=', ',']) {
                let path = format!("Logging.VModule[{index}].FilePattern");
                self.fail(&path, pattern, "must not be empty, and must not contain commas or equal signs");
            }
        }
        if !gates.enabled(Gate::LoggingAlphaOptions) {
            for (path, is_set) in [
                ("text.SplitStream", self.object.get(field::TEXT_SPLIT_STREAM)),
                ("text.InfoBufferSize", self.has_buffer(field::TEXT_INFO_BUFFER_SIZE)),
                ("json.SplitStream", self.object.get(field::JSON_SPLIT_STREAM)),
                ("json.InfoBufferSize", self.has_buffer(field::JSON_INFO_BUFFER_SIZE)),
            ] {
                if is_set {
                    let reason = "must not be set unless the feature gate LoggingAlphaOptions is on";
                    self.fail(&format!("Logging.Options.{path}"), "set", reason);
                }
            }
        }
        Logging { format, verbosity }
    }

    fn has_buffer(&self, field: Field<str>) -> bool {
        bytes(self.object.get(field)).is_some_and(|size| size > 0)
    }
}
