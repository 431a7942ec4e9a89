//! Limits the backends of a load balancer to those of one port, and to [`MAX_BACKENDS`].

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use super::select::Backend;
use crate::frontend::Target;

/// The maximum number of backends of an HNS load balancer.
pub const MAX_BACKENDS: usize = 1024;

/// Backends within the limits of a load balancer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limited {
    /// The port of all of them.
    pub port: u16,
    /// Sorted.
    pub targets: Vec<Target>,
    pub left_out: LeftOut,
}

/// How many backends are left out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LeftOut {
    /// Because their port differs from the chosen port.
    pub other_port: usize,
    /// Because they exceed the limit.
    pub too_many: usize,
}

/// Limits backends to those with the most common port: a load balancer has one port for all its backends. If two groups
/// are equal, the one with the higher port wins, so that the choice does not depend on the order of backends.
///
/// Above the limit, backends on this node come first, then those in its zone. After that, a hash of the node's name and
/// the address decides: nodes choose different backends, so that together they use all backends, and a node keeps its
/// choice when other backends change.
pub fn limit(backends: &[Backend], node: &str) -> Limited {
    let mut counts: BTreeMap<u16, usize> = BTreeMap::new();
    for backend in backends {
        *counts.entry(backend.port).or_default() += 1;
    }
    // kube-proxy takes the port of the last backend for all of them, so the backends with another port get traffic on
    // a port where they do not listen.
    let port = counts.into_iter().max_by_key(|&(port, count)| (count, port)).map_or(0, |(port, _)| port);
    let mut chosen: Vec<&Backend> = backends.iter().filter(|backend| backend.port == port).collect();
    let other_port = backends.len() - chosen.len();
    let too_many = chosen.len().saturating_sub(MAX_BACKENDS);
    if too_many > 0 {
        chosen.sort_by_cached_key(|backend| (!backend.local, !backend.near, rank(backend, node), backend.address));
        chosen.truncate(MAX_BACKENDS);
        // Two specifications with the same backends must compare as equal, or the frontend would become dirty for
        // nothing.
        chosen.sort_unstable();
    }
    let targets = chosen.into_iter().map(|b| Target::Address { address: b.address, local: b.local });
    Limited { port, targets: targets.collect(), left_out: LeftOut { other_port, too_many } }
}

fn rank(backend: &Backend, node: &str) -> [u8; 32] {
    // A fixed hash: a restart, or another version of this program, must choose the same backends.
    Sha256::digest(format!("{node} {}", backend.address)).into()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::net::{IpAddr, Ipv4Addr};

    use super::*;

    fn many(count: u32) -> Vec<Backend> {
        let one = |n: u32| Backend {
            address: Ipv4Addr::from(0x0a00_0000 + n).into(),
            port: 8080,
            local: n % 100 == 99,
            near: n % 10 == 9,
        };
        (0..count).map(one).collect()
    }

    fn addresses(limited: &Limited) -> BTreeSet<IpAddr> {
        limited
            .targets
            .iter()
            .filter_map(|target| match target {
                Target::Address { address, .. } => Some(*address),
                Target::Root => None,
            })
            .collect()
    }

    #[test]
    fn all_backends_up_to_the_limit_are_used() {
        let limited = limit(&many(1024), "here");
        assert_eq!((limited.targets.len(), limited.left_out), (1024, LeftOut::default()));
        let limited = limit(&many(1025), "here");
        assert_eq!((limited.targets.len(), limited.left_out), (1024, LeftOut { other_port: 0, too_many: 1 }));
    }

    #[test]
    fn near_backends_are_preferred_above_the_limit() {
        let backends = many(5000);
        let limited = limit(&backends, "here");
        assert_eq!((limited.targets.len(), limited.left_out), (1024, LeftOut { other_port: 0, too_many: 3976 }));
        let taken = addresses(&limited);
        assert!(backends.iter().filter(|b| b.local || b.near).all(|b| taken.contains(&b.address)));
        assert!(limited.targets.is_sorted());
    }

    #[test]
    fn removing_a_backend_changes_one_choice_and_nodes_choose_differently() {
        let backends = many(3000);
        let before = addresses(&limit(&backends, "here"));
        for gone in [0, 1500, 2999] {
            let mut fewer = backends.clone();
            fewer.remove(gone);
            let after = addresses(&limit(&fewer, "here"));
            assert!(before.difference(&after).count() <= 1 && after.difference(&before).count() <= 1);
        }
        assert!(before.difference(&addresses(&limit(&backends, "there"))).count() > 100);
    }
}
