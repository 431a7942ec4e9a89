//! The object `KubeProxyConfiguration` of `kubeproxy.config.k8s.io/v1alpha1`: decoding, defaults, encoding.
//!
//! Values are stored by field path, and have the type that the table declares. Fields that the table lacks are reported and dropped.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use cluster_source::yaml_options;
use serde_json::{Map, Value};

use super::key::{Field, Typed, field};
use super::kind::{ip, socket};
use super::table::{self, Setting};

const API_VERSION: &str = "kubeproxy.config.k8s.io/v1alpha1";
const KIND: &str = "KubeProxyConfiguration";

/// The ports of kube-proxy for addresses without one.
pub(super) const HEALTHZ_PORT: u16 = 10256;
pub(super) const METRICS_PORT: u16 = 10249;

/// The default of `--metrics-bind-address`.
pub const METRICS_ADDRESS: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), METRICS_PORT);

/// Values of the configuration, by field path.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Object(BTreeMap<&'static str, Value>);

/// A decoded object, and the problems for which strict decoding would have failed.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Decoded {
    pub(crate) object: Object,
    pub(crate) lenient: Vec<String>,
}

impl Object {
    /// Decodes the YAML or JSON text of a file. Defaults are not applied.
    ///
    /// # Errors
    /// Every problem that makes the file unusable.
    pub(crate) fn decode(text: &str) -> Result<Decoded, Vec<String>> {
        let mut lenient = BTreeSet::new();
        let mut document = match read(text, true) {
            // kube-proxy falls back to lenient decoding for duplicate and unknown fields only.
            Err((_, Some(duplicate))) => {
                lenient.insert(duplicate);
                read(text, false).map_err(|(reason, _)| vec![reason])?
            }
            other => other.map_err(|(reason, _)| vec![reason])?,
        };
        strip_nulls(&mut document);
        let Value::Object(mut members) = document else {
            return Err(vec![format!("expected an object of kind {KIND}")]);
        };
        for (member, expected) in [("apiVersion", API_VERSION), ("kind", KIND)] {
            match members.remove(member) {
                Some(found) if found == expected => {}
                Some(found) => return Err(vec![format!("invalid {member} {found}: expected {expected:?}")]),
                None => return Err(vec![format!("missing {member}: expected {expected:?}")]),
            }
        }
        let mut object = Self::default();
        let mut wrong = Vec::new();
        object.take(members, "", &mut lenient, &mut wrong);
        if wrong.is_empty() { Ok(Decoded { object, lenient: lenient.into_iter().collect() }) } else { Err(wrong) }
    }

    /// Stores the members of an object at the path `above`.
    fn take(
        &mut self,
        members: Map<String, Value>,
        above: &str,
        lenient: &mut BTreeSet<String>,
        wrong: &mut Vec<String>,
    ) {
        for (name, value) in members {
            let path = if above.is_empty() { name } else { format!("{above}.{name}") };
            let is_above =
                |setting: &Setting| setting.field.strip_prefix(&path).is_some_and(|rest| rest.starts_with('.'));
            if let Some(setting) = table::fields().find(|setting| setting.field == path) {
                match setting.kind.check(&value) {
                    Ok(value) => drop(self.0.insert(setting.field, value)),
                    Err(reason) => wrong.push(format!("{path}: {reason}")),
                }
            } else if !table::fields().any(is_above) {
                lenient.insert(format!("unknown field {path:?}"));
            } else if let Value::Object(below) = value {
                self.take(below, &path, lenient, wrong);
            } else {
                wrong.push(format!("{path}: expected an object, found {value}"));
            }
        }
    }

    /// Sets each field that is missing, or has the zero value of its type, to its default.
    pub(crate) fn set_defaults(&mut self) {
        for setting in table::fields() {
            let is_unset = self.0.get(setting.field).is_none_or(|value| setting.kind.is_zero(value));
            if !is_unset {
                continue;
            }
            if let Some(value) = self.default_of(setting) {
                self.0.insert(setting.field, value);
            }
        }
        self.append_ports(HEALTHZ_PORT, METRICS_PORT);
    }

    fn default_of(&self, setting: &Setting) -> Option<Value> {
        // kube-proxy listens in the family of the bind address. The table has the bind address first, so it is set by now.
        if !matches!(ip(self.get(field::BIND_ADDRESS)), Some(IpAddr::V4(_))) {
            for (field, default) in
                [(field::HEALTHZ_BIND_ADDRESS, "[::]:10256"), (field::METRICS_BIND_ADDRESS, "[::1]:10249")]
            {
                if field.name() == setting.field {
                    return Some(default.into());
                }
            }
        }
        setting.kind.default(setting.default)
    }

    /// Appends ports to the healthz and metrics addresses that have none.
    pub(crate) fn append_ports(&mut self, healthz: u16, metrics: u16) {
        for (field, port) in [(field::HEALTHZ_BIND_ADDRESS, healthz), (field::METRICS_BIND_ADDRESS, metrics)] {
            let address = self.get(field);
            if socket(address).is_none()
                && let Some(ip) = ip(address)
            {
                let with_port = std::net::SocketAddr::new(ip, port).to_string();
                self.set(field, with_port);
            }
        }
    }

    /// The value of a field; the zero value of its type where it is not set.
    pub(crate) fn get<T: Typed + ?Sized>(&self, field: Field<T>) -> T::Value<'_> {
        self.0.get(field.name()).and_then(T::read).unwrap_or_default()
    }

    pub(crate) fn set(&mut self, field: Field<str>, text: impl Into<String>) {
        self.0.insert(field.name(), Value::String(text.into()));
    }

    /// The value of a setting's field, in the form in which [`Kind::check`](super::kind::Kind::check) returns it.
    pub(crate) fn value(&self, setting: &Setting) -> Option<&Value> {
        self.0.get(setting.field)
    }

    /// Sets the field of a setting to a value that has passed [`Kind::parse`](super::kind::Kind::parse).
    pub(crate) fn set_value(&mut self, setting: &'static Setting, value: Value) {
        self.0.insert(setting.field, value);
    }

    /// The whole object in the form of a file.
    pub(crate) fn to_value(&self) -> Value {
        let mut root = Map::new();
        root.insert("apiVersion".into(), API_VERSION.into());
        root.insert("kind".into(), KIND.into());
        self.0.iter().for_each(|(path, value)| insert(&mut root, path, value.clone()));
        root.into()
    }
}

/// Inserts a value at a path, and creates the objects above it.
fn insert(members: &mut Map<String, Value>, path: &str, value: Value) {
    match path.split_once('.') {
        None => drop(members.insert(path.to_owned(), value)),
        // No field of the table is an object that contains another field, so the entry is always an object.
        Some((above, below)) => {
            if let Value::Object(members) = members.entry(above).or_insert_with(|| Map::new().into()) {
                insert(members, below, value);
            }
        }
    }
}

/// Reads the first document of a text. If a duplicate key is the only problem, the second part of the error names it.
fn read(text: &str, strict: bool) -> Result<Value, (String, Option<String>)> {
    use serde_saphyr::DuplicateKeyPolicy::{Error, LastWins};
    let mut options = yaml_options(text.len());
    options.duplicate_keys = if strict { Error } else { LastWins };
    let documents: Result<Vec<Value>, _> = serde_saphyr::from_multiple_with_options(text, options);
    match documents {
        Ok(documents) => Ok(documents.into_iter().find(|document| !document.is_null()).unwrap_or_default()),
        Err(error) => {
            let place = error.location().map(|place| format!("line {}, column {}: ", place.line(), place.column()));
            let plain = error.without_snippet();
            let duplicate = match plain {
                serde_saphyr::Error::DuplicateMappingKey { key: Some(key), .. } => {
                    Some(format!("duplicate field {key:?}"))
                }
                serde_saphyr::Error::DuplicateMappingKey { key: None, .. } => Some("duplicate field".to_owned()),
                _ => None,
            };
            let reason = plain.to_string();
            let reason = reason.lines().next().unwrap_or_default();
            Err((format!("invalid YAML or JSON: {}{reason}", place.unwrap_or_default()), duplicate))
        }
    }
}

/// Removes members that are null: Kubernetes decoders treat them as missing.
fn strip_nulls(value: &mut Value) {
    if let Value::Object(members) = value {
        members.retain(|_, member| !member.is_null());
        members.values_mut().for_each(strip_nulls);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const HEAD: &str = "apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\n";

    fn decode(text: &str) -> Result<Decoded, Vec<String>> {
        Object::decode(&format!("{HEAD}{text}"))
    }

    fn defaulted(text: &str) -> Object {
        let mut object = decode(text).unwrap().object;
        object.set_defaults();
        object
    }

    #[test]
    fn unknown_and_duplicate_fields_are_reported_and_ignored() {
        let decoded =
            decode("mode: kernelspace\nudpIdleTimeout: 0s\nwinkernel: {enableDSR: true, odd: 1}\nmode: ''\n").unwrap();
        assert_eq!(
            decoded.lenient,
            ["duplicate field \"mode\"", "unknown field \"udpIdleTimeout\"", "unknown field \"winkernel.odd\""]
        );
        assert!(decoded.object.get(field::ENABLE_DSR));
        assert_eq!(decoded.object.get(field::MODE), "", "the last one counts");
    }

    #[test]
    fn other_documents_are_rejected() {
        for (text, reason) in [
            ("kind: [", "invalid YAML or JSON: line "),
            ("[]", "expected an object of kind"),
            ("kind: KubeProxyConfiguration", "missing apiVersion: expected"),
            ("apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: Pod", "invalid kind \"Pod\": expected"),
        ] {
            assert!(Object::decode(text).unwrap_err()[0].contains(reason), "{text}");
        }
        assert!(decode("bindAddress: ::\n").is_err(), "an unquoted :: is not a YAML string");
    }

    #[test]
    fn each_value_of_a_wrong_type_is_reported_with_its_field() {
        let wrong = decode("configSyncPeriod: 900\nwinkernel: {enableDSR: 'x'}\nconntrack: 1\n").unwrap_err();
        assert_eq!(wrong.len(), 3, "{wrong:?}");
        assert!(wrong.iter().any(|text| text.starts_with("configSyncPeriod: expected a duration")), "{wrong:?}");
        assert!(wrong.iter().any(|text| text.starts_with("winkernel.enableDSR: expected true or false")), "{wrong:?}");
    }

    #[test]
    fn json_is_decoded_and_nulls_count_as_missing() {
        let text = r#"{"apiVersion":"kubeproxy.config.k8s.io/v1alpha1","kind":"KubeProxyConfiguration",
            "iptables":{"masqueradeBit":null,"syncPeriod":"0s"},"nodePortAddresses":null,"logging":{"flushFrequency":0}}"#;
        let mut object = Object::decode(text).unwrap().object;
        object.set_defaults();
        assert_eq!(object.get(field::MASQUERADE_BIT), 14);
        assert_eq!(object.get(field::SYNC_PERIOD), 30_000_000_000);
        assert_eq!(object.get(field::FLUSH_FREQUENCY), 5_000_000_000);
    }

    #[test]
    fn defaults_replace_zero_values_except_of_optional_fields() {
        let object =
            defaulted("iptables: {minSyncPeriod: 0s, masqueradeBit: 0, localhostNodePorts: false}\noomScoreAdj: 0\n");
        let iptables = json!({
            "localhostNodePorts": false, "masqueradeAll": false, "masqueradeBit": 0, "minSyncPeriod": "1s", "syncPeriod": "30s",
        });
        assert_eq!(object.to_value()["iptables"], iptables);
        assert_eq!(object.get(field::OOM_SCORE_ADJ), 0);
        assert_eq!(object.get(field::QPS), 5.0);
    }

    #[test]
    fn addresses_follow_the_family_of_the_bind_address_and_get_ports() {
        let listens = |text: &str| {
            let object = defaulted(text);
            (object.get(field::HEALTHZ_BIND_ADDRESS).to_owned(), object.get(field::METRICS_BIND_ADDRESS).to_owned())
        };
        let pair = |healthz: &str, metrics: &str| (healthz.to_owned(), metrics.to_owned());
        assert_eq!(listens(""), pair("0.0.0.0:10256", "127.0.0.1:10249"));
        assert_eq!(listens("bindAddress: '::'"), pair("[::]:10256", "[::1]:10249"));
        assert_eq!(
            listens("healthzBindAddress: 10.0.0.1\nmetricsBindAddress: fd00::1"),
            pair("10.0.0.1:10256", "[fd00::1]:10249")
        );
        assert_eq!(listens("healthzBindAddress: '[fd00:1::5]'").0, "[fd00:1::5]", "validation rejects it");
    }

    #[test]
    fn an_encoded_object_decodes_to_itself() {
        let object = defaulted(
            "winkernel: {networkName: cbr0}\nfeatureGates: {WinDSR: true}\nlogging: {vmodule: [{filePattern: a, verbosity: 2}]}\n",
        );
        let text = serde_saphyr::to_string(&object.to_value()).unwrap();
        assert_eq!(Object::decode(&text), Ok(Decoded { object, lenient: Vec::new() }));
    }
}
