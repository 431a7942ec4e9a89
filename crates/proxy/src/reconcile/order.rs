//! Determines the order in which dirty frontends are planned, if there are too many for one run.

use std::collections::BTreeSet;
use std::vec::IntoIter;

use crate::frontend::Frontend;

/// The number of batches that one sort prepares. Each sort compares all dirty frontends, and a start on a cluster of 44 000 Services has
/// 172 batches.
const BATCHES: usize = 16;

/// The most urgent dirty frontends, sorted by urgency.
#[derive(Debug, Default)]
pub(super) struct Order {
    next: IntoIter<Frontend>,
    /// The number of dirty frontends after the last batch was taken. If the number has changed, the order is outdated.
    dirty: usize,
}

impl Order {
    /// Discards the order, because the urgency of frontends may have changed.
    pub(super) fn forget(&mut self) {
        *self = Self::default();
    }

    /// Removes the most urgent batch from the dirty frontends and returns it. There must be more dirty frontends than the batch size. A
    /// smaller value of `urgency` means more urgent.
    pub(super) fn take<U: Ord>(
        &mut self,
        batch: usize,
        dirty: &mut BTreeSet<Frontend>,
        urgency: impl Fn(Frontend) -> U,
    ) -> BTreeSet<Frontend> {
        if self.dirty != dirty.len() || self.next.len() < batch {
            let mut all: Vec<_> = dirty.iter().map(|frontend| (urgency(*frontend), *frontend)).collect();
            let first = batch.saturating_mul(BATCHES);
            if first < all.len() {
                all.select_nth_unstable(first);
                all.truncate(first);
            }
            all.sort_unstable();
            self.next = all.into_iter().map(|(_, frontend)| frontend).collect::<Vec<_>>().into_iter();
        }
        let taken = self.next.by_ref().take(batch).filter(|frontend| dirty.remove(frontend)).collect();
        self.dirty = dirty.len();
        taken
    }
}

#[cfg(test)]
mod tests {
    use hcn::schema::Protocol;

    use super::*;
    use crate::model::Family;

    fn frontend(port: u16) -> Frontend {
        Frontend { family: Family::V4, address: None, protocol: Protocol::TCP, port }
    }

    #[test]
    fn batches_are_taken_in_the_order_of_urgency() {
        let (mut order, mut dirty) = (Order::default(), (0..100).map(frontend).collect());
        let mut take = |dirty: &mut _| {
            let batch = order.take(3, dirty, |frontend| 1000 - frontend.port);
            batch.into_iter().map(|frontend| frontend.port).collect::<Vec<_>>()
        };
        for last in (4..=99).rev().step_by(3).take(20) {
            assert_eq!(take(&mut dirty), [last - 2, last - 1, last]);
        }
        dirty.insert(frontend(500));
        assert_eq!(take(&mut dirty), [38, 39, 500]);
    }

    #[test]
    fn a_new_order_follows_a_change_of_urgency() {
        let (mut order, mut dirty) = (Order::default(), (0..100).map(frontend).collect());
        order.take(3, &mut dirty, |frontend| frontend.port);
        order.forget();
        let batch = order.take(3, &mut dirty, |frontend| 1000 - frontend.port);
        assert_eq!(batch, [97, 98, 99].map(frontend).into());
    }
}
