//! What is known of each version of HNS, with its source. A check without an entry for a version is unknown there.

use hcn::Version;

use crate::check::{Answer, Check, answer};
use crate::survey::{Finding, Verdict};

/// The expected answer to a check, for a range of versions.
struct Expectation {
    check: Check,
    from: Version,
    through: Version,
    answers: &'static [&'static str],
    source: &'static str,
}

const FIRST: Version = Version::new(0, 0);
const LAST: Version = Version::new(u32::MAX, u32::MAX);

/// The source of what no document shows, and hnsproxy relies on.
const RELIED_ON: &str = "hnsproxy relies on it";

macro_rules! expectations {
    ($($check:ident, $from:expr => $through:expr, [$($answer:expr),*], $source:expr;)*) => {
        const ALL: &[Expectation] = &[$(Expectation {
            check: Check::$check, from: $from, through: $through, answers: &[$($answer),*], source: $source,
        }),*];
    };
}

// The sources are issues of GitHub where they have the form repository#number; `k8s` is kubernetes/kubernetes.
expectations! {
    Members, FIRST => LAST, [answer::ALL], RELIED_ON;
    LoadBalancerLists, FIRST => LAST, [answer::SAME], RELIED_ON;
    EndpointLists, FIRST => LAST, [answer::SAME], RELIED_ON;
    LocalEndpoints, FIRST => LAST, [answer::ALL], "CNI configurations for L2Bridge networks";
    UnknownNamespace, FIRST => LAST, ["0x80070490"], "antrea#2301";
    // The codes of class Absent: after any other one, hnsproxy does not know whether the load balancer exists.
    UnknownLoadBalancer, FIRST => LAST, ["0x80070490", "0x803b0001", "0x803b0002", "0x803b0031"], RELIED_ON;
    V1Ids, FIRST => Version::new(5, u32::MAX), [answer::LOWER_CASE], "documents of nodes with HNS 1.1 and 5.1";
    V1Ids, Version::new(9, 0) => LAST, [answer::UPPER_CASE], "documents of nodes with HNS 9.1 to 16.0";
    V1State, Version::new(9, 2) => Version::new(9, 2), ["State 2, IsApplied false"], "sig-windows-dev-tools";
    V1State, Version::new(15, 0) => Version::new(15, 0), ["State 2, IsApplied false"], "calico#8465";
    OutsideSubnets, FIRST => LAST, ["0x803b001e"], "log of containerd's NAT plugin";
    MacAddress, FIRST => LAST, [answer::KEPT], "documents of nodes with HNS 1.1 to 16.0";
    // That HNS keeps ids is only known from a test on Windows Server 2025.
    LoadBalancerId, Version::new(15, 4) => LAST, [answer::KEPT], "hnslib TestLoadBalancerAddRemoveEndpoint on Windows Server 2025";
    ReusedId, Version::new(15, 4) => LAST, [answer::KEPT], "hnslib TestLoadBalancerAddRemoveEndpoint on Windows Server 2025";
    V2List, FIRST => LAST, [answer::PRESENT], RELIED_ON;
    V1List, FIRST => LAST, [answer::SAME], "sig-windows-dev-tools: kube-proxy log and Get-HnsPolicyList on HNS 9.5";
    SameFrontend, FIRST => LAST, ["0x803b0013", "0x800700b7"], "kube-proxy; k8s#139519";
    NoBackend, Version::new(9, 0) => Version::new(9, u32::MAX), ["0x803b001c"], "k8s#100384 on 17763.1817";
    UnknownMember, Version::new(13, 0) => LAST, ["0x803b001b"], "tunbury.org 2025-06 on Windows Server 2022 and 2025, with a namespace";
    Modify, FIRST => Version::new(15, 3), ["0x80004001"], "hnslib hcnglobals.go; kube-proxy expects E_NOTIMPL";
    Modify, Version::new(15, 4) => Version::new(15, 4), [answer::NO_EFFECT], "k8s#131466";
    Modify, Version::new(15, 5) => LAST, [answer::SUCCEEDS], "hnslib hcnglobals.go";
    Delete, FIRST => LAST, [answer::SUCCEEDS], RELIED_ON;
    UnknownNetwork, Version::new(16, 0) => Version::new(16, 0), ["0x80070490"], "tunbury.org 2026-03 on HNS 16.0";
    DeleteUnknownEndpoint, Version::new(9, 0) => Version::new(9, u32::MAX), [answer::IN_ENVELOPE], "azure-container-networking#715 on Windows Server 2019";
    Measurement, FIRST => LAST, [answer::SUCCEEDS], RELIED_ON;
    Removed, FIRST => LAST, [answer::NONE], RELIED_ON;
    V1Lists, FIRST => LAST, [answer::YES], RELIED_ON;
    EmptyFilter, FIRST => LAST, [answer::YES], RELIED_ON;
    UnknownNetworkId, FIRST => LAST, ["0x80070490", "0x803b0001", "0x803b0002", "0x803b0031"], RELIED_ON;
    UnknownEndpoint, FIRST => LAST, ["0x80070490", "0x803b0001", "0x803b0002", "0x803b0031"], RELIED_ON;
    NetworkName, FIRST => LAST, [answer::YES], RELIED_ON;
    RemoteEndpoint, FIRST => LAST, [answer::YES], RELIED_ON;
    DeleteEndpoint, FIRST => LAST, [answer::SUCCEEDS], RELIED_ON;
    LoadBalancerDocument, FIRST => LAST, [answer::YES], RELIED_ON;
    FreedFrontend, FIRST => LAST, [answer::SUCCEEDS], RELIED_ON;
    FreedPort, FIRST => LAST, [answer::SUCCEEDS], RELIED_ON;
    NoInternalPort, FIRST => LAST, ["0x803b002d"], "computenetwork.h";
    UnattachedBackend, FIRST => LAST, [answer::SUCCEEDS, "0x803b0007"], "hnslib's tests; hcsshim#1043";
    InvalidJson, FIRST => LAST, ["0x803b001b"], "computenetwork.h";
    UnknownMemberOfNamespace, Version::new(13, 0) => LAST, ["0x803b001b"], "tunbury.org 2025-06 on Windows Server 2022 and 2025";
    LocalAddress, FIRST => LAST, ["0x803b002f"], "docker/for-win#13965; k8s#100962";
    MappedPort, FIRST => LAST, ["0x803b0013"], "hnslib hcnerrors_test.go";
}

/// Compares an answer with what is known of a version.
pub fn judge(check: Check, version: Version, answer: impl Into<Answer>) -> Finding {
    let Answer { observed, detail } = answer.into();
    let known = ALL.iter().find(|one| one.check == check && (one.from..=one.through).contains(&version));
    let verdict = match known {
        None => Verdict::Unknown,
        Some(known) if known.answers.contains(&observed.as_str()) => Verdict::Expected,
        Some(_) => Verdict::Other,
    };
    Finding {
        check,
        observed,
        expected: known.into_iter().flat_map(|known| known.answers).map(|answer| (*answer).to_owned()).collect(),
        verdict,
        source: known.map(|known| known.source.to_owned()),
        detail,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_has_at_most_one_expectation_of_a_check() {
        for one in ALL {
            let overlapping = ALL
                .iter()
                .filter(|other| other.check == one.check && other.from <= one.through && one.from <= other.through);
            assert_eq!(overlapping.count(), 1, "{:?} from {}", one.check, one.from);
        }
    }

    #[test]
    fn an_answer_is_expected_other_or_unknown() {
        let verdict = |check, version, observed: &str| judge(check, version, observed).verdict;
        let (v9, v15) = (Version::new(9, 5), Version::new(15, 4));
        assert_eq!(verdict(Check::NoBackend, v9, "0x803b001c"), Verdict::Expected);
        assert_eq!(verdict(Check::NoBackend, v9, answer::SUCCEEDS), Verdict::Other);
        assert_eq!(verdict(Check::NoBackend, v15, answer::SUCCEEDS), Verdict::Unknown);
        assert_eq!(verdict(Check::Modify, v15, answer::NO_EFFECT), Verdict::Expected);
        assert_eq!(verdict(Check::UnknownMember, v15, "0x803b001b"), Verdict::Expected);
        assert_eq!(verdict(Check::UnknownMember, Version::new(13, 3), answer::SUCCEEDS), Verdict::Other);
    }
}
