//! For how long the watch of a kind has shown no sign of life, and after what time the objects are listed instead.

use std::time::Duration;

/// The time since the last sign of life of a watch: an event, a bookmark, or a complete list. Requests that succeed are none: a proxy may accept
/// watches, hold their events back, and close them again. Times are the durations since any fixed moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WatchSilence {
    received_at: Option<Duration>,
    outage_since: Option<Duration>,
    /// The time in outages that have ended since the last sign of life.
    outages: Duration,
}

impl WatchSilence {
    /// There was a sign of life.
    pub fn received(&mut self, now: Duration) {
        (self.received_at, self.outages) = (Some(now), Duration::ZERO);
        self.outage_since = self.outage_since.map(|_| now);
    }

    /// An outage of requests for the kind is known, or is not any more.
    pub fn set_outage(&mut self, in_outage: bool, now: Duration) {
        if in_outage {
            self.outage_since.get_or_insert(now);
        } else if let Some(since) = self.outage_since.take() {
            self.outages = self.outages.saturating_add(now.saturating_sub(since));
        }
    }

    pub fn is_in_outage(&self) -> bool {
        self.outage_since.is_some()
    }

    /// None before the first complete list.
    pub fn received_at(&self) -> Option<Duration> {
        self.received_at
    }

    /// The time since the last sign of life in which no outage was known. None before the first complete list.
    pub fn unexplained(&self, now: Duration) -> Option<Duration> {
        let outage = self.outage_since.map(|since| now.saturating_sub(since)).unwrap_or_default();
        Some(now.saturating_sub(self.received_at?).saturating_sub(self.outages).saturating_sub(outage))
    }
}

/// How often the limit is doubled at most: from 4 to 16 min at the default timeout. What the watch holds back is found that late.
const MAX_DOUBLINGS: u32 = 2;

/// The silence after which the objects are listed. Lists of a large cluster are a load for the API server, so the limit doubles while
/// lists show nothing that the watch has missed.
#[derive(Debug)]
pub(super) struct SilenceLimit {
    shortest: Duration,
    doublings: u32,
    /// From 0 to 1, so that the nodes do not list at the same moment.
    jitter: f64,
}

impl SilenceLimit {
    /// `watch_timeout` is the time after which a watch that receives nothing is verified: a list follows if the next one receives nothing
    /// either.
    pub(super) fn new(watch_timeout: Duration, jitter: f64) -> Self {
        Self { shortest: watch_timeout.saturating_mul(2), doublings: 0, jitter }
    }

    pub(super) fn get(&self) -> Duration {
        self.shortest.saturating_mul(1 << self.doublings).mul_f64(1.0 + self.jitter.clamp(0.0, 1.0) / 3.0)
    }

    /// A watch has received something.
    pub(super) fn reset(&mut self) {
        self.doublings = 0;
    }

    /// A list has replaced a silent watch.
    pub(super) fn listed(&mut self, has_changed: bool, jitter: f64) {
        self.doublings = if has_changed { 0 } else { (self.doublings + 1).min(MAX_DOUBLINGS) };
        self.jitter = jitter;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn silence_lasts_until_a_sign_of_life_and_does_not_count_in_outages() {
        let mut silence = WatchSilence::default();
        silence.set_outage(true, at(1));
        silence.set_outage(false, at(5));
        assert_eq!(silence.unexplained(at(9)), None, "nothing was listed");
        silence.received(at(10));
        silence.set_outage(true, at(40));
        silence.set_outage(true, at(50));
        assert_eq!((silence.unexplained(at(70)), silence.is_in_outage()), (Some(at(30)), true));
        silence.set_outage(false, at(100));
        silence.set_outage(false, at(110));
        assert_eq!((silence.unexplained(at(120)), silence.received_at()), (Some(at(50)), Some(at(10))));
        silence.set_outage(true, at(120));
        silence.received(at(130));
        assert_eq!(silence.unexplained(at(140)), Some(at(0)));
        silence.set_outage(false, at(140));
        assert_eq!(silence.unexplained(at(145)), Some(at(5)));
    }

    #[test]
    fn the_limit_doubles_while_lists_show_nothing_new() {
        let mut limit = SilenceLimit::new(at(90), 0.0);
        let mut limits = vec![limit.get()];
        for (has_changed, jitter) in [(false, 1.0), (false, 0.0), (false, 1.0), (true, 0.0)] {
            limit.listed(has_changed, jitter);
            limits.push(limit.get());
        }
        assert_eq!(limits, [180, 480, 720, 960, 180].map(at));
        limit.listed(false, 0.0);
        limit.reset();
        assert_eq!(limit.get(), at(180));
        assert_eq!(SilenceLimit::new(at(90), 1.0).get(), at(240));
    }
}
