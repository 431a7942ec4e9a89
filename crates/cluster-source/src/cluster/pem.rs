//! Reads text in PEM, as Go's `encoding/pem` does.

use base64::Engine;
use base64::prelude::BASE64_STANDARD as BASE64;

pub(super) struct Block<'a> {
    pub(super) label: &'a str,
    /// `None` if it is not valid base64, or if it has headers, which Go does not allow in certificates.
    pub(super) contents: Option<Vec<u8>>,
    has_headers: bool,
}

impl Block<'_> {
    /// Whether it has a private key.
    pub(super) fn is_key(&self) -> bool {
        self.label == "PRIVATE KEY" || self.label.ends_with(" PRIVATE KEY")
    }

    /// Whether a password is needed. Keys have headers only if they are encrypted.
    pub(super) fn is_encrypted(&self) -> bool {
        self.label == "ENCRYPTED PRIVATE KEY" || self.has_headers
    }
}

/// Why a text has no certificates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoCertificates {
    /// It has a private key instead.
    Key,
    Nothing,
}

/// The certificates of a text.
///
/// # Errors
/// If there is none.
pub(super) fn certificates(text: &str) -> Result<Vec<Block<'_>>, NoCertificates> {
    let (certificates, others): (Vec<_>, Vec<_>) =
        blocks(text).into_iter().partition(|block| block.label == "CERTIFICATE");
    match certificates.as_slice() {
        [] if others.iter().any(Block::is_key) => Err(NoCertificates::Key),
        [] => Err(NoCertificates::Nothing),
        _ => Ok(certificates),
    }
}

/// The blocks of a text. Text between them is ignored, and so is a block without an end.
pub(super) fn blocks(text: &str) -> Vec<Block<'_>> {
    let mut blocks = Vec::new();
    let mut open: Option<(&str, String)> = None;
    for line in text.lines().map(str::trim) {
        if let Some(label) = line.strip_prefix("-----BEGIN ").and_then(|rest| rest.strip_suffix("-----")) {
            open = Some((label, String::new()));
        } else if let Some(label) = line.strip_prefix("-----END ").and_then(|rest| rest.strip_suffix("-----")) {
            if let Some((_, body)) = open.take().filter(|(opened, _)| *opened == label) {
                let has_headers = body.contains(':');
                blocks.push(Block { label, contents: BASE64.decode(body).ok(), has_headers });
            }
        } else if let Some((_, body)) = &mut open {
            body.push_str(line);
        }
    }
    blocks
}
