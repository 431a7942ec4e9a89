//! Runs libFuzzer with the target that `FUZZ_TARGET` names. The arguments are those of libFuzzer.
#![no_main]

use std::sync::LazyLock;

use fuzz::{MAX_TIME, Target, check, target};

static TARGET: LazyLock<Target> = LazyLock::new(|| {
    let name = std::env::var("FUZZ_TARGET").unwrap_or_default();
    target(&name).unwrap_or_else(|| panic!("unknown fuzz target {name:?}"))
});

libfuzzer_sys::fuzz_target!(|input: &[u8]| check(*TARGET, input, MAX_TIME));
