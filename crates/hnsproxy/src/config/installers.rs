//! The command lines that installers give kube-proxy on Windows nodes, as published, start hnsproxy unchanged. Values that installers work
//! out are examples.

use tracing::Level;

use super::tests::{file, flags};
use super::*;

fn starts(line: &[&str]) -> Config {
    Config::resolve(&flags(line)).unwrap_or_else(|error| panic!("{error}"))
}

/// What is warned of.
fn warnings(config: &Config) -> Vec<&str> {
    config.notes.iter().filter(|note| note.level == Level::WARN).map(|note| note.text.as_str()).collect()
}

/// Azure/AgentBaker, `kubeproxystart.ps1`: the network's name comes from the environment.
#[test]
fn aks() {
    let config = starts(&[
        "--v=3",
        "--proxy-mode=kernelspace",
        "--hostname-override=AKSNPWIN000000",
        r"--kubeconfig=c:\k\config",
        "--enable-dsr=true",
        "--feature-gates=WinDSR=true",
    ]);
    assert_eq!(config.hostname_override.as_deref(), Some("aksnpwin000000"));
    assert_eq!(config.client.kubeconfig, Some(r"c:\k\config".into()));
    assert!(config.winkernel.enable_dsr && config.winkernel.network_name.is_none());
}

/// The service that Amazon's `Start-EKSBootstrap.ps1` makes; earlier scripts added the last three flags.
#[test]
fn eks() {
    let line = [
        r"--kubeconfig=C:\ProgramData\kubernetes\kubeconfig",
        "--v=1",
        "--proxy-mode=kernelspace",
        "--hostname-override=ip-10-0-0-1.eu-west-1.compute.internal",
        "--cluster-cidr=10.0.0.0/16",
        "--feature-gates=WinDSR=true",
        "--enable-dsr=true",
        "--logtostderr=true",
        "--resource-container=",
    ];
    let config = starts(&line[..5]);
    assert_eq!(config.cluster_cidrs, ["10.0.0.0/16".parse().unwrap()]);
    assert!(warnings(&config).is_empty());
    let earlier = starts(&line);
    assert!(earlier.winkernel.enable_dsr);
    assert_eq!(warnings(&earlier).len(), 3, "a settled gate, two flags that are gone");
}

/// kubernetes/kubernetes, `cluster/gce`: what the instance's metadata and `k8s-node-setup.psm1` put together.
#[test]
fn gke() {
    let line = [
        r"--kubeconfig=C:\etc\kubernetes\kube-proxy.kubeconfig",
        "--cluster-cidr=10.64.0.0/14",
        "--hostname-override=gke-node-1",
        "--v=2",
        "--proxy-mode=kernelspace",
        "--windows-service=true",
        "--feature-gates=WinDSR=true",
        "--enable-dsr=true",
    ];
    assert!(starts(&line).winkernel.enable_dsr && flags(&line).windows_service());
}

/// rancher/rke2, `pkg/pebinaryexecutor`, with the flags that its agent gives every kube-proxy.
#[test]
fn rke2() {
    let config = starts(&[
        "--bind-address=10.0.0.5",
        "--enable-dsr=true",
        "--feature-gates=WinDSR=true",
        "--network-name=Calico",
        "--source-vip=10.42.1.7",
        "--cluster-cidr=10.42.0.0/16",
        "--conntrack-max-per-core=0",
        "--conntrack-tcp-timeout-close-wait=0s",
        "--conntrack-tcp-timeout-established=0s",
        "--healthz-bind-address=127.0.0.1",
        "--hostname-override=win-1",
        r"--kubeconfig=C:\var\lib\rancher\rke2\agent\kubeproxy.kubeconfig",
        "--proxy-mode=kernelspace",
    ]);
    assert_eq!(config.bind_address, "10.0.0.5".parse::<IpAddr>().unwrap());
    assert_eq!(config.winkernel.network_name.as_deref(), Some("Calico"));
    assert_eq!(config.winkernel.source_vip, Some("10.42.1.7".parse().unwrap()));
    assert_eq!(config.healthz_address, Some("127.0.0.1:10256".parse().unwrap()));
}

/// kubernetes-sigs/sig-windows-tools, `hostprocess/calico/kube-proxy/start.ps1` on an overlay network.
#[test]
fn sig_windows_tools_with_calico() {
    let config = starts(&[
        "--hostname-override=win-1",
        "--v=4",
        "--proxy-mode=kernelspace",
        r"--kubeconfig=C:\hpc/var/lib/kube-proxy/kubeconfig.conf",
        "--enable-dsr=true",
        "--source-vip=10.244.1.9",
        "--feature-gates=WinDSR=true,WinOverlay=true,IPv6DualStack=false",
    ]);
    assert!(warnings(&config).contains(&"the feature gate IPv6DualStack is not known, and ignored"));
    assert_eq!(config.logging.verbosity, 4);
}

/// kubernetes-sigs/sig-windows-tools, `hostprocess/flannel/kube-proxy/start.ps1`.
#[test]
fn sig_windows_tools_with_flannel() {
    let config = starts(&[
        "--v=6",
        "--hostname-override=win-1",
        "--feature-gates=WinOverlay=true",
        "--proxy-mode=kernelspace",
        "--source-vip=10.244.1.2",
        r"--kubeconfig=C:\hpc/mounts/var/lib/kube-proxy/kubeconfig.conf",
    ]);
    assert!(config.gates.enabled("WinOverlay") && config.winkernel.source_vip.is_some());
}

/// The file that kubeadm puts into the ConfigMap kube-proxy, zeros and nulls included, beside the flags of the image's start program.
#[test]
fn kubeadm_file() {
    let fields = r#"
bindAddress: 0.0.0.0
bindAddressHardFail: false
clientConnection: {acceptContentTypes: "", burst: 0, contentType: "", kubeconfig: /var/lib/kube-proxy/kubeconfig.conf, qps: 0}
clusterCIDR: 10.244.0.0/16
configSyncPeriod: 0s
conntrack: {maxPerCore: null, min: null, tcpBeLiberal: false, tcpCloseWaitTimeout: null, tcpEstablishedTimeout: null, udpStreamTimeout: 0s, udpTimeout: 0s}
detectLocal: {bridgeInterface: "", interfaceNamePrefix: ""}
detectLocalMode: ""
enableProfiling: false
healthzBindAddress: ""
hostnameOverride: ""
iptables: {localhostNodePorts: null, masqueradeAll: false, masqueradeBit: null, minSyncPeriod: 0s, syncPeriod: 0s}
ipvs: {excludeCIDRs: null, minSyncPeriod: 0s, scheduler: "", strictARP: false, syncPeriod: 0s, tcpFinTimeout: 0s, tcpTimeout: 0s, udpTimeout: 0s}
logging: {flushFrequency: 0, options: {json: {infoBufferSize: "0"}, text: {infoBufferSize: "0"}}, verbosity: 0}
metricsBindAddress: ""
mode: ""
nftables: {masqueradeAll: false, masqueradeBit: null, minSyncPeriod: 0s, syncPeriod: 0s}
nodePortAddresses: null
oomScoreAdj: null
portRange: ""
showHiddenMetricsForVersion: ""
windowsRunAsService: false
winkernel: {enableDSR: false, forwardHealthCheckVip: false, networkName: "", rootHnsEndpointName: "", sourceVip: ""}"#;
    let flags = flags(&["--hostname-override=win-1", "--enable-dsr=false", "--config=c.yaml", "--v=4"]);
    let config = Config::from_file(&flags, std::path::Path::new("c.yaml"), &file(fields)).unwrap();
    assert_eq!(config.sync_period, Duration::from_secs(30));
    assert_eq!(config.client.burst, 10);
    assert_eq!((config.hostname_override.as_deref(), config.logging.verbosity), (Some("win-1"), 4));
    assert!(!config.notes.iter().any(|note| note.text.contains("leniently")), "{:?}", config.notes);
}
