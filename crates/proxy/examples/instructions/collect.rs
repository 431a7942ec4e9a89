//! The functions at which callgrind switches collection on and off (`--toggle-collect`). They are not inlined, so that it sees them.

use std::hint::black_box;

/// What `work` does counts, except for [`collect_off`].
#[inline(never)]
pub(crate) fn collect_on(work: &mut dyn FnMut()) {
    work();
    // A call at the end of a function could become a jump, which callgrind does not see as the end of the function.
    black_box(());
}

/// What `work` does inside [`collect_on`] does not count.
#[inline(never)]
pub(crate) fn collect_off(work: &mut dyn FnMut()) {
    work();
    black_box(());
}
