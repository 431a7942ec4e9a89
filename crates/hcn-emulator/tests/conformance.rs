//! Runs the conformance suite on each build.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::sync::Arc;

use hcn::{Features, Hcn};
use hcn_emulator::conformance::cases;
use hcn_emulator::{Build, Emulator};

#[test]
fn every_build_passes_the_cases_that_apply() {
    for name in Build::names() {
        let build: Build = name.parse().unwrap();
        let features = Features::of(build.version);
        let mut run = 0;
        for case in cases().filter(|case| (case.applies)(&features)) {
            let hcn: Arc<dyn Hcn> = Arc::new(Emulator::new(build.clone()));
            (case.run)(&hcn).unwrap_or_else(|error| panic!("{name}: {}: {error}", case.name));
            run += 1;
        }
        assert!(run >= if features.v2 { 19 } else { 2 }, "{name}: only {run} cases apply");
    }
}
