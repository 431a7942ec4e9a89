//! Reserves the source VIP where no endpoint has it, keeps the reservation, and releases what is not used any more.

use std::collections::BTreeSet;
use std::io;
use std::net::IpAddr;
use std::time::Duration;

use cluster_source::error_chain;
use proxy::{Reconciler, SourceVipRequest};
use tracing::{info, warn};

use crate::file_work::{FileWork, MAX_WAIT};
use crate::host_local::{HostLocal, Maintained, Reservation, ReserveError};

/// How often the file of a reservation is checked: once in a cycle of audits at their default interval. A failed release is retried as often.
const INTERVAL: Duration = Duration::from_secs(60);

/// The reservations of one session.
#[derive(Debug, Default)]
pub struct Reservations {
    /// `None`: nothing is reserved.
    host_local: Option<HostLocal>,
    reserving: FileWork<(SourceVipRequest, Result<IpAddr, ReserveError>)>,
    maintaining: FileWork<io::Result<Maintained>>,
    /// When the files were last maintained, and for which source VIP.
    maintained: Option<(Duration, Option<IpAddr>)>,
}

impl Reservations {
    pub fn of(host_local: HostLocal) -> Self {
        Self { host_local: Some(host_local), ..Self::default() }
    }

    /// Reserves the source VIP that an audit has requested. Returns whether it was reserved: the audit must be repeated then. If the files do not
    /// answer, the next audit takes the answer.
    pub fn reserve_requested(&mut self, reconciler: &mut Reconciler) -> bool {
        let (Some(request), Some(host_local)) = (reconciler.source_vip_request(), &self.host_local) else {
            return false;
        };
        let limit = if self.reserving.is_pending() { Duration::ZERO } else { MAX_WAIT };
        let (host_local, asked) = (host_local.clone(), request.clone());
        self.reserving.begin(move || {
            let reserved = host_local.reserve(&asked.network, &asked.subnets, |address| asked.taken.contains(&address));
            (asked, reserved)
        });
        let reserved = match self.reserving.take(limit) {
            None => Err("waiting for the files of host-local".to_owned()),
            // The address was reserved for an earlier request.
            Some((asked, Ok(address))) if !is_of(&request, &asked, address) => {
                Err(format!("{address} was reserved, and cannot be used any more"))
            }
            Some((_, reserved)) => reserved.map_err(|error| error_chain(&error)),
        };
        let is_reserved = reserved.is_ok();
        reconciler.set_reserved_source_vip(reserved);
        is_reserved
    }

    /// Writes the reservation again if its file was removed, and releases the addresses that are not the source VIP. Does nothing before HNS is
    /// in sync: until then, its objects may use the former source VIP.
    pub fn maintain(&mut self, reconciler: &Reconciler, now: Duration) {
        if let Some(maintained) = self.maintaining.take(Duration::ZERO) {
            log(maintained);
        }
        let used = reconciler.source_vip();
        let is_due = self.maintained.is_none_or(|(at, of)| of != used || now.saturating_sub(at) >= INTERVAL);
        let Some(host_local) = self.host_local.as_ref().filter(|host_local| host_local.is_writable()) else { return };
        if !is_due || self.maintaining.is_pending() || !reconciler.is_in_sync() {
            return;
        }
        self.maintained = Some((now, used));
        let networks = reconciler.networks().iter().filter(|named| named.network.is_some());
        let networks: Vec<String> = networks.map(|named| named.name.clone()).collect();
        let reserved = reconciler.reserved_source_vip();
        let reserved = reserved.map(|(network, address)| Reservation { network: network.to_owned(), address });
        // The endpoint of a former source VIP stays while a load balancer uses it.
        let used: BTreeSet<IpAddr> = reconciler.observed().source_vip_endpoints().chain(used).collect();
        let host_local = host_local.clone();
        self.maintaining.begin(move || host_local.maintain(&networks, reserved.as_ref(), &used));
        if let Some(maintained) = self.maintaining.take(MAX_WAIT) {
            log(maintained);
        }
    }
}

/// Whether an address that was reserved for an earlier request can be used for this one.
fn is_of(request: &SourceVipRequest, earlier: &SourceVipRequest, address: IpAddr) -> bool {
    request.network == earlier.network
        && request.subnets.iter().any(|subnet| subnet.contains(&address))
        && !request.taken.contains(&address)
}

fn log(maintained: io::Result<Maintained>) {
    match maintained {
        Ok(Maintained { restored, released }) => {
            restored
                .iter()
                .for_each(|address| warn!("source VIP {address}: reservation was removed; reserved it again"));
            released.iter().for_each(|address| info!("source VIP {address}: reservation released"));
        }
        Err(error) => warn!("cannot maintain the reservations of source VIPs: {error}; will retry"),
    }
}
