//! Which connections hnsproxy and kube-proxy break, in the model of the virtual switch: the example `connections` of `vswitch-lab` plays the
//! timelines.

use anyhow::{Context, Result};
use serde_json::Value;

use super::{Table, number};
use crate::process::{cargo, output_shown};

/// The ranges of a row, and their columns.
const RANGES: [&str; 5] = ["ok", "slow", "failed", "broken", "ended"];
const COLUMNS: [&str; 10] =
    ["ok least", "most", "slow least", "most", "failed least", "most", "broken least", "most", "ended least", "most"];

pub(super) fn run() -> Result<Table> {
    let mut command = cargo()?;
    command.args(["run", "--release", "--package", "vswitch-lab", "--example", "connections", "--", "--json"]);
    let rows = rows(&serde_json::from_str(&output_shown(&mut command)?)?)?;
    let title = "New connections (slow: retried), and held connections that broke (ended: the backend was unready), least and most over all assumptions";
    Ok(Table { title, columns: &COLUMNS, rows })
}

fn rows(document: &Value) -> Result<Vec<(String, Vec<f64>)>> {
    let rows = document.as_array().context("the example printed no list")?;
    rows.iter()
        .map(|row| {
            let text =
                |name: &str| row.get(name).and_then(Value::as_str).with_context(|| format!("a row lacks {name}"));
            Ok((format!("{}: {}", text("what")?, text("proxy")?), figures(row)?))
        })
        .collect()
}

fn figures(row: &Value) -> Result<Vec<f64>> {
    let figure = |name: &str, place: usize| {
        let count = row.get(name).and_then(|range| range.get(place)?.as_u64());
        count.map(number).with_context(|| format!("a row lacks {name}"))
    };
    RANGES.iter().flat_map(|name| [0, 1].map(|place| figure(name, place))).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_range_is_two_figures() {
        let row = json!({"what": "restart", "proxy": "a", "ok": [8, 9], "slow": [0, 1], "failed": [2, 2], "broken": [0, 3], "ended": [4, 5],
                         "kept": [1, 1]});
        let figures = vec![8.0, 9.0, 0.0, 1.0, 2.0, 2.0, 0.0, 3.0, 4.0, 5.0];
        assert_eq!(rows(&json!([row])).unwrap(), [("restart: a".to_owned(), figures)]);
        assert!(rows(&json!([{"what": "restart"}])).is_err());
    }
}
