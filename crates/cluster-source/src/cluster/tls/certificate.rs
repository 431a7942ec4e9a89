//! Reads the fields of a certificate that decide whether Go trusts it, and that rustls-webpki does not show. rustls-webpki verifies the signatures.
//!
//! Certificates are specified in [RFC 5280](https://www.rfc-editor.org/rfc/rfc5280#section-4.1).

use std::net::IpAddr;

use jiff::civil::DateTime;

use super::der::{Der, tag};

const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];
const ORGANIZATION: &[u8] = &[0x55, 0x04, 0x0a];
const KEY_USAGE: &[u8] = &[0x55, 0x1d, 0x0f];
const SUBJECT_ALTERNATIVE_NAMES: &[u8] = &[0x55, 0x1d, 0x11];
const BASIC_CONSTRAINTS: &[u8] = &[0x55, 0x1d, 0x13];
const EXTENDED_KEY_USAGE: &[u8] = &[0x55, 0x1d, 0x25];
/// `rsaEncryption`.
const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
/// In bits. aws-lc-rs verifies no signature with a shorter RSA key.
const MIN_RSA_KEY: usize = 2048;
/// `anyExtendedKeyUsage`.
pub(super) const ANY_USAGE: &[u8] = &[0x55, 0x1d, 0x25, 0x00];
/// `id-kp-serverAuth`.
pub(super) const SERVER_USAGE: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x01];
/// The bit `keyCertSign` in the first byte of the key usage.
const CERTIFICATE_SIGNING: u8 = 0x04;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Certificate {
    /// Whether it has X.509 version 1 or 2, which have no extensions.
    pub(super) is_old: bool,
    pub(super) issuer: Name,
    pub(super) subject: Name,
    /// The first and the last second in which it is valid, in UTC.
    pub(super) valid: (DateTime, DateTime),
    /// DNS names and IP addresses.
    pub(super) names: Vec<String>,
    /// Whether it has an RSA key that is too short for any signature to be verified.
    pub(super) has_short_key: bool,
    /// Whether it is valid for servers, by its extended key usage.
    pub(super) is_for_servers: bool,
    basic_constraints: Option<BasicConstraints>,
    may_sign: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct BasicConstraints {
    is_authority: bool,
    max_intermediates: Option<usize>,
}

/// Whether a certificate is valid at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Validity {
    NotYet,
    Valid,
    Expired,
}

/// A distinguished name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Name {
    der: Vec<u8>,
}

impl Certificate {
    /// Reads a certificate; `None` if it is malformed.
    pub(super) fn read(der: &[u8]) -> Option<Self> {
        let mut fields = Der::new(der).enter(tag::SEQUENCE)?.enter(tag::SEQUENCE)?;
        let version = fields.enter(tag::explicit(0)).map(|mut version| version.read(tag::INTEGER));
        fields.read(tag::INTEGER)?;
        let _signature = fields.read(tag::SEQUENCE)?;
        let issuer = Name { der: fields.read(tag::SEQUENCE)?.to_owned() };
        let mut valid = fields.enter(tag::SEQUENCE)?;
        let valid = (time(valid.next()?)?, time(valid.next()?)?);
        let subject = Name { der: fields.read(tag::SEQUENCE)?.to_owned() };
        let has_short_key = is_short_rsa(fields.enter(tag::SEQUENCE)?);
        let mut certificate = Self {
            is_old: !matches!(version, Some(Some([2]))),
            issuer,
            subject,
            valid,
            names: Vec::new(),
            has_short_key,
            is_for_servers: true,
            basic_constraints: None,
            may_sign: true,
        };
        // Identifiers of issuer and subject may come before the extensions.
        if let Some((_, extensions)) = fields.find(|(tag, _)| *tag == tag::explicit(3)) {
            for (_, extension) in Der::new(extensions).enter(tag::SEQUENCE)? {
                let mut extension = Der::new(extension);
                let id = extension.read(tag::OID)?;
                let _critical = extension.read(tag::BOOLEAN);
                certificate.apply(id, extension.read(tag::OCTET_STRING)?)?;
            }
        }
        Some(certificate)
    }

    fn apply(&mut self, id: &[u8], value: &[u8]) -> Option<()> {
        let mut value = Der::new(value);
        match id {
            KEY_USAGE => {
                let bits = value.read(tag::BIT_STRING)?.get(1..)?;
                // As in Go, no usage at all restricts nothing.
                let has_usage = bits.iter().any(|byte| *byte != 0);
                self.may_sign = !has_usage || bits.first().is_some_and(|first| first & CERTIFICATE_SIGNING != 0);
            }
            EXTENDED_KEY_USAGE => {
                let mut usages = value.enter(tag::SEQUENCE)?;
                self.is_for_servers = usages.any(|(_, usage)| matches!(usage, ANY_USAGE | SERVER_USAGE));
            }
            BASIC_CONSTRAINTS => {
                let mut fields = value.enter(tag::SEQUENCE)?;
                let is_authority = fields.read(tag::BOOLEAN).is_some_and(|value| value != [0]);
                let max = fields.read(tag::INTEGER).map(|digits| {
                    digits.iter().fold(0_usize, |max, &digit| max.saturating_mul(256).saturating_add(digit.into()))
                });
                self.basic_constraints = Some(BasicConstraints { is_authority, max_intermediates: max });
            }
            SUBJECT_ALTERNATIVE_NAMES => {
                self.names = value.enter(tag::SEQUENCE)?.filter_map(alternative_name).collect()
            }
            _ => {}
        }
        Some(())
    }

    /// Whether it may sign certificates of servers. Before version 3, every certificate may.
    pub(super) fn is_authority(&self) -> bool {
        let is_authority = match self.basic_constraints {
            Some(constraints) => constraints.is_authority,
            None => self.is_old,
        };
        is_authority && self.may_sign && self.is_for_servers
    }

    /// Whether it allows this number of intermediate certificates between it and the certificate of the server.
    pub(super) fn allows_intermediates(&self, count: usize) -> bool {
        let max = self.basic_constraints.and_then(|constraints| constraints.max_intermediates);
        max.is_none_or(|max| count <= max)
    }

    pub(super) fn validity_at(&self, now: DateTime) -> Validity {
        match now {
            now if now < self.valid.0 => Validity::NotYet,
            now if now > self.valid.1 => Validity::Expired,
            _ => Validity::Valid,
        }
    }
}

impl Name {
    /// The value of a field.
    fn field(&self, id: &[u8]) -> Option<String> {
        let sets = Der::new(&self.der).filter(|(tag, _)| *tag == tag::SET);
        let mut attributes = sets.flat_map(|(_, set)| Der::new(set)).map(|(_, attribute)| Der::new(attribute));
        let mut attribute = attributes.find(|attribute| attribute.clone().read(tag::OID) == Some(id))?;
        attribute.nth(1).map(|(_, text)| String::from_utf8_lossy(text).into_owned())
    }

    pub(super) fn common_name(&self) -> Option<String> {
        self.field(COMMON_NAME)
    }
}

/// The common name, or else the organization, in quotation marks.
impl std::fmt::Display for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.common_name(), self.field(ORGANIZATION)) {
            (Some(name), _) => write!(f, "{name:?}"),
            (None, Some(organization)) => write!(f, "{organization:?}"),
            (None, None) => f.write_str("an authority without a name"),
        }
    }
}

/// Whether a public key, given by its fields, is an RSA key that is too short.
fn is_short_rsa(mut public_key: Der<'_>) -> bool {
    let is_rsa = public_key.enter(tag::SEQUENCE).and_then(|mut algorithm| algorithm.read(tag::OID)) == Some(RSA);
    // The first byte of a bit string is the number of unused bits.
    let key = public_key.read(tag::BIT_STRING).and_then(|bits| bits.get(1..)).map(Der::new);
    let modulus = key.and_then(|mut key| key.enter(tag::SEQUENCE)?.read(tag::INTEGER));
    let bits = |modulus: &[u8]| {
        let zeros = modulus.iter().take_while(|byte| **byte == 0).count();
        let first = modulus.get(zeros).map_or(0, |byte| byte.leading_zeros() as usize);
        (modulus.len() - zeros) * 8 - first
    };
    is_rsa && modulus.is_none_or(|modulus| bits(modulus) < MIN_RSA_KEY)
}

fn alternative_name((tag, value): (u8, &[u8])) -> Option<String> {
    const DNS_NAME: u8 = tag::implicit(2);
    const IP_ADDRESS: u8 = tag::implicit(7);
    match tag {
        // The server chooses the text, and messages show it.
        DNS_NAME => Some(String::from_utf8_lossy(value).escape_debug().to_string()),
        IP_ADDRESS => {
            let v4 = <[u8; 4]>::try_from(value).map(IpAddr::from);
            let v6 = <[u8; 16]>::try_from(value).map(IpAddr::from);
            v4.or(v6).ok().map(|address| address.to_string())
        }
        _ => None,
    }
}

/// `YYMMDDhhmmssZ` or `YYYYMMDDhhmmssZ`.
fn time((tag, text): (u8, &[u8])) -> Option<DateTime> {
    let text = std::str::from_utf8(text).ok()?.strip_suffix('Z')?;
    let (year, rest) = match tag {
        tag::UTC_TIME => text.split_at_checked(2)?,
        tag::GENERALIZED_TIME => text.split_at_checked(4)?,
        _ => return None,
    };
    if rest.len() != 10 || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let year: i16 = year.parse().ok()?;
    let year = match tag {
        tag::UTC_TIME if year < 50 => year + 2000,
        tag::UTC_TIME => year + 1900,
        _ => year,
    };
    let number = |at: usize| rest.get(at..at + 2)?.parse::<i8>().ok();
    DateTime::new(year, number(0)?, number(2)?, number(4)?, number(6)?, number(8)?, 0).ok()
}

#[cfg(test)]
mod tests {
    use jiff::civil::datetime;
    use proptest::prelude::*;
    use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose};

    use super::*;

    fn read(change: impl FnOnce(&mut CertificateParams)) -> Certificate {
        Certificate::read(&make(change)).unwrap()
    }

    fn make(change: impl FnOnce(&mut CertificateParams)) -> Vec<u8> {
        let mut params = CertificateParams::new(vec!["a.example".into(), "10.0.0.1".into(), "fd00::1".into()]).unwrap();
        change(&mut params);
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().to_vec()
    }

    #[test]
    fn the_fields_of_a_certificate_are_read() {
        let certificate = read(|params| {
            params.not_before = rcgen::date_time_ymd(2020, 2, 29);
            params.not_after = rcgen::date_time_ymd(2050, 1, 1);
        });
        assert_eq!(certificate.names, ["a.example", "10.0.0.1", "fd00::1"]);
        assert_eq!(certificate.valid, (datetime(2020, 2, 29, 0, 0, 0, 0), datetime(2050, 1, 1, 0, 0, 0, 0)));
        assert_eq!(certificate.subject.to_string(), "\"rcgen self signed cert\"");
        assert_eq!(certificate.issuer, certificate.subject);
        assert!(!certificate.is_old && certificate.is_for_servers && !certificate.is_authority());
    }

    #[test]
    fn the_usages_of_a_certificate_are_read() {
        let authority = |usages: Vec<KeyUsagePurpose>| {
            read(|params| {
                params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
                params.key_usages = usages;
            })
        };
        assert!(authority(vec![]).is_authority() && authority(vec![]).allows_intermediates(9));
        assert!(authority(vec![KeyUsagePurpose::KeyCertSign]).is_authority());
        assert!(!authority(vec![KeyUsagePurpose::DigitalSignature]).is_authority());
        assert!(!read(|params| params.is_ca = IsCa::ExplicitNoCa).is_authority());
        let limited = read(|params| params.is_ca = IsCa::Ca(BasicConstraints::Constrained(1)));
        assert!(limited.allows_intermediates(1) && !limited.allows_intermediates(2));
        let is_for_servers = |usages| read(|params| params.extended_key_usages = usages).is_for_servers;
        assert!(is_for_servers(vec![ExtendedKeyUsagePurpose::ClientAuth, ExtendedKeyUsagePurpose::ServerAuth]));
        assert!(is_for_servers(vec![ExtendedKeyUsagePurpose::Any]));
        assert!(!is_for_servers(vec![ExtendedKeyUsagePurpose::ClientAuth]));
    }

    #[test]
    fn times_have_two_or_four_digits_of_the_year() {
        let read = |tag, text: &str| time((tag, text.as_bytes())).map(|time| time.to_string());
        assert_eq!(read(tag::UTC_TIME, "491231235959Z").as_deref(), Some("2049-12-31T23:59:59"));
        assert_eq!(read(tag::UTC_TIME, "500101000000Z").as_deref(), Some("1950-01-01T00:00:00"));
        assert_eq!(read(tag::GENERALIZED_TIME, "99991231235959Z").as_deref(), Some("9999-12-31T23:59:59"));
        for invalid in ["", "Z", "4912312359Z", "491331235959Z", "+91231235959Z", "491231235959+0100"] {
            assert_eq!(read(tag::UTC_TIME, invalid), None, "{invalid}");
        }
        assert_eq!(read(tag::INTEGER, "491231235959Z"), None);
    }

    proptest! {
        #[test]
        fn bytes_that_are_no_certificate_are_rejected_or_read(change in any::<[(prop::sample::Index, u8); 3]>()) {
            let mut der = make(|params| params.is_ca = IsCa::Ca(BasicConstraints::Constrained(1)));
            for (at, byte) in change {
                let at = at.index(der.len());
                der[at] = byte;
            }
            let _ = Certificate::read(&der).map(|certificate| certificate.subject.to_string());
        }
    }
}
