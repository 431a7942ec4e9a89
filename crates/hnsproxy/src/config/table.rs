//! The table of kube-proxy's settings. Each setting is a flag, a field of the configuration file, or both.
//!
//! Flag parsing, file decoding, defaults, `--help` and the reference page are all generated from this table. Code reads settings
//! through the typed keys of `key.rs`.

use super::kind::Kind::{self, *};

/// The effect of a setting in hnsproxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effect {
    /// The same as in kube-proxy.
    Works,
    /// No effect on Windows, as in kube-proxy.
    None,
    /// No effect in hnsproxy, which is implemented differently.
    NotHere,
    /// A flag that kube-proxy has removed, and that installers still set.
    Removed,
}

/// A row of the table.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Setting {
    /// The flag without dashes; empty if the setting has no flag.
    pub(crate) flag: &'static str,
    /// The path of the field in the file; empty if the setting has no field.
    pub(crate) field: &'static str,
    pub(crate) kind: Kind,
    /// The default in the syntax of flags; empty for the zero value of the type, or for no value.
    pub(crate) default: &'static str,
    pub(crate) effect: Effect,
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

/// All settings. `bindAddress` comes before the addresses whose defaults depend on it.
pub(crate) const SETTINGS: &[Setting] = &[
    row("config", "", Text, "", Works, "The configuration file; overrides most other flags"),
    row("write-config-to", "", Text, "", Works, "Write the effective configuration to this file and exit"),
    row("cleanup", "", Bool, "", Works, "Remove the HNS objects that hnsproxy created and exit"),
    row("init-only", "", Bool, "", Works, "Linux only; an error on Windows, as in kube-proxy"),
    row("version", "", Version, "", Works, "Print the version and exit; vX.Y.Z changes the reported version"),
    row("windows-service", "", Bool, "", Works, "Run as a Windows service, started by the service control manager"),
    row("", "windowsRunAsService", Bool, "", Without, "Only the flag --windows-service registers the service"),
    row("feature-gates", "featureGates", Gates, "", Works, "Feature gates; unknown ones are logged and ignored"),
    row(
        "kubeconfig",
        "clientConnection.kubeconfig",
        Text,
        "",
        Works,
        "The kubeconfig file; without it and --master, the in-cluster environment is used",
    ),
    row("master", "", Text, "", Works, "The URL of the API server; overrides the kubeconfig"),
    row("", "clientConnection.acceptContentTypes", Text, "", NotHere, "Responses are always JSON"),
    row(
        "kube-api-content-type",
        "clientConnection.contentType",
        Text,
        "application/vnd.kubernetes.protobuf",
        NotHere,
        "Requests are always JSON",
    ),
    row("kube-api-burst", "clientConnection.burst", Int, "10", Works, "Burst of requests to the API server"),
    row(
        "kube-api-qps",
        "clientConnection.qps",
        Float,
        "5",
        Works,
        "Requests to the API server per second; negative for no limit",
    ),
    row(
        "hostname-override",
        "hostnameOverride",
        Text,
        "",
        Works,
        "The name of this node; default: the name of the emulated host, or the host name",
    ),
    row(
        "bind-address",
        "bindAddress",
        Ip,
        "0.0.0.0",
        Works,
        "Overrides the address of the node; hnsproxy does not listen on it",
    ),
    row(
        "healthz-bind-address",
        "healthzBindAddress",
        IpPort,
        "0.0.0.0:10256",
        Works,
        "The address of /healthz; the default port is 10256",
    ),
    row(
        "metrics-bind-address",
        "metricsBindAddress",
        IpPort,
        "127.0.0.1:10249",
        Works,
        "The address of /metrics; the default port is 10249",
    ),
    row(
        "healthz-port",
        "",
        Port,
        "10256",
        Works,
        "Deprecated: the port of a healthz address without one; 0 disables /healthz",
    ),
    row("metrics-port", "", Port, "10249", Works, "Deprecated: the port of a metrics address without one"),
    row("bind-address-hard-fail", "bindAddressHardFail", Bool, "", Works, "Exit if an address cannot be bound"),
    row("profiling", "enableProfiling", Bool, "", Works, "Serve /debug on the metrics address"),
    row(
        "show-hidden-metrics-for-version",
        "showHiddenMetricsForVersion",
        Text,
        "",
        Works,
        "Show metrics that are hidden since this version; only the previous minor version is accepted, and hides none",
    ),
    row(
        "proxy-mode",
        "mode",
        Text,
        "",
        Works,
        "kernelspace, or blank for kernelspace; the modes of Linux mean kernelspace, with a warning",
    ),
    row(
        "config-sync-period",
        "configSyncPeriod",
        Duration,
        "15m",
        NotHere,
        "How often kube-proxy processes all objects again; hnsproxy does not need it",
    ),
    row(
        "iptables-sync-period",
        "iptables.syncPeriod",
        Duration,
        "30s",
        Works,
        "Health checks fail when a change is pending for twice this time, for all modes in spite of the name; HNS is audited every --hns-audit-interval",
    ),
    row(
        "iptables-min-sync-period",
        "iptables.minSyncPeriod",
        Duration,
        "1s",
        NotHere,
        "The minimum time between two syncs of kube-proxy, for all modes in spite of the name; hnsproxy only programs what has changed",
    ),
    row(
        "network-name",
        "winkernel.networkName",
        Text,
        "",
        Works,
        "The HNS network of the pods, or several separated by commas; * stands for any text; addresses outside all their subnets belong to the first; default: environment variable KUBE_NETWORK, then the only network of type L2Bridge, L2Tunnel or Overlay",
    ),
    row(
        "source-vip",
        "winkernel.sourceVip",
        Text,
        "",
        Works,
        "The source address of translated traffic: an address, endpoint:NAME[,NAME] or auto; endpoint takes the address of the first of these HNS endpoints that the network has; auto uses Calico_ep or VIPEndpoint, else a reserved address; required for overlay networks",
    ),
    row("enable-dsr", "winkernel.enableDSR", Bool, "", Works, "Direct server return for cluster IPs"),
    row(
        "root-hnsendpoint-name",
        "winkernel.rootHnsEndpointName",
        Text,
        "cbr0",
        Works,
        "The HNS endpoint of the host itself, the backend of load balancers for health checks",
    ),
    row(
        "forward-healthcheck-vip",
        "winkernel.forwardHealthCheckVip",
        Bool,
        "",
        Works,
        "Create a load balancer for the health check node port on each load balancer IP",
    ),
    row(
        "detect-local-mode",
        "detectLocalMode",
        Text,
        "",
        Works,
        "Only NodeCIDR has an effect: hnsproxy waits for the pod CIDRs of the node",
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
    row("cluster-cidr", "clusterCIDR", Text, "", Without, "The CIDRs of pods, with a comma between IP families"),
    row(
        "nodeport-addresses",
        "nodePortAddresses",
        List,
        "",
        Without,
        "CIDRs of node port addresses, primary, localhost, all, or a mixture",
    ),
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
    row("", "portRange", Text, "", Without, "Accepted and ignored"),
    row("v", "logging.verbosity", Count, "", Works, "Log verbosity: 2 logs each step, 5 everything"),
    row(
        "logging-format",
        "logging.format",
        Text,
        "text",
        Works,
        "Log format: text or json; the log goes to standard error",
    ),
    row("vmodule", "logging.vmodule", Vmodule, "", NotHere, "Verbosity by source file of kube-proxy"),
    row(
        "log-flush-frequency",
        "logging.flushFrequency",
        FlushDuration,
        "5s",
        NotHere,
        "Each line is written immediately",
    ),
    row(
        "log-text-split-stream",
        "logging.options.text.splitStream",
        Bool,
        "",
        NotHere,
        "Requires the feature gate LoggingAlphaOptions; the log goes to standard error",
    ),
    row(
        "log-text-info-buffer-size",
        "logging.options.text.infoBufferSize",
        Quantity,
        "",
        NotHere,
        "Requires the feature gate LoggingAlphaOptions",
    ),
    row(
        "log-json-split-stream",
        "logging.options.json.splitStream",
        Bool,
        "",
        NotHere,
        "Requires the feature gate LoggingAlphaOptions; the log goes to standard error",
    ),
    row(
        "log-json-info-buffer-size",
        "logging.options.json.infoBufferSize",
        Quantity,
        "",
        NotHere,
        "Requires the feature gate LoggingAlphaOptions",
    ),
    row("logtostderr", "", Bool, "true", Removed, "The log goes to standard error"),
    row("alsologtostderr", "", Bool, "", Removed, "The log goes to standard error"),
    row("stderrthreshold", "", Text, "2", Removed, "The log goes to standard error"),
    row("skip-headers", "", Bool, "", Removed, "--log-style sets the format of the lines"),
    row("skip-log-headers", "", Bool, "", Removed, "The log file has no headers"),
    row("add-dir-header", "", Bool, "", Removed, "--log-style sets the format of the lines"),
    row("one-output", "", Bool, "", Removed, "The log has one output"),
    row("log-backtrace-at", "", Text, "", Removed, "For developers of kube-proxy"),
    row("cleanup-ipvs", "", Bool, "true", Removed, "For Linux"),
    row("udp-timeout", "", Duration, "250ms", Removed, "For Linux"),
    row("boot-id-file", "", Text, "", Removed, "For Linux"),
    row("resource-container", "", Text, "", Removed, "Windows has no resource containers"),
];

/// The setting with a flag.
pub(crate) fn by_flag(flag: &str) -> Option<&'static Setting> {
    SETTINGS.iter().find(|setting| setting.flag == flag && !flag.is_empty())
}

/// The settings that have a field.
pub(crate) fn fields() -> impl Iterator<Item = &'static Setting> {
    SETTINGS.iter().filter(|setting| !setting.field.is_empty())
}

/// The settings that have a flag.
pub(crate) fn flags() -> impl Iterator<Item = &'static Setting> {
    SETTINGS.iter().filter(|setting| !setting.flag.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_and_fields_are_unique_and_defaults_parse() {
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
