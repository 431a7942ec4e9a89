//! Which of the backends that serve fit into one load balancer of HNS: those of one port, and so many of them.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use super::select::Backend;
use crate::frontend::Target;

/// How many backends a load balancer takes.
pub const LIMIT: usize = 1024;

/// The backends that fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fit {
    /// Their port.
    pub port: u16,
    /// The backends, in order.
    pub targets: Vec<Target>,
    /// How many do not fit.
    pub left_out: LeftOut,
}

/// How many backends do not fit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LeftOut {
    /// Because most have another port.
    pub other_port: usize,
    /// Because there are too many.
    pub too_many: usize,
}

/// The backends of the port that most have: a load balancer has one port for all. Of two equal groups, that of the higher port, so that
/// the choice does not depend on order.
///
/// Of too many, those on this node come first, then those in its zone. Among equals the node's name decides together with the address:
/// each node takes others, and keeps them while backends come and go.
pub fn fit(backends: &[Backend], node: &str) -> Fit {
    let mut counts: BTreeMap<u16, usize> = BTreeMap::new();
    for backend in backends {
        *counts.entry(backend.port).or_default() += 1;
    }
    let port = counts.into_iter().max_by_key(|&(port, count)| (count, port)).map_or(0, |(port, _)| port);
    let mut chosen: Vec<&Backend> = backends.iter().filter(|backend| backend.port == port).collect();
    let other_port = backends.len() - chosen.len();
    let too_many = chosen.len().saturating_sub(LIMIT);
    if too_many > 0 {
        chosen.sort_by_cached_key(|backend| (!backend.local, !backend.near, rank(backend, node), backend.address));
        chosen.truncate(LIMIT);
        chosen.sort_unstable();
    }
    let targets = chosen.into_iter().map(|b| Target::Address { address: b.address, local: b.local });
    Fit { port, targets: targets.collect(), left_out: LeftOut { other_port, too_many } }
}

fn rank(backend: &Backend, node: &str) -> [u8; 32] {
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

    fn addresses(fit: &Fit) -> BTreeSet<IpAddr> {
        fit.targets
            .iter()
            .filter_map(|target| match target {
                Target::Address { address, .. } => Some(*address),
                Target::Root => None,
            })
            .collect()
    }

    #[test]
    fn as_many_as_fit_are_all_taken() {
        let fit = fit(&many(1024), "here");
        assert_eq!((fit.targets.len(), fit.left_out), (1024, LeftOut::default()));
    }

    #[test]
    fn of_too_many_the_near_ones_are_taken() {
        let backends = many(5000);
        let fit = fit(&backends, "here");
        assert_eq!((fit.targets.len(), fit.left_out), (1024, LeftOut { other_port: 0, too_many: 3976 }));
        let taken = addresses(&fit);
        assert!(backends.iter().filter(|b| b.local || b.near).all(|b| taken.contains(&b.address)));
        assert!(fit.targets.is_sorted());
    }

    #[test]
    fn one_backend_less_changes_one_place_and_nodes_take_different_ones() {
        let backends = many(3000);
        let before = addresses(&fit(&backends, "here"));
        for gone in [0, 1500, 2999] {
            let mut fewer = backends.clone();
            fewer.remove(gone);
            let after = addresses(&fit(&fewer, "here"));
            assert!(before.difference(&after).count() <= 1 && after.difference(&before).count() <= 1);
        }
        assert!(before.difference(&addresses(&fit(&backends, "there"))).count() > 100);
    }
}
