//! The types that flags and fields have: how a flag's text becomes a value, and which values a file may hold.

use std::net::{IpAddr, SocketAddr};

use serde_json::{Value, json};

use super::duration;

/// The type of a setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// True or false, as Go's flag library writes them.
    Bool,
    /// As [`Kind::Bool`]; a file can tell false from nothing.
    OptionalBool,
    /// A whole number of 32 bits.
    Int,
    /// As [`Kind::Int`]; a file can tell 0 from nothing.
    OptionalInt,
    /// A whole number from 0.
    Count,
    /// A number.
    Float,
    /// A duration as Go writes it.
    Duration,
    /// As [`Kind::Duration`]; a file can tell 0 from nothing.
    OptionalDuration,
    /// As [`Kind::Duration`]; a file may also give nanoseconds.
    FlushDuration,
    /// Any text.
    Text,
    /// An IP address. As a flag, an empty text leaves the default.
    Ip,
    /// An IP address with or without a port. As a flag, an empty text leaves the default.
    IpPort,
    /// Texts with commas between them; the flag may be repeated.
    List,
    /// `NAME=true,NAME=false`; the flag may be repeated.
    Gates,
    /// `PATTERN=N,PATTERN=N`.
    Vmodule,
    /// A number of bytes: `0`, `64Ki`, `1M`.
    Quantity,
    /// A port number, 0 for none.
    Port,
    /// false, true, raw, or a version.
    Version,
}

impl Kind {
    /// What stands for the value in help.
    pub(crate) fn value_name(self) -> &'static str {
        match self {
            Self::Bool | Self::OptionalBool => "BOOL",
            Self::Int | Self::OptionalInt | Self::Count => "N",
            Self::Float => "NUMBER",
            Self::Duration | Self::OptionalDuration | Self::FlushDuration => "DURATION",
            Self::Text => "TEXT",
            Self::Ip => "IP",
            Self::IpPort => "IP[:PORT]",
            Self::List => "LIST",
            Self::Gates => "NAME=BOOL,...",
            Self::Vmodule => "PATTERN=N,...",
            Self::Quantity => "BYTES",
            Self::Port => "PORT",
            Self::Version => "true|raw|VERSION",
        }
    }

    /// Whether the flag may stand without a value, and which it then has.
    pub(crate) fn bare(self) -> Option<&'static str> {
        matches!(self, Self::Bool | Self::OptionalBool | Self::Version).then_some("true")
    }

    /// Whether values of a repeated flag are put together; otherwise the last one counts.
    pub(crate) fn accumulates(self) -> bool {
        matches!(self, Self::List | Self::Gates)
    }

    /// The value of a flag's text.
    ///
    /// # Errors
    /// Where it is none of this type.
    pub(crate) fn parse(self, text: &str) -> Result<Value, String> {
        match self {
            Self::Bool | Self::OptionalBool => go_bool(text).map(Value::Bool),
            Self::Int | Self::OptionalInt => {
                let number: Result<i32, _> = text.parse();
                number.map(Value::from).map_err(|_| "expected a whole number".into())
            }
            Self::Count => text.parse::<u64>().map(Value::from).map_err(|_| "expected a whole number from 0".into()),
            Self::Float => {
                let number = text.parse::<f32>().ok().filter(|number| number.is_finite());
                number.map(|number| json!(f64::from(number))).ok_or_else(|| "expected a number".into())
            }
            Self::Duration | Self::OptionalDuration | Self::FlushDuration => {
                duration::parse(text).map(|value| Value::from(duration::format(value)))
            }
            Self::Text => Ok(text.into()),
            Self::Ip if text.is_empty() || ip(text).is_some() => Ok(text.into()),
            Self::Ip => Err("expected an IP address".into()),
            Self::IpPort if text.is_empty() || ip(text).is_some() || socket(text).is_some() => Ok(text.into()),
            Self::IpPort => Err("expected an IP address, with or without a port from 1 to 65535".into()),
            Self::List if text.is_empty() => Ok(json!([])),
            Self::List => Ok(text.split(',').collect()),
            Self::Gates => gates(text),
            Self::Vmodule => vmodule(text),
            Self::Quantity => bytes(text).map(|_| text.into()).ok_or_else(|| "expected a number of bytes".into()),
            Self::Port => text.parse::<u16>().map(Value::from).map_err(|_| "expected a port number".into()),
            Self::Version => version(text),
        }
    }

    /// A file's value in the form that [`Kind::parse`] gives.
    ///
    /// # Errors
    /// Where it is none of this type.
    pub(crate) fn check(self, value: &Value) -> Result<Value, String> {
        let expected = |what: &str| Err(format!("expected {what}, found {value}"));
        match (self, value) {
            (Self::Bool | Self::OptionalBool, Value::Bool(_)) => Ok(value.clone()),
            (Self::Bool | Self::OptionalBool, _) => expected("true or false"),
            (Self::Int | Self::OptionalInt, Value::Number(number)) => match number.as_i64().map(i32::try_from) {
                Some(Ok(number)) => Ok(number.into()),
                _ => expected("a whole number of 32 bits"),
            },
            (Self::Int | Self::OptionalInt, _) => expected("a whole number"),
            (Self::Count, _) if value.as_u64().is_some() => Ok(value.clone()),
            (Self::Count, _) => expected("a whole number from 0"),
            (Self::Float, Value::Number(_)) => Ok(value.clone()),
            (Self::Float, _) => expected("a number"),
            (Self::FlushDuration, Value::Number(number)) => match number.as_i64() {
                Some(nanoseconds) => Ok(duration::format(nanoseconds).into()),
                None => expected("a duration, or a whole number of nanoseconds"),
            },
            (Self::Duration | Self::OptionalDuration | Self::FlushDuration, Value::String(text)) => self.parse(text),
            (Self::Duration | Self::OptionalDuration | Self::FlushDuration, _) => {
                expected("a duration such as \"30s\"")
            }
            (Self::Quantity, Value::Number(number)) => self.parse(&number.to_string()),
            (Self::Quantity, Value::String(text)) => self.parse(text),
            (Self::Quantity, _) => expected("a number of bytes"),
            (Self::List, Value::Array(texts)) if texts.iter().all(Value::is_string) => Ok(value.clone()),
            (Self::List, _) => expected("a list of texts"),
            (Self::Gates, Value::Object(gates)) if gates.values().all(Value::is_boolean) => Ok(value.clone()),
            (Self::Gates, _) => expected("names with true or false"),
            (Self::Vmodule, Value::Array(items)) if items.iter().all(is_vmodule) => Ok(value.clone()),
            (Self::Vmodule, _) => expected("a list of filePattern and verbosity"),
            (Self::Text | Self::Ip | Self::IpPort, Value::String(_)) => Ok(value.clone()),
            (Self::Text | Self::Ip | Self::IpPort, _) => expected("a text"),
            // No field has these.
            (Self::Port | Self::Version, _) => Ok(value.clone()),
        }
    }

    /// Whether a file's value is the type's zero, which a default replaces.
    pub(crate) fn is_zero(self, value: &Value) -> bool {
        match (self, value) {
            (Self::OptionalBool | Self::OptionalInt | Self::OptionalDuration, _) => false,
            (Self::Duration | Self::FlushDuration, Value::String(text)) => duration::parse(text) == Ok(0),
            (_, Value::Null | Value::Bool(false)) => true,
            (_, Value::Number(number)) => number.as_f64() == Some(0.0),
            (_, Value::String(text)) => text.is_empty(),
            (_, Value::Array(items)) => items.is_empty(),
            (_, Value::Object(members)) => members.is_empty(),
            (_, Value::Bool(true)) => false,
        }
    }

    /// The value of a default as the table writes it; of an empty text, the type's zero or nothing.
    pub(crate) fn default(self, text: &str) -> Option<Value> {
        match (self, text) {
            (Self::Bool, "") => Some(Value::Bool(false)),
            (Self::Int | Self::Count, "") => Some(0.into()),
            (Self::Duration, "") => Some("0s".into()),
            (Self::Quantity, "") => Some("0".into()),
            (Self::Gates, "") => Some(json!({})),
            (Self::Vmodule, "") => Some(json!([])),
            (Self::Text | Self::Ip | Self::IpPort | Self::List, _) => self.parse(text).ok(),
            (_, "") => None,
            _ => self.parse(text).ok(),
        }
    }
}

/// A truth value as Go's flag library reads it.
pub(crate) fn go_bool(text: &str) -> Result<bool, String> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err("expected true or false".into()),
    }
}

/// An IP address as Kubernetes reads it: parts of IPv4 may begin with zeros.
pub(crate) fn ip(text: &str) -> Option<IpAddr> {
    text.parse().ok().or_else(|| {
        let parts: Vec<&str> = text.split('.').collect();
        let digits = |part: &&str| !part.is_empty() && part.len() < 8 && part.bytes().all(|byte| byte.is_ascii_digit());
        if parts.len() != 4 || !parts.iter().all(digits) {
            return None;
        }
        let decimal: Vec<String> =
            parts.iter().filter_map(|part| part.parse::<u32>().ok()).map(|n| n.to_string()).collect();
        decimal.join(".").parse().ok()
    })
}

/// An address with a port from 1.
pub(crate) fn socket(text: &str) -> Option<SocketAddr> {
    let (host, port) = text.rsplit_once(':')?;
    let host = match host.strip_prefix('[') {
        Some(inner) => inner.strip_suffix(']')?,
        None if host.contains(':') => return None,
        None => host,
    };
    let port: u16 = port.parse().ok().filter(|port| *port != 0)?;
    Some(SocketAddr::new(ip(host)?, port))
}

fn gates(text: &str) -> Result<Value, String> {
    let mut gates = serde_json::Map::new();
    for pair in text.split(',').filter(|pair| !pair.trim().is_empty()) {
        let (name, value) = pair.split_once('=').ok_or_else(|| format!("{pair:?} is not NAME=true or NAME=false"))?;
        let value = go_bool(value.trim()).map_err(|error| format!("{pair:?}: {error}"))?;
        gates.insert(name.trim().to_owned(), value.into());
    }
    Ok(Value::Object(gates))
}

fn vmodule(text: &str) -> Result<Value, String> {
    let mut items = Vec::new();
    for pair in text.split(',').filter(|pair| !pair.is_empty()) {
        let wrong = || format!("{pair:?} is not PATTERN=N");
        let (pattern, verbosity) = pair.split_once('=').ok_or_else(wrong)?;
        let verbosity: u32 = verbosity.parse().map_err(|_| wrong())?;
        if pattern.is_empty() {
            return Err(wrong());
        }
        items.push(json!({"filePattern": pattern, "verbosity": verbosity}));
    }
    Ok(items.into())
}

fn is_vmodule(item: &Value) -> bool {
    item.get("filePattern").is_none_or(Value::is_string) && item.get("verbosity").is_none_or(Value::is_u64)
}

/// A quantity of Kubernetes that counts bytes.
pub(crate) fn bytes(text: &str) -> Option<u64> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let scale: u64 = match unit {
        "" => 1,
        "k" => 1_000,
        "M" => 1_000_000,
        "G" => 1_000_000_000,
        "Ki" => 1 << 10,
        "Mi" => 1 << 20,
        "Gi" => 1 << 30,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(scale)
}

fn version(text: &str) -> Result<Value, String> {
    match (go_bool(text), text) {
        (Ok(value), _) => Ok(value.into()),
        (_, "raw") => Ok("raw".into()),
        _ if text.starts_with('v') => Ok(text.into()),
        _ => Err("expected true, false, raw, or a version such as v1.36.0".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_become_values() {
        for (kind, text, value) in [
            (Kind::Bool, "T", json!(true)),
            (Kind::Int, "-998", json!(-998)),
            (Kind::Float, "2.5", json!(2.5)),
            (Kind::Duration, "90s", json!("1m30s")),
            (Kind::IpPort, "[fd00::1]:9", json!("[fd00::1]:9")),
            (Kind::IpPort, "", json!("")),
            (Kind::Ip, "010.0.0.1", json!("010.0.0.1")),
            (Kind::List, "10.0.0.0/8,fd00::/8", json!(["10.0.0.0/8", "fd00::/8"])),
            (Kind::Gates, "A=true, B=F", json!({"A": true, "B": false})),
            (Kind::Vmodule, "proxy*=3", json!([{"filePattern": "proxy*", "verbosity": 3}])),
            (Kind::Version, "raw", json!("raw")),
        ] {
            assert_eq!(kind.parse(text), Ok(value), "{text}");
        }
    }

    #[test]
    fn other_texts_are_refused() {
        for (kind, text) in [
            (Kind::Bool, "yes"),
            (Kind::Int, "4294967296"),
            (Kind::Float, "NaN"),
            (Kind::Duration, "30"),
            (Kind::Ip, "[::]"),
            (Kind::Ip, "0.0.0.0:80"),
            (Kind::IpPort, "localhost"),
            (Kind::IpPort, "0.0.0.0:0"),
            (Kind::IpPort, "fd00:1::5:80:x"),
            (Kind::Gates, "A"),
            (Kind::Gates, "A=maybe"),
            (Kind::Vmodule, "proxy"),
            (Kind::Quantity, "much"),
            (Kind::Version, "latest"),
        ] {
            assert!(kind.parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn files_are_strict_about_types_but_for_the_flush_frequency() {
        assert_eq!(Kind::FlushDuration.check(&json!(5_000_000_000_i64)), Ok(json!("5s")));
        assert!(Kind::Duration.check(&json!(5)).unwrap_err().contains("\"30s\""));
        assert!(Kind::Bool.check(&json!("true")).is_err());
        assert!(Kind::Gates.check(&json!({"A": "true"})).is_err());
        assert!(Kind::Text.check(&json!(1)).is_err());
    }
}
