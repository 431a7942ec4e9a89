//! Runs that a change or a shutdown interrupts: nothing is lost, what is urgent goes first, and the rest still progresses.

use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicUsize, Ordering};

use hcn::ApiVersion;
use proxy::apply::{Interruption, Outcome, Workers};
use proxy::frontend::EndpointPurpose;
use proxy::plan::Action;
use proxy::testing::{backend, service, slice};
use proxy::{Next, Report};

use crate::calls::cluster;
use crate::faults::{back, empty, serve};
use crate::rig::Rig;

/// A first start with this number of Services, audited and not programmed.
fn start(services: u32) -> Rig {
    let mut rig = empty("15.5");
    let (services, slices) = cluster(services, 1);
    rig.cluster(services, slices);
    serve(&mut rig, "kube-system/kube-dns", "10.98.0.10", &["10.244.3.1"]);
    rig.proxy.audit(&rig.client).unwrap();
    rig.calls();
    rig
}

/// Runs until the interruption, which is there from the start.
fn run_until(rig: &mut Rig, threads: usize, interruption: Interruption) -> Report {
    let driver = Workers::untimed(NonZeroUsize::new(threads).unwrap());
    rig.proxy.run_until(&rig.client, rig.now, &driver, &move || Some(interruption))
}

/// Runs until nothing is due at once. Returns the outcomes of all runs.
fn finish(rig: &mut Rig) -> Vec<Outcome> {
    let mut outcomes = Vec::new();
    loop {
        let report = rig.run();
        outcomes.extend(report.outcomes);
        if report.next != Next::At(rig.now) {
            return outcomes;
        }
    }
}

/// The Services of the steps, in the order of their first steps.
fn order(outcomes: &[Outcome]) -> Vec<String> {
    let mut seen = BTreeSet::new();
    let services = outcomes.iter().filter_map(|outcome| Some(outcome.step.service.as_ref()?.to_string()));
    services.filter(|service| seen.insert(service.clone())).collect()
}

#[test]
fn a_shutdown_begins_no_job_and_leaves_all_dirty() {
    for threads in [1, 4] {
        let mut rig = start(20);
        let report = run_until(&mut rig, threads, Interruption::Shutdown);
        assert_eq!((report.outcomes.len(), report.next, rig.calls()), (0, Next::At(rig.now), (0, 0)));
        assert!(!rig.proxy.is_in_sync());
        let mut whole = start(20);
        assert_eq!(finish(&mut rig).len(), whole.run().outcomes.len(), "{threads}");
        assert_eq!(rig.objects(), whole.objects());
        assert!(rig.proxy.is_in_sync());
    }
}

#[test]
fn a_shutdown_ends_a_run_after_the_jobs_in_progress() {
    for threads in [1, 4] {
        let mut rig = start(20);
        let asked = AtomicUsize::new(0);
        let third = || (asked.fetch_add(1, Ordering::SeqCst) >= 3).then_some(Interruption::Shutdown);
        let driver = Workers::untimed(NonZeroUsize::new(threads).unwrap());
        let report = rig.proxy.run_until(&rig.client, rig.now, &driver, &third);
        assert_eq!(report.outcomes.len(), 3, "{threads}");
        assert_eq!(report.next, Next::At(rig.now));
        assert!(rig.proxy.progress().unplanned > 0);
        finish(&mut rig);
        let mut whole = start(20);
        whole.run();
        assert_eq!(rig.objects(), whole.objects());
        assert!(rig.proxy.is_in_sync());
    }
}

#[test]
fn a_change_lets_each_run_do_its_most_urgent_job() {
    for threads in [1, 4] {
        let mut rig = start(20);
        let report = run_until(&mut rig, threads, Interruption::Change);
        assert_eq!(order(&report.outcomes), ["kube-system/kube-dns"], "{threads}");
        assert_eq!((report.outcomes.len(), report.next), (1, Next::At(rig.now)));
    }
}

#[test]
fn an_interrupted_run_is_continued_in_the_order_of_urgency() {
    for services in [20, 400] {
        let mut rig = start(services);
        rig.run();
        rig.settle();
        // All other Services get another port, and lose no backend.
        let (changed, _) = cluster(services, 1);
        for mut changed in changed.into_iter().filter(|service| service.name.name != "svc-19") {
            changed.ports[0].port += 1000;
            rig.proxy.apply_service(changed);
        }
        run_until(&mut rig, 1, Interruption::Change);
        rig.proxy.apply_slice(
            slice("kube-system/kube-dns-1", "kube-system/kube-dns")
                .port(8080)
                .backend(backend("10.244.3.1"))
                .backend(backend("10.244.3.2"))
                .build(),
        );
        serve(&mut rig, "zz/new", "10.97.0.1", &["10.244.3.3"]);
        let lost = slice("default/svc-19-x", "default/svc-19").port(8080).backend(backend("10.244.3.4").on("there"));
        rig.proxy.apply_slice(lost.build());
        let report = run_until(&mut rig, 1, Interruption::Change);
        assert_eq!(order(&report.outcomes)[0], "kube-system/kube-dns");
        let continued = order(&finish(&mut rig));
        let position = |name: &str| continued.iter().position(|service| service == name).unwrap();
        // After an interruption, the second is the one that is next in turn.
        assert_eq!((position("kube-system/kube-dns"), position("default/svc-19") <= 2), (0, true), "{services}");
        assert_eq!(continued.last().map(String::as_str), Some("zz/new"));
        rig.settle();
    }
}

#[test]
fn changes_without_end_do_not_stop_the_rest() {
    const SERVICES: u32 = 300;
    let mut rig = start(SERVICES);
    let whole = {
        let mut whole = start(SERVICES);
        whole.settle();
        whole.calls();
        whole.objects().len()
    };
    let (mut runs, mut planned, mut steps) = (0, 0, 0);
    while rig.proxy.progress().load_balancers.in_sync < SERVICES as usize {
        // Two backends take turns, so that each run finds DNS changed.
        let address = if runs % 2 == 0 { "10.244.3.2" } else { "10.244.3.1" };
        back(&mut rig, "kube-system/kube-dns", &[address]);
        let report = run_until(&mut rig, 1, Interruption::Change);
        assert_eq!(order(&report.outcomes)[0], "kube-system/kube-dns", "DNS overtakes in each run");
        runs += 1;
        planned += report.work.frontends;
        steps += report.outcomes.len();
        assert!(runs <= 3 * whole, "{:?}", rig.proxy.progress());
    }
    let (calls, _) = rig.calls();
    assert!(calls <= 4 * steps as u64, "an interruption makes no calls of its own: {calls} for {steps} steps");
    assert!(planned <= 20 * runs, "{planned} frontends planned in {runs} runs");
    rig.settle();
}

#[test]
fn what_failed_before_an_interruption_is_still_retried_last() {
    let mut rig = empty("15.5");
    rig.emulator.change_quirks(|quirks| quirks.reserved_ports.extend([(6, 30001)]));
    let first = service("a/first").cluster_ip("10.96.0.1").port(80).node_port(30001).build();
    rig.proxy.apply_service(first);
    back(&mut rig, "a/first", &["10.244.2.1"]);
    let Next::At(due) = rig.sync().next else { panic!("a retry is due") };
    rig.now = due;
    serve(&mut rig, "z/last", "10.96.0.2", &["10.244.2.2"]);
    run_until(&mut rig, 1, Interruption::Change);
    assert_eq!(rig.proxy.progress().failed, 1);
    assert_eq!(order(&finish(&mut rig)).last().map(String::as_str), Some("a/first"));
}

/// Edits, moves and deletes Services, and runs with an interruption after each number of jobs until nothing is due.
fn edit_with_interruptions(rig: &mut Rig, threads: usize, jobs: usize) {
    let (services, _) = cluster(12, 1);
    for (number, mut service) in services.into_iter().enumerate() {
        let name = service.name.to_string();
        match number % 4 {
            0 => back(rig, &name, &[&format!("10.244.4.{number}")]),
            1 => rig.proxy.delete_service(&service.name),
            2 => {
                service.ports[0].port += 1;
                rig.proxy.apply_service(service);
            }
            _ => {}
        }
    }
    let driver = Workers::untimed(NonZeroUsize::new(threads).unwrap());
    loop {
        let asked = AtomicUsize::new(0);
        let interrupt = || (asked.fetch_add(1, Ordering::SeqCst) >= jobs).then_some(Interruption::Change);
        let report = rig.proxy.run_until(&rig.client, rig.now, &driver, &interrupt);
        assert!(report.failures().next().is_none());
        if report.next != Next::At(rig.now) {
            return;
        }
    }
}

#[test]
fn an_interruption_after_any_job_leads_to_the_same_objects_and_writes() {
    for version in ["15.5", "14.0"] {
        let edited = |threads, jobs| {
            let mut rig = empty(version);
            let (services, slices) = cluster(12, 1);
            rig.cluster(services, slices);
            rig.settle();
            rig.calls();
            edit_with_interruptions(&mut rig, threads, jobs);
            assert!(rig.proxy.is_in_sync(), "{version} {threads} {jobs}");
            (rig.objects(), rig.calls().1)
        };
        let whole = edited(1, usize::MAX);
        for (threads, jobs) in (1..12).flat_map(|jobs| [(1, jobs), (4, jobs)]) {
            assert_eq!(edited(threads, jobs), whole, "{version} {threads} {jobs}");
        }
    }
}

#[test]
fn what_an_overlay_network_needs_does_not_wait_for_the_last_batch() {
    let mut rig = Rig::new("Overlay", "15.5", ApiVersion::V2);
    rig.cluster(Vec::new(), Vec::new());
    for number in 0..300 {
        let address = format!("10.96.{}.{}", number / 250, number % 250 + 1);
        serve(&mut rig, &format!("ns/s{number}"), &address, &["10.244.2.7"]);
    }
    rig.proxy.audit(&rig.client).unwrap();
    let outcomes = rig.run().outcomes;
    let purposes = |purpose: EndpointPurpose| {
        let is_one = |action: &Action| matches!(action, Action::CreateEndpoint { purpose: one, .. } if *one == purpose);
        outcomes.iter().filter(|outcome| is_one(&outcome.step.action)).count()
    };
    let is_load_balancer = |outcome: &&Outcome| matches!(outcome.step.action, Action::CreateLoadBalancer { .. });
    let load_balancers = outcomes.iter().filter(is_load_balancer).count();
    assert!((1..300).contains(&load_balancers), "{load_balancers}");
    assert_eq!(purposes(EndpointPurpose::SourceVip), 1);
    assert_eq!(purposes(EndpointPurpose::ServiceAddress), load_balancers);
}
