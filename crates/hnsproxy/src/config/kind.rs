//! The types of settings: how the text of a flag is parsed, and which values a file may have.

use std::net::{IpAddr, SocketAddr};

use serde_json::{Value, json};

use super::duration;

/// The type of a setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// True or false, in the spellings of Go's flag library.
    Bool,
    /// As [`Kind::Bool`]; in a file, false differs from a missing field.
    OptionalBool,
    /// A 32-bit integer.
    Int,
    /// As [`Kind::Int`]; in a file, 0 differs from a missing field.
    OptionalInt,
    /// A non-negative integer.
    Count,
    Float,
    /// A duration in Go's syntax.
    Duration,
    /// As [`Kind::Duration`]; in a file, 0 differs from a missing field.
    OptionalDuration,
    /// As [`Kind::Duration`]; a file may also have a number of nanoseconds.
    FlushDuration,
    Text,
    /// An IP address. An empty flag keeps the default.
    Ip,
    /// An IP address with or without a port. An empty flag keeps the default.
    IpPort,
    /// Strings separated by commas; the flag may be repeated.
    List,
    /// `NAME=true,NAME=false`; the flag may be repeated.
    Gates,
    /// `PATTERN=N,PATTERN=N`.
    Vmodule,
    /// A number of bytes: `0`, `64Ki`, `1M`.
    Quantity,
    /// A port number; 0 disables the server.
    Port,
    /// false, true, raw, or a version.
    Version,
}

impl Kind {
    /// The placeholder for the value in `--help`.
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

    /// The value of the flag when it is given without one. None if the flag needs a value.
    pub(crate) fn bare(self) -> Option<&'static str> {
        matches!(self, Self::Bool | Self::OptionalBool | Self::Version).then_some("true")
    }

    /// Whether the values of a repeated flag are joined. Otherwise the last one counts.
    pub(crate) fn accumulates(self) -> bool {
        matches!(self, Self::List | Self::Gates)
    }

    /// Parses the text of a flag.
    ///
    /// # Errors
    /// If the text has another type.
    pub(crate) fn parse(self, text: &str) -> Result<Value, String> {
        match self {
            Self::Bool | Self::OptionalBool => go_bool(text).map(Value::Bool),
            Self::Int | Self::OptionalInt => {
                let number: Result<i32, _> = text.parse();
                number.map(Value::from).map_err(|_| "expected an integer".into())
            }
            Self::Count => text.parse::<u64>().map(Value::from).map_err(|_| "expected a non-negative integer".into()),
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

    /// Checks a value of a file, and returns it in the form of [`Kind::parse`].
    ///
    /// # Errors
    /// If the value has another type.
    pub(crate) fn check(self, value: &Value) -> Result<Value, String> {
        let expected = |what: &str| Err(format!("expected {what}, found {value}"));
        match (self, value) {
            (Self::Bool | Self::OptionalBool, Value::Bool(_)) => Ok(value.clone()),
            (Self::Bool | Self::OptionalBool, _) => expected("true or false"),
            (Self::Int | Self::OptionalInt, Value::Number(number)) => match number.as_i64().map(i32::try_from) {
                Some(Ok(number)) => Ok(number.into()),
                _ => expected("a 32-bit integer"),
            },
            (Self::Int | Self::OptionalInt, _) => expected("an integer"),
            (Self::Count, _) if value.as_u64().is_some() => Ok(value.clone()),
            (Self::Count, _) => expected("a non-negative integer"),
            (Self::Float, Value::Number(_)) => Ok(value.clone()),
            (Self::Float, _) => expected("a number"),
            (Self::FlushDuration, Value::Number(number)) => match number.as_i64() {
                Some(nanoseconds) => Ok(duration::format(nanoseconds).into()),
                None => expected("a duration, or an integer number of nanoseconds"),
            },
            (Self::Duration | Self::OptionalDuration | Self::FlushDuration, Value::String(text)) => {
                self.parse(text).map_err(|expected| format!("invalid duration {text:?}: {expected}"))
            }
            (Self::Duration | Self::OptionalDuration | Self::FlushDuration, _) => {
                expected("a duration such as \"30s\"")
            }
            (Self::Quantity, Value::Number(number)) => self.parse(&number.to_string()),
            (Self::Quantity, Value::String(text)) => self.parse(text),
            (Self::Quantity, _) => expected("a number of bytes"),
            (Self::List, Value::Array(texts)) if texts.iter().all(Value::is_string) => Ok(value.clone()),
            (Self::List, _) => expected("a list of strings"),
            (Self::Gates, Value::Object(gates)) if gates.values().all(Value::is_boolean) => Ok(value.clone()),
            (Self::Gates, _) => expected("a map from feature gates to true or false"),
            (Self::Vmodule, Value::Array(items)) if items.iter().all(is_vmodule) => Ok(value.clone()),
            (Self::Vmodule, _) => expected("a list of objects with filePattern and verbosity"),
            (Self::Text | Self::Ip | Self::IpPort, Value::String(_)) => Ok(value.clone()),
            (Self::Text | Self::Ip | Self::IpPort, _) => expected("a string"),
            // Only flags have these types.
            (Self::Port | Self::Version, _) => Ok(value.clone()),
        }
    }

    /// Whether a value of a file is the zero value of its type, which means the default.
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

    /// The value of a default in the table. An empty text stands for the zero value, or for no value where the type has none.
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

/// Parses a Boolean as Go's `strconv.ParseBool` does.
pub(crate) fn go_bool(text: &str) -> Result<bool, String> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err("expected true or false".into()),
    }
}

/// Parses an IP address as Kubernetes does: the parts of an IPv4 address may have leading zeros.
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

/// Parses an IP address with a port other than 0.
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
        let (name, value) =
            pair.split_once('=').ok_or_else(|| format!("expected NAME=true or NAME=false, found {}", pair.trim()))?;
        let name = name.trim();
        let value = go_bool(value.trim()).map_err(|expected| format!("feature gate {name}: {expected}"))?;
        gates.insert(name.to_owned(), value.into());
    }
    Ok(Value::Object(gates))
}

fn vmodule(text: &str) -> Result<Value, String> {
    let mut items = Vec::new();
    for pair in text.split(',').filter(|pair| !pair.is_empty()) {
        let invalid = || format!("expected PATTERN=N, found {pair}");
        let (pattern, verbosity) = pair.split_once('=').ok_or_else(invalid)?;
        let verbosity: u32 = verbosity.parse().map_err(|_| invalid())?;
        if pattern.is_empty() {
            return Err(invalid());
        }
        items.push(json!({"filePattern": pattern, "verbosity": verbosity}));
    }
    Ok(items.into())
}

fn is_vmodule(item: &Value) -> bool {
    item.get("filePattern").is_none_or(Value::is_string) && item.get("verbosity").is_none_or(Value::is_u64)
}

/// Parses a Kubernetes quantity as a number of bytes.
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
    fn flags_are_parsed() {
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
    fn other_texts_are_rejected() {
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
    fn files_need_exact_types_except_for_the_flush_frequency() {
        assert_eq!(Kind::FlushDuration.check(&json!(5_000_000_000_i64)), Ok(json!("5s")));
        assert!(Kind::Duration.check(&json!(5)).unwrap_err().contains("\"30s\""));
        assert!(Kind::Bool.check(&json!("true")).is_err());
        assert!(Kind::Gates.check(&json!({"A": "true"})).is_err());
        assert!(Kind::Text.check(&json!(1)).is_err());
    }
}
