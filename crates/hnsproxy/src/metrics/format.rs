//! The formats of `/metrics`, and which one a request gets.

use prometheus_client::encoding::prometheus_text;

/// The media type that Prometheus requests for native histograms, without parameters.
const PROTOBUF: &str = "application/vnd.google.protobuf";
const PROTOBUF_PARAMETERS: [&str; 2] = ["proto=io.prometheus.client.MetricFamily", "encoding=delimited"];
/// Media ranges that include the text format.
const TEXT: [&str; 3] = ["text/plain", "text/*", "*/*"];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Text,
    /// Messages of the type `io.prometheus.client.MetricFamily`, each after its length. Only this format has native histograms.
    Protobuf,
}

impl Format {
    /// The format that a header `Accept` prefers ([RFC 9110](https://www.rfc-editor.org/rfc/rfc9110#section-12.5.1)). The default
    /// is text.
    pub(crate) fn preferred(accept: &str) -> Self {
        let (mut text, mut protobuf) = (0.0_f64, 0.0_f64);
        for range in accept.split(',') {
            let mut parts = range.split(';').map(str::trim);
            let name = parts.next().unwrap_or_default().to_ascii_lowercase();
            let parameters: Vec<&str> = parts.collect();
            let quality = parameters.iter().find_map(|parameter| parameter.strip_prefix("q="));
            let quality = quality.map_or(1.0, |quality| quality.trim().parse().unwrap_or_default());
            if TEXT.contains(&name.as_str()) {
                text = text.max(quality);
            } else if name == PROTOBUF && PROTOBUF_PARAMETERS.iter().all(|parameter| parameters.contains(parameter)) {
                protobuf = protobuf.max(quality);
            }
        }
        if protobuf > 0.0 && protobuf >= text { Self::Protobuf } else { Self::Text }
    }

    pub(crate) fn content_type(self) -> &'static str {
        match self {
            Self::Text => prometheus_text::CONTENT_TYPE,
            Self::Protobuf => {
                "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn protobuf_is_used_only_if_it_is_preferred() {
        let prometheus_2 = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited,\
            application/openmetrics-text;version=1.0.0;q=0.8,application/openmetrics-text;version=0.0.1;q=0.75,\
            text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
        let prometheus_3 = "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited; q=0.6, \
            text/plain; version=1.0.0; q=0.4, */*; q=0.2";
        for accept in [prometheus_2, prometheus_3] {
            assert_eq!(Format::preferred(accept), Format::Protobuf, "{accept}");
            let with_text =
                accept.replace("q=0.5", "q=1").replace("q=0.4", "q=1").replace("delimited,", "delimited;q=0.9,");
            assert_eq!(Format::preferred(&with_text), Format::Text, "{with_text}");
        }
        for accept in [
            "",
            "*/*",
            "text/plain",
            "application/openmetrics-text;version=1.0.0;q=0.8,*/*;q=0.1",
            "application/vnd.google.protobuf",
            "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=text,*/*",
            "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0",
        ] {
            assert_eq!(Format::preferred(accept), Format::Text, "{accept}");
        }
    }
}
