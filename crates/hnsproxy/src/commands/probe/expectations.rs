//! What is known of each version of HNS, with its source. A check without an entry for a version is unknown there.

use hcn::Version;

use super::check::{Check, answer};
use super::survey::{Finding, Verdict};

/// The expected answer to a check, for a range of versions.
pub(super) struct Expectation {
    pub check: Check,
    pub from: Version,
    pub through: Version,
    pub answers: &'static [&'static str],
    pub source: &'static str,
}

const FIRST: Version = Version::new(0, 0);
const LAST: Version = Version::new(u32::MAX, u32::MAX);

/// The source of what no document shows, and hnsproxy relies on.
const RELIED_ON: &str = "hnsproxy relies on it";

macro_rules! expectations {
    ($($check:ident, $from:expr => $through:expr, [$($answer:expr),*], $source:expr;)*) => {
        pub(super) const ALL: &[Expectation] = &[$(Expectation {
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
}

/// Compares an answer with what is known of a version.
pub(super) fn judge(check: Check, version: Version, observed: impl Into<String>, detail: Option<String>) -> Finding {
    let observed = observed.into();
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
        let verdict = |check, observed| judge(check, Version::new(9, 5), observed, None).verdict;
        assert_eq!(verdict(Check::UnknownNamespace, "0x80070490"), Verdict::Expected);
        assert_eq!(verdict(Check::UnknownNamespace, answer::SUCCEEDS), Verdict::Other);
        assert_eq!(verdict(Check::UnknownLoadBalancer, answer::SUCCEEDS), Verdict::Unknown);
    }
}
