//! The one table of kube-proxy's settings: each a flag, a field of its configuration file, or both. What the parser accepts, what a
//! file may say, defaults, help and the reference page all come from here.

use super::kind::Kind::{self, *};

/// What a setting does here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effect {
    /// It does what it does in kube-proxy.
    Works,
    /// kube-proxy gives it none on Windows, and neither do we.
    None,
    /// It is for kube-proxy's own way of working, which is not ours.
    NotHere,
    /// Older kube-proxy had it; command lines in the field still do.
    Removed,
}

/// A flag, a field, or both.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Setting {
    /// The flag without dashes; empty where there is none.
    pub(crate) flag: &'static str,
    /// The field's path in the file; empty where there is none.
    pub(crate) field: &'static str,
    /// Its type.
    pub(crate) kind: Kind,
    /// Its default as a flag would say it; empty for the type's zero, or for nothing.
    pub(crate) default: &'static str,
    /// What it does here.
    pub(crate) effect: Effect,
    /// What it is for.
    pub(crate) help: &'static str,
}

const fn row(
    flag: &'static str,
    field: &'static str,
    kind: Kind,
    default: &'static str,
    effect: Effect,
    help: &'static str,
) -> Setting {
    Setting { flag, field, kind, default, effect, help }
}

use Effect::{None as Without, NotHere, Removed, Works};

/// All of them.
pub(crate) const SETTINGS: &[Setting] = &[
    row("config", "", Text, "", Works, "The configuration file; it replaces what most other flags say"),
    row("write-config-to", "", Text, "", Works, "Write the effective configuration to this file, and end"),
    row("cleanup", "", Bool, "", Works, "Remove what hnsproxy made in HNS, and end"),
    row("init-only", "", Bool, "", Works, "For Linux only; an error here, as in kube-proxy on Windows"),
    row("version", "", Version, "", Works, "Print the version, and end; vX.Y.Z changes the version that is reported"),
    row(
        "windows-service",
        "",
        Bool,
        "",
        Works,
        "Run as the service that the service control manager of Windows has started",
    ),
    row("", "windowsRunAsService", Bool, "", Without, "Only the flag --windows-service registers the service"),
    row("feature-gates", "featureGates", Gates, "", Works, "Feature gates; unknown ones are named and ignored"),
    row(
        "kubeconfig",
        "clientConnection.kubeconfig",
        Text,
        "",
        Works,
        "The kubeconfig file; without it and --master, the in-cluster environment",
    ),
    row("master", "", Text, "", Works, "The URL of the API server; overrides the kubeconfig's"),
    row("", "clientConnection.acceptContentTypes", Text, "", NotHere, "Answers are always asked for in JSON"),
    row(
        "kube-api-content-type",
        "clientConnection.contentType",
        Text,
        "application/vnd.kubernetes.protobuf",
        NotHere,
        "Requests are always JSON",
    ),
    row("kube-api-burst", "clientConnection.burst", Int, "10", Works, "Requests to the API server in a burst"),
    row(
        "kube-api-qps",
        "clientConnection.qps",
        Float,
        "5",
        Works,
        "Requests to the API server a second; negative for no limit",
    ),
    row(
        "hostname-override",
        "hostnameOverride",
        Text,
        "",
        Works,
        "The name of this node; without it, the emulated host's or the system's",
    ),
    row("bind-address", "bindAddress", Ip, "0.0.0.0", Works, "Overrides the node's address; nothing listens there"),
    row(
        "healthz-bind-address",
        "healthzBindAddress",
        IpPort,
        "0.0.0.0:10256",
        Works,
        "Where /healthz is; a bare address gets port 10256",
    ),
    row(
        "metrics-bind-address",
        "metricsBindAddress",
        IpPort,
        "127.0.0.1:10249",
        Works,
        "Where /metrics is; a bare address gets port 10249",
    ),
    row(
        "healthz-port",
        "",
        Port,
        "10256",
        Works,
        "Deprecated: 0 switches /healthz off, others go to an address without a port",
    ),
    row("metrics-port", "", Port, "10249", Works, "Deprecated: the port of a metrics address without one"),
    row("bind-address-hard-fail", "bindAddressHardFail", Bool, "", Works, "End where an address to listen at is taken"),
    row("profiling", "enableProfiling", Bool, "", Works, "Offer /debug at the metrics address"),
    row(
        "show-hidden-metrics-for-version",
        "showHiddenMetricsForVersion",
        Text,
        "",
        Works,
        "Show metrics hidden since this version; only the previous minor version",
    ),
    row("proxy-mode", "mode", Text, "", Works, "kernelspace, or nothing for it"),
    row(
        "config-sync-period",
        "configSyncPeriod",
        Duration,
        "15m",
        NotHere,
        "How often kube-proxy hands all objects over again, which changes nothing",
    ),
    row(
        "iptables-sync-period",
        "iptables.syncPeriod",
        Duration,
        "30s",
        Works,
        "In spite of its name no matter of iptables: changes that wait for twice this time make health checks fail; HNS is looked at as --hns-audit-interval says",
    ),
    row(
        "iptables-min-sync-period",
        "iptables.minSyncPeriod",
        Duration,
        "1s",
        NotHere,
        "In spite of its name the shortest time between two runs of kube-proxy; here a run costs what has changed, and no more",
    ),
    row(
        "network-name",
        "winkernel.networkName",
        Text,
        "",
        Works,
        "The HNS network that the pods are in, or several with commas in between, where what is in no subnet of theirs belongs to the first; without it, environment KUBE_NETWORK, then the only network of the emulated host",
    ),
    row(
        "source-vip",
        "winkernel.sourceVip",
        Text,
        "",
        Works,
        "The source address of translated traffic; overlay networks need it",
    ),
    row("enable-dsr", "winkernel.enableDSR", Bool, "", Works, "Direct server return for cluster IPs"),
    row(
        "root-hnsendpoint-name",
        "winkernel.rootHnsEndpointName",
        Text,
        "cbr0",
        Works,
        "The HNS endpoint of the host itself, backend of health load balancers",
    ),
    row(
        "forward-healthcheck-vip",
        "winkernel.forwardHealthCheckVip",
        Bool,
        "",
        Works,
        "A load balancer for the health port on each load balancer IP",
    ),
    row(
        "detect-local-mode",
        "detectLocalMode",
        Text,
        "",
        Works,
        "Only NodeCIDR has an effect: it waits for the node's pod CIDRs",
    ),
    row(
        "pod-bridge-interface",
        "detectLocal.bridgeInterface",
        Text,
        "",
        Without,
        "For detectLocalMode BridgeInterface",
    ),
    row(
        "pod-interface-name-prefix",
        "detectLocal.interfaceNamePrefix",
        Text,
        "",
        Without,
        "For detectLocalMode InterfaceNamePrefix",
    ),
    row("cluster-cidr", "clusterCIDR", Text, "", Without, "The CIDRs of pods, with a comma between two families"),
    row("nodeport-addresses", "nodePortAddresses", List, "", Without, "CIDRs of node port addresses, or primary"),
    row("oom-score-adj", "oomScoreAdj", OptionalInt, "-999", Without, "The OOM score of the process"),
    row("iptables-masquerade-bit", "iptables.masqueradeBit", OptionalInt, "14", Without, "For mode iptables"),
    row("masquerade-all", "iptables.masqueradeAll", Bool, "", Without, "For mode iptables"),
    row(
        "iptables-localhost-nodeports",
        "iptables.localhostNodePorts",
        OptionalBool,
        "true",
        Without,
        "For mode iptables",
    ),
    row("ipvs-sync-period", "ipvs.syncPeriod", Duration, "30s", Without, "For mode ipvs"),
    row("ipvs-min-sync-period", "", Duration, "1s", Without, "For mode ipvs"),
    row("", "ipvs.minSyncPeriod", Duration, "", Without, "For mode ipvs"),
    row("ipvs-scheduler", "ipvs.scheduler", Text, "", Without, "For mode ipvs"),
    row("ipvs-exclude-cidrs", "ipvs.excludeCIDRs", List, "", Without, "For mode ipvs"),
    row("ipvs-strict-arp", "ipvs.strictARP", Bool, "", Without, "For mode ipvs"),
    row("ipvs-tcp-timeout", "ipvs.tcpTimeout", Duration, "", Without, "For mode ipvs"),
    row("ipvs-tcpfin-timeout", "ipvs.tcpFinTimeout", Duration, "", Without, "For mode ipvs"),
    row("ipvs-udp-timeout", "ipvs.udpTimeout", Duration, "", Without, "For mode ipvs"),
    row("", "nftables.masqueradeBit", OptionalInt, "14", Without, "For mode nftables"),
    row("", "nftables.masqueradeAll", Bool, "", Without, "For mode nftables"),
    row("", "nftables.syncPeriod", Duration, "30s", Without, "For mode nftables"),
    row("", "nftables.minSyncPeriod", Duration, "1s", Without, "For mode nftables"),
    row("conntrack-max-per-core", "conntrack.maxPerCore", OptionalInt, "32768", Without, "For Linux"),
    row("conntrack-min", "conntrack.min", OptionalInt, "131072", Without, "For Linux"),
    row(
        "conntrack-tcp-timeout-established",
        "conntrack.tcpEstablishedTimeout",
        OptionalDuration,
        "24h",
        Without,
        "For Linux",
    ),
    row(
        "conntrack-tcp-timeout-close-wait",
        "conntrack.tcpCloseWaitTimeout",
        OptionalDuration,
        "1h",
        Without,
        "For Linux",
    ),
    row("conntrack-tcp-be-liberal", "conntrack.tcpBeLiberal", Bool, "", Without, "For Linux"),
    row("conntrack-udp-timeout", "conntrack.udpTimeout", Duration, "", Without, "For Linux"),
    row("conntrack-udp-timeout-stream", "conntrack.udpStreamTimeout", Duration, "", Without, "For Linux"),
    row("", "portRange", Text, "", Without, "Accepted and dropped"),
    row("v", "logging.verbosity", Count, "", Works, "How much to log: 2 names each step, 5 everything"),
    row(
        "logging-format",
        "logging.format",
        Text,
        "text",
        Works,
        "The form of the log, which goes to standard error: text or json",
    ),
    row("vmodule", "logging.vmodule", Vmodule, "", NotHere, "Verbosity by file of kube-proxy's source"),
    row("log-flush-frequency", "logging.flushFrequency", FlushDuration, "5s", NotHere, "Each line is written at once"),
    row(
        "log-text-split-stream",
        "logging.options.text.splitStream",
        Bool,
        "",
        NotHere,
        "Needs the gate LoggingAlphaOptions; all goes to standard error",
    ),
    row(
        "log-text-info-buffer-size",
        "logging.options.text.infoBufferSize",
        Quantity,
        "",
        NotHere,
        "Needs the gate LoggingAlphaOptions",
    ),
    row(
        "log-json-split-stream",
        "logging.options.json.splitStream",
        Bool,
        "",
        NotHere,
        "Needs the gate LoggingAlphaOptions; all goes to standard error",
    ),
    row(
        "log-json-info-buffer-size",
        "logging.options.json.infoBufferSize",
        Quantity,
        "",
        NotHere,
        "Needs the gate LoggingAlphaOptions",
    ),
    row("logtostderr", "", Bool, "true", Removed, "The log goes to standard error"),
    row("alsologtostderr", "", Bool, "", Removed, "The log goes to standard error"),
    row("log-dir", "", Text, "", Removed, "The log goes to standard error"),
    row("resource-container", "", Text, "", Removed, "Windows has none"),
];

/// The setting of a flag.
pub(crate) fn by_flag(flag: &str) -> Option<&'static Setting> {
    SETTINGS.iter().find(|setting| setting.flag == flag && !flag.is_empty())
}

/// The settings that are fields of the file.
pub(crate) fn fields() -> impl Iterator<Item = &'static Setting> {
    SETTINGS.iter().filter(|setting| !setting.field.is_empty())
}

/// The settings that are flags.
pub(crate) fn flags() -> impl Iterator<Item = &'static Setting> {
    SETTINGS.iter().filter(|setting| !setting.flag.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_flag_and_field_is_there_once_and_its_default_has_its_type() {
        let mut names: Vec<&str> = flags().map(|s| s.flag).chain(fields().map(|s| s.field)).collect();
        let all = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all);
        for setting in SETTINGS {
            assert!(setting.default.is_empty() || setting.kind.parse(setting.default).is_ok(), "{setting:?}");
            assert!(!setting.help.ends_with('.'), "{setting:?}");
        }
    }
}
