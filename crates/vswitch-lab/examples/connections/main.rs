//! Prints how many connections each event breaks, with the core of hnsproxy: the range over the alternatives of each assumption.
//!
//! `cargo run --release -p vswitch-lab --example connections`, with `-- --json` for other programs.
#![allow(
    clippy::print_stdout,
    clippy::expect_used,
    reason = "the table is the result of this program, and its inputs are valid"
)]

mod node;
mod rows;

use serde_json::{Value, json};
use vswitch::Assumptions;
use vswitch_lab::{LabError, Range, Setup, Span, Tally, run};

use rows::{Load, Row};

const LOAD: Load = Load { held: 200, new_per_second: 200 };
const SEEDS: u64 = 3;

fn main() -> Result<(), LabError> {
    let is_json = std::env::args().skip(1).any(|argument| argument == "--json");
    let mut rows = Vec::new();
    if !is_json {
        println!("{:38} {:>36}   {:>26}", "", "new connections", "held connections broken");
        let [ready, gone] = ["backend ready", "gone"];
        println!("{:38} {:>12} {:>11} {:>11}   {ready:>14} {gone:>11}", "", "ok", "slow", "failed");
    }
    for Row { name, setup } in rows::all(LOAD) {
        let Some(span) = Span::of(&tallies(&setup)?) else { continue };
        let Span { ok, slow, failed, broken, ended, .. } = span;
        if is_json {
            rows.push(document(name, &span));
        } else {
            println!("{name:38} {ok:>12} {slow:>11} {failed:>11}   {broken:>14} {ended:>11}");
        }
    }
    if is_json {
        println!("{}", Value::Array(rows));
    }
    Ok(())
}

fn tallies(setup: &Setup) -> Result<Vec<Tally>, LabError> {
    let runs = Assumptions::variations().into_iter().flat_map(|one| (0..SEEDS).map(move |seed| (one, seed)));
    runs.map(|(assumptions, seed)| run(setup, assumptions, seed)).collect()
}

fn document(name: &str, span: &Span) -> Value {
    let pair = |range: Range| json!([range.least, range.greatest]);
    let Span { ok, slow, failed, kept, broken, ended, unopened } = *span;
    json!({
        "what": name, "ok": pair(ok), "slow": pair(slow), "failed": pair(failed), "kept": pair(kept),
        "broken": pair(broken), "ended": pair(ended), "unopened": pair(unopened),
    })
}
