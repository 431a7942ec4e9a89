//! Flags and files merged into a configuration: precedence, conversion, validation.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use serde_json::json;
use tracing::Level;

use super::*;
use crate::cli::{self, Command};

/// The flags of a command line.
pub(super) fn flags(line: &[&str]) -> Flags {
    match cli::parse(["hnsproxy", "run"].iter().chain(line).map(OsString::from)).unwrap().command {
        Command::Run(args) => args.proxy.kube_proxy,
        other => panic!("{other:?}"),
    }
}

/// The text of a file.
pub(super) fn file(fields: &str) -> String {
    format!("apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\n{fields}\n")
}

fn by_flags(line: &[&str]) -> Result<Config, ConfigError> {
    Config::resolve(&flags(line))
}

fn by_file(line: &[&str], fields: &str) -> Result<Config, ConfigError> {
    Config::from_file(&flags(line), Path::new("c.yaml"), &file(fields))
}

/// The paths of all failures.
fn paths(result: Result<Config, ConfigError>) -> Vec<String> {
    match result.unwrap_err() {
        ConfigError::Invalid(failures) => failures.into_iter().map(|failure| failure.path).collect(),
        other => panic!("{other}"),
    }
}

fn notes(config: &Config, level: Level) -> Vec<&str> {
    config.notes.iter().filter(|note| note.level == level).map(|note| note.text.as_str()).collect()
}

#[test]
fn no_flags_and_an_empty_file_are_the_same_defaults() {
    let flags = by_flags(&[]).unwrap();
    assert_eq!(flags, by_file(&[], "").unwrap());
    assert_eq!(flags.client.qps, 5.0);
    assert_eq!(flags.client.burst, 10);
    assert_eq!(flags.healthz_address, Some("0.0.0.0:10256".parse().unwrap()));
    assert_eq!(flags.metrics_address, "127.0.0.1:10249".parse().unwrap());
    assert_eq!(flags.sync_period, Duration::from_secs(30));
    assert_eq!(flags.to_v1alpha1()["configSyncPeriod"], "15m0s");
    assert_eq!(flags.winkernel.root_endpoint_name, "cbr0");
    assert_eq!(flags.to_v1alpha1()["mode"], "kernelspace");
    assert_eq!(flags.notes, []);
}

#[test]
fn a_file_overrides_flags_except_those_that_count_beside_it() {
    let line = [
        "--config=c.yaml",
        "--kubeconfig=other",
        "--enable-dsr=true",
        "--network-name=flag",
        "--master=https://api",
        "--hostname-override=  Bar ",
        "-v=7",
        "--vmodule=a=1",
    ];
    let fields = "clientConnection: {kubeconfig: file}\nhostnameOverride: foo\nwinkernel: {networkName: file}\n\
        logging: {verbosity: 2, vmodule: [{filePattern: b, verbosity: 2}]}";
    let config = by_file(&line, fields).unwrap();
    assert_eq!(config.client.kubeconfig, Some(PathBuf::from("file")));
    assert_eq!(config.client.master.as_deref(), Some("https://api"));
    assert_eq!(config.winkernel.network_name.as_deref(), Some("file"));
    assert!(!config.winkernel.enable_dsr);
    assert_eq!(config.hostname_override.as_deref(), Some("bar"));
    assert_eq!(config.logging.verbosity, 7);
    let modules = json!([{"filePattern": "a", "verbosity": 1}, {"filePattern": "b", "verbosity": 2}]);
    assert_eq!(config.to_v1alpha1()["logging"]["vmodule"], modules);
    assert_eq!(notes(&config, Level::WARN), ["--config overrides --enable-dsr, --kubeconfig, --network-name"]);
    let without = by_file(&["--hostname-override="], "hostnameOverride: foo").unwrap();
    assert_eq!(without.hostname_override.as_deref(), Some("foo"));
    assert!(matches!(by_file(&["--hostname-override=  "], ""), Err(ConfigError::NodeName)));
}

#[test]
fn lenient_decoding_is_one_note() {
    let config = by_file(&[], "odd: 1\nmode: ''\nmode: ''").unwrap();
    let note = "configuration file c.yaml decoded leniently: duplicate field \"mode\", unknown field \"odd\"";
    assert_eq!(notes(&config, Level::INFO), [note]);
}

#[test]
fn only_flags_can_set_zero() {
    let min_sync_period = |config: Config| config.to_v1alpha1()["iptables"]["minSyncPeriod"].clone();
    assert_eq!(min_sync_period(by_flags(&["--iptables-min-sync-period=0"]).unwrap()), "0s");
    assert_eq!(min_sync_period(by_file(&[], "iptables: {minSyncPeriod: 0s}").unwrap()), "1s");
    assert_eq!(by_flags(&["--kube-api-burst=0"]).unwrap().client.burst, 0);
}

#[test]
fn the_sync_period_is_that_of_iptables_in_all_modes() {
    let config = by_file(&[], "iptables: {syncPeriod: 7s, minSyncPeriod: 2s}\nipvs: {syncPeriod: 9s}").unwrap();
    assert_eq!(config.sync_period, Duration::from_secs(7));
}

#[test]
fn listen_addresses() {
    let listens = |line: &[&str]| {
        let config = by_flags(line).unwrap();
        (config.healthz_address.map(|address| address.to_string()), config.metrics_address.to_string())
    };
    let pair = |healthz: &str, metrics: &str| (Some(healthz.to_owned()), metrics.to_owned());
    assert_eq!(
        listens(&["--bind-address=::"]),
        pair("0.0.0.0:10256", "127.0.0.1:10249"),
        "flags do not follow the bind address"
    );
    assert_eq!(listens(&["--healthz-bind-address=10.0.0.1", "--healthz-port=9"]).0.as_deref(), Some("10.0.0.1:9"));
    assert_eq!(listens(&["--healthz-bind-address=10.0.0.1:8", "--healthz-port=9"]).0.as_deref(), Some("10.0.0.1:8"));
    assert_eq!(listens(&["--metrics-bind-address=fd00::1", "--metrics-port=9"]).1, "[fd00::1]:9");
    assert_eq!(listens(&["--healthz-port=0"]).0, None, "disabled");
    let empty = ["--bind-address=", "--healthz-bind-address=", "--metrics-bind-address="];
    assert_eq!(listens(&empty), pair("0.0.0.0:10256", "127.0.0.1:10249"), "an empty flag keeps the default");
    assert_eq!(paths(by_flags(&["--metrics-port=0"])), ["MetricsBindAddress"]);
    assert_eq!(by_file(&[], "bindAddress: '::'").unwrap().healthz_address, Some("[::]:10256".parse().unwrap()));
}

#[test]
fn all_failures_are_collected() {
    let fields = "\
bindAddress: '[::]'
healthzBindAddress: 1.2.3.4:70000
metricsBindAddress: host:80
mode: userspace
configSyncPeriod: -1s
clientConnection: {burst: -2}
iptables: {syncPeriod: 1s, minSyncPeriod: 2s, masqueradeBit: 32}
conntrack: {min: -1, tcpCloseWaitTimeout: -1s}
oomScoreAdj: -1001
nodePortAddresses: [10.0.0.0/8, 10.0.0.1, primary, All]
showHiddenMetricsForVersion: '1.30'
detectLocalMode: BridgeInterface
winkernel: {sourceVip: x}
logging: {format: xml, verbosity: 2147483648, vmodule: [{filePattern: 'a=', verbosity: 1}], options: {json: {infoBufferSize: 1Ki}}}";
    let wrong = paths(by_file(&[], fields));
    assert_eq!(
        wrong,
        [
            "KubeProxyIPTablesConfiguration.MasqueradeBit",
            "KubeProxyLinuxConfiguration.KubeProxyConntrackConfiguration.Min",
            "KubeProxyLinuxConfiguration.KubeProxyConntrackConfiguration.TCPCloseWaitTimeout",
            "KubeProxyLinuxConfiguration.OOMScoreAdj",
            "Mode.ProxyMode",
            "NodePortAddresses[1]",
            "NodePortAddresses[3]",
            "ClientConnection.Burst",
            "ConfigSyncPeriod",
            "SyncPeriod",
            "BindAddress",
            "HealthzBindAddress",
            "MetricsBindAddress",
            "ShowHiddenMetricsForVersion",
            "DetectLocalConfiguration.InterfaceName",
            "Winkernel.SourceVip",
            "Logging.Format",
            "Logging.Verbosity",
            "Logging.VModule[0].FilePattern",
            "Logging.Options.json.InfoBufferSize",
        ]
    );
    let error = by_file(&[], "mode: userspace").unwrap_err().to_string();
    assert_eq!(
        error,
        "invalid configuration: KubeProxyConfiguration.Mode.ProxyMode: invalid value \"userspace\": must be kernelspace or blank on \
         Windows (blank means kernelspace)"
    );
}

#[test]
fn node_port_addresses_are_mixed() {
    let of = |list: &str| by_file(&[], &format!("nodePortAddresses: [{list}]")).map(|config| config.to_v1alpha1());
    for list in ["primary", "all", "localhost", "localhost, primary, 10.0.0.0/8, 'fd00::/8'", "10.0.0.0/8, all"] {
        assert!(of(list).is_ok(), "{list}");
    }
    assert_eq!(paths(by_flags(&["--nodeport-addresses=localhost,127.0.0.1"])), ["NodePortAddresses[1]"]);
}

#[test]
fn the_source_vip_is_an_address_or_names_endpoints() {
    let of = |text: &str| by_flags(&[&format!("--source-vip={text}")]).map(|config| config.winkernel.source_vip);
    let endpoints = |names: &[&str]| Some(SourceVip::Endpoints(names.iter().map(|name| (*name).into()).collect()));
    assert_eq!(of("").unwrap(), None);
    assert_eq!(of("010.0.0.1").unwrap(), Some(SourceVip::Address([10, 0, 0, 1].into())));
    assert_eq!(of("endpoint:Calico_ep").unwrap(), endpoints(&["Calico_ep"]));
    assert_eq!(of("endpoint: Calico_ep, VIPEndpoint,").unwrap(), endpoints(&["Calico_ep", "VIPEndpoint"]));
    assert_eq!(of("auto").unwrap(), Some(SourceVip::Auto));
    let by_file = by_file(&[], "winkernel: {sourceVip: 'endpoint:VIPEndpoint'}").unwrap();
    assert_eq!(by_file.winkernel.source_vip, endpoints(&["VIPEndpoint"]));
    for text in ["Calico_ep", "endpoint:", "endpoint: ,", "%%", "%A%B%"] {
        let error = of(text).unwrap_err().to_string();
        assert_eq!(
            error,
            format!(
                "invalid configuration: KubeProxyConfiguration.Winkernel.SourceVip: invalid value {text:?}: must be an IP address, \
                 endpoint:NAME[,NAME] for the address of an HNS endpoint, or auto"
            )
        );
    }
}

#[test]
fn a_variable_without_a_value_in_the_source_vip_means_auto() {
    for text in ["%HNSPROXY_UNSET%", "$(HNSPROXY_UNSET)"] {
        let config = by_file(&[], &format!("winkernel: {{sourceVip: '{text}'}}")).unwrap();
        assert_eq!(config.to_v1alpha1()["winkernel"]["sourceVip"], "auto");
        assert_eq!(config.winkernel.source_vip, by_flags(&["--source-vip=auto"]).unwrap().winkernel.source_vip);
        assert_eq!(notes(&config, Level::WARN), [format!("{text} in the source VIP was not expanded: using auto")]);
    }
}

#[test]
fn cluster_cidrs_are_validated_only_in_their_mode() {
    let of = |cidrs: &str| by_flags(&["--detect-local-mode=ClusterCIDR", &format!("--cluster-cidr={cidrs}")]);
    assert!(of("").is_ok());
    assert!(of("10.0.0.0/8,fd00::/8").is_ok());
    assert_eq!(paths(of("10.0.0.0/8,11.0.0.0/8")), ["DetectLocalConfiguration.ClusterCIDRs"]);
    assert_eq!(
        paths(of("10.0.0.0/8, fd00::/8")),
        ["DetectLocalConfiguration.ClusterCIDRs[1]"],
        "spaces are not trimmed"
    );
    assert_eq!(paths(of("10.0.0.0/8,fd00::/8,1.0.0.0/8")), ["DetectLocalConfiguration.ClusterCIDRs"]);
    assert!(by_flags(&["--cluster-cidr=nonsense"]).is_ok());
    assert_eq!(paths(by_flags(&["--detect-local-mode=Other"])), ["DetectLocalMode"]);
}

#[test]
fn a_mode_of_linux_in_a_shared_file_warns() {
    for mode in ["iptables", "ipvs", "nftables"] {
        let config = by_file(&[], &format!("mode: {mode}")).unwrap();
        assert_eq!(notes(&config, Level::WARN), [format!("mode {mode} is for Linux: using kernelspace")]);
        assert_eq!(notes(&by_flags(&[&format!("--proxy-mode={mode}")]).unwrap(), Level::WARN).len(), 1);
    }
    assert!(notes(&by_file(&[], "mode: kernelspace").unwrap(), Level::WARN).is_empty());
}

#[test]
fn feature_gates_fail_and_warn() {
    let locked = by_flags(&["--feature-gates=WinOverlay=false"]).unwrap();
    assert!(locked.gates.enabled(Gate::WinOverlay));
    assert_eq!(notes(&locked, Level::WARN), ["ignoring WinOverlay=false: the feature gate is locked to true"]);
    let config = by_flags(&["--feature-gates=A=true,ClientsAllowCBOR=1", "--feature-gates=ComponentFlagz=f"]).unwrap();
    assert!(config.gates.enabled(Gate::ClientsAllowCBOR) && !config.gates.enabled(Gate::ComponentFlagz));
    assert_eq!(notes(&config, Level::WARN), ["ignoring unknown feature gate A"]);
    let split = ["--feature-gates=LoggingAlphaOptions=true", "--log-json-split-stream"];
    assert!(by_flags(&split).is_ok());
    assert_eq!(paths(by_flags(&split[1..])), ["Logging.Options.json.SplitStream"]);
}

#[test]
fn settings_without_effect_are_noted() {
    let line = ["--ipvs-scheduler=rr", "--ipvs-min-sync-period=1s", "--oom-score-adj", "-998", "--logtostderr=false"];
    let config = by_flags(&line).unwrap();
    let noted = notes(&config, Level::DEBUG);
    for text in [
        "ipvs.scheduler (--ipvs-scheduler) has no effect on Windows: For mode ipvs",
        "oomScoreAdj (--oom-score-adj) has no effect on Windows: The OOM score of the process",
        "--ipvs-min-sync-period has no effect on Windows: For mode ipvs",
        "FLAG: --oom-score-adj=-998",
    ] {
        assert!(noted.contains(&text), "{text:?} is not in {noted:#?}");
    }
    assert!(notes(&config, Level::WARN)[0].starts_with("--logtostderr has no effect since kube-proxy removed it: "));
}

#[test]
fn removed_flags_are_accepted_with_a_warning() {
    let line = [
        "--stderrthreshold=INFO",
        "--skip-headers",
        "--skip-log-headers=true",
        "--add-dir-header",
        "--one-output",
        "--log-backtrace-at=file.go:1",
        "--cleanup-ipvs=true",
        "--udp-timeout=1s",
        "--boot-id-file=/proc/sys/kernel/random/boot_id",
    ];
    let config = by_flags(&line).unwrap();
    assert_eq!(notes(&config, Level::WARN).len(), line.len());
}

#[test]
fn versions_and_actions() {
    let version = |line: &[&str]| flags(line).version_to_print();
    assert!(version(&["--version"]).unwrap().starts_with("Kubernetes v1.36."));
    assert!(version(&["--version=raw"]).unwrap().starts_with("version.Info{Major:\"1\", Minor:\"36\""));
    assert_eq!(version(&["--version=false"]), None);
    let reported = |version: &str| by_flags(&[version]).map(|config| config.reported_version);
    assert_eq!(reported("--version=v1.36.2-ours").unwrap(), "v1.36.2-ours");
    assert!(matches!(reported("--version=v1.35.0"), Err(ConfigError::Version(_))));
    assert_eq!(by_flags(&["--cleanup"]).unwrap().action, Action::Cleanup);
    assert_eq!(by_flags(&["--init-only"]).unwrap().action, Action::InitOnly);
    let write = by_flags(&["--write-config-to=out", "--healthz-port=0"]).unwrap();
    assert_eq!(write.action, Action::WriteConfig("out".into()));
    assert!(write.healthz_address.is_some(), "port flags do not count when the configuration is written");
    assert!(flags(&["--windows_service"]).windows_service());
}

#[test]
fn the_last_of_a_repeated_flag_counts_but_lists_are_joined() {
    let line = [
        "--enable-dsr",
        "--enable-dsr=false",
        "--nodeport-addresses=1.0.0.0/8",
        "--nodeport-addresses=2.0.0.0/8,3.0.0.0/8",
    ];
    let config = by_flags(&line).unwrap();
    assert!(!config.winkernel.enable_dsr);
    assert_eq!(config.to_v1alpha1()["nodePortAddresses"], json!(["1.0.0.0/8", "2.0.0.0/8", "3.0.0.0/8"]));
}
