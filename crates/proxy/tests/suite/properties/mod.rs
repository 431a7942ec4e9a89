//! For any cluster and any objects in HNS: HNS gets in sync, a second run is empty, order makes no difference, foreign objects stay.

mod small;

use std::collections::BTreeSet;

use hcn::{ApiVersion, Guid, Kind};
use hcn_emulator::faults::{Effect, Fault, Which};
use proptest::prelude::*;
use proxy::Tally;
use serde_json::{Value, json};

use crate::rig::{NETWORK, Rig, SECOND, cases, types};
use small::{Litter, build, litter, scatter, small_service};

fn rig(types: &[&str], version: &str) -> Rig {
    Rig::with(types, version, ApiVersion::V2)
}

/// Checks the objects in HNS.
fn check(rig: &Rig, before: &[Value], stays: &[(Kind, Guid)]) {
    let documents = |kind| rig.emulator.documents(kind);
    for (kind, id) in stays {
        let now = rig.emulator.document(*kind, *id);
        assert!(now.is_some() && before.contains(now.as_ref().unwrap()), "{kind:?} {id} is foreign and was touched");
    }
    let balancers = documents(Kind::LoadBalancer);
    let used: BTreeSet<&str> = balancers
        .iter()
        .flat_map(|lb| lb["HostComputeEndpoints"].as_array().unwrap())
        .map(|id| id.as_str().unwrap())
        .collect();
    let services: BTreeSet<String> = rig
        .proxy
        .cluster()
        .iter()
        .filter_map(|(_, entry)| entry.service.as_ref())
        .flat_map(|s| s.cluster_ips.iter().map(ToString::to_string))
        .collect();
    let endpoints = documents(Kind::Endpoint);
    let address = |e: &Value| e["IpConfigurations"][0]["IpAddress"].as_str().unwrap().to_owned();
    let locals: BTreeSet<String> =
        endpoints.iter().filter(|e| e["Flags"].as_u64().unwrap_or(0) & 1 == 0).map(address).collect();
    for endpoint in endpoints.iter().filter(|e| e["Flags"].as_u64().unwrap_or(0) & 1 == 1) {
        let id: Guid = endpoint["ID"].as_str().unwrap().parse().unwrap();
        assert!(!locals.contains(&address(endpoint)), "{} is remote and local", address(endpoint));
        if proxy::identity::is_ours(id) {
            let needed = used.contains(id.to_string().as_str()) || services.contains(&address(endpoint));
            assert!(needed, "remote endpoint {} serves nobody", address(endpoint));
        }
    }
    // Counts that are updated with each change equal counts of everything.
    let (progress, statuses) = (rig.proxy.progress(), rig.proxy.frontends());
    let served = statuses.iter().filter(|status| !status.desired.spec.targets.is_empty()).count();
    assert_eq!(progress.load_balancers, Tally { desired: served, in_sync: served });
    assert_eq!((progress.without_backends, progress.backlog, progress.failed), (statuses.len() - served, 0, 0));
    // Each frontend's backends are those of its own Service.
    for status in statuses {
        let (service, spec) = (&status.desired.service, &status.desired.spec);
        assert!(status.in_sync, "{} is not in sync", spec.frontend);
        let entry = rig.proxy.cluster().get(service).unwrap();
        let own: BTreeSet<_> = entry.slices.values().flat_map(|s| &s.backends).map(|b| b.address).collect();
        let mut backends = spec.targets.iter().filter_map(|target| target.address());
        assert!(backends.all(|backend| own.contains(&backend)), "{}: a backend of another Service", spec.frontend);
    }
}

proptest! {
    #![proptest_config(cases(192))]

    #[test]
    fn any_cluster_on_any_hns_is_in_sync_after_a_run_and_a_second_run_is_empty(
        services in prop::collection::vec(small_service(), 0..8),
        litter in litter(),
        types in types(),
        modify in any::<bool>(),
    ) {
        let mut rig = rig(types, if modify { "15.5" } else { "14.0" });
        let stays = scatter(&rig, &litter);
        let mut before = rig.emulator.documents(Kind::Endpoint);
        before.extend(rig.emulator.documents(Kind::LoadBalancer));
        let (services, slices) = build(&services);
        rig.cluster(services, slices);
        rig.settle();
        check(&rig, &before, &stays);
        rig.calls();
        rig.sync();
        prop_assert_eq!(rig.calls().1, 0, "a second run writes");
        rig.restart();
        rig.sync();
        prop_assert_eq!(rig.calls().1, 0, "a restart writes");
    }

    #[test]
    fn the_order_of_events_makes_no_difference(
        first in prop::collection::vec(small_service(), 0..6),
        last in prop::collection::vec(small_service(), 0..6),
        litter in litter(),
        types in types(),
        stepwise in any::<bool>(),
    ) {
        // Litter of load balancers on frontends differs by history on purpose (adopted or replaced): pods only.
        let litter: Vec<_> = litter.into_iter().filter(|l| matches!(l, Litter::Local(..))).collect();
        let mut direct = rig(types, "15.5");
        scatter(&direct, &litter);
        let (services, slices) = build(&last);
        direct.cluster(services.clone(), slices.clone());
        direct.settle();

        let mut winding = rig(types, "15.5");
        scatter(&winding, &litter);
        let (old_services, old_slices) = build(&first);
        winding.cluster(old_services, old_slices);
        winding.settle();
        if stepwise {
            for slice in slices.iter().rev() {
                winding.proxy.apply_slice(slice.clone());
                winding.run();
            }
            for service in &services {
                winding.proxy.apply_service(service.clone());
                winding.run();
            }
        }
        winding.cluster(services, slices);
        winding.settle();
        prop_assert_eq!(winding.objects(), direct.objects());
        check(&winding, &{
            let mut all = winding.emulator.documents(Kind::Endpoint);
            all.extend(winding.emulator.documents(Kind::LoadBalancer));
            all
        }, &[]);
    }

    #[test]
    fn failing_calls_only_delay_programming(
        first in prop::collection::vec(small_service(), 0..6),
        last in prop::collection::vec(small_service(), 0..6),
        pods in prop::collection::vec((0..12u8, any::<bool>()).prop_map(|(address, second)| Litter::Local(address, second)), 0..6),
        types in types(),
        every in 2..9u64,
        carried_out in any::<bool>(),
        code in prop_oneof![
            Just(hcn::Hresult::HCN_E_PORT_NOT_FOUND),
            Just(hcn::Hresult::RPC_S_CALL_FAILED),
            Just(hcn::Hresult::HCN_E_PORT_ALREADY_EXISTS),
            Just(hcn::Hresult::ELEMENT_NOT_FOUND),
        ],
    ) {
        let mut rig = rig(types, "15.5");
        scatter(&rig, &pods);
        let effect = if carried_out { Effect::FailAfter(code) } else { Effect::Fail(code) };
        rig.emulator.inject(Fault { which: Which::Writes, from: every, every, effect });
        let (services, slices) = build(&first);
        rig.cluster(services, slices);
        for _ in 0..5 {
            let _ = rig.proxy.audit(&rig.client);
            rig.run();
            rig.now += std::time::Duration::from_secs(5);
        }
        let (services, slices) = build(&last);
        rig.cluster(services.clone(), slices.clone());
        rig.run();
        rig.emulator.clear_faults();
        rig.now += std::time::Duration::from_secs(60);
        rig.settle();

        let mut calm = self::rig(types, "15.5");
        scatter(&calm, &pods);
        calm.cluster(services, slices);
        calm.settle();
        prop_assert_eq!(rig.objects(), calm.objects());
    }
    #[test]
    fn networks_that_come_and_go_leave_no_trace(
        first in prop::collection::vec(small_service(), 0..6),
        last in prop::collection::vec(small_service(), 0..6),
        types in types().prop_filter("two networks", |types| types.len() == 2),
        changes in prop::collection::vec((any::<bool>(), any::<bool>()), 1..5),
        audits in any::<bool>(),
    ) {
        let mut rig = rig(types, "15.5");
        let (services, slices) = build(&first);
        rig.cluster(services, slices);
        rig.settle();
        let mut networks = [NETWORK, SECOND];
        for (number, (second, same_id)) in (1u128..).zip(changes) {
            let id = &mut networks[usize::from(second)];
            let document = rig.emulator.document(Kind::Network, *id).unwrap();
            rig.emulator.remove(Kind::Network, *id);
            if audits {
                rig.settle();
            }
            if !same_id {
                *id = Guid::from_u128(number);
            }
            let document = serde_json::from_value::<serde_json::Map<_, _>>(document).unwrap();
            let document: Value = document.into_iter().chain([("ID".to_owned(), json!(*id))]).collect();
            rig.emulator.add(Kind::Network, document);
            let _ = rig.proxy.audit(&rig.client);
            rig.run();
        }
        let (services, slices) = build(&last);
        rig.cluster(services.clone(), slices.clone());
        rig.now += std::time::Duration::from_secs(60);
        rig.settle();

        let mut calm = self::rig(types, "15.5");
        calm.cluster(services, slices);
        calm.settle();
        prop_assert_eq!(rig.objects(), calm.objects());
        rig.calls();
        rig.restart();
        rig.sync();
        prop_assert_eq!(rig.calls().1, 0, "a restart writes");
    }
}
