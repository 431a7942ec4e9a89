//! Feature gates: which there are, and which a configuration may change.

use std::collections::BTreeMap;

/// How settled a feature is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Off unless asked for.
    Alpha,
    /// On unless asked not to be.
    Beta,
    /// Settled; can still be switched off.
    Stable,
    /// Settled for good.
    Locked,
}

/// A gate that kube-proxy 1.36 has and that matters to a proxy.
pub(crate) struct Gate {
    pub(crate) name: &'static str,
    pub(crate) stage: Stage,
    #[cfg_attr(not(test), expect(dead_code, reason = "for the reference page"))]
    pub(crate) help: &'static str,
}

const fn gate(name: &'static str, stage: Stage, help: &'static str) -> Gate {
    Gate { name, stage, help }
}

pub(crate) const GATES: &[Gate] = &[
    gate("AllowServiceExternalIPs", Stage::Stable, "off: external IPs of Services are not served"),
    gate("AtomicFIFO", Stage::Beta, "of kube-proxy's client library; no effect"),
    gate("ComponentFlagz", Stage::Beta, "/flagz"),
    gate("ComponentStatusz", Stage::Beta, "/statusz"),
    gate("ContextualLogging", Stage::Beta, "no effect"),
    gate("InOrderInformers", Stage::Locked, "of kube-proxy's client library; no effect"),
    gate("LoggingAlphaOptions", Stage::Alpha, "split streams and buffers may be asked for"),
    gate("LoggingBetaOptions", Stage::Beta, "the log may be JSON"),
    gate("MultiCIDRServiceAllocator", Stage::Locked, "no effect on Windows"),
    gate("NativeHistograms", Stage::Alpha, "no effect"),
    gate("PreferSameTrafficDistribution", Stage::Locked, "hints for nodes are read"),
    gate("WatchListClient", Stage::Beta, "lists are asked for as streams, and in pages where the API server has none"),
    gate("WinDSR", Stage::Locked, "--enable-dsr is allowed"),
    gate("WinOverlay", Stage::Locked, "overlay networks are allowed"),
];

/// The gates as they are set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gates(BTreeMap<&'static str, bool>);

impl Gates {
    /// Whether a feature is on. One that is not known is off.
    pub fn enabled(&self, name: &str) -> bool {
        self.0.get(name).copied().unwrap_or(false)
    }

    /// Each gate, with its stage as Kubernetes' metrics name it, and whether it is on.
    pub fn stages(&self) -> impl Iterator<Item = (&'static str, &'static str, bool)> + '_ {
        GATES.iter().map(|gate| {
            let stage = match gate.stage {
                Stage::Alpha => "ALPHA",
                Stage::Beta => "BETA",
                Stage::Stable | Stage::Locked => "",
            };
            (gate.name, stage, self.enabled(gate.name))
        })
    }

    /// Each gate, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, bool)> + '_ {
        self.0.iter().map(|(name, enabled)| (*name, *enabled))
    }

    /// The gates with what a configuration asks for; then what should be warned of, then what is refused.
    pub(crate) fn of(wanted: &BTreeMap<String, bool>) -> (Self, Vec<String>, Vec<String>) {
        let (mut warnings, mut refused) = (Vec::new(), Vec::new());
        let mut gates: BTreeMap<_, _> = GATES.iter().map(|gate| (gate.name, gate.stage != Stage::Alpha)).collect();
        for (all, stage) in [("AllAlpha", Stage::Alpha), ("AllBeta", Stage::Beta)] {
            let Some(enabled) = wanted.get(all) else { continue };
            gates.extend(GATES.iter().filter(|gate| gate.stage == stage).map(|gate| (gate.name, *enabled)));
        }
        for (name, enabled) in wanted.iter().filter(|(name, _)| *name != "AllAlpha" && *name != "AllBeta") {
            let Some(gate) = GATES.iter().find(|gate| gate.name == name) else {
                warnings.push(format!("the feature gate {name} is not known, and ignored"));
                continue;
            };
            match gate.stage {
                Stage::Locked if !enabled => {
                    refused.push(format!("{name} can't be set to false: it is locked to true"));
                    continue;
                }
                Stage::Locked | Stage::Stable => warnings.push(format!(
                    "the feature gate {name} is settled, and will be removed: setting it to {enabled} should not be needed"
                )),
                Stage::Alpha | Stage::Beta => {}
            }
            gates.insert(gate.name, *enabled);
        }
        (Self(gates), warnings, refused)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(wanted: &[(&str, bool)]) -> (Gates, Vec<String>, Vec<String>) {
        Gates::of(&wanted.iter().map(|(name, enabled)| ((*name).to_owned(), *enabled)).collect())
    }

    #[test]
    fn locked_gates_refuse_and_unknown_ones_warn() {
        let (gates, warnings, refused) = of(&[("WinDSR", false), ("IPv6DualStack", false), ("WinOverlay", true)]);
        assert_eq!(refused, ["WinDSR can't be set to false: it is locked to true"]);
        assert_eq!(warnings.len(), 2, "{warnings:?}");
        assert!(warnings[0].contains("IPv6DualStack is not known") && warnings[1].contains("WinOverlay is settled"));
        assert!(gates.enabled("WinDSR") && gates.enabled("WinOverlay") && !gates.enabled("IPv6DualStack"));
    }

    #[test]
    fn stages_switch_together_but_for_gates_that_are_named() {
        let (gates, ..) = of(&[("AllAlpha", true), ("AllBeta", false), ("ComponentStatusz", true)]);
        let on = |name| gates.enabled(name);
        assert!(on("NativeHistograms") && on("ComponentStatusz") && !on("ComponentFlagz"));
        assert!(on("AllowServiceExternalIPs"), "a settled gate belongs to neither");
        assert!(!of(&[("AllowServiceExternalIPs", false)]).0.enabled("AllowServiceExternalIPs"));
    }
}
