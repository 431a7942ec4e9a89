//! Many worlds, or one again with what led to its failure. Started by hand, as `cargo xtask chaos`.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use super::world::Threads;
use super::{STEPS, run};

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name}={text}: expected a number")))
}

/// Runs worlds until `CHAOS_STEPS` steps are done, or `CHAOS_FAILURES` have failed; their seeds are `CHAOS_SEED` and those after it.
#[test]
#[ignore = "runs as long as CHAOS_STEPS says"]
#[allow(clippy::disallowed_methods, reason = "measures")]
fn many_worlds() {
    let (steps, first) = (number("CHAOS_STEPS").unwrap_or(10_000), number("CHAOS_SEED").unwrap_or(1));
    let threads = number("CHAOS_THREADS").unwrap_or(1);
    let enough = number("CHAOS_FAILURES").unwrap_or(u64::MAX);
    let (next, failed) = (AtomicU64::new(0), AtomicU64::new(0));
    let begun = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let world = next.fetch_add(1, Ordering::Relaxed);
                    if world * STEPS >= steps || failed.load(Ordering::Relaxed) >= enough {
                        break;
                    }
                    let result = std::panic::catch_unwind(|| run(first + world, Threads::OfWorld, 0..STEPS));
                    if let Some(text) = result.unwrap_or_else(|_| Some("panic".to_owned())) {
                        failed.fetch_add(1, Ordering::Relaxed);
                        let file = format!("{}/chaos-{}.txt", env!("CARGO_TARGET_TMPDIR"), first + world);
                        // With several threads, a world may not fail again.
                        std::fs::write(file, &text).unwrap();
                        let mut lines = text.lines().rev();
                        let (world_text, what) = (lines.next(), lines.next());
                        println!("{}\n    {}", world_text.unwrap_or_default(), what.unwrap_or_default());
                    }
                }
            });
        }
    });
    let seconds = begun.elapsed().as_secs_f64();
    let (worlds, failed) = (next.into_inner() - threads, failed.into_inner());
    let steps = worlds * STEPS;
    println!("{worlds} worlds, {steps} steps, {:.0} steps/s, {failed} failed", steps as f64 / seconds);
    assert_eq!(failed, 0, "worlds failed; see above");
}

/// The world of `CHAOS_SEED`, with as few steps as still fail.
#[test]
#[ignore = "needs CHAOS_SEED"]
fn one_world_again() {
    let seed = number("CHAOS_SEED").unwrap_or(1);
    let mut steps: Vec<u64> = (0..STEPS).collect();
    let Some(mut text) = run(seed, Threads::OfWorld, steps.iter().copied()) else { return };
    // What failed first, without ids and numbers, is what must fail again.
    let mut size = steps.len() / 2;
    while size > 0 {
        let mut start = 0;
        while start < steps.len() {
            let fewer: Vec<u64> =
                steps.iter().enumerate().filter(|(i, _)| !(start..start + size).contains(i)).map(|(_, s)| *s).collect();
            match run(seed, Threads::OfWorld, fewer.iter().copied()) {
                Some(shorter) => (steps, text) = (fewer, shorter),
                None => start += size,
            }
        }
        size /= 2;
    }
    panic!("steps {steps:?}\n{text}");
}
