//! The object `KubeProxyConfiguration` of `kubeproxy.config.k8s.io/v1alpha1`: read from text, filled with defaults, written.
//!
//! It is held as values by field path, all of a type that the table has. What the table does not know is named and left out.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use serde_json::{Map, Value};

use super::duration;
use super::kind::{ip, socket};
use super::table::{self, Setting};

const API_VERSION: &str = "kubeproxy.config.k8s.io/v1alpha1";
const KIND: &str = "KubeProxyConfiguration";

/// A configuration as a file says it.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Object(BTreeMap<&'static str, Value>);

/// An object as read, and what a strict reader would have refused.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Decoded {
    pub(crate) object: Object,
    pub(crate) lenient: Vec<String>,
}

impl Object {
    /// The object of a file: YAML or JSON, without defaults.
    ///
    /// # Errors
    /// Each thing that makes it no configuration.
    pub(crate) fn decode(text: &str) -> Result<Decoded, Vec<String>> {
        let mut lenient = BTreeSet::new();
        let mut document = match read(text, true) {
            Err((_, Some(duplicate))) => {
                lenient.insert(duplicate);
                read(text, false).map_err(|(reason, _)| vec![reason])?
            }
            other => other.map_err(|(reason, _)| vec![reason])?,
        };
        strip_nulls(&mut document);
        let Value::Object(mut members) = document else {
            return Err(vec![format!("it is no object of kind {KIND}")]);
        };
        for (member, wanted) in [("apiVersion", API_VERSION), ("kind", KIND)] {
            match members.remove(member) {
                Some(found) if found == wanted => {}
                Some(found) => return Err(vec![format!("{member} is {found}, expected {wanted:?}")]),
                None => return Err(vec![format!("{member} is missing, expected {wanted:?}")]),
            }
        }
        let mut object = Self::default();
        let mut wrong = Vec::new();
        object.take(members, "", &mut lenient, &mut wrong);
        if wrong.is_empty() { Ok(Decoded { object, lenient: lenient.into_iter().collect() }) } else { Err(wrong) }
    }

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

    /// Fills in what is not there, or is its type's zero.
    pub(crate) fn set_defaults(&mut self) {
        for setting in table::fields() {
            let is_unset = self.0.get(setting.field).is_none_or(|value| setting.kind.is_zero(value));
            if !is_unset {
                continue;
            }
            // The families of the addresses to listen at follow the bind address, which the table has before them.
            let v6 = || !matches!(ip(self.text("bindAddress")), Some(IpAddr::V4(_)));
            let default = match setting.field {
                "healthzBindAddress" if v6() => Some("[::]:10256".into()),
                "metricsBindAddress" if v6() => Some("[::1]:10249".into()),
                _ => setting.kind.default(setting.default),
            };
            if let Some(value) = default {
                self.0.insert(setting.field, value);
            }
        }
        self.append_ports(10256, 10249);
    }

    /// Gives the addresses to listen at ports, where they have none.
    pub(crate) fn append_ports(&mut self, healthz: u16, metrics: u16) {
        for (field, port) in [("healthzBindAddress", healthz), ("metricsBindAddress", metrics)] {
            let address = self.text(field);
            if socket(address).is_none()
                && let Some(ip) = ip(address)
            {
                let with_port = std::net::SocketAddr::new(ip, port).to_string();
                self.0.insert(field, with_port.into());
            }
        }
    }

    /// Sets a field that the table has.
    pub(crate) fn set(&mut self, field: &'static str, value: Value) {
        self.0.insert(field, value);
    }

    /// The value of a field.
    pub(crate) fn get(&self, field: &str) -> Option<&Value> {
        self.0.get(field)
    }

    /// The text of a field; empty where it is not set.
    pub(crate) fn text(&self, field: &str) -> &str {
        self.get(field).and_then(Value::as_str).unwrap_or_default()
    }

    /// Whether a field is true.
    pub(crate) fn flag(&self, field: &str) -> bool {
        self.get(field).and_then(Value::as_bool).unwrap_or_default()
    }

    /// The number of a field.
    pub(crate) fn number(&self, field: &str) -> i64 {
        self.get(field).and_then(Value::as_i64).unwrap_or_default()
    }

    /// The nanoseconds of a field.
    pub(crate) fn nanoseconds(&self, field: &str) -> i64 {
        duration::parse(self.text(field)).unwrap_or_default()
    }

    /// The texts of a field.
    pub(crate) fn list(&self, field: &str) -> Vec<String> {
        let items = self.get(field).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        items.iter().filter_map(Value::as_str).map(str::to_owned).collect()
    }

    /// The whole object, as a file would have it.
    pub(crate) fn to_value(&self) -> Value {
        let mut root = Map::new();
        root.insert("apiVersion".into(), API_VERSION.into());
        root.insert("kind".into(), KIND.into());
        self.0.iter().for_each(|(path, value)| insert(&mut root, path, value.clone()));
        root.into()
    }
}

/// Puts a value at a path, with the objects above it.
fn insert(members: &mut Map<String, Value>, path: &str, value: Value) {
    match path.split_once('.') {
        None => drop(members.insert(path.to_owned(), value)),
        // No field of the table is above another.
        Some((above, below)) => {
            if let Value::Object(members) = members.entry(above).or_insert_with(|| Map::new().into()) {
                insert(members, below, value);
            }
        }
    }
}

/// The first document of a text. The error has a second text where it is only that a key is there twice.
fn read(text: &str, strict: bool) -> Result<Value, (String, Option<String>)> {
    use serde_saphyr::DuplicateKeyPolicy::{Error, LastWins};
    let options = serde_saphyr::options! { duplicate_keys: if strict { Error } else { LastWins } };
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
            Err((format!("it is neither YAML nor JSON: {}{reason}", place.unwrap_or_default()), duplicate))
        }
    }
}

/// A null is nothing, wherever Kubernetes reads one.
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
    fn unknown_and_duplicate_fields_are_named_and_survived() {
        let decoded =
            decode("mode: kernelspace\nudpIdleTimeout: 0s\nwinkernel: {enableDSR: true, odd: 1}\nmode: ''\n").unwrap();
        assert_eq!(
            decoded.lenient,
            ["duplicate field \"mode\"", "unknown field \"udpIdleTimeout\"", "unknown field \"winkernel.odd\""]
        );
        assert!(decoded.object.flag("winkernel.enableDSR"));
        assert_eq!(decoded.object.text("mode"), "", "the last one counts");
    }

    #[test]
    fn what_is_no_configuration_is_refused() {
        for (text, reason) in [
            ("kind: [", "neither YAML nor JSON: line "),
            ("[]", "no object of kind"),
            ("kind: KubeProxyConfiguration", "apiVersion is missing"),
            ("apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: Pod", "kind is \"Pod\", expected"),
        ] {
            assert!(Object::decode(text).unwrap_err()[0].contains(reason), "{text}");
        }
        assert!(decode("bindAddress: ::\n").is_err(), "an unquoted :: is not YAML's text");
    }

    #[test]
    fn wrong_types_are_all_named_with_their_fields() {
        let wrong = decode("configSyncPeriod: 900\nwinkernel: {enableDSR: 'x'}\nconntrack: 1\n").unwrap_err();
        assert_eq!(wrong.len(), 3, "{wrong:?}");
        assert!(wrong.iter().any(|text| text.starts_with("configSyncPeriod: expected a duration")), "{wrong:?}");
        assert!(wrong.iter().any(|text| text.starts_with("winkernel.enableDSR: expected true or false")), "{wrong:?}");
    }

    #[test]
    fn json_is_read_too_and_nulls_are_nothing() {
        let text = r#"{"apiVersion":"kubeproxy.config.k8s.io/v1alpha1","kind":"KubeProxyConfiguration",
            "iptables":{"masqueradeBit":null,"syncPeriod":"0s"},"nodePortAddresses":null,"logging":{"flushFrequency":0}}"#;
        let mut object = Object::decode(text).unwrap().object;
        object.set_defaults();
        assert_eq!(object.number("iptables.masqueradeBit"), 14);
        assert_eq!(object.text("iptables.syncPeriod"), "30s");
        assert_eq!(object.text("logging.flushFrequency"), "5s");
    }

    #[test]
    fn defaults_replace_zeros_but_not_of_optional_fields() {
        let object =
            defaulted("iptables: {minSyncPeriod: 0s, masqueradeBit: 0, localhostNodePorts: false}\noomScoreAdj: 0\n");
        assert_eq!(object.text("iptables.minSyncPeriod"), "1s");
        assert_eq!(object.number("iptables.masqueradeBit"), 0);
        assert_eq!(object.number("oomScoreAdj"), 0);
        assert!(!object.flag("iptables.localhostNodePorts"));
        assert_eq!(object.get("clientConnection.qps"), Some(&json!(5.0)));
    }

    #[test]
    fn addresses_follow_the_family_of_the_bind_address_and_get_ports() {
        let listens = |text: &str| {
            let object = defaulted(text);
            (object.text("healthzBindAddress").to_owned(), object.text("metricsBindAddress").to_owned())
        };
        let pair = |healthz: &str, metrics: &str| (healthz.to_owned(), metrics.to_owned());
        assert_eq!(listens(""), pair("0.0.0.0:10256", "127.0.0.1:10249"));
        assert_eq!(listens("bindAddress: '::'"), pair("[::]:10256", "[::1]:10249"));
        assert_eq!(
            listens("healthzBindAddress: 10.0.0.1\nmetricsBindAddress: fd00::1"),
            pair("10.0.0.1:10256", "[fd00::1]:10249")
        );
        assert_eq!(listens("healthzBindAddress: '[fd00:1::5]'").0, "[fd00:1::5]", "left for the validation to refuse");
    }

    #[test]
    fn what_is_written_reads_as_the_same() {
        let object = defaulted(
            "winkernel: {networkName: cbr0}\nfeatureGates: {WinDSR: true}\nlogging: {vmodule: [{filePattern: a, verbosity: 2}]}\n",
        );
        let text = serde_saphyr::to_string(&object.to_value()).unwrap();
        assert_eq!(Object::decode(&text), Ok(Decoded { object, lenient: Vec::new() }));
    }
}
