//! Benchmarks of time, calls and memory. They produce figures to compare. A figure that exceeds its limit is a failure; most have none.
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

struct Benchmark {
    name: &'static str,
    run: fn() -> Result<Table>,
    /// The largest figure of each row in a column.
    limits: &'static [(&'static str, f64)],
}

const fn benchmark(
    name: &'static str,
    run: fn() -> Result<Table>,
    limits: &'static [(&'static str, f64)],
) -> Benchmark {
    Benchmark { name, run, limits }
}

const BENCHMARKS: [Benchmark; 10] = [
    benchmark("native_call", native_call::run, &[]),
    benchmark("start", start::run, &[]),
    benchmark("change", change::run, &[]),
    benchmark("connections", connections::run, &[]),
    benchmark("idle", idle::run, &[("writes", 0.0), ("CPU ms", 300.0)]),
    benchmark("loss", loss::run, &[]),
    benchmark("rollout", rollout::run, &[]),
    benchmark("recovery", recovery::run, &[]),
    benchmark("pages", pages::run, &[("99 % ms", 50.0)]),
    benchmark("wine", wine::run, &[]),
];

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    let known = || BENCHMARKS.map(|benchmark| benchmark.name).join(", ");
    if let Some(unknown) = arguments.names.iter().find(|name| BENCHMARKS.iter().all(|known| known.name != **name)) {
        bail!("unknown benchmark {unknown} (known: {})", known());
    }
    let folder = folder::target()?.join("bench");
    std::fs::create_dir_all(&folder)?;
    let mut exceeded = Vec::new();
    for Benchmark { name, run, limits } in BENCHMARKS {
        if !arguments.names.is_empty() && !arguments.names.iter().any(|wanted| wanted == name) {
            continue;
        }
        let table = run().with_context(|| format!("benchmark {name}"))?;
        print(format_args!("{}", table.text()))?;
        let file = folder.join(name).with_extension("json");
        std::fs::write(&file, format!("{:#}\n", table.json()))?;
        say(format_args!("written to {}", file.display()));
        exceeded.extend(table.exceeded(limits)?.into_iter().map(|text| format!("{name}: {text}")));
    }
    exceeded.iter().for_each(|text| say(format_args!("LIMIT EXCEEDED: {text}")));
    Ok(if exceeded.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
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

    /// The figures that exceed the limits of columns.
    fn exceeded(&self, limits: &[(&str, f64)]) -> Result<Vec<String>> {
        let mut exceeded = Vec::new();
        for (column, limit) in limits {
            let position = self.columns.iter().position(|name| name == column);
            let position = position.with_context(|| format!("missing column {column}"))?;
            for (row, figures) in &self.rows {
                let figure = figures.get(position).with_context(|| format!("{row}: missing {column}"))?;
                if figure > limit {
                    exceeded.push(format!("{row}: {figure:.1} {column}, limit {limit:.1}"));
                }
            }
        }
        Ok(exceeded)
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

    #[test]
    fn a_figure_beyond_the_limit_of_its_column_is_named() {
        let rows = vec![("fast".to_owned(), vec![900.0, 50.0]), ("slow".to_owned(), vec![1.0, 50.5])];
        let table = Table { title: "Times", columns: &["kB", "99 % ms"], rows };
        assert_eq!(table.exceeded(&[]).unwrap(), [""; 0]);
        assert_eq!(table.exceeded(&[("99 % ms", 50.0)]).unwrap(), ["slow: 50.5 99 % ms, limit 50.0"]);
        // A limit that is never compared would always hold.
        table.exceeded(&[("99% ms", 50.0)]).unwrap_err();
    }
}
