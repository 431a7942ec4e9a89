//! Probes of an HNS that does not reject an id in use, but chooses another id or returns the existing object.

use std::sync::Mutex;

use hcn_emulator::{Emulator, testing};

use super::*;

/// How HNS answers the creation of a load balancer with an id that was requested before.
#[derive(Clone, Copy)]
enum SeenId {
    ChoosesAnother,
    ReturnsTheObject,
    Emulated,
}

struct Host {
    emulator: Emulator,
    /// The backends of each load balancer that was requested.
    backends: Mutex<Vec<BTreeSet<Guid>>>,
    seen: Mutex<BTreeSet<Guid>>,
    seen_id: SeenId,
}

impl Hcn for Host {
    fn call(&self, call: &Call) -> Result<Reply, Error> {
        let Call::Create { kind: kind @ Kind::LoadBalancer, network, id, settings } = call else {
            return self.emulator.call(call);
        };
        let document: LoadBalancer = serde_json::from_str(settings).unwrap();
        self.backends.lock().unwrap().push(document.endpoint_ids().collect());
        let mut seen = self.seen.lock().unwrap();
        if seen.insert(*id) {
            return self.emulator.call(call);
        }
        match self.seen_id {
            SeenId::ReturnsTheObject if self.emulator.document(*kind, *id).is_some() => {
                self.emulator.call(&Call::Open { kind: *kind, id: *id })
            }
            SeenId::ReturnsTheObject | SeenId::Emulated => self.emulator.call(call),
            SeenId::ChoosesAnother => {
                let id = Guid::from_u128(seen.len() as u128);
                seen.insert(id);
                let mut document: Value = serde_json::from_str(settings).unwrap();
                document["ID"] = id.to_string().into();
                let settings = document.to_string();
                self.emulator.call(&Call::Create { kind: *kind, network: *network, id, settings })
            }
        }
    }
}

fn emulator() -> Emulator {
    Emulator::from_host(&testing::host("15.5", &["L2Bridge"])).unwrap()
}

/// Makes all checks, and measures a number of calls.
fn findings(host: Arc<Host>, samples: usize) -> Vec<Finding> {
    let hcn: Arc<dyn Hcn> = host;
    let mut writer = Writer {
        client: Client::new(hcn.clone(), ApiVersion::V2),
        v1: Client::new(hcn.clone(), ApiVersion::V1),
        hcn,
        version: Version::new(15, 5),
        network: testing::NETWORKS[0],
        overlay: false,
        is_stopped: &|| false,
        needed: BTreeSet::new(),
        created: Created::default(),
        findings: Vec::new(),
    };
    writer.run(&Stopwatch::default(), samples).unwrap();
    writer.findings
}

/// The answers of such an HNS to the checks of ids, and to those that need the first load balancer.
fn answers(seen_id: SeenId) -> Vec<(Check, String)> {
    let host = Host { emulator: emulator(), backends: Mutex::default(), seen: Mutex::default(), seen_id };
    let of_ids = [Check::LoadBalancerId, Check::SameId, Check::Modify, Check::Delete, Check::ReusedId];
    let findings = findings(Arc::new(host), 0).into_iter().filter(|finding| of_ids.contains(&finding.check));
    findings.map(|finding| (finding.check, finding.observed)).collect()
}

fn expected(same_id: &str, reused_id: &str) -> Vec<(Check, String)> {
    let all = [
        (Check::LoadBalancerId, answer::KEPT),
        (Check::SameId, same_id),
        (Check::Modify, answer::SUCCEEDS),
        (Check::Delete, answer::SUCCEEDS),
        (Check::ReusedId, reused_id),
    ];
    all.map(|(check, observed)| (check, observed.to_owned())).to_vec()
}

#[test]
fn an_id_that_hns_chooses_only_for_one_in_use_or_used_before_is_found() {
    assert_eq!(answers(SeenId::ChoosesAnother), expected(answer::CHOSEN_BY_HNS, answer::CHOSEN_BY_HNS));
}

#[test]
fn a_load_balancer_that_is_returned_instead_of_a_second_one_is_not_deleted() {
    assert_eq!(answers(SeenId::ReturnsTheObject), expected(answer::SUCCEEDS, answer::KEPT));
}

#[test]
fn load_balancers_that_may_exist_at_one_time_have_no_backend_in_common() {
    // Accepts what other builds refuse, and keeps what is deleted.
    let emulator = emulator();
    emulator.change_quirks(|quirks| quirks.silent_load_balancer_delete = true);
    emulator.change_options(|options| (options.accepts_no_backend, options.accepts_unknown_members) = (true, true));
    let (backends, seen) = (Mutex::default(), Mutex::default());
    let host = Arc::new(Host { emulator, backends, seen, seen_id: SeenId::Emulated });
    findings(host.clone(), 3);
    let backends = host.backends.lock().unwrap();
    assert_eq!(backends.len(), 7);
    let all: BTreeSet<Guid> = backends.iter().flatten().copied().collect();
    assert_eq!(all.len(), backends.iter().map(BTreeSet::len).sum::<usize>(), "{backends:?}");
}
