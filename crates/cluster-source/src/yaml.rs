//! The options with which YAML is parsed.

use serde_saphyr::Options;

/// Options whose limits grow with the text, in bytes: a file may have a large cluster. With aliases, a few kilobytes of text can become
/// hundreds of megabytes of values, so what they repeat is limited.
pub fn yaml_options(length: usize) -> Options {
    // A text without aliases has less than one event and one byte of scalars for each of its bytes. An alias of a few bytes usually
    // repeats a few values.
    let events = length.saturating_mul(2).saturating_add(10_000);
    let bytes = length.saturating_mul(4).saturating_add(1 << 20);
    serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_events: usize::MAX,
            max_nodes: usize::MAX,
            max_documents: usize::MAX,
            max_total_scalar_bytes: bytes,
            max_aliases: events,
            max_anchors: events,
            max_merge_keys: events,
            // Labels that all Services of a file share are one anchor with an alias in each.
            enforce_alias_anchor_ratio: false,
            max_recorded_anchor_events: events,
            max_recorded_anchor_bytes: bytes,
        },
        alias_limits: serde_saphyr::alias_limits! { max_total_replayed_events: events },
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn read(text: &str) -> Result<Value, serde_saphyr::Error> {
        serde_saphyr::from_str_with_options(text, yaml_options(text.len()))
    }

    #[test]
    fn aliases_may_repeat_a_few_values_everywhere() {
        let labels = "- &labels {app: web, team: shop, tier: front}\n";
        let items = "- {kind: Service, labels: *labels}\n".repeat(20_000);
        assert_eq!(
            read(&format!("{labels}{items}")).map_err(|error| error.to_string()).unwrap()[20_000]["labels"]["tier"],
            "front"
        );
    }

    #[test]
    fn aliases_that_multiply_are_an_error() {
        let ten = |name: &str| format!("[{}]", [name; 10].join(","));
        let levels: String =
            (1..7).map(|level| format!("- &a{level} {}\n", ten(&format!("*a{}", level - 1)))).collect();
        assert!(read(&format!("- &a0 x\n{levels}")).is_err());
        let text = "x".repeat(10_000);
        assert!(read(&format!("- &a {text}\n- [{}]\n", vec!["*a"; 1000].join(","))).is_err());
    }
}
