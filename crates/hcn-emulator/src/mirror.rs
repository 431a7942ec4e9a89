//! Faults and quirks as JSON. The types themselves know nothing of it; the compiler sees to it that the two agree.

use std::collections::BTreeSet;
use std::time::Duration;

use hcn::Hresult;
use serde::{Deserialize, Serialize};

use crate::{builds, faults};

#[derive(Serialize, Deserialize)]
#[serde(remote = "faults::Fault")]
pub(crate) struct Fault {
    #[serde(with = "Which")]
    which: faults::Which,
    from: u64,
    every: u64,
    #[serde(with = "Effect")]
    effect: faults::Effect,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "faults::Which")]
enum Which {
    Function(String),
    Writes,
    Any,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "faults::Effect")]
enum Effect {
    Fail(Hresult),
    FailAfter(Hresult),
    Delay(Duration),
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "builds::Quirks")]
pub(crate) struct Quirks {
    silent_modify: bool,
    chooses_ids: bool,
    remote_blocks_local: bool,
    first_delete_fails: bool,
    leaks_ports: bool,
    wants_attached_backends: bool,
    reserved_ports: BTreeSet<(u32, u16)>,
}
