//! Benchmarks of time, calls and memory. They produce figures to compare; a slow result is not a failure.
//!
//! Each file is one benchmark, a function that returns a [`Table`], which is printed and written as JSON to `target/bench/NAME.json`.

mod change;
mod connections;
mod idle;
mod loss;
mod native_call;
mod pages;
mod recovery;
mod rollout;
mod start;
mod wine;

use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use crate::folder;
use crate::process::{print, say};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Only these benchmarks
    #[arg(value_name = "NAME")]
    names: Vec<String>,
}

/// The result of a benchmark.
pub(crate) struct Table {
    title: &'static str,
    /// The names of the columns after the first.
    columns: &'static [&'static str],
    /// The name of each row, and its figures.
    rows: Vec<(String, Vec<f64>)>,
}

type Benchmark = fn() -> Result<Table>;

const BENCHMARKS: [(&str, Benchmark); 10] = [
    ("native_call", native_call::run),
    ("start", start::run),
    ("change", change::run),
    ("connections", connections::run),
    ("idle", idle::run),
    ("loss", loss::run),
    ("rollout", rollout::run),
    ("recovery", recovery::run),
    ("pages", pages::run),
    ("wine", wine::run),
];

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    let known = || BENCHMARKS.map(|(name, _)| name).join(", ");
    if let Some(unknown) = arguments.names.iter().find(|name| BENCHMARKS.iter().all(|(known, _)| known != name)) {
        bail!("unknown benchmark {unknown} (known: {})", known());
    }
    let folder = folder::target()?.join("bench");
    std::fs::create_dir_all(&folder)?;
    for (name, benchmark) in BENCHMARKS {
        if !arguments.names.is_empty() && !arguments.names.iter().any(|wanted| wanted == name) {
            continue;
        }
        let table = benchmark().with_context(|| format!("benchmark {name}"))?;
        print(format_args!("{}", table.text()))?;
        let file = folder.join(name).with_extension("json");
        std::fs::write(&file, format!("{:#}\n", table.json()))?;
        say(format_args!("written to {}", file.display()));
    }
    Ok(ExitCode::SUCCESS)
}

/// A count as a figure.
#[allow(clippy::cast_precision_loss, reason = "counts of calls are far below 2^52")]
fn number(count: u64) -> f64 {
    count as f64
}

impl Table {
    fn text(&self) -> String {
        const WIDTH: usize = 12;
        let first = self.rows.iter().map(|(row, _)| row.chars().count()).max().unwrap_or_default();
        let mut text = format!("{}\n{:first$}", self.title, "");
        self.columns.iter().for_each(|column| text.push_str(&format!(" {column:>WIDTH$}")));
        for (row, figures) in &self.rows {
            text.push_str(&format!("\n{row:first$}"));
            figures.iter().for_each(|figure| text.push_str(&format!(" {figure:>WIDTH$.1}")));
        }
        text
    }

    fn json(&self) -> Value {
        let row = |(row, figures): &(String, Vec<f64>)| {
            let mut object = serde_json::Map::new();
            object.insert("what".into(), json!(row));
            object.extend(self.columns.iter().zip(figures).map(|(name, figure)| ((*name).to_owned(), json!(figure))));
            Value::Object(object)
        };
        json!({"title": self.title, "rows": self.rows.iter().map(row).collect::<Vec<_>>()})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_aligned_and_its_json_names_each_figure() {
        let rows = vec![("short".to_owned(), vec![1.0, 2.5]), ("a longer one".to_owned(), vec![10.0, 250.25])];
        let table = Table { title: "Times", columns: &["calls", "median us"], rows };
        let lines = [
            "Times",
            "                    calls    median us",
            "short                 1.0          2.5",
            "a longer one         10.0        250.2",
        ];
        assert_eq!(table.text().lines().collect::<Vec<_>>(), lines);
        assert_eq!(table.json().pointer("/rows/1/median us"), Some(&json!(250.25)));
    }
}
