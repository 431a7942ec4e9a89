//! Reserves the source VIP where no endpoint has it, and releases what is not used any more.

use std::net::IpAddr;

use cluster_source::error_chain;
use proxy::Reconciler;
use tracing::{info, warn};

use crate::host_local::HostLocal;

/// The reservations of one session.
#[derive(Debug, Default)]
pub struct Reservations {
    /// `None`: nothing is reserved.
    host_local: Option<HostLocal>,
    /// The source VIP when the other addresses were last released.
    released_for: Option<Option<IpAddr>>,
}

impl Reservations {
    pub fn of(host_local: HostLocal) -> Self {
        Self { host_local: Some(host_local), released_for: None }
    }

    /// Reserves the source VIP that an audit has requested. Returns whether it was reserved: the audit must be repeated then.
    pub fn answer(&mut self, reconciler: &mut Reconciler) -> bool {
        let (Some(request), Some(host_local)) = (reconciler.source_vip_request(), &self.host_local) else {
            return false;
        };
        let is_taken = |address: IpAddr| request.taken.contains(&address);
        let reserved = host_local.reserve(&request.network, &request.subnets, is_taken);
        let is_reserved = reserved.is_ok();
        reconciler.set_reserved_source_vip(reserved.map_err(|error| error_chain(&error)));
        is_reserved
    }

    /// Releases the addresses that are not the source VIP. Does nothing before HNS is in sync: its objects have the former one until then.
    pub fn release(&mut self, reconciler: &Reconciler) {
        let used = reconciler.source_vip();
        if self.released_for != Some(used) && reconciler.is_in_sync() {
            self.release_others(used);
            self.released_for = Some(used);
        }
    }

    fn release_others(&self, used: Option<IpAddr>) {
        let Some(host_local) = &self.host_local else { return };
        match host_local.release_others(used) {
            Ok(released) => released.iter().for_each(|address| info!("source VIP {address}: reservation released")),
            Err(error) => warn!("cannot release reservations of source VIPs: {error}"),
        }
    }
}
