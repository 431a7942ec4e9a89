//! A rolling update of a Service with 100 pods, four at a time: how often its frontend has no load balancer, with an HNS that supports
//! updates in place and with one that does not.

use std::net::Ipv4Addr;
use std::time::Duration;

use anyhow::Result;
use hcn::Kind;

use super::{Table, number};
use crate::cluster;
use crate::rig::Rig;

const PODS: usize = 100;
const AT_ONCE: usize = 4;
/// The pause between two steps.
const PACE: Duration = Duration::from_millis(250);

pub(super) fn run() -> Result<Table> {
    let mut rows = Vec::new();
    for (what, version) in [("modify in place", "15.5"), ("replace", "14.0")] {
        let old: Vec<Ipv4Addr> =
            (0..PODS).map(|pod| cluster::address(0, u32::try_from(pod).unwrap_or_default())).collect();
        let mut objects = cluster::objects(200, 3);
        objects.push(cluster::slice_of(0, &old));
        let mut rig = Rig::new(version, objects, &[])?;
        rig.start()?;
        rig.settle()?;
        let frontends = rig.frontends();
        rig.emulator().reset_journal();
        let mut pods = old;
        for from in (0..PODS).step_by(AT_ONCE) {
            for (pod, address) in pods.iter_mut().enumerate().skip(from).take(AT_ONCE) {
                *address = Ipv4Addr::from_bits(0x0c00_0001 + u32::try_from(pod)?);
            }
            rig.api.put(cluster::slice_of(0, &pods))?;
            std::thread::sleep(PACE);
        }
        rig.settle()?;
        let details = rig.emulator().journal_details();
        let calls: Vec<_> =
            details.iter().filter(|detail| detail.kind == Some(Kind::LoadBalancer) && detail.entry.is_write).collect();
        let deletes: Vec<usize> = calls
            .iter()
            .enumerate()
            .filter(|(_, detail)| detail.entry.function == "HcnDeleteLoadBalancer")
            .map(|(place, _)| place)
            .collect();
        // The outage is short if the next write is the creation.
        let apart = deletes
            .iter()
            .filter(|place| calls.get(**place + 1).is_none_or(|next| next.entry.function != "HcnCreateLoadBalancer"))
            .count();
        let times: Vec<Duration> =
            deletes.iter().filter_map(|place| calls.get(*place)).map(|detail| detail.at).collect();
        let soonest = times.windows(2).map(|pair| match pair {
            [one, next] => next.saturating_sub(*one),
            _ => Duration::MAX,
        });
        let soonest = soonest.min().map_or(0.0, |time| time.as_secs_f64());
        let left = number(u64::try_from(frontends.abs_diff(rig.frontends()))?);
        let replaced = number(u64::try_from(deletes.len())?);
        let apart = number(u64::try_from(apart)?);
        rows.push((what.to_owned(), vec![number(rig.emulator().native_calls()), replaced, apart, soonest, left]));
    }
    let title = "Rolling update of a Service with 100 pods in 25 steps, 4 per second; a replacement removes the load balancer briefly";
    let columns = &["calls", "replacements", "not adjacent", "least s apart", "missing after"];
    Ok(Table { title, columns, rows })
}
