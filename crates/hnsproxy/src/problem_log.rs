//! Logs the objects of the input that could not be used.

use tracing::{info, warn};

use crate::kubernetes::{Problem, summary};
use crate::source::Catalog;

/// Remembers what it logged, so that an unchanged input is logged once.
#[derive(Debug, Default)]
pub struct ProblemLog(Vec<String>);

impl ProblemLog {
    pub fn log(&mut self, catalog: &Catalog) {
        info!("{}", catalog.describe());
        self.log_problems(&catalog.problems);
    }

    fn log_problems(&mut self, problems: &[Problem]) {
        let lines = summary(problems);
        if lines != self.0 {
            lines.iter().for_each(|line| warn!("{line}"));
            if lines.is_empty() {
                info!("resolved: problems of the input");
            }
            self.0 = lines;
        }
    }
}
