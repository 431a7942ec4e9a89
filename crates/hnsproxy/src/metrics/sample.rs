//! Values that exist outside of the registry, collected at each request.

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;

use super::catalog::{Descriptor, Kind};

/// The labels of a value, by name.
pub(crate) type Labels = Vec<(&'static str, String)>;

/// One value of a counter or gauge.
#[derive(Debug, Clone)]
pub(crate) struct Sample {
    pub(crate) descriptor: &'static Descriptor,
    pub(crate) labels: Labels,
    pub(crate) value: f64,
}

impl Sample {
    /// A value without labels.
    pub(crate) fn new(descriptor: &'static Descriptor, value: f64) -> Self {
        Self::of(descriptor, [], value)
    }

    /// A value with labels, in the order of the catalog.
    pub(crate) fn of<const N: usize>(descriptor: &'static Descriptor, labels: [&str; N], value: f64) -> Self {
        let labels = descriptor.labels.iter().copied().zip(labels.map(str::to_owned)).collect();
        Self { descriptor, labels, value }
    }
}

/// A count as a value. Beyond 2^53 the last digits are lost.
pub(crate) fn count(count: u64) -> f64 {
    count as f64
}

/// Samples; those of one metric are neighbours.
#[derive(Debug)]
pub(crate) struct Samples(pub(crate) Vec<Sample>);

impl Collector for Samples {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        for samples in self.0.chunk_by(|a, b| std::ptr::eq(a.descriptor, b.descriptor)) {
            let Some(Descriptor { name, kind, help, .. }) = samples.first().map(|sample| sample.descriptor) else {
                continue;
            };
            let (name, kind) = match kind {
                Kind::Counter => (name.strip_suffix("_total").unwrap_or(name), MetricType::Counter),
                Kind::Gauge | Kind::Histogram(_) => (*name, MetricType::Gauge),
            };
            let mut metric = encoder.encode_descriptor(name, help, None, kind)?;
            for Sample { labels, value, .. } in samples {
                let mut metric = metric.encode_family(labels)?;
                match kind {
                    MetricType::Counter => metric.encode_counter::<NoLabelSet, f64, u64>(value, None)?,
                    _ => metric.encode_gauge(value)?,
                }
            }
        }
        Ok(())
    }
}
