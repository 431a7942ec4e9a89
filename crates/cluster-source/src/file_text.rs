//! The text of a file in the encodings that Windows programs write: UTF-8, with or without a byte order mark, and UTF-16 with one.

use std::io;
use std::path::Path;

/// Reads a text file, for example one that `>` of Windows PowerShell 5.1 wrote. The byte order mark is not part of the text.
///
/// # Errors
/// If the file cannot be read, or has no valid text.
pub fn read_text(path: &Path) -> io::Result<String> {
    decode_text(std::fs::read(path)?)
}

/// The text of a file with these bytes.
///
/// # Errors
/// If they are no valid text.
pub fn decode_text(bytes: Vec<u8>) -> io::Result<String> {
    let invalid = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what.to_owned());
    let utf16 = |rest: &[u8], unit: fn([u8; 2]) -> u16| {
        let (units, odd) = rest.as_chunks();
        let text = char::decode_utf16(units.iter().copied().map(unit)).collect::<Result<String, _>>();
        text.ok().filter(|_| odd.is_empty()).ok_or_else(|| invalid("not valid UTF-16"))
    };
    match bytes.as_slice() {
        [0xff, 0xfe, rest @ ..] => utf16(rest, u16::from_le_bytes),
        [0xfe, 0xff, rest @ ..] => utf16(rest, u16::from_be_bytes),
        _ => {
            let mut text = String::from_utf8(bytes)
                .map_err(|_| invalid("not valid UTF-8, and not UTF-16 with a byte order mark"))?;
            if text.starts_with('\u{feff}') {
                text.remove(0);
            }
            Ok(text)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_encodings_of_windows_are_read() {
        let text = "name: \u{e9}\u{1f600}\r\n";
        let utf16 = |unit: fn(u16) -> [u8; 2]| {
            "\u{feff}name: \u{e9}\u{1f600}\r\n".encode_utf16().flat_map(unit).collect::<Vec<_>>()
        };
        for bytes in
            [text.into(), format!("\u{feff}{text}").into_bytes(), utf16(u16::to_le_bytes), utf16(u16::to_be_bytes)]
        {
            assert_eq!(decode_text(bytes).unwrap(), text);
        }
        for invalid in [&[0xff, 0xfe, 0x41][..], &[0xff, 0xfe, 0x00, 0xd8], &[0x41, 0xff]] {
            assert!(decode_text(invalid.to_vec()).is_err(), "{invalid:?}");
        }
        assert_eq!(decode_text(Vec::new()).unwrap(), "");
    }
}
