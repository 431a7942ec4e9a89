//! Typed keys for the settings that the program reads. Each key names one row of the table.
//!
//! A name that the table lacks, or a type that the row does not have, fails to compile. A key that nothing reads is dead code,
//! which clippy refuses.

use std::collections::BTreeMap;
use std::marker::PhantomData;

use serde_json::Value;

use super::duration;
use super::kind::Kind;
use super::table::{SETTINGS, Setting};

/// The type of a setting's value.
pub(crate) trait Typed {
    /// The kinds of settings that have such values.
    const KINDS: &'static [Kind];
    /// What reading gives. The default is the value of a setting that is not set.
    type Value<'a>: Default;

    /// The value in the form in which [`Kind::parse`] and [`Kind::check`] return it.
    fn read(value: &Value) -> Option<Self::Value<'_>>;
}

/// The key of a field of the configuration file.
pub(crate) struct Field<T: Typed + ?Sized>(&'static Setting, PhantomData<fn() -> *const T>);

impl<T: Typed + ?Sized> Field<T> {
    const fn new(name: &str) -> Self {
        Self(find::<T>(name, false), PhantomData)
    }

    /// The path of the field in the file.
    pub(crate) const fn name(self) -> &'static str {
        self.0.field
    }
}

/// The key of a command line flag.
pub(crate) struct Flag<T: Typed + ?Sized>(&'static Setting, PhantomData<fn() -> *const T>);

impl<T: Typed + ?Sized> Flag<T> {
    const fn new(name: &str) -> Self {
        Self(find::<T>(name, true), PhantomData)
    }

    /// The name of the flag, without dashes.
    pub(crate) const fn name(self) -> &'static str {
        self.0.flag
    }
}

// Derived implementations would ask for `T: Copy`.
impl<T: Typed + ?Sized> Clone for Field<T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T: Typed + ?Sized> Copy for Field<T> {}
impl<T: Typed + ?Sized> Clone for Flag<T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T: Typed + ?Sized> Copy for Flag<T> {}

/// The row of a flag or field. Keys are constants, so a panic here is a compile error.
#[allow(clippy::panic, reason = "runs at compile time only")]
const fn find<T: Typed + ?Sized>(name: &str, by_flag: bool) -> &'static Setting {
    let mut rows = SETTINGS;
    while let [row, rest @ ..] = rows {
        if equal(name.as_bytes(), (if by_flag { row.flag } else { row.field }).as_bytes()) {
            assert!(contains(T::KINDS, row.kind), "the setting has another type");
            return row;
        }
        rows = rest;
    }
    panic!("the table has no such setting")
}

const fn equal(mut left: &[u8], mut right: &[u8]) -> bool {
    while let ([first, left_rest @ ..], [second, right_rest @ ..]) = (left, right) {
        if *first != *second {
            return false;
        }
        (left, right) = (left_rest, right_rest);
    }
    left.is_empty() && right.is_empty()
}

const fn contains(mut kinds: &[Kind], kind: Kind) -> bool {
    while let [first, rest @ ..] = kinds {
        if *first as u8 == kind as u8 {
            return true;
        }
        kinds = rest;
    }
    false
}

impl Typed for bool {
    const KINDS: &'static [Kind] = &[Kind::Bool, Kind::OptionalBool];
    type Value<'a> = bool;

    fn read(value: &Value) -> Option<bool> {
        value.as_bool()
    }
}

impl Typed for i64 {
    const KINDS: &'static [Kind] = &[Kind::Int, Kind::OptionalInt];
    type Value<'a> = i64;

    fn read(value: &Value) -> Option<i64> {
        value.as_i64()
    }
}

impl Typed for u64 {
    const KINDS: &'static [Kind] = &[Kind::Count];
    type Value<'a> = u64;

    fn read(value: &Value) -> Option<u64> {
        value.as_u64()
    }
}

impl Typed for u16 {
    const KINDS: &'static [Kind] = &[Kind::Port];
    type Value<'a> = u16;

    fn read(value: &Value) -> Option<u16> {
        value.as_u64()?.try_into().ok()
    }
}

impl Typed for f32 {
    const KINDS: &'static [Kind] = &[Kind::Float];
    type Value<'a> = f32;

    fn read(value: &Value) -> Option<f32> {
        value.as_f64().map(|number| number as f32)
    }
}

impl Typed for str {
    const KINDS: &'static [Kind] = &[Kind::Text, Kind::Ip, Kind::IpPort, Kind::Quantity];
    type Value<'a> = &'a str;

    fn read(value: &Value) -> Option<&str> {
        value.as_str()
    }
}

/// A duration in nanoseconds. Values are negative until the validation has refused them.
pub(crate) struct Nanoseconds;

impl Typed for Nanoseconds {
    const KINDS: &'static [Kind] = &[Kind::Duration, Kind::OptionalDuration, Kind::FlushDuration];
    type Value<'a> = i64;

    fn read(value: &Value) -> Option<i64> {
        duration::parse(value.as_str()?).ok()
    }
}

/// A list of strings.
pub(crate) struct List;

impl Typed for List {
    const KINDS: &'static [Kind] = &[Kind::List];
    type Value<'a> = Vec<&'a str>;

    fn read(value: &Value) -> Option<Vec<&str>> {
        Some(value.as_array()?.iter().filter_map(Value::as_str).collect())
    }
}

/// Feature gates by name, as the configuration sets them.
pub(crate) struct GateMap;

impl Typed for GateMap {
    const KINDS: &'static [Kind] = &[Kind::Gates];
    type Value<'a> = BTreeMap<&'a str, bool>;

    fn read(value: &Value) -> Option<BTreeMap<&str, bool>> {
        let gates = value.as_object()?.iter();
        Some(gates.filter_map(|(name, enabled)| Some((name.as_str(), enabled.as_bool()?))).collect())
    }
}

/// Verbosity by file name pattern: objects of `filePattern` and `verbosity`.
pub(crate) struct Vmodule;

impl Typed for Vmodule {
    const KINDS: &'static [Kind] = &[Kind::Vmodule];
    type Value<'a> = &'a [Value];

    fn read(value: &Value) -> Option<&[Value]> {
        value.as_array().map(Vec::as_slice)
    }
}

/// What `--version` asks for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum VersionRequest<'a> {
    #[default]
    Nothing,
    Print,
    PrintRaw,
    /// Run, and report this version as kube-proxy's.
    Report(&'a str),
}

impl Typed for VersionRequest<'_> {
    const KINDS: &'static [Kind] = &[Kind::Version];
    type Value<'a> = VersionRequest<'a>;

    fn read(value: &Value) -> Option<VersionRequest<'_>> {
        Some(match value {
            Value::Bool(true) => VersionRequest::Print,
            Value::String(text) if text == "raw" => VersionRequest::PrintRaw,
            Value::String(text) => VersionRequest::Report(text),
            _ => VersionRequest::Nothing,
        })
    }
}

/// The fields that the program reads.
pub(crate) mod field {
    use super::*;

    pub(crate) const BIND_ADDRESS: Field<str> = Field::new("bindAddress");
    pub(crate) const BIND_ADDRESS_HARD_FAIL: Field<bool> = Field::new("bindAddressHardFail");
    pub(crate) const BRIDGE_INTERFACE: Field<str> = Field::new("detectLocal.bridgeInterface");
    pub(crate) const BURST: Field<i64> = Field::new("clientConnection.burst");
    pub(crate) const CLUSTER_CIDR: Field<str> = Field::new("clusterCIDR");
    pub(crate) const CONFIG_SYNC_PERIOD: Field<Nanoseconds> = Field::new("configSyncPeriod");
    pub(crate) const CONNTRACK_MAX_PER_CORE: Field<i64> = Field::new("conntrack.maxPerCore");
    pub(crate) const CONNTRACK_MIN: Field<i64> = Field::new("conntrack.min");
    pub(crate) const CONNTRACK_TCP_CLOSE_WAIT: Field<Nanoseconds> = Field::new("conntrack.tcpCloseWaitTimeout");
    pub(crate) const CONNTRACK_TCP_ESTABLISHED: Field<Nanoseconds> = Field::new("conntrack.tcpEstablishedTimeout");
    pub(crate) const CONNTRACK_UDP: Field<Nanoseconds> = Field::new("conntrack.udpTimeout");
    pub(crate) const CONNTRACK_UDP_STREAM: Field<Nanoseconds> = Field::new("conntrack.udpStreamTimeout");
    pub(crate) const DETECT_LOCAL_MODE: Field<str> = Field::new("detectLocalMode");
    pub(crate) const ENABLE_DSR: Field<bool> = Field::new("winkernel.enableDSR");
    pub(crate) const ENABLE_PROFILING: Field<bool> = Field::new("enableProfiling");
    pub(crate) const FEATURE_GATES: Field<GateMap> = Field::new("featureGates");
    pub(crate) const FLUSH_FREQUENCY: Field<Nanoseconds> = Field::new("logging.flushFrequency");
    pub(crate) const FORWARD_HEALTH_CHECK_VIP: Field<bool> = Field::new("winkernel.forwardHealthCheckVip");
    pub(crate) const HEALTHZ_BIND_ADDRESS: Field<str> = Field::new("healthzBindAddress");
    pub(crate) const HOSTNAME_OVERRIDE: Field<str> = Field::new("hostnameOverride");
    pub(crate) const INTERFACE_NAME_PREFIX: Field<str> = Field::new("detectLocal.interfaceNamePrefix");
    pub(crate) const JSON_INFO_BUFFER_SIZE: Field<str> = Field::new("logging.options.json.infoBufferSize");
    pub(crate) const JSON_SPLIT_STREAM: Field<bool> = Field::new("logging.options.json.splitStream");
    pub(crate) const KUBECONFIG: Field<str> = Field::new("clientConnection.kubeconfig");
    pub(crate) const LOG_FORMAT: Field<str> = Field::new("logging.format");
    pub(crate) const LOG_VERBOSITY: Field<u64> = Field::new("logging.verbosity");
    pub(crate) const MASQUERADE_BIT: Field<i64> = Field::new("iptables.masqueradeBit");
    pub(crate) const METRICS_BIND_ADDRESS: Field<str> = Field::new("metricsBindAddress");
    pub(crate) const MIN_SYNC_PERIOD: Field<Nanoseconds> = Field::new("iptables.minSyncPeriod");
    pub(crate) const MODE: Field<str> = Field::new("mode");
    pub(crate) const NETWORK_NAME: Field<str> = Field::new("winkernel.networkName");
    pub(crate) const NODE_PORT_ADDRESSES: Field<List> = Field::new("nodePortAddresses");
    pub(crate) const OOM_SCORE_ADJ: Field<i64> = Field::new("oomScoreAdj");
    pub(crate) const QPS: Field<f32> = Field::new("clientConnection.qps");
    pub(crate) const ROOT_HNS_ENDPOINT_NAME: Field<str> = Field::new("winkernel.rootHnsEndpointName");
    pub(crate) const SHOW_HIDDEN_METRICS: Field<str> = Field::new("showHiddenMetricsForVersion");
    pub(crate) const SOURCE_VIP: Field<str> = Field::new("winkernel.sourceVip");
    pub(crate) const SYNC_PERIOD: Field<Nanoseconds> = Field::new("iptables.syncPeriod");
    pub(crate) const TEXT_INFO_BUFFER_SIZE: Field<str> = Field::new("logging.options.text.infoBufferSize");
    pub(crate) const TEXT_SPLIT_STREAM: Field<bool> = Field::new("logging.options.text.splitStream");
    pub(crate) const VMODULE: Field<Vmodule> = Field::new("logging.vmodule");
}

/// The flags that the program reads beside the fields to which flags are bound.
pub(crate) mod flag {
    use super::*;

    pub(crate) const CLEANUP: Flag<bool> = Flag::new("cleanup");
    pub(crate) const CONFIG: Flag<str> = Flag::new("config");
    pub(crate) const HEALTHZ_PORT: Flag<u16> = Flag::new("healthz-port");
    pub(crate) const HOSTNAME_OVERRIDE: Flag<str> = Flag::new("hostname-override");
    pub(crate) const INIT_ONLY: Flag<bool> = Flag::new("init-only");
    pub(crate) const MASTER: Flag<str> = Flag::new("master");
    pub(crate) const METRICS_PORT: Flag<u16> = Flag::new("metrics-port");
    pub(crate) const VERSION: Flag<VersionRequest<'static>> = Flag::new("version");
    pub(crate) const WINDOWS_SERVICE: Flag<bool> = Flag::new("windows-service");
    pub(crate) const WRITE_CONFIG_TO: Flag<str> = Flag::new("write-config-to");
}
