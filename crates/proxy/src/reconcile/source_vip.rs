//! After each list of endpoints, finds the source VIP if the settings name endpoints instead of an address, or uses a reserved address.

use std::net::IpAddr;

use hcn::Guid;
use smol_str::SmolStr;

use crate::model::Family;
use crate::observe::Observed;
use crate::source_vip::SourceVipAbsent;

/// What the lists of endpoints have shown.
#[derive(Debug, Default)]
pub(super) struct SourceVipSearch {
    /// The overlay network, and the address of the endpoint in it.
    found: Option<(Guid, IpAddr)>,
    /// The overlay network, and the address that was reserved in it. hnsproxy creates its endpoint.
    reserved: Option<(Guid, IpAddr)>,
    /// Why no address was reserved.
    not_reserved: Option<String>,
    /// Set while the network has none of the endpoints.
    absent: Option<SourceVipAbsent>,
}

impl SourceVipSearch {
    pub(super) fn address(&self) -> Option<IpAddr> {
        self.found.map(|(_, address)| address)
    }

    pub(super) fn absent(&self) -> Option<&SourceVipAbsent> {
        self.absent.as_ref()
    }

    /// The reserved address, if it is the source VIP.
    pub(super) fn reserved(&self) -> Option<IpAddr> {
        self.reserved.map(|(_, address)| address)
    }

    /// Takes the address that was reserved in an overlay network, or why there is none.
    pub(super) fn set_reserved(&mut self, overlay: Guid, reserved: Result<IpAddr, String>) {
        match reserved {
            Ok(address) => (self.reserved, self.not_reserved) = (Some((overlay, address)), None),
            Err(reason) => {
                if let Some(absent) = &mut self.absent {
                    absent.not_reserved = Some(reason.clone());
                }
                self.not_reserved = Some(reason);
            }
        }
    }

    /// Looks for the first of these endpoints that a network has. `overlay` is the id and the name of the network; `None` without an overlay
    /// network, or if it is missing now: it may return with its endpoints. `is_taken` says of a reserved address whether another endpoint has it.
    pub(super) fn search(
        &mut self,
        names: &[SmolStr],
        overlay: Option<(Guid, &str)>,
        family: Family,
        observed: &Observed,
        is_taken: impl Fn(IpAddr) -> bool,
    ) {
        self.absent = None;
        let Some((overlay, network)) = overlay else { return };
        let is_lost = |(network, address)| network != overlay || is_taken(address);
        if let Some(lost) = self.reserved.take_if(|reserved| is_lost(*reserved)) {
            // Another address is reserved at once, and no pod may be mistaken for the source VIP.
            self.found.take_if(|found| *found == lost);
        }
        // The endpoints of a network are deleted with it: the new one may have another subnet, and another address.
        let last = self.found.filter(|(network, _)| *network == overlay).map(|(_, address)| address);
        let found = names.iter().find_map(|name| address_of(name, overlay, family, last, observed));
        if found.is_some() {
            self.reserved = None;
        }
        let found = found.or_else(|| self.reserved());
        self.absent = found.is_none().then(|| SourceVipAbsent {
            names: names.to_vec(),
            network: network.to_owned(),
            family,
            known: observed.local_names(overlay),
            in_use: last,
            not_reserved: self.not_reserved.clone(),
        });
        // An endpoint that vanishes is usually created again with the same address. Without a source VIP, all load balancers would be replaced twice.
        self.found = found.or(last).map(|address| (overlay, address));
    }
}

/// The address of an endpoint. Names are not unique in HNS: the last address has precedence, so that it does not change with the order of the
/// list.
fn address_of(
    name: &SmolStr,
    network: Guid,
    family: Family,
    last: Option<IpAddr>,
    observed: &Observed,
) -> Option<IpAddr> {
    let addresses: Vec<IpAddr> =
        observed.addresses_of(name, network).filter(|address| Family::of(*address) == family).collect();
    last.filter(|last| addresses.contains(last)).or_else(|| addresses.into_iter().min())
}
