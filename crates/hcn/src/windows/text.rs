//! Converts strings to and from UTF-16, and reads error records.
//!
//! Any string of HNS can be read: a lone surrogate becomes U+FFFD, and an error record that is not the expected document is kept as
//! text.

use crate::error::ErrorRecord;
use crate::{Error, Hresult};

/// A string as HNS expects it: UTF-16 that ends with NUL.
#[derive(Debug)]
pub(super) struct Wide(Vec<u16>);

impl Wide {
    /// Converts a string.
    ///
    /// # Errors
    /// [`Hresult::E_INVALIDARG`] if the string contains NUL: HNS would read only the part before it, which may be a different request.
    pub(super) fn new(function: &'static str, text: &str) -> Result<Self, Error> {
        if text.contains('\0') {
            let code = Hresult::E_INVALIDARG;
            let error = "The string contains a NUL character.".to_owned();
            let record = Some(ErrorRecord { success: false, error, error_code: code.0 });
            return Err(Error::Hns { function, code, record });
        }
        Ok(Self(text.encode_utf16().chain([0]).collect()))
    }

    /// Valid as long as `self`; null if the string is empty.
    pub(super) fn pointer_or_null(&self) -> *const u16 {
        if self.0.len() > 1 { self.0.as_ptr() } else { std::ptr::null() }
    }

    /// Valid as long as `self`; never null.
    pub(super) fn pointer(&self) -> *const u16 {
        self.0.as_ptr()
    }
}

/// Converts a string of HNS, without the NUL at its end.
pub(super) fn decode(units: &[u16]) -> String {
    String::from_utf16_lossy(units)
}

/// The error record of a failure, or `None` if HNS returned none.
pub(super) fn record(code: Hresult, text: Option<&str>) -> Option<ErrorRecord> {
    let text = text?.trim();
    if text.is_empty() {
        return None;
    }
    match serde_json::from_str::<ErrorRecord>(text) {
        Ok(mut record) if !record.error.is_empty() => {
            // The envelope of `HNSCall` has a message like an error record, but no code.
            if record.error_code == 0 {
                record.error_code = code.0;
            }
            Some(record)
        }
        // Not an error record. The text may still help a person.
        _ => Some(ErrorRecord { success: false, error: text.to_owned(), error_code: code.0 }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Class;

    #[test]
    fn a_string_ends_with_nul_and_an_empty_one_is_null() {
        let text = Wide::new("F", "aé\u{1f980}").unwrap();
        assert_eq!(text.0, [0x61, 0xe9, 0xd83e, 0xdd80, 0]);
        assert_eq!(text.pointer_or_null(), text.pointer());
        let empty = Wide::new("F", "").unwrap();
        assert!(empty.pointer_or_null().is_null());
        assert!(!empty.pointer().is_null());
    }

    #[test]
    fn a_string_with_a_nul_is_rejected() {
        let error = Wide::new("HcnModifyNetwork", "{}\0{}").unwrap_err();
        assert_eq!(error.class(), Class::Invalid);
    }

    #[test]
    fn a_lone_surrogate_is_readable() {
        assert_eq!(decode(&[0x61, 0xd83e, 0x62]), "a\u{fffd}b");
    }

    #[test]
    fn a_record_is_read() {
        let text = r#"{"Success":false,"Error":"Element not found. ","ErrorCode":2147943568}"#;
        let record = record(Hresult::ELEMENT_NOT_FOUND, Some(text)).unwrap();
        assert_eq!((record.error.as_str(), record.error_code), ("Element not found. ", 0x8007_0490));
    }

    #[test]
    fn the_message_of_an_envelope_is_kept() {
        let text = r#"{"Success":false,"Output":null,"Error":"The endpoint was not found. "}"#;
        let record = record(Hresult::HCN_E_ENDPOINT_NOT_FOUND, Some(text)).unwrap();
        assert_eq!((record.error.as_str(), record.error_code), ("The endpoint was not found. ", 0x803b_0002));
    }

    #[test]
    fn other_texts_are_kept_as_messages() {
        for text in ["no document", "{}", "[1]", r#"{"ErrorCode":-1}"#, r#"{"Error":7}"#, "\u{fffd}", "{\"Error\":"] {
            let record = record(Hresult::E_NOTIMPL, Some(text)).unwrap();
            assert_eq!((record.error.as_str(), record.error_code), (text, 0x8000_4001));
        }
    }

    #[test]
    fn an_empty_text_is_not_a_record() {
        assert_eq!(record(Hresult::E_NOTIMPL, None), None);
        assert_eq!(record(Hresult::E_NOTIMPL, Some(" \r\n")), None);
    }
}
