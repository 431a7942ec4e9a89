//! The functions that switch the collection of callgrind on and off (`--toggle-collect`). They are not inlined, so that it finds them.

use std::hint::black_box;

/// Counts the instructions of `work`, except those inside [`collect_off`].
#[inline(never)]
pub(crate) fn collect_on(work: &mut dyn FnMut()) {
    work();
    // Without this, the call of `work` could become a tail call, and callgrind would not detect the end of this function.
    black_box(());
}

/// Does not count the instructions of `work` inside [`collect_on`].
#[inline(never)]
pub(crate) fn collect_off(work: &mut dyn FnMut()) {
    work();
    black_box(());
}
