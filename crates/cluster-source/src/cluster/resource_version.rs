//! The order of resource versions.

/// Whether a resource version is older than another of the same cluster. False if that cannot be known.
///
/// Kubernetes defines the order since 1.35 (KEP-5504): both are decimal numbers, of any length. Earlier servers use such numbers too.
pub(super) fn is_older(version: &str, than: &str) -> bool {
    let is_number =
        |text: &str| !text.is_empty() && !text.starts_with('0') && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number(version) && is_number(than) && (version.len(), version) < (than.len(), than)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_ordered_as_numbers_of_any_length() {
        for (version, than) in [("5", "6"), ("9", "10"), ("99999999999999999999999998", "99999999999999999999999999")] {
            assert!(is_older(version, than) && !is_older(than, version), "{version} {than}");
        }
        for (version, than) in [("5", "5"), ("", "5"), ("5", ""), ("a", "b"), ("-1", "1"), ("01", "1")] {
            assert!(!is_older(version, than) && !is_older(than, version), "{version} {than}");
        }
    }
}
