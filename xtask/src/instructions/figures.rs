//! The figures, the file with the stored ones, and their comparison.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::work::{Figure, Size};

/// The accepted increase in percent. Different compilers and C libraries change the figures by a few percent.
const TOLERANCE: u64 = 10;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Figures {
    /// Figures of different compilers are not compared, because the compilers generate different instructions.
    compiler: String,
    /// The figures by size and phase.
    figures: BTreeMap<String, u64>,
}

impl Figures {
    pub(super) fn of_compiler(compiler: String) -> Self {
        Self { compiler, figures: BTreeMap::new() }
    }

    pub(super) fn add(&mut self, size: Size, figures: Vec<Figure>) {
        self.figures.extend(figures.into_iter().map(|(name, figure)| (format!("{size}, {name}"), figure)));
    }

    pub(super) fn stored(file: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
        serde_json::from_str(&text).with_context(|| format!("cannot read {}", file.display()))
    }

    pub(super) fn store(&self, file: &Path) -> Result<()> {
        let text = format!("{}\n", serde_json::to_string_pretty(self)?);
        std::fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.figures.iter().try_for_each(|(name, figure)| writeln!(f, "{figure:>15}  {name}"))
    }
}

/// The release in a version such as `rustc 1.95.0 (59807616e 2026-04-14)`.
fn release(compiler: &str) -> Option<&str> {
    compiler.strip_prefix("rustc ")?.split(' ').next()
}

/// The stored figures and the new ones.
pub(super) struct Comparison {
    stored: Figures,
    now: Figures,
}

impl Comparison {
    pub(super) fn of(stored: Figures, now: Figures) -> Self {
        Self { stored, now }
    }

    /// Whether a figure is too large or not stored, or a stored one is missing. With another compiler, none has to hold.
    pub(super) fn has_failed(&self) -> bool {
        self.not_compared().is_none()
            && (self.now.figures.iter().any(|(name, now)| self.is_too_large(name, *now))
                || self.missing().next().is_some())
    }

    /// Why the stored figures say nothing about those of now: another release of the compiler. Builds of one release generate the same
    /// instructions, whatever else their versions say.
    pub(super) fn not_compared(&self) -> Option<String> {
        let [stored, now] = [&self.stored, &self.now].map(|figures| figures.compiler.as_str());
        let is_same = release(stored).is_some_and(|stored| release(now) == Some(stored));
        (!is_same).then(|| format!("NOT COMPARED: the stored figures are from {stored}, the new ones from {now}"))
    }

    /// The stored figures that were not measured.
    fn missing(&self) -> impl Iterator<Item = &str> {
        self.stored.figures.keys().filter(|name| !self.now.figures.contains_key(*name)).map(String::as_str)
    }

    fn is_too_large(&self, name: &str, now: u64) -> bool {
        self.stored.figures.get(name).is_none_or(|stored| now * 100 > stored * (100 + TOLERANCE))
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:>15} {:>15}", "stored", "now")?;
        for (name, now) in &self.now.figures {
            let stored = self.stored.figures.get(name).copied();
            let remark = match stored {
                _ if self.is_too_large(name, *now) => "  TOO LARGE",
                Some(stored) if now * (100 + TOLERANCE) < stored * 100 => "  smaller: store it",
                _ => "",
            };
            writeln!(
                f,
                "{:>15} {now:>15}  {name}{remark}",
                stored.map_or("-".to_owned(), |stored| stored.to_string())
            )?;
        }
        self.missing().try_for_each(|name| writeln!(f, "{:>15} {:>15}  {name}  MISSING", "", "-"))?;
        write!(f, "cargo xtask instructions --accept stores the figures")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(compiler: &str, figures: &[(&str, u64)]) -> Figures {
        let figures = figures.iter().map(|(name, figure)| ((*name).to_owned(), *figure)).collect();
        Figures { compiler: compiler.to_owned(), figures }
    }

    #[test]
    fn a_figure_that_grows_beyond_the_tolerance_fails() {
        let has_failed =
            |compiler, now| Comparison::of(figures("rustc 1", &[("a", 1000)]), figures(compiler, now)).has_failed();
        assert!(!has_failed("rustc 1", &[("a", 1100)]));
        assert!(has_failed("rustc 1", &[("a", 1101)]));
        assert!(has_failed("rustc 1", &[("a", 1000), ("b", 1)]));
        assert!(has_failed("rustc 1", &[]), "a stored figure is missing");
    }

    #[test]
    fn only_another_release_of_the_compiler_is_not_compared() {
        let compare = |now| {
            Comparison::of(figures("rustc 1.95.0 (59807616e 2026-04-14)", &[("a", 1000)]), figures(now, &[("a", 2000)]))
        };
        for same in
            ["rustc 1.95.0 (59807616e 2026-04-14)", "rustc 1.95.0", "rustc 1.95.0 (built from a source tarball)"]
        {
            let comparison = compare(same);
            assert_eq!((comparison.not_compared(), comparison.has_failed()), (None, true), "{same}");
        }
        for other in ["rustc 1.96.0 (0123456ab 2026-05-28)", "rustc 1.95.0-beta.3 (0123456ab 2026-03-01)", ""] {
            let comparison = compare(other);
            let reason = comparison.not_compared().unwrap();
            assert!(reason.ends_with(&format!("2026-04-14), the new ones from {other}")), "{reason}");
            assert!(!comparison.has_failed(), "{other}");
        }
    }
}
