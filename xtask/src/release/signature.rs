//! Signatures of a release: Authenticode of the program and the installer, and minisign of the checksums.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};
use minisign::SecretKeyBox;

use crate::process::output;

/// Environment variables for secrets, so that secrets are not visible in command lines.
const MINISIGN_PASSWORD: &str = "HNSPROXY_MINISIGN_PASSWORD";
const MINISIGN_KEY: &str = "HNSPROXY_MINISIGN_KEY";
const CERTIFICATE_PASSWORD: &str = "HNSPROXY_CERTIFICATE_PASSWORD";

/// The signing keys. A signature is made only if its key is given.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct Keys {
    /// A secret key of minisign for SHA256SUMS [default: the text in HNSPROXY_MINISIGN_KEY]; its password is in HNSPROXY_MINISIGN_PASSWORD
    #[arg(long, value_name = "FILE")]
    minisign_key: Option<PathBuf>,
    /// A PKCS #12 file for Authenticode; its password is in HNSPROXY_CERTIFICATE_PASSWORD
    #[arg(long, value_name = "FILE")]
    certificate: Option<PathBuf>,
    /// A server for Authenticode timestamps, which keep signatures valid when the certificate has expired
    #[arg(long, value_name = "URL", requires = "certificate")]
    timestamp_server: Option<String>,
}

impl Keys {
    /// A signature in the format of minisign, if there is a key.
    pub(super) fn minisign(&self, content: &[u8], comment: &str) -> Result<Option<String>> {
        let key = match &self.minisign_key {
            Some(file) => Some(fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?),
            None => secret(MINISIGN_KEY),
        };
        let password = secret(MINISIGN_PASSWORD);
        key.map(|key| minisign(&key, password, content, comment)).transpose()
    }

    /// A signed program or installer, or the same bytes without a certificate.
    pub(super) fn authenticode(&self, name: &str, content: Vec<u8>, url: &str) -> Result<Vec<u8>> {
        let Some(certificate) = &self.certificate else { return Ok(content) };
        let certificate = std::path::absolute(certificate)?;
        let folder = tempfile::tempdir()?;
        let (unsigned, signed) = (folder.path().join(name), folder.path().join(format!("signed-{name}")));
        fs::write(&unsigned, content)?;
        let mut command = Command::new("osslsigncode");
        command.arg("sign").arg("-pkcs12").arg(&certificate);
        if let Some(password) = secret(CERTIFICATE_PASSWORD) {
            let file = folder.path().join("password");
            fs::write(&file, password)?;
            command.arg("-readpass").arg(file);
        }
        if let Some(server) = &self.timestamp_server {
            command.args(["-ts", server]);
        }
        command.args(["-h", "sha256", "-n", "hnsproxy", "-i", url]);
        output(command.arg("-in").arg(&unsigned).arg("-out").arg(&signed))?;
        fs::read(&signed).with_context(|| format!("cannot read {}", signed.display()))
    }

    #[cfg(test)]
    pub(super) fn of_certificate(file: PathBuf) -> Self {
        Self { certificate: Some(file), ..Self::default() }
    }
}

/// Returns the value of an environment variable. In CI, the variable is empty if the secret does not exist.
fn secret(variable: &str) -> Option<String> {
    std::env::var(variable).ok().filter(|value| !value.is_empty())
}

/// The trusted comment is signed, too. The default comment would contain the time.
fn minisign(key: &str, password: Option<String>, content: &[u8], comment: &str) -> Result<String> {
    let key = SecretKeyBox::from_string(key).and_then(|key| match password {
        Some(password) => key.into_secret_key(Some(password)),
        // `into_secret_key(None)` would ask for a password on the terminal.
        None => key.into_unencrypted_secret_key(),
    });
    let key = key.with_context(|| format!("cannot read the minisign key: check it and {MINISIGN_PASSWORD}"))?;
    let signature = minisign::sign(None, &key, content, Some(comment), None).context("cannot sign the checksums")?;
    Ok(signature.into_string())
}

#[cfg(test)]
mod tests {
    use minisign::KeyPair;

    use super::*;
    use crate::tools::RELEASE;

    #[test]
    fn minisign_verifies_a_signature() {
        if !RELEASE.found_for_test() {
            return;
        }
        let KeyPair { pk, sk } = KeyPair::generate_unencrypted_keypair().unwrap();
        let key = sk.to_box(None).unwrap().into_string();
        let signature = minisign(&key, None, b"sums", "hnsproxy 1.2.3").unwrap();
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("SHA256SUMS");
        fs::write(&file, "sums").unwrap();
        fs::write(folder.path().join("SHA256SUMS.minisig"), signature).unwrap();
        let verify = |content: &str| {
            fs::write(&file, content).unwrap();
            output(Command::new("minisign").args(["-V", "-P", &pk.to_base64(), "-m"]).arg(&file))
        };
        assert!(verify("sums").unwrap().contains("Trusted comment: hnsproxy 1.2.3"));
        assert!(verify("other").is_err());
    }

    #[test]
    fn a_key_without_its_password_or_with_another_text_is_an_error() {
        let KeyPair { sk, .. } = KeyPair::generate_unencrypted_keypair().unwrap();
        let key = sk.to_box(None).unwrap().into_string();
        for (key, password) in [(key.as_str(), Some("wrong".to_owned())), ("no key", None)] {
            let error = minisign(key, password, b"", "c").unwrap_err();
            assert_eq!(error.to_string(), "cannot read the minisign key: check it and HNSPROXY_MINISIGN_PASSWORD");
        }
    }

    #[test]
    fn osslsigncode_verifies_a_signed_package() {
        if !RELEASE.found_for_test() {
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).display().to_string();
        let (key, certificate, both) = (path("key.pem"), path("certificate.pem"), path("both.p12"));
        let subject = ["-subj", "/CN=hnsproxy test", "-addext", "extendedKeyUsage=codeSigning"];
        let request =
            ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-keyout", &key, "-out", &certificate];
        output(Command::new("openssl").args(request).args(subject)).unwrap();
        let export = ["pkcs12", "-export", "-inkey", &key, "-in", &certificate, "-out", &both, "-passout", "pass:"];
        output(Command::new("openssl").args(export)).unwrap();
        let names = ["hnsproxy.exe", "LICENSE.txt", "THIRD-PARTY-LICENSES.txt"];
        let files = names.map(|name| (name.to_owned(), name.as_bytes().to_vec())).into();
        let package = super::super::msi::build("1.2.3", &files).unwrap();

        let keys = Keys::of_certificate(both.into());
        let signed = keys.authenticode("hnsproxy.msi", package.clone(), "https://example.org").unwrap();
        assert_eq!(Keys::default().authenticode("hnsproxy.msi", package.clone(), "").unwrap(), package);
        let file = folder.path().join("hnsproxy.msi");
        fs::write(&file, signed).unwrap();
        let mut verify = Command::new("osslsigncode");
        output(verify.args(["verify", "-CAfile", &certificate, "-in"]).arg(&file)).unwrap();
    }
}
