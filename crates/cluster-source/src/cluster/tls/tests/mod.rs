//! Tests which servers are trusted, and which client certificates are sent, against what Go 1.27 does with the same certificates
//! (`crypto/tls`, `crypto/x509`).

mod issued;

use base64::Engine;
use base64::prelude::BASE64_STANDARD as BASE64;
use http::Uri;
use jiff::civil::{DateTime, datetime};
use kube::Config;
use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose as Usage, IsCa, KeyUsagePurpose};
use rcgen::{GeneralSubtree, NameConstraints, date_time_ymd};
use rustls::CertificateError;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};

use self::issued::{
    Issued, NAMES, TLS12, TLS13, handshake, root, root_of, self_signed_server, server, server_without_key,
};
use super::error::{IdentityError, Whose};
use super::verifier::ServerVerifier;
use super::{ServerCertificateError, TlsError, client_config, server_name};
use crate::cluster::pem;

const NAME: &str = "api.example";

fn config(trusted: &[&Issued]) -> Config {
    let mut config = Config::new(Uri::from_static("https://api.example"));
    config.root_cert = Some(trusted.iter().map(|trusted| trusted.der.clone()).collect());
    config
}

/// The result of a client that trusts some certificates, and connects to a server by a name.
fn connect(
    trusted: &[&Issued],
    certificate: &Issued,
    chain: &[&Issued],
    name: &str,
) -> Result<(), ServerCertificateError> {
    let connected = [TLS12, TLS13].map(|versions| {
        let client = client_config(&config(trusted)).unwrap();
        match handshake(client, server(certificate, chain, versions), name) {
            Ok(_) => Ok(()),
            Err(rustls::Error::InvalidCertificate(CertificateError::Other(other))) => {
                Err(other.0.downcast_ref::<ServerCertificateError>().unwrap().clone())
            }
            Err(other) => panic!("{other}"),
        }
    });
    assert_eq!(connected[0], connected[1]);
    let [connected, _] = connected;
    connected
}

type Row<'a> = (&'static str, &'a [&'a Issued], &'a Issued, &'a [&'a Issued], Result<(), ServerCertificateError>);

/// Compares the rows of a table, and prints all that differ.
#[track_caller]
fn compare(rows: &[Row<'_>]) {
    let differ = rows.iter().filter_map(|(what, trusted, certificate, chain, expected)| {
        let result = connect(trusted, certificate, chain, NAME);
        (result != *expected).then(|| format!("{what}\n  result   {result:?}\n  expected {expected:?}"))
    });
    let differ: Vec<_> = differ.collect();
    assert!(differ.is_empty(), "{}", differ.join("\n"));
}

fn trust() -> String {
    "certificate-authority-data".to_owned()
}

fn unknown(issuer: &str, trusted: &[&str]) -> ServerCertificateError {
    let quoted = |name: &&str| format!("{name:?}");
    ServerCertificateError::UnknownAuthority {
        issuer: quoted(&issuer),
        trust: trust(),
        trusted: trusted.iter().map(quoted).collect(),
    }
}

fn not_an_authority(issuer: &str) -> ServerCertificateError {
    ServerCertificateError::NotAnAuthority { issuer: format!("{issuer:?}"), trust: trust() }
}

const PAST: DateTime = datetime(2001, 1, 1, 0, 0, 0, 0);
const FUTURE: DateTime = datetime(2900, 1, 1, 0, 0, 0, 0);

fn expired(params: &mut CertificateParams) {
    params.not_before = date_time_ymd(2000, 1, 1);
    params.not_after = date_time_ymd(2001, 1, 1);
}

fn not_yet_valid(params: &mut CertificateParams) {
    params.not_before = date_time_ymd(2900, 1, 1);
    params.not_after = date_time_ymd(2901, 1, 1);
}

fn is_ca(params: &mut CertificateParams) {
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
}

fn unchanged(_: &mut CertificateParams) {}

#[test]
fn a_server_is_trusted_by_its_authority_as_in_go() {
    let (ca, other) = (root(unchanged), root(unchanged));
    let leaf = ca.server(unchanged);
    let middle = ca.intermediate(unchanged);
    let below = middle.server(unchanged);
    let expired_root = root(expired);
    let from_expired_root = expired_root.server(unchanged);
    let expired_middle = ca.intermediate(expired);
    let below_expired = expired_middle.server(unchanged);
    let no_sign_middle = ca.intermediate(|params| params.key_usages = vec![KeyUsagePurpose::DigitalSignature]);
    let below_no_sign = no_sign_middle.server(unchanged);
    let may_not_sign = ServerCertificateError::IntermediateMayNotSign { name: "\"intermediate\"".into() };
    let no_sign = root(|params| params.key_usages = vec![KeyUsagePurpose::DigitalSignature]);
    let from_no_sign = no_sign.server(unchanged);
    let no_usage = root(|params| params.key_usages = vec![]);
    let from_no_usage = no_usage.server(unchanged);
    let no_ca = root(|params| params.is_ca = IsCa::NoCa);
    let from_no_ca = no_ca.server(unchanged);
    let for_clients = root(|params| params.extended_key_usages = vec![Usage::ClientAuth]);
    let from_for_clients = for_clients.server(unchanged);
    let short = root(|params| params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0)));
    let (from_short, middle_of_short) = (short.server(unchanged), short.intermediate(unchanged));
    let below_short = middle_of_short.server(unchanged);
    let limited = root(|params| {
        let permitted_subtrees = vec![GeneralSubtree::DnsName("other.example".into())];
        params.name_constraints = Some(NameConstraints { permitted_subtrees, excluded_subtrees: vec![] });
    });
    let from_limited = limited.server(unchanged);
    let other_key = Err(ServerCertificateError::OtherKey { issuer: "\"root\"".into(), trust: trust() });
    let whose = Whose::Authority { name: "\"root\"".into(), trust: trust() };
    compare(&[
        ("signed by the authority", &[&ca], &leaf, &[], Ok(())),
        ("the authority is sent too", &[&ca], &leaf, &[&ca], Ok(())),
        ("one of two authorities of one name", &[&other, &ca], &leaf, &[], Ok(())),
        ("another authority of the same name", &[&other], &leaf, &[], other_key),
        ("an intermediate", &[&ca], &below, &[&middle], Ok(())),
        ("an intermediate that is not sent", &[&ca], &below, &[], Err(unknown("intermediate", &["root"]))),
        ("an intermediate is trusted", &[&middle], &below, &[], Ok(())),
        ("an intermediate is trusted and sent", &[&middle], &below, &[&middle], Ok(())),
        ("an unknown root", &[&middle], &leaf, &[], Err(unknown("root", &["intermediate"]))),
        (
            "an expired authority",
            &[&expired_root],
            &from_expired_root,
            &[],
            Err(ServerCertificateError::Expired { whose, at: PAST }),
        ),
        (
            "an expired intermediate",
            &[&ca],
            &below_expired,
            &[&expired_middle],
            Err(ServerCertificateError::Expired { whose: Whose::Intermediate, at: PAST }),
        ),
        ("an intermediate that may not sign", &[&ca], &below_no_sign, &[&no_sign_middle], Err(may_not_sign)),
        ("an authority that may not sign", &[&no_sign], &from_no_sign, &[], Err(not_an_authority("root"))),
        ("an authority without a key usage", &[&no_usage], &from_no_usage, &[], Ok(())),
        ("an authority without CA:TRUE", &[&no_ca], &from_no_ca, &[], Err(not_an_authority("root"))),
        ("an authority for clients", &[&for_clients], &from_for_clients, &[], Err(not_an_authority("root"))),
        ("an authority without intermediates", &[&short], &from_short, &[], Ok(())),
        (
            "an intermediate of an authority without intermediates",
            &[&short],
            &below_short,
            &[&middle_of_short],
            Err(ServerCertificateError::TooManyIntermediates { issuer: "\"root\"".into(), trust: trust() }),
        ),
        (
            "an authority for other names",
            &[&limited],
            &from_limited,
            &[],
            Err(ServerCertificateError::Other("NameConstraintViolation".into())),
        ),
    ]);
}

#[test]
fn a_certificate_that_is_trusted_itself_needs_no_authority_as_in_go() {
    let ca = root(unchanged);
    let pinned = ca.server(unchanged);
    let below = pinned.server(unchanged);
    let [alone, with_ca, no_ca] = [
        self_signed_server(unchanged),
        self_signed_server(is_ca),
        self_signed_server(|params| params.is_ca = IsCa::ExplicitNoCa),
    ];
    let ca_server = ca.server(is_ca);
    let pinned_expired = ca.server(expired);
    let pinned_later = ca.server(not_yet_valid);
    let for_clients = ca.server(|params| params.extended_key_usages = vec![Usage::ClientAuth]);
    compare(&[
        ("self-signed", &[&alone], &alone, &[], Ok(())),
        ("self-signed, CA:TRUE", &[&with_ca], &with_ca, &[], Ok(())),
        ("self-signed, CA:FALSE", &[&no_ca], &no_ca, &[], Ok(())),
        ("self-signed, beside an authority", &[&ca, &with_ca], &with_ca, &[], Ok(())),
        ("self-signed, another of the same name", &[&alone], &no_ca, &[], Err(not_an_authority("server"))),
        ("self-signed, not trusted", &[&ca], &alone, &[], Err(unknown("server", &["root"]))),
        ("the certificate of the server", &[&pinned], &pinned, &[], Ok(())),
        ("the certificate of the server and its authority", &[&pinned, &ca], &pinned, &[&ca], Ok(())),
        ("the certificate of a server signs nothing", &[&pinned], &below, &[], Err(not_an_authority("server"))),
        ("CA:TRUE, itself trusted", &[&ca_server], &ca_server, &[], Ok(())),
        (
            "itself trusted, expired",
            &[&pinned_expired],
            &pinned_expired,
            &[],
            Err(ServerCertificateError::Expired { whose: Whose::Server, at: PAST }),
        ),
        (
            "itself trusted, not yet valid",
            &[&pinned_later],
            &pinned_later,
            &[],
            Err(ServerCertificateError::NotYetValid { whose: Whose::Server, at: FUTURE }),
        ),
        (
            "itself trusted, not for servers",
            &[&for_clients],
            &for_clients,
            &[],
            Err(ServerCertificateError::NotForServers),
        ),
        // Go accepts it.
        (
            "CA:TRUE, signed by an authority",
            &[&ca],
            &ca_server,
            &[],
            Err(ServerCertificateError::AuthorityAsServer { trust: trust() }),
        ),
    ]);
    let client = client_config(&config(&[&pinned])).unwrap();
    let stolen = handshake(client, server_without_key(&pinned, &alone), NAME);
    assert_eq!(stolen, Err(CertificateError::BadSignature.into()), "a certificate without its key");
}

#[test]
fn certificates_of_version_1_are_accepted_as_in_go() {
    let ca = root(unchanged).into_version_1(None);
    let leaf = ca.server(unchanged);
    let old_expired = root(expired).into_version_1(None);
    let from_old_expired = old_expired.server(unchanged);
    let middle = ca.intermediate(unchanged);
    let below_old = middle.server(unchanged);
    let old_middle = middle.into_version_1(Some(&ca));
    let old_server = ca.server(unchanged).into_version_1(Some(&ca));
    let no_names = || {
        let common_name = Some("server".to_owned());
        Err(ServerCertificateError::NoNames { wanted: NAME.to_owned(), common_name })
    };
    let whose = Whose::Authority { name: "\"root\"".into(), trust: trust() };
    compare(&[
        ("an authority", &[&ca], &leaf, &[], Ok(())),
        (
            "an expired authority",
            &[&old_expired],
            &from_old_expired,
            &[],
            Err(ServerCertificateError::Expired { whose, at: PAST }),
        ),
        (
            "an intermediate",
            &[&ca],
            &below_old,
            &[&old_middle],
            Err(ServerCertificateError::Other("UnsupportedCertVersion".into())),
        ),
        ("an intermediate is trusted", &[&old_middle], &below_old, &[], Ok(())),
        ("a server", &[&ca], &old_server, &[], no_names()),
        ("a server that is trusted itself", &[&old_server], &old_server, &[], no_names()),
    ]);
}

#[test]
fn keys_of_every_kind_are_accepted_as_in_go() {
    let algorithms = [
        &rcgen::PKCS_ECDSA_P256_SHA256,
        &rcgen::PKCS_ECDSA_P384_SHA384,
        &rcgen::PKCS_ECDSA_P521_SHA256,
        &rcgen::PKCS_ECDSA_P521_SHA384,
        &rcgen::PKCS_ECDSA_P521_SHA512,
        &rcgen::PKCS_ED25519,
        &rcgen::PKCS_RSA_SHA256,
    ];
    for algorithm in algorithms {
        let ca = root_of(algorithm, unchanged);
        let leaf = ca.server_of(algorithm, unchanged);
        let connected = connect(&[&ca], &leaf, &[], NAME);
        assert_eq!(connected, Ok(()), "{algorithm:?}");
    }
}

/// Made with `openssl req -x509 -newkey rsa:1024 -days 300000 -addext keyUsage=keyCertSign` and `openssl x509 -req -days 300000`, since rcgen
/// makes no such keys.
#[test]
fn rsa_keys_below_2048_bits_are_refused() {
    let read = |text: &str| pem::blocks(text).swap_remove(0).contents.unwrap();
    let authority = read(include_str!("rsa1024-authority.pem"));
    let server = read(include_str!("rsa1024-server.pem"));
    let verify = |trusted: &[u8], certificate: Vec<u8>| {
        let algorithms = default_provider().signature_verification_algorithms;
        let verifier = ServerVerifier::new(&[trusted.to_owned()], trust(), algorithms);
        let name = ServerName::try_from(NAME).unwrap();
        verifier.verify(&CertificateDer::from(certificate), &[], &name, UnixTime::now())
    };
    assert_eq!(verify(&authority, server.clone()), Err(ServerCertificateError::Algorithm));
    assert_eq!(verify(&server, server.clone()), Ok(()), "trusted itself");
}

#[test]
fn the_name_of_a_server_is_verified_as_in_go() {
    let ca = root(unchanged);
    let leaf = ca.server(unchanged);
    let unnamed = ca.server(|params| params.subject_alt_names.clear());
    for name in ["api.example", "API.example", "api.example.", "a.wild.example", "10.0.0.1"] {
        assert_eq!(connect(&[&ca], &leaf, &[], name), Ok(()), "{name}");
    }
    for name in ["server", "example", "wild.example", "a.b.wild.example", "10.0.0.2", "::1"] {
        let names = NAMES.map(str::to_owned).into();
        let refused = ServerCertificateError::OtherName { wanted: name.to_owned(), names };
        assert_eq!(connect(&[&ca], &leaf, &[], name), Err(refused), "{name}");
    }
    // Since Go 1.17, clients ignore the common name.
    let common_name = Some("server".to_owned());
    let refused = ServerCertificateError::NoNames { wanted: "server".to_owned(), common_name };
    assert_eq!(connect(&[&ca], &unnamed, &[], "server"), Err(refused));
}

#[test]
fn the_times_and_usages_of_a_server_are_verified_as_in_go() {
    let ca = root(unchanged);
    let server = |change: fn(&mut CertificateParams)| ca.server(change);
    let (old, later) = (server(expired), server(not_yet_valid));
    let any = server(|params| params.extended_key_usages = vec![Usage::Any]);
    let both = server(|params| params.extended_key_usages = vec![Usage::ClientAuth, Usage::ServerAuth]);
    let for_clients = server(|params| params.extended_key_usages = vec![Usage::ClientAuth]);
    let middle = ca.intermediate(|params| params.extended_key_usages = vec![Usage::ClientAuth]);
    let below = middle.server(unchanged);
    let of_server = |refused: fn(Whose, DateTime) -> ServerCertificateError, at| Err(refused(Whose::Server, at));
    compare(&[
        ("expired", &[&ca], &old, &[], of_server(|whose, at| ServerCertificateError::Expired { whose, at }, PAST)),
        (
            "not yet valid",
            &[&ca],
            &later,
            &[],
            of_server(|whose, at| ServerCertificateError::NotYetValid { whose, at }, FUTURE),
        ),
        ("any usage", &[&ca], &any, &[], Ok(())),
        ("clients and servers", &[&ca], &both, &[], Ok(())),
        ("clients only", &[&ca], &for_clients, &[], Err(ServerCertificateError::NotForServers)),
        ("an intermediate for clients", &[&ca], &below, &[&middle], Err(ServerCertificateError::NotForServers)),
    ]);
}

#[test]
fn insecure_skip_tls_verify_accepts_every_server() {
    let old = self_signed_server(expired);
    let mut config = config(&[]);
    (config.root_cert, config.accept_invalid_certs) = (None, true);
    for versions in [TLS12, TLS13] {
        let client = client_config(&config).unwrap();
        assert_eq!(handshake(client, server(&old, &[], versions), "other.example"), Ok(None));
    }
    let first = self_signed_server(unchanged).into_version_1(None);
    let client = client_config(&config).unwrap();
    assert_eq!(handshake(client, server(&first, &[], TLS13), NAME), Ok(None));
}

#[test]
fn the_server_name_of_a_kubeconfig_is_a_dns_name_or_an_address() {
    let read = |name: &str| {
        let mut config = config(&[]);
        config.tls_server_name = Some(name.to_owned());
        server_name(&config).map(|name| name.unwrap().to_str().into_owned())
    };
    for (name, expected) in [("kubernetes", "kubernetes"), ("10.0.0.1", "10.0.0.1"), ("[fd00::1]", "fd00::1")] {
        assert_eq!(read(name).unwrap(), expected);
    }
    assert!(matches!(read("a b"), Err(TlsError::ServerName { name }) if name == "a b"));
    assert!(server_name(&config(&[])).unwrap().is_none());
}

fn to_pem(label: &str, der: &[u8]) -> String {
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", BASE64.encode(der))
}

/// Sends a client certificate to a server. Returns the one that the server has seen.
fn send(certificate: &str, key: &str) -> Result<Option<Vec<u8>>, IdentityError> {
    let ca = root(unchanged);
    let mut config = config(&[&ca]);
    config.auth_info.client_certificate_data = Some(BASE64.encode(certificate));
    config.auth_info.client_key_data = Some(BASE64.encode(key).into());
    match client_config(&config) {
        Ok(client) => Ok(handshake(client, server(&ca.server(unchanged), &[], TLS13), NAME).unwrap()),
        Err(TlsError::Identity(error)) => Err(error),
        Err(other) => panic!("{other}"),
    }
}

#[test]
fn client_certificates_are_sent_as_in_go() {
    let ca = root(unchanged);
    let client = ca.server(unchanged);
    let old = ca.server(unchanged).into_version_1(Some(&ca));
    let large = ca.server_of(&rcgen::PKCS_ECDSA_P521_SHA512, unchanged);
    let rsa = ca.server_of(&rcgen::PKCS_RSA_SHA256, unchanged);
    for issued in [&client, &old, &large, &rsa] {
        let (certificate, key) = (to_pem("CERTIFICATE", &issued.der), issued.key.serialize_pem());
        assert_eq!(send(&certificate, &key).as_ref(), Ok(&Some(issued.der.clone())), "{:?}", issued.key.algorithm());
    }
    let (certificate, key) = (to_pem("CERTIFICATE", &client.der), client.key.serialize_pem());
    let parameters = to_pem("EC PARAMETERS", &[6, 1, 1]);
    let sent = Ok(Some(client.der.clone()));
    let rows = [
        (certificate.clone(), format!("{parameters}{key}"), sent.clone()),
        (format!("{parameters}{certificate}{}", to_pem("CERTIFICATE", &ca.der)), key.clone(), sent.clone()),
        // Both in one file, as kubelet and cert-manager write them.
        (format!("{key}{certificate}"), format!("{certificate}{key}"), sent.clone()),
        (certificate.clone(), key.replace("PRIVATE KEY", "EC PRIVATE KEY"), sent),
        (String::new(), key.clone(), Err(IdentityError::NoCertificate)),
        (key.clone(), certificate.clone(), Err(IdentityError::KeyAsCertificate)),
        (to_pem("CERTIFICATE", b"none"), key.clone(), Err(IdentityError::Certificate)),
        (certificate.clone(), String::new(), Err(IdentityError::NoKey)),
        (certificate.clone(), certificate.clone(), Err(IdentityError::NoKey)),
        (certificate.clone(), to_pem("ENCRYPTED PRIVATE KEY", b"none"), Err(IdentityError::EncryptedKey)),
        (
            certificate.clone(),
            "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nAAAA\n-----END RSA PRIVATE KEY-----\n".into(),
            Err(IdentityError::EncryptedKey),
        ),
        (certificate.clone(), to_pem("PRIVATE KEY", b"none"), Err(IdentityError::Key)),
        (certificate.clone(), "0\u{1}".into(), Err(IdentityError::DerKey)),
        (certificate, large.key.serialize_pem(), Err(IdentityError::Mismatch)),
    ];
    for (certificate, key, expected) in rows {
        assert_eq!(send(&certificate, &key), expected, "{certificate}{key}");
    }
}
