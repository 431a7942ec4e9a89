//! What planning depends on besides the cluster and the objects in HNS: settings, host, node, networks, and capabilities of HNS.

use std::net::IpAddr;

use hcn::{Client, Kind, Version};

use super::source_vip::SourceVipSearch;
use crate::desire::{Context, Desired};
use crate::model::Family;
use crate::network::{HostCondition, Networks};
use crate::observe::Observed;
use crate::plan::{Constraints, Planner};
use crate::settings::{Capabilities, Host, Node, Settings};
use crate::source_vip::{SourceVip, SourceVipAbsent};

#[derive(Debug)]
pub(super) struct Environment {
    pub(super) settings: Settings,
    pub(super) host: Host,
    pub(super) node: Node,
    pub(super) networks: Networks,
    pub(super) source_vip_search: SourceVipSearch,
    /// `None` until the first audit, as for `capabilities`.
    pub(super) version: Option<Version>,
    pub(super) capabilities: Option<Capabilities>,
    /// Whether a modify in place was seen to take effect. HNS 15.4 reports success and changes nothing (kubernetes
    /// issue 131466), so modifications are read back until one of them is seen to work.
    pub(super) modify_verified: bool,
    /// The kinds whose objects HNS does not create with the requested ids.
    pub(super) ids_not_honoured: Vec<Kind>,
}

impl Environment {
    pub(super) fn new(settings: Settings, host: Host) -> Self {
        let node = Node { name: settings.node_name.clone(), zone: None };
        let networks = Networks::new(&settings.network_names, host.primary_family());
        Self {
            settings,
            host,
            node,
            networks,
            source_vip_search: SourceVipSearch::default(),
            version: None,
            capabilities: None,
            modify_verified: false,
            ids_not_honoured: Vec::new(),
        }
    }

    /// Asks HNS for its version: one call, at the first audit only. The version of HNS changes only with a Windows
    /// update, which requires a reboot.
    pub(super) fn read_version(&mut self, client: &Client) -> Result<(), hcn::Error> {
        if self.capabilities.is_none() {
            let version = client.version()?;
            self.version = Some(version);
            self.capabilities = Some(Capabilities::of(version, client.api_version()));
        }
        Ok(())
    }

    /// Takes over what the client has seen of ids.
    pub(super) fn note_ids(&mut self, client: &Client) {
        let kinds = [Kind::Endpoint, Kind::LoadBalancer].into_iter();
        self.ids_not_honoured = kinds.filter(|kind| client.honours_ids(*kind) == Some(false)).collect();
    }

    /// What the desired state of a Service is computed from; `None` before a network was found.
    pub(super) fn context(&self) -> Option<Context<'_>> {
        let Self { settings, host, node, networks, capabilities, .. } = self;
        // Without a network nothing can be planned: its type and subnets decide ids, provider addresses and families.
        let capabilities = capabilities.as_ref().filter(|_| networks.any_known())?;
        Some(Context { settings, source_vip: self.source_vip(), host, node, networks, capabilities })
    }

    /// `None` before a network was found.
    pub(super) fn planner<'a>(
        &'a self,
        desired: &'a Desired,
        observed: &'a Observed,
        constraints: &'a Constraints,
    ) -> Option<Planner<'a>> {
        let Context { settings, host, networks, capabilities, .. } = self.context()?;
        Some(Planner { desired, observed, settings, host, networks, capabilities, constraints })
    }

    /// The families that are programmed; the node's primary one before a network was found.
    pub(super) fn families(&self) -> Vec<Family> {
        let Some(context) = self.context() else { return vec![self.host.primary_family()] };
        Family::ALL.into_iter().filter(|family| context.has_family(*family)).collect()
    }

    /// The source address of translated traffic in the overlay network. `None` if the settings have none, or if its endpoint was not found.
    pub(super) fn source_vip(&self) -> Option<IpAddr> {
        match self.settings.source_vip.as_ref()? {
            SourceVip::Address(address) => Some(*address),
            SourceVip::Endpoints(_) => self.source_vip_search.address(),
        }
    }

    /// What is missing, if none of the named endpoints exists, even if an earlier address stays in use.
    pub(super) fn source_vip_absent(&self) -> Option<&SourceVipAbsent> {
        self.source_vip_search.absent()
    }

    /// Looks for the endpoints that the settings name as source VIP. Returns whether its address has changed.
    pub(super) fn find_source_vip(&mut self, observed: &Observed) -> bool {
        let before = self.source_vip();
        let Some(SourceVip::Endpoints(names)) = &self.settings.source_vip else { return false };
        let overlay = self.networks.overlay().and_then(|index| self.networks.named(index));
        let overlay = overlay.filter(|named| named.present);
        let overlay = overlay.and_then(|named| Some((named.network.as_ref()?.id, named.name.as_str())));
        self.source_vip_search.search(names, overlay, self.host.primary_family(), observed);
        self.source_vip() != before
    }

    /// The conditions of the host and its networks, sorted.
    pub(super) fn conditions(&self, observed: &Observed) -> Vec<HostCondition> {
        let networks = self.networks.iter().flat_map(|named| named.host_conditions.iter().cloned());
        // Programming still works then, but each start has to read documents instead of ids only.
        let ids = self.ids_not_honoured.iter().map(|kind| HostCondition::IdsNotHonoured { kind: *kind });
        let skipped =
            observed.skipped().map(|(id, reason)| HostCondition::ObjectSkipped { id, reason: reason.to_owned() });
        let distrusted = observed.v1_lists().distrusted();
        let distrusted =
            distrusted.map(|(kind, contradiction)| HostCondition::V1ListDistrusted { kind, contradiction });
        let incomplete = observed.incomplete_lists().map(|kind| HostCondition::ListIncomplete { kind });
        // While none was ever found, the audit fails with the same text.
        let source_vip = self.source_vip_absent().filter(|absent| absent.in_use.is_some());
        let source_vip = source_vip.cloned().map(HostCondition::SourceVipAbsent);
        let mut conditions: Vec<HostCondition> =
            networks.chain(source_vip).chain(ids).chain(skipped).chain(distrusted).chain(incomplete).collect();
        conditions.sort();
        conditions
    }
}
