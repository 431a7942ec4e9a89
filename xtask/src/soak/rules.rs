//! What must hold for the samples of a whole run.

use std::time::Duration;

use super::sample::Sample;

/// The longest time that HNS may differ while `/readyz` says 200: three audits, one of which may fail, and the writes after it.
pub(super) const CHANGE_BOUND: Duration = Duration::from_secs(20);
/// The same while `/readyz` says that the API server is unavailable. Without that, a request that the API server does not answer takes 15 s, so
/// [`CHANGE_BOUND`] holds. With it, several faults of 10 s may follow each other, each with such a request, and HNS is in sync with what is known.
pub(super) const OUTAGE_BOUND: Duration = Duration::from_secs(60);
/// The same for a load balancer that another program has changed in place: a cycle of twelve audits of 5 s, and [`CHANGE_BOUND`].
pub(super) const IN_PLACE_BOUND: Duration = Duration::from_secs(80);

/// The memory of the last part of a run may exceed that after the warm-up by this factor and this many MB.
const END_GROWTH: f64 = 1.15;
const END_MARGIN_MB: f64 = 4.0;
/// The same for the peak after the warm-up, with what is in flight during bursts and relists.
const PEAK_GROWTH: f64 = 1.5;
const PEAK_MARGIN_MB: f64 = 16.0;
/// Descriptors that may be open beyond those after the warm-up: connections of relists and pages.
const DESCRIPTOR_MARGIN: usize = 16;

/// The resources after the warm-up, and how they developed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Resources {
    /// The medians of the second half of the warm-up.
    pub(super) warm_mb: f64,
    pub(super) warm_descriptors: usize,
    /// After the warm-up.
    pub(super) peak_mb: f64,
    pub(super) peak_descriptors: usize,
    /// The medians of the last tenth.
    pub(super) end_mb: f64,
    pub(super) end_descriptors: usize,
}

impl Resources {
    /// The warm-up is the first quarter of the run, and at most ten minutes. `None` for a run that is too short to tell.
    pub(super) fn of(samples: &[Sample]) -> Option<Self> {
        let warm_up = (samples.len() / 4).min(600);
        let (warm, rest) = samples.split_at_checked(warm_up)?;
        let (_, warm) = warm.split_at_checked(warm_up / 2)?;
        let (_, end) = rest.split_at_checked(rest.len() - samples.len() / 10)?;
        Some(Self {
            warm_mb: median(warm, |sample| sample.rss_mb)?,
            warm_descriptors: median(warm, |sample| sample.descriptors)?,
            peak_mb: rest.iter().map(|sample| sample.rss_mb).max_by(f64::total_cmp)?,
            peak_descriptors: rest.iter().map(|sample| sample.descriptors).max()?,
            end_mb: median(end, |sample| sample.rss_mb)?,
            end_descriptors: median(end, |sample| sample.descriptors)?,
        })
    }

    /// The rules that do not hold.
    pub(super) fn failures(&self) -> Vec<String> {
        let mut failures = Vec::new();
        let end_limit = self.warm_mb * END_GROWTH + END_MARGIN_MB;
        if self.end_mb > end_limit {
            let Self { end_mb, warm_mb, .. } = self;
            failures.push(format!(
                "memory grew from {warm_mb:.1} MB to {end_mb:.1} MB: at most {end_limit:.1} MB expected"
            ));
        }
        let peak_limit = self.warm_mb * PEAK_GROWTH + PEAK_MARGIN_MB;
        if self.peak_mb > peak_limit {
            failures
                .push(format!("memory was {:.1} MB at its peak: at most {peak_limit:.1} MB expected", self.peak_mb));
        }
        let descriptor_limit = self.warm_descriptors + DESCRIPTOR_MARGIN;
        for (when, count) in [("at their peak", self.peak_descriptors), ("at the end", self.end_descriptors)] {
            if count > descriptor_limit {
                failures.push(format!("{count} descriptors were open {when}: at most {descriptor_limit} expected"));
            }
        }
        failures
    }
}

fn median<T: PartialOrd + Copy>(samples: &[Sample], figure: impl Fn(&Sample) -> T) -> Option<T> {
    let mut figures: Vec<T> = samples.iter().map(figure).collect();
    figures.sort_by(|a, b| a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal));
    figures.get(figures.len() / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resources(memory: impl Fn(usize) -> f64, descriptors: impl Fn(usize) -> usize) -> Resources {
        let sample = |second| Sample { rss_mb: memory(second), descriptors: descriptors(second), ..Sample::default() };
        Resources::of(&(0..400).map(sample).collect::<Vec<_>>()).unwrap()
    }

    #[test]
    fn constant_memory_with_noise_passes() {
        let found = resources(|second| 20.0 + (second % 7) as f64, |second| 12 + second % 3);
        assert_eq!(found.failures(), [""; 0]);
        assert_eq!((found.warm_mb, found.end_mb, found.peak_mb, found.peak_descriptors), (23.0, 23.0, 26.0, 14));
    }

    #[test]
    fn growth_during_the_warm_up_passes() {
        assert_eq!(resources(|second| second.min(50) as f64, |_| 9).failures(), [""; 0]);
    }

    #[test]
    fn a_leak_a_peak_and_leaked_descriptors_fail() {
        let failures =
            |memory: fn(usize) -> f64, descriptors: fn(usize) -> usize| resources(memory, descriptors).failures();
        let leak = failures(|second| 20.0 + second as f64 / 40.0, |_| 9);
        assert_eq!(leak, ["memory grew from 21.9 MB to 29.5 MB: at most 29.2 MB expected"]);
        let peak = failures(|second| if second == 200 { 90.0 } else { 20.0 }, |_| 9);
        assert_eq!(peak, ["memory was 90.0 MB at its peak: at most 46.0 MB expected"]);
        let open = failures(|_| 20.0, |second| second);
        assert_eq!(
            open,
            [
                "399 descriptors were open at their peak: at most 91 expected",
                "380 descriptors were open at the end: at most 91 expected"
            ]
        );
    }

    #[test]
    fn a_run_that_is_too_short_has_no_figures() {
        assert_eq!(Resources::of(&vec![Sample::default(); 3]), None);
    }
}
