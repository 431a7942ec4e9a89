//! Decompresses the body of a response while it is received.

use std::io::{self, Write};

use flate2::write::GzDecoder;
use hyper::body::Bytes;

/// The number of compressed bytes that are decompressed at once. gzip compresses by up to 1032:1, so the result has at most 4 MiB: the limits
/// of lines and pages apply after each of them.
const STEP: usize = 4 << 10;

/// A body, or the beginning of one.
#[derive(Debug)]
pub(super) struct Gunzip {
    decoder: GzDecoder<Vec<u8>>,
    compressed: Bytes,
}

impl Default for Gunzip {
    fn default() -> Self {
        Self { decoder: GzDecoder::new(Vec::new()), compressed: Bytes::new() }
    }
}

impl Gunzip {
    /// Adds a chunk of the body. Call it only after [`next`](Self::next) has returned all of the previous chunk.
    pub(super) fn push(&mut self, chunk: Bytes) {
        self.compressed = chunk;
    }

    /// What follows in the pushed chunk. Empty at its end, even if more of it is needed to decompress the next byte.
    ///
    /// # Errors
    /// If the body is not valid gzip.
    pub(super) fn next(&mut self) -> io::Result<Vec<u8>> {
        while !self.compressed.is_empty() {
            let step = self.compressed.split_to(STEP.min(self.compressed.len()));
            self.decoder.write_all(&step)?;
            // The server flushes after each event. Without this, the last event would be held back.
            self.decoder.flush()?;
            let decompressed = std::mem::take(self.decoder.get_mut());
            if !decompressed.is_empty() {
                return Ok(decompressed);
            }
        }
        Ok(Vec::new())
    }

    /// Checks that the body is complete.
    ///
    /// # Errors
    /// If its end is missing, or its checksum is wrong.
    pub(super) fn end(&mut self) -> io::Result<()> {
        self.decoder.try_finish()
    }
}

#[cfg(test)]
mod tests {
    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn compressed(text: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    fn all(gunzip: &mut Gunzip, chunk: &[u8]) -> io::Result<Vec<Vec<u8>>> {
        gunzip.push(Bytes::copy_from_slice(chunk));
        let mut parts = Vec::new();
        loop {
            match gunzip.next()? {
                part if part.is_empty() => return Ok(parts),
                part => parts.push(part),
            }
        }
    }

    #[test]
    fn each_flushed_event_is_returned_however_the_chunks_are_cut() {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        let mut gunzip = Gunzip::default();
        for event in [&b"first\n"[..], b"second\n", b"\n"] {
            encoder.write_all(event).unwrap();
            encoder.flush().unwrap();
            let chunk = std::mem::take(encoder.get_mut());
            let bytes = chunk.iter().flat_map(|byte| all(&mut gunzip, &[*byte]).unwrap().concat()).collect::<Vec<_>>();
            assert_eq!(bytes, event);
        }
        let rest = encoder.finish().unwrap();
        assert_eq!(all(&mut gunzip, &rest).unwrap().concat(), b"");
        gunzip.end().unwrap();
    }

    #[test]
    fn a_part_of_a_small_body_that_becomes_large_is_limited() {
        let body = compressed(&vec![b' '; 64 << 20]);
        assert!(body.len() < 100 << 10, "{}", body.len());
        let parts = all(&mut Gunzip::default(), &body).unwrap();
        let sizes: Vec<usize> = parts.iter().map(Vec::len).collect();
        assert!(sizes.iter().all(|size| *size <= 5 << 20), "{sizes:?}");
        assert_eq!(sizes.iter().sum::<usize>(), 64 << 20);
    }

    #[test]
    fn a_body_that_is_not_gzip_or_is_damaged_is_an_error() {
        assert!(all(&mut Gunzip::default(), b"{\"kind\": \"Status\"}").is_err());
        let mut body = compressed(b"text");
        let mut gunzip = Gunzip::default();
        assert_eq!(all(&mut gunzip, &body[..body.len() - 1]).unwrap().concat(), b"text");
        assert!(gunzip.end().is_err(), "the end is missing");
        let last = body.len() - 8;
        body[last] ^= 1;
        let mut gunzip = Gunzip::default();
        assert!(all(&mut gunzip, &body).and_then(|_| gunzip.end()).is_err());
    }
}
