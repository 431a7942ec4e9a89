//! What a probe finds of an HNS that does something else than to refuse an id in use.

use std::sync::Mutex;

use hcn_emulator::{Emulator, testing};

use super::*;

/// What HNS does with the creation of a load balancer whose id it has seen before.
#[derive(Clone, Copy)]
enum SeenId {
    ChoosesAnother,
    ReturnsTheObject,
}

struct Host {
    emulator: Emulator,
    seen: Mutex<BTreeSet<Guid>>,
    seen_id: SeenId,
}

impl Hcn for Host {
    fn call(&self, call: &Call) -> Result<Reply, Error> {
        let Call::Create { kind: kind @ Kind::LoadBalancer, network, id, settings } = call else {
            return self.emulator.call(call);
        };
        let mut seen = self.seen.lock().unwrap();
        if seen.insert(*id) {
            return self.emulator.call(call);
        }
        match self.seen_id {
            SeenId::ReturnsTheObject if self.emulator.document(*kind, *id).is_some() => {
                self.emulator.call(&Call::Open { kind: *kind, id: *id })
            }
            SeenId::ReturnsTheObject => self.emulator.call(call),
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

/// The answers of such an HNS to the checks of ids, and to those that need the first load balancer.
fn answers(seen_id: SeenId) -> Vec<(Check, String)> {
    let emulator = Emulator::from_host(&testing::host("15.5", &["L2Bridge"])).unwrap();
    let hcn: Arc<dyn Hcn> = Arc::new(Host { emulator, seen: Mutex::default(), seen_id });
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
    writer.run(&Stopwatch::default(), 0).unwrap();
    let of_ids = [Check::LoadBalancerId, Check::SameId, Check::Modify, Check::Delete, Check::ReusedId];
    let findings = writer.findings.into_iter().filter(|finding| of_ids.contains(&finding.check));
    findings.map(|finding| (finding.check, finding.observed)).collect()
}

#[test]
fn an_id_that_hns_chooses_only_for_one_in_use_or_used_before_is_found() {
    let expected = [
        (Check::LoadBalancerId, answer::KEPT),
        (Check::SameId, answer::CHOSEN_BY_HNS),
        (Check::Modify, answer::SUCCEEDS),
        (Check::Delete, answer::SUCCEEDS),
        (Check::ReusedId, answer::CHOSEN_BY_HNS),
    ];
    assert_eq!(answers(SeenId::ChoosesAnother), expected.map(|(check, observed)| (check, observed.to_owned())));
}

#[test]
fn a_load_balancer_that_is_returned_instead_of_a_second_one_is_not_deleted() {
    let expected = [
        (Check::LoadBalancerId, answer::KEPT),
        (Check::SameId, answer::SUCCEEDS),
        (Check::Modify, answer::SUCCEEDS),
        (Check::Delete, answer::SUCCEEDS),
        (Check::ReusedId, answer::KEPT),
    ];
    assert_eq!(answers(SeenId::ReturnsTheObject), expected.map(|(check, observed)| (check, observed.to_owned())));
}
