//! Counters and histograms with labels, from the catalog.

use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::{Family, MetricConstructor};
use prometheus_client::metrics::histogram::{Histogram, NativeHistogramConfig};
use prometheus_client::registry::Registry;

use super::catalog::{Descriptor, Kind};
use super::sample::Labels;

/// The minimum time between two resets of a histogram with too many native buckets, as in Kubernetes components. Until the reset, its
/// buckets become wider.
const MIN_RESET_DURATION: Duration = Duration::from_secs(60 * 60);

#[derive(Debug, Clone, Copy)]
pub(super) struct Buckets(&'static Descriptor);

impl MetricConstructor<Histogram> for Buckets {
    fn new_metric(&self) -> Histogram {
        match self.0.kind {
            Kind::Histogram(bounds) => Histogram::new_classic_and_native(bounds(), native()),
            Kind::Counter | Kind::Gauge => Histogram::new([]),
        }
    }
}

/// The native buckets of all histograms, as in Kubernetes components: each at most 10 % wider than the one before, and at most 160.
fn native() -> NativeHistogramConfig {
    NativeHistogramConfig::new(1.1).max_buckets(160).min_reset_duration(MIN_RESET_DURATION)
}

/// A metric with labels.
#[derive(Debug, Clone)]
pub(super) struct Vector<M, C> {
    descriptor: &'static Descriptor,
    family: Family<Labels, M, C>,
}

pub(super) type Counters = Vector<Counter, fn() -> Counter>;
pub(super) type Histograms = Vector<Histogram, Buckets>;

impl<M: Clone, C: MetricConstructor<M>> Vector<M, C> {
    /// The value for labels, which are in the order of the catalog.
    pub(super) fn of<const N: usize>(&self, labels: [&str; N]) -> M {
        let labels = self.descriptor.labels.iter().copied().zip(labels.map(str::to_owned)).collect();
        self.family.get_or_create_owned(&labels)
    }
}

pub(super) fn counters(registry: &mut Registry, descriptor: &'static Descriptor) -> Counters {
    let family = Family::new_with_constructor(Counter::default as fn() -> Counter);
    let name = descriptor.name.strip_suffix("_total").unwrap_or(descriptor.name);
    registry.register(name, descriptor.help, family.clone());
    Vector { descriptor, family }
}

pub(super) fn histograms(registry: &mut Registry, descriptor: &'static Descriptor) -> Histograms {
    let family = Family::new_with_constructor(Buckets(descriptor));
    registry.register(descriptor.name, descriptor.help, family.clone());
    Vector { descriptor, family }
}
