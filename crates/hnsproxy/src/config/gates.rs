//! The feature gates of kube-proxy: which exist, and which a configuration may change.

use std::collections::BTreeMap;

/// The stage of a feature gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Off by default.
    Alpha,
    /// On by default.
    Beta,
    /// GA: on by default, can still be disabled.
    Stable,
    /// GA and locked to true.
    Locked,
}

/// A row of the table of feature gates.
pub(crate) struct GateSetting {
    pub(crate) gate: Gate,
    pub(crate) name: &'static str,
    pub(crate) stage: Stage,
    #[cfg_attr(not(test), expect(dead_code, reason = "for the reference page"))]
    pub(crate) help: &'static str,
}

macro_rules! gates {
    ($($gate:ident: $stage:ident, $help:literal;)*) => {
        /// A feature gate, spelled as in a configuration.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Gate {
            $(#[doc = $help] $gate),*
        }

        /// The gates of kube-proxy 1.36 to 1.38 that a proxy may be given, with the stages of 1.38.
        pub(crate) const GATES: &[GateSetting] = &[
            $(GateSetting { gate: Gate::$gate, name: stringify!($gate), stage: Stage::$stage, help: $help }),*
        ];
    };
}

// In the order of names, in which metrics and the reference page list them.
gates! {
    AllowServiceExternalIPs: Stable, "Off: external IPs of Services are not served";
    AtomicFIFO: Beta, "No effect; belongs to kube-proxy's client library";
    ClientsAllowCBOR: Alpha, "No effect; requests are always JSON";
    ClientsPreferCBOR: Alpha, "No effect; requests are always JSON";
    ComponentFlagz: Beta, "Serves /flagz";
    ComponentStatusz: Beta, "Serves /statusz";
    ContextualLogging: Beta, "No effect";
    InOrderInformers: Locked, "No effect; belongs to kube-proxy's client library";
    KubeProxyIPVS: Beta, "No effect on Windows; for mode ipvs";
    KubeProxyNFTablesLocalhostNodePorts: Beta, "No effect on Windows; for mode nftables";
    LoggingAlphaOptions: Alpha, "Allows split streams and info buffers";
    LoggingBetaOptions: Beta, "Allows the JSON log format";
    MultiCIDRServiceAllocator: Locked, "No effect on Windows";
    NFTablesNetlink: Beta, "No effect on Windows; for mode nftables";
    NativeHistograms: Beta, "Native histograms for scrapers that prefer protobuf";
    PreferSameTrafficDistribution: Locked, "Topology hints for nodes are used";
    WatchListClient: Beta, "Requests streaming lists, and pages where the API server does not support streams";
    WinDSR: Locked, "Allows --enable-dsr";
    WinOverlay: Locked, "Allows overlay networks";
    WindowsCPUAndMemoryAffinity: Beta, "No effect; a gate of the kubelet, in lists that it shares with kube-proxy";
    WindowsHostNetwork: Alpha, "No effect; a gate of the kubelet until 1.38";
}

/// Which feature gates are on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gates(BTreeMap<Gate, bool>);

impl Gates {
    /// Whether a feature gate is on.
    pub fn enabled(&self, gate: Gate) -> bool {
        self.0.get(&gate).copied().unwrap_or_default()
    }

    /// Name, stage and state of each gate. Stages are spelled as in Kubernetes metrics.
    pub fn stages(&self) -> impl Iterator<Item = (&'static str, &'static str, bool)> + '_ {
        GATES.iter().map(|row| {
            let stage = match row.stage {
                Stage::Alpha => "ALPHA",
                Stage::Beta => "BETA",
                Stage::Stable | Stage::Locked => "",
            };
            (row.name, stage, self.enabled(row.gate))
        })
    }

    /// Applies the gates of a configuration to the defaults. Returns the gates and warnings.
    pub(crate) fn resolve(configured: &BTreeMap<&str, bool>) -> (Self, Vec<String>) {
        let mut warnings = Vec::new();
        let mut gates: BTreeMap<_, _> = GATES.iter().map(|row| (row.gate, row.stage != Stage::Alpha)).collect();
        // These two come first: a gate that is named overrides them, whatever the order in the configuration.
        for (all, stage) in [("AllAlpha", Stage::Alpha), ("AllBeta", Stage::Beta)] {
            let Some(enabled) = configured.get(all) else { continue };
            gates.extend(GATES.iter().filter(|row| row.stage == stage).map(|row| (row.gate, *enabled)));
        }
        for (name, enabled) in configured.iter().filter(|(name, _)| !["AllAlpha", "AllBeta"].contains(name)) {
            // No error: the table has only gates that matter to a proxy, and installers still set gates that Kubernetes has removed.
            let Some(row) = GATES.iter().find(|row| row.name == *name) else {
                warnings.push(format!("ignoring unknown feature gate {name}"));
                continue;
            };
            match row.stage {
                // AKS sets WinOverlay=false. No error, since the node would have no proxy.
                Stage::Locked if !enabled => {
                    warnings.push(format!("ignoring {name}=false: the feature gate is locked to true"));
                    continue;
                }
                Stage::Locked | Stage::Stable => warnings.push(format!(
                    "setting GA feature gate {name}={enabled}: the gate will be removed in a later version"
                )),
                Stage::Alpha | Stage::Beta => {}
            }
            gates.insert(row.gate, *enabled);
        }
        (Self(gates), warnings)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(configured: &[(&'static str, bool)]) -> (Gates, Vec<String>) {
        Gates::resolve(&configured.iter().copied().collect())
    }

    #[test]
    fn a_value_of_a_locked_gate_and_unknown_gates_are_ignored() {
        let (gates, warnings) = resolve(&[("WinDSR", false), ("IPv6DualStack", false), ("WinOverlay", true)]);
        assert_eq!(
            warnings,
            [
                "ignoring unknown feature gate IPv6DualStack",
                "ignoring WinDSR=false: the feature gate is locked to true",
                "setting GA feature gate WinOverlay=true: the gate will be removed in a later version",
            ]
        );
        assert!(gates.enabled(Gate::WinDSR) && gates.enabled(Gate::WinOverlay));
    }

    #[test]
    fn all_gates_of_a_stage_are_set_together_except_those_that_are_named() {
        let (gates, ..) = resolve(&[("AllAlpha", true), ("AllBeta", false), ("ComponentStatusz", true)]);
        assert!(gates.enabled(Gate::ClientsAllowCBOR) && gates.enabled(Gate::ComponentStatusz));
        assert!(!gates.enabled(Gate::ComponentFlagz));
        assert!(gates.enabled(Gate::AllowServiceExternalIPs), "a GA gate is neither alpha nor beta");
        let (gates, ..) = resolve(&[("AllowServiceExternalIPs", false)]);
        assert!(!gates.enabled(Gate::AllowServiceExternalIPs));
    }
}
