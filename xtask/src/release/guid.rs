//! GUIDs that depend only on the texts that they identify, so that all builds have the same GUIDs.

use crate::hash::sha256;

/// In lower case, of version 8 ([RFC 9562](https://www.rfc-editor.org/rfc/rfc9562#section-5.8)).
pub(super) fn of(texts: &[&str]) -> String {
    let hash = sha256(texts.join("\n").as_bytes());
    let part = |range: std::ops::Range<usize>| hash.get(range).unwrap_or_default();
    // The digits for the version and the variant have fixed values.
    format!("{}-{}-8{}-8{}-{}", part(0..8), part(8..12), part(12..15), part(15..18), part(18..30))
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_guid_depends_on_all_texts() {
        assert_eq!(super::of(&["a", "b"]), super::of(&["a", "b"]));
        assert_ne!(super::of(&["a", "b"]), super::of(&["a", "c"]));
        assert_eq!(super::of(&["a"]).len(), 36);
    }
}
