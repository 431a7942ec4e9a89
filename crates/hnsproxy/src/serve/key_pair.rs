//! A certificate chain and its private key, read from two PEM files.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use cluster_source::read_text;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;

#[derive(Debug)]
pub(super) struct KeyPairFiles {
    pub(super) certificate: PathBuf,
    pub(super) key: PathBuf,
}

/// Why a pair cannot be used. No message has contents of the key file.
#[derive(Debug, thiserror::Error)]
pub(super) enum KeyPairError {
    #[error("cannot read {}: {source}", path.display())]
    Read {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("no certificate in {}: expected PEM with BEGIN CERTIFICATE", .0.display())]
    NoCertificate(PathBuf),
    #[error("no private key in {}: expected PEM with BEGIN PRIVATE KEY, not encrypted", .0.display())]
    NoKey(PathBuf),
    #[error("{} is not valid PEM", .0.display())]
    Pem(PathBuf),
    #[error("cannot use the private key in {}: expected RSA of 2048 bits or more, ECDSA or Ed25519", .0.display())]
    Key(PathBuf),
    #[error("cannot use the certificate in {}: not a valid X.509 certificate of version 3", .0.display())]
    Certificate(PathBuf),
    #[error(
        "the private key in {} does not belong to the first certificate in {}",
        key.display(),
        certificate.display()
    )]
    Mismatch { key: PathBuf, certificate: PathBuf },
    #[error("no cryptography for TLS: {0}")]
    Provider(rustls::Error),
}

impl KeyPairError {
    /// Whether a file does not exist: something may write it later.
    pub(super) fn is_absent(&self) -> bool {
        matches!(self, Self::Read { source, .. } if source.kind() == ErrorKind::NotFound)
    }
}

/// The modification time and the size of each file. None for a file that is not found.
pub(super) type Stamps = [Option<(Option<SystemTime>, u64)>; 2];

impl KeyPairFiles {
    pub(super) fn stamps(&self) -> Stamps {
        [&self.certificate, &self.key].map(|path| {
            let metadata = fs::metadata(path).ok()?;
            Some((metadata.modified().ok(), metadata.len()))
        })
    }

    pub(super) fn read(&self, provider: &CryptoProvider) -> Result<CertifiedKey, KeyPairError> {
        let path = &self.certificate;
        let certificates: Vec<_> = CertificateDer::pem_slice_iter(text(path)?.as_bytes())
            .collect::<Result<_, _>>()
            .map_err(|_| KeyPairError::Pem(path.clone()))?;
        if certificates.is_empty() {
            return Err(KeyPairError::NoCertificate(path.clone()));
        }
        let path = &self.key;
        let key = PrivateKeyDer::from_pem_slice(text(path)?.as_bytes()).map_err(|error| match error {
            pem::Error::NoItemsFound => KeyPairError::NoKey(path.clone()),
            // Its message may have a line of the file.
            _ => KeyPairError::Pem(path.clone()),
        })?;
        let key = provider.key_provider.load_private_key(key).map_err(|_| KeyPairError::Key(path.clone()))?;
        let pair = CertifiedKey::new(certificates, key);
        match pair.keys_match() {
            // The keys cannot be compared. If they differ, handshakes fail.
            Ok(()) | Err(rustls::Error::InconsistentKeys(rustls::InconsistentKeys::Unknown)) => Ok(pair),
            Err(rustls::Error::InconsistentKeys(_)) => {
                Err(KeyPairError::Mismatch { key: self.key.clone(), certificate: self.certificate.clone() })
            }
            Err(_) => Err(KeyPairError::Certificate(self.certificate.clone())),
        }
    }
}

fn text(path: &Path) -> Result<String, KeyPairError> {
    read_text(path).map_err(|source| KeyPairError::Read { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use rcgen::KeyPair;
    use rustls::crypto::aws_lc_rs;

    use super::*;

    fn message(certificate: &str, key: &str) -> Option<String> {
        let directory = tempfile::tempdir().unwrap();
        let [certificate_file, key_file] = ["tls.crt", "tls.key"].map(|name| directory.path().join(name));
        fs::write(&certificate_file, certificate).unwrap();
        fs::write(&key_file, key).unwrap();
        let files = KeyPairFiles { certificate: certificate_file, key: key_file };
        let folder = format!("{}{}", directory.path().display(), std::path::MAIN_SEPARATOR);
        let error = files.read(&aws_lc_rs::default_provider()).err()?;
        Some(error.to_string().replace(&folder, ""))
    }

    #[test]
    fn a_pair_that_cannot_be_used_is_an_error_that_names_the_file() {
        let key = KeyPair::generate().unwrap();
        let certificate =
            rcgen::CertificateParams::new(["localhost".to_owned()]).unwrap().self_signed(&key).unwrap().pem();
        let (key, other) = (key.serialize_pem(), KeyPair::generate().unwrap().serialize_pem());
        let encrypted = key.replace("PRIVATE", "ENCRYPTED PRIVATE");
        let broken = format!("-----BEGIN PRIVATE KEY-----\n{}", key.lines().nth(1).unwrap());
        let no_key = "no private key in tls.key: expected PEM with BEGIN PRIVATE KEY, not encrypted";
        for (certificate, key, expected) in [
            (certificate.as_str(), key.as_str(), None),
            // The order of some bundles: the key first.
            (&format!("{key}{certificate}"), &key, None),
            (&certificate, &format!("{certificate}{key}"), None),
            (&format!("\u{feff}{certificate}"), &key.replace('\n', "\r\n"), None),
            ("", &key, Some("no certificate in tls.crt: expected PEM with BEGIN CERTIFICATE")),
            (&certificate, "", Some(no_key)),
            (&certificate, &encrypted, Some(no_key)),
            (&certificate, &broken, Some("tls.key is not valid PEM")),
            (
                &certificate,
                "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
                Some("cannot use the private key in tls.key: expected RSA of 2048 bits or more, ECDSA or Ed25519"),
            ),
            (
                "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
                &key,
                Some("cannot use the certificate in tls.crt: not a valid X.509 certificate of version 3"),
            ),
            (
                &certificate,
                &other,
                Some("the private key in tls.key does not belong to the first certificate in tls.crt"),
            ),
        ] {
            assert_eq!(message(certificate, key).as_deref(), expected);
        }
    }
}
