//! Reads values in DER, the encoding of certificates.

/// Iterates over the elements of a value, and ends at the first that is not valid DER.
#[derive(Debug, Clone, Copy)]
pub(super) struct Der<'a> {
    rest: &'a [u8],
}

/// The tags that certificates use.
pub(super) mod tag {
    pub(in super::super) const BOOLEAN: u8 = 0x01;
    pub(in super::super) const INTEGER: u8 = 0x02;
    pub(in super::super) const BIT_STRING: u8 = 0x03;
    pub(in super::super) const OCTET_STRING: u8 = 0x04;
    pub(in super::super) const OID: u8 = 0x06;
    pub(in super::super) const UTC_TIME: u8 = 0x17;
    pub(in super::super) const GENERALIZED_TIME: u8 = 0x18;
    pub(in super::super) const SEQUENCE: u8 = 0x30;
    pub(in super::super) const SET: u8 = 0x31;

    /// The context-specific tag of a field that contains elements.
    pub(in super::super) const fn explicit(number: u8) -> u8 {
        0xa0 | number
    }

    /// The context-specific tag of a field that contains bytes.
    pub(in super::super) const fn implicit(number: u8) -> u8 {
        0x80 | number
    }
}

impl<'a> Der<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// What follows the elements that were read.
    #[cfg(feature = "fuzzing")]
    pub(super) fn rest(self) -> &'a [u8] {
        self.rest
    }

    /// The contents of the next element, if it has this tag. Otherwise, the element stays the next one.
    pub(super) fn read(&mut self, tag: u8) -> Option<&'a [u8]> {
        let (found, contents, rest) = split(self.rest)?;
        (found == tag).then(|| {
            self.rest = rest;
            contents
        })
    }

    /// The elements within the next element, if it has this tag.
    pub(super) fn enter(&mut self, tag: u8) -> Option<Self> {
        self.read(tag).map(Self::new)
    }
}

impl<'a> Iterator for Der<'a> {
    type Item = (u8, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let (tag, contents, rest) = split(self.rest)?;
        self.rest = rest;
        Some((tag, contents))
    }
}

/// The tag and the contents of the first element, and the bytes after it.
fn split(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = bytes.split_first()?;
    let (&length, rest) = rest.split_first()?;
    let (length, rest) = match length {
        0..=0x7f => (usize::from(length), rest),
        // The low bits are the number of bytes of the length that follows. Three are enough: certificates are smaller than 16 MiB.
        0x81..=0x83 => {
            let (digits, rest) = rest.split_at_checked(usize::from(length & 0x7f))?;
            (digits.iter().fold(0, |length, &digit| length << 8 | usize::from(digit)), rest)
        }
        _ => return None,
    };
    let (contents, rest) = rest.split_at_checked(length)?;
    Some((tag, contents, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_are_read_in_order_and_cut_ones_are_not() {
        let long = [&[tag::OCTET_STRING, 0x81, 0x80][..], &[7; 0x80]].concat();
        let bytes = [&[tag::INTEGER, 1, 5, tag::SEQUENCE, 3, tag::OID, 1, 9][..], &long].concat();
        let mut der = Der::new(&bytes);
        assert_eq!(der.read(tag::BOOLEAN), None);
        assert_eq!(der.read(tag::INTEGER), Some(&[5][..]));
        assert_eq!(der.enter(tag::SEQUENCE).and_then(|mut inner| inner.read(tag::OID)), Some(&[9][..]));
        assert_eq!(der.next(), Some((tag::OCTET_STRING, &[7; 0x80][..])));
        assert_eq!(der.next(), None);
        let cut = |end: usize| Der::new(long.get(..end).unwrap()).next();
        assert!((0..long.len()).all(|end| cut(end).is_none()));
        assert_eq!(Der::new(&[tag::SEQUENCE, 0x80, 0, 0]).next(), None, "the indefinite length of BER");
    }
}
