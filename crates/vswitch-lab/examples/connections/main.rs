//! Prints how many connections each timeline breaks, with the core of hnsproxy and with kube-proxy: the range over the alternatives of each
//! assumption.
//!
//! `cargo run --release -p vswitch-lab --example connections`, with `-- --json` for other programs.
#![allow(
    clippy::print_stdout,
    clippy::expect_used,
    reason = "the table is the result of this program, and its inputs are valid"
)]

mod node;
mod recorded;

use std::error::Error;
use std::num::NonZero;
use std::thread;

use serde_json::{Value, json};
use vswitch::Assumptions;
use vswitch_lab::timeline::{self, Load};
use vswitch_lab::{LabError, Range, Setup, Span, Tally, run};

const LOAD: Load = Load { held: 200, new_per_second: 200 };
const SEEDS: u64 = 3;

fn main() -> Result<(), Box<dyn Error>> {
    let is_json = std::env::args().skip(1).any(|argument| argument == "--json");
    let mut rows = Vec::new();
    if !is_json {
        println!("{:37} {:10} {:>36}   {:>26}", "", "", "new connections", "held connections broken");
        let [ready, gone] = ["backend ready", "gone"];
        println!("{:37} {:10} {:>12} {:>11} {:>11}   {ready:>14} {gone:>11}", "", "", "ok", "slow", "failed");
    }
    for timeline in timeline::all() {
        for (proxy, changes) in [("hnsproxy", node::play(&timeline)), ("kube-proxy", recorded::changes(&timeline)?)] {
            let Some(span) = Span::of(&tallies(&timeline.setup(changes, LOAD))?) else { continue };
            let Span { ok, slow, failed, broken, ended, .. } = span;
            if is_json {
                rows.push(document(timeline.name, proxy, &span));
            } else {
                let name = timeline.name;
                println!("{name:37} {proxy:10} {ok:>12} {slow:>11} {failed:>11}   {broken:>14} {ended:>11}");
            }
        }
    }
    if is_json {
        println!("{}", Value::Array(rows));
    }
    Ok(())
}

fn tallies(setup: &Setup) -> Result<Vec<Tally>, LabError> {
    let runs = Assumptions::variations().into_iter().flat_map(|one| (0..SEEDS).map(move |seed| (one, seed)));
    let runs: Vec<_> = runs.collect();
    let threads = thread::available_parallelism().map_or(1, NonZero::get);
    thread::scope(|scope| {
        let play = |part: &[(Assumptions, u64)]| -> Result<Vec<Tally>, LabError> {
            part.iter().map(|(assumptions, seed)| run(setup, *assumptions, *seed)).collect()
        };
        let parts = runs.chunks(runs.len().div_ceil(threads));
        let playing: Vec<_> = parts.map(|part| scope.spawn(move || play(part))).collect();
        let parts: Result<Vec<_>, _> = playing.into_iter().map(|part| part.join().expect("no panic")).collect();
        Ok(parts?.concat())
    })
}

fn document(name: &str, proxy: &str, span: &Span) -> Value {
    let pair = |range: Range| json!([range.least, range.greatest]);
    let Span { ok, slow, failed, kept, broken, ended, unopened } = *span;
    json!({
        "what": name, "proxy": proxy, "ok": pair(ok), "slow": pair(slow), "failed": pair(failed), "kept": pair(kept),
        "broken": pair(broken), "ended": pair(ended), "unopened": pair(unopened),
    })
}
