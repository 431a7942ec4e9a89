//! What libFuzzer prints, reduced to the figures of a target and the reason of a failure.

use std::fmt::Write;

#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Report {
    pub(super) target: String,
    inputs: u64,
    inputs_per_second: u64,
    /// The edges of the program that the inputs have reached.
    coverage: u64,
    pub(super) failure: Option<Failure>,
    last_lines: Vec<String>,
}

#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Failure {
    pub(super) reason: String,
    /// The input. `None` if the program failed without one.
    pub(super) file: Option<String>,
}

/// How many lines of a program that fails for an unknown reason are shown.
const LAST_LINES: usize = 20;

impl Report {
    pub(super) fn new(target: &str) -> Self {
        Self { target: target.to_owned(), ..Self::default() }
    }

    /// Takes a line of libFuzzer.
    pub(super) fn read(&mut self, line: &str) {
        let line = line.trim();
        let number = |text: &str| text.split_whitespace().next().and_then(|number| number.parse().ok());
        if let Some(inputs) = line.strip_prefix("stat::number_of_executed_units:").and_then(number) {
            self.inputs = inputs;
        } else if let Some(speed) = line.strip_prefix("stat::average_exec_per_sec:").and_then(number) {
            self.inputs_per_second = speed;
        } else if let Some((_, rest)) = line.split_once(" cov: ") {
            self.coverage = number(rest).unwrap_or(self.coverage);
        } else if line.contains("panicked at ")
            || line.contains("libFuzzer: timeout")
            || line.contains("libFuzzer: out-of-memory")
        {
            self.failure.get_or_insert_default().reason = line.to_owned();
        } else if let Some((_, file)) = line.split_once("Test unit written to ") {
            self.failure.get_or_insert_default().file = Some(file.to_owned());
        } else if let Some(failure) = self.failure.as_mut().filter(|failure| failure.reason.ends_with(':')) {
            // The message of a panic is on the next line.
            failure.reason = format!("{} {line}", failure.reason);
        }
        self.last_lines.push(line.to_owned());
        if self.last_lines.len() > LAST_LINES {
            self.last_lines.remove(0);
        }
    }

    /// Records that the program has ended.
    pub(super) fn end(&mut self, success: bool) {
        if success {
            // The target has caught the panic that was printed.
            self.failure = None;
        } else if self.failure.is_none() {
            self.failure = Some(Failure { reason: self.last_lines.join("\n"), file: None });
        }
    }
}

pub(super) fn table(reports: &[Report]) -> String {
    let width = reports.iter().map(|report| report.target.len()).max().unwrap_or_default();
    let mut text = format!("{:width$}     inputs inputs/s coverage result", "");
    for Report { target, inputs, inputs_per_second, coverage, failure, .. } in reports {
        let result = if failure.is_some() { "FAILED" } else { "ok" };
        // Writing to a text does not fail.
        let _ = write!(text, "\n{target:width$} {inputs:10} {inputs_per_second:8} {coverage:8} {result}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(lines: &[&str], success: bool) -> Report {
        let mut report = Report::new("flags");
        lines.iter().for_each(|line| report.read(line));
        report.end(success);
        Report { last_lines: Vec::new(), ..report }
    }

    #[test]
    fn the_figures_of_a_run_are_read() {
        let lines = [
            "#2\tINITED cov: 8 ft: 8 corp: 1/1b exec/s: 0 rss: 27Mb",
            "#1497\tDONE   cov: 12 ft: 13 corp: 5/23b lim: 4096 exec/s: 713 rss: 27Mb",
            "stat::number_of_executed_units: 1497",
            "stat::average_exec_per_sec:     713",
        ];
        let expected = Report { inputs: 1497, inputs_per_second: 713, coverage: 12, ..Report::new("flags") };
        assert_eq!(report(&lines, true), expected);
        assert_eq!(
            table(&[expected]),
            "          inputs inputs/s coverage result\nflags       1497      713       12 ok"
        );
    }

    #[test]
    fn a_failure_has_its_reason_and_its_input() {
        let lines = [
            "thread '<unnamed>' panicked at fuzz/src/lib.rs:1:2:",
            "left is not right",
            "==7== ERROR: libFuzzer: deadly signal",
            "artifact_prefix='a/'; Test unit written to a/crash-1",
            "Base64: AA==",
        ];
        let reason = "thread '<unnamed>' panicked at fuzz/src/lib.rs:1:2: left is not right".to_owned();
        assert_eq!(report(&lines, false).failure, Some(Failure { reason, file: Some("a/crash-1".to_owned()) }));
        let unknown = report(&["invalid option"], false).failure;
        assert_eq!(unknown, Some(Failure { reason: "invalid option".to_owned(), file: None }));
    }
}
