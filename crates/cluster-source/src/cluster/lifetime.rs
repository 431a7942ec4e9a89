//! Reads the issue time and the expiry time of credentials from the credentials themselves.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jiff::Timestamp;
use kube::config::AuthInfo;
use secrecy::ExposeSecret;
use serde::Deserialize;

use super::tls;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CredentialKind {
    ClientCertificate,
    /// A JSON Web Token, such as that of a service account.
    Token,
}

impl CredentialKind {
    /// The value of the metric label.
    pub fn as_str(self) -> &'static str {
        match self {
            CredentialKind::ClientCertificate => "client_certificate",
            CredentialKind::Token => "token",
        }
    }
}

/// The lifetime of a credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CredentialLifetime {
    pub kind: CredentialKind,
    /// `None` if the credential has no issue time.
    pub issued: Option<Timestamp>,
    pub expires: Timestamp,
}

/// Returns the lifetimes of the credentials. A credential without an expiry time is left out.
pub(super) fn lifetimes(auth: &AuthInfo) -> Vec<CredentialLifetime> {
    let certificate = tls::client_certificate_validity(auth).map(|(issued, expires)| CredentialLifetime {
        kind: CredentialKind::ClientCertificate,
        issued: Some(issued),
        expires,
    });
    let token = auth.token.as_ref().and_then(|token| of_token(token.expose_secret()));
    certificate.into_iter().chain(token).collect()
}

/// The claims of a token that are times, in seconds since 1970 ([RFC 7519](https://www.rfc-editor.org/rfc/rfc7519#section-4.1)).
#[derive(Debug, Deserialize)]
struct Claims {
    exp: f64,
    iat: Option<f64>,
    nbf: Option<f64>,
}

/// Reads the claims without verifying the signature, which only the API server can do.
fn of_token(token: &str) -> Option<CredentialLifetime> {
    let [_, claims, _] = *token.split('.').collect::<Vec<_>>() else { return None };
    let claims = BASE64_URL_SAFE_NO_PAD.decode(claims.trim_end_matches('=')).ok()?;
    let Claims { exp, iat, nbf } = serde_json::from_slice(&claims).ok()?;
    let issued = iat.or(nbf).and_then(time);
    Some(CredentialLifetime { kind: CredentialKind::Token, issued, expires: time(exp)? })
}

fn time(seconds: f64) -> Option<Timestamp> {
    // The cast saturates, and the limits of i64 are not valid timestamps, so a value out of range results in `None`.
    Timestamp::from_second(seconds as i64).ok()
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair};

    use super::*;

    fn token(claims: &str) -> String {
        let part = |text: &str| BASE64_URL_SAFE_NO_PAD.encode(text);
        [part("{\"alg\":\"RS256\"}"), part(claims), part("signature")].join(".")
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    #[test]
    fn a_token_says_when_it_was_issued_and_expires() {
        let lifetime =
            |issued, expires| Some(CredentialLifetime { kind: CredentialKind::Token, issued, expires: at(expires) });
        let read = |claims: &str| of_token(&token(claims));
        assert_eq!(read(r#"{"exp":7200,"iat":3600,"nbf":3599,"sub":"a"}"#), lifetime(Some(at(3600)), 7200));
        assert_eq!(read(r#"{"exp":7200.5,"nbf":3600}"#), lifetime(Some(at(3600)), 7200));
        assert_eq!(read(r#"{"exp":7200}"#), lifetime(None, 7200));
        assert_eq!(of_token(&(token(r#"{"exp":7200}"#) + "\n")), lifetime(None, 7200));
        // Without an end, or not a JSON Web Token.
        for none in [&token("{}"), &token(r#"{"exp":1e300}"#), &token(r#"{"exp":"7200"}"#), "opaque", "a.b.c", ""] {
            assert_eq!(of_token(none), None, "{none}");
        }
    }

    #[test]
    fn a_client_certificate_has_the_lifetime_of_its_first_certificate() {
        let make = |year: i32| {
            let mut params = CertificateParams::new(vec!["a.example".into()]).unwrap();
            params.not_before = rcgen::date_time_ymd(year, 1, 2);
            params.not_after = rcgen::date_time_ymd(year + 1, 1, 2);
            params.self_signed(&KeyPair::generate().unwrap()).unwrap().pem()
        };
        let certificates = make(2020) + &make(2010);
        let encoded = base64::prelude::BASE64_STANDARD.encode(certificates);
        let auth = AuthInfo {
            client_certificate_data: Some(encoded),
            token: Some(token(r#"{"exp":7200}"#).into()),
            ..AuthInfo::default()
        };
        let certificate = CredentialLifetime {
            kind: CredentialKind::ClientCertificate,
            issued: Some("2020-01-02T00:00:00Z".parse().unwrap()),
            expires: "2021-01-02T00:00:00Z".parse().unwrap(),
        };
        let token = CredentialLifetime { kind: CredentialKind::Token, issued: None, expires: at(7200) };
        assert_eq!(lifetimes(&auth), [certificate, token]);
        assert_eq!(lifetimes(&AuthInfo::default()), []);
    }
}
