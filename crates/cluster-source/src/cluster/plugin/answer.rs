//! Reads what a credential plugin printed: an `ExecCredential` in JSON or YAML.

use base64::Engine;
use base64::prelude::BASE64_STANDARD as BASE64;
use jiff::Timestamp;
use kube::config::AuthInfo;
use serde::Deserialize;

use super::error::AnswerError;
use crate::cluster::header::is_valid_header;
use crate::yaml::yaml_options;

pub(super) const KIND: &str = "ExecCredential";
/// The versions of this API may be shown: a secret is none of them.
const VERSION_PREFIX: &str = "client.authentication.k8s.io/v";

/// The credentials of a plugin.
#[derive(Clone, PartialEq, Eq)]
pub(in crate::cluster) struct Credential {
    token: Option<String>,
    /// The certificate and the key, as PEM.
    certificate: Option<(String, String)>,
    pub(in crate::cluster) expires: Option<Timestamp>,
}

impl std::fmt::Debug for Credential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credential").field("expires", &self.expires).finish_non_exhaustive()
    }
}

/// Absent and empty are the same, as in client-go.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ExecCredential {
    api_version: Option<String>,
    kind: Option<String>,
    status: Option<Status>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Status {
    token: Option<String>,
    client_certificate_data: Option<String>,
    client_key_data: Option<String>,
    expiration_timestamp: Option<String>,
}

impl Credential {
    /// Reads an answer that must have this `apiVersion`.
    pub(super) fn read(answer: &[u8], api_version: &str) -> Result<Self, AnswerError> {
        // The message of the parser quotes the answer, so only the position of the error is kept.
        let read: ExecCredential =
            serde_saphyr::from_slice_with_options(answer, yaml_options(answer.len())).map_err(|error| {
                let location = error.location();
                AnswerError::Syntax {
                    line: location.map_or(1, |location| location.line()),
                    column: location.map_or(1, |location| location.column()),
                }
            })?;
        let answered = read.api_version.unwrap_or_default();
        if answered != api_version {
            let is_version = answered
                .strip_prefix(VERSION_PREFIX)
                .is_some_and(|rest| rest.len() < 10 && rest.bytes().all(|byte| byte.is_ascii_alphanumeric()));
            let answered = is_version.then_some(answered);
            return Err(AnswerError::Version { answered, expected: api_version.to_owned() });
        }
        if read.kind.as_deref() != Some(KIND) {
            return Err(AnswerError::Kind);
        }
        let status = read.status.unwrap_or_default();
        let given = |text: Option<String>| text.filter(|text| !text.is_empty());
        let certificate = match (given(status.client_certificate_data), given(status.client_key_data)) {
            (Some(certificate), Some(key)) => Some((certificate, key)),
            (None, None) => None,
            (Some(_), None) => return Err(AnswerError::HalfCertificate { field: "status.clientKeyData" }),
            (None, Some(_)) => return Err(AnswerError::HalfCertificate { field: "status.clientCertificateData" }),
        };
        let token = given(status.token);
        if token.is_none() && certificate.is_none() {
            return Err(AnswerError::NoCredentials);
        }
        if token.as_deref().is_some_and(|token| !is_valid_header(token)) {
            return Err(AnswerError::Token);
        }
        let expires = given(status.expiration_timestamp).map(|text| text.parse()).transpose();
        Ok(Self { token, certificate, expires: expires.map_err(|_: jiff::Error| AnswerError::Expiration)? })
    }

    /// Puts the credentials in the place of the plugin.
    pub(in crate::cluster) fn apply(self, auth: &mut AuthInfo) {
        auth.token = self.token.map(Into::into);
        if let Some((certificate, key)) = self.certificate {
            auth.client_certificate_data = Some(BASE64.encode(certificate));
            auth.client_key_data = Some(BASE64.encode(key).into());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::VERSIONS;
    use super::*;

    fn read(answer: &str) -> Result<Credential, AnswerError> {
        Credential::read(answer.as_bytes(), VERSIONS[0])
    }

    fn with_status(status: &str) -> Result<Credential, AnswerError> {
        read(&format!("{{apiVersion: {}, kind: ExecCredential, status: {status}}}", VERSIONS[0]))
    }

    #[test]
    fn a_token_and_a_certificate_are_read() {
        let json = r#"{"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential",
            "status": {"token": "t", "expirationTimestamp": "2030-01-02T03:04:05Z", "clientCertificateData": ""}}"#;
        let expires = Some("2030-01-02T03:04:05Z".parse().unwrap());
        assert_eq!(read(json), Ok(Credential { token: Some("t".into()), certificate: None, expires }));
        let certificate = Some(("c".to_owned(), "k".to_owned()));
        let both = with_status("{clientCertificateData: c, clientKeyData: k}");
        assert_eq!(both, Ok(Credential { token: None, certificate, expires: None }));
    }

    #[test]
    fn an_answer_without_credentials_is_an_error() {
        for nothing in ["{}", "null", "{token: ''}"] {
            assert_eq!(with_status(nothing), Err(AnswerError::NoCredentials), "{nothing}");
        }
        let field = "status.clientKeyData";
        assert_eq!(with_status("{token: t, clientCertificateData: c}"), Err(AnswerError::HalfCertificate { field }));
        assert_eq!(with_status("{token: \"a\\nb\"}"), Err(AnswerError::Token));
        assert_eq!(with_status("{token: t, expirationTimestamp: soon}"), Err(AnswerError::Expiration));
        assert!(matches!(read(""), Err(AnswerError::Syntax { .. } | AnswerError::Version { .. })));
        assert!(matches!(read("{\n[:"), Err(AnswerError::Syntax { line: 2, .. })));
    }

    #[test]
    fn only_a_version_of_the_api_is_shown() {
        let expected = VERSIONS[0].to_owned();
        let answered = |version| read(&format!("{{apiVersion: {version}, kind: ExecCredential}}"));
        let known = Err(AnswerError::Version { answered: Some(VERSIONS[1].into()), expected: expected.clone() });
        assert_eq!(answered(VERSIONS[1]), known);
        for other in ["secret", "client.authentication.k8s.io/vsecretsecret"] {
            assert_eq!(answered(other), Err(AnswerError::Version { answered: None, expected: expected.clone() }));
        }
    }

    #[test]
    fn the_debug_text_of_credentials_has_no_secret() {
        let credential = with_status("{token: secret, clientCertificateData: c, clientKeyData: secret}").unwrap();
        assert!(!format!("{credential:?}").contains("secret"));
    }
}
