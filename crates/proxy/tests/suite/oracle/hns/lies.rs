//! Lists that succeed and are wrong: which objects they show otherwise than HNS has them.

use std::collections::HashMap;

use hcn::call::{Call, Hcn, Reply};
use hcn::{Error, Guid, Kind};
use hcn_emulator::faults::{Effect, Fault, Which};
use serde_json::Value;

use super::super::disturbances::What;
use super::super::write::list_of;
use super::{CODES, Hns, State};

/// The faults that strike the next list of their kind and API.
#[derive(Debug, Default)]
pub(in crate::oracle) struct Lies(Vec<(Kind, bool)>);

impl Hns {
    /// The next list of a kind fails, or shows some objects only, or those of this moment.
    pub(super) fn tamper(&self, state: &mut State) {
        let kind = if state.random.one_in(2) { Kind::Endpoint } else { Kind::LoadBalancer };
        let v1 = state.random.one_in(2);
        // One at a time for each list, so that it is known which call it strikes.
        if state.lies.0.contains(&(kind, v1)) {
            return;
        }
        let which = if v1 { Which::V1List(kind) } else { Which::V2List(kind) };
        let effect = match state.random.below(4) {
            0 => Effect::Partial(0),
            1 => Effect::Partial(u8::try_from(state.random.below(100)).unwrap()),
            2 => Effect::Stale,
            _ => Effect::Fail(CODES[state.random.index(CODES.len())]),
        };
        state.witness.log(format!("the next list {which:?}: {effect:?}"));
        self.emulator.inject_times(Fault::of_each(which, effect), 1);
        state.lies.0.push((kind, v1));
    }

    /// Makes a call. What a wrong list shows otherwise is recorded: the process cannot know better before the next lists.
    pub(super) fn make_list(&self, state: &mut State, call: &Call) -> Result<Reply, Error> {
        let answer = self.emulator.call(call);
        let Some((kind, _)) = list_of(call) else { return answer };
        let key = (kind, matches!(call, Call::Hns { .. }));
        let Some(index) = state.lies.0.iter().position(|lie| *lie == key) else { return answer };
        state.lies.0.remove(index);
        let (Ok(said), Ok(truth)) = (&answer, self.emulator.call(call)) else { return answer };
        let (said, truth) = (shown(said), shown(&truth));
        let mut ids: Vec<Guid> = said.keys().chain(truth.keys()).copied().collect();
        ids.sort_unstable();
        ids.dedup();
        ids.retain(|id| said.get(id) != truth.get(id));
        state.witness.log(format!("a wrong list of {kind:?}"));
        if let (Some(audit), false) = (&mut state.audit, ids.is_empty()) {
            audit.1 = false;
        }
        for id in ids {
            let what = if said.contains_key(&id) && truth.contains_key(&id) { What::Contents } else { What::Ids };
            let document = self.emulator.document(kind, id).or_else(|| state.documents.get(&id).cloned());
            state.note(kind, &document, what);
        }
        answer
    }
}

/// The objects of a list, with what it says of them.
fn shown(reply: &Reply) -> HashMap<Guid, Value> {
    let Reply::Document(text) = reply else { return HashMap::new() };
    let mut document: Value = serde_json::from_str(text).unwrap();
    let objects = match document.get_mut("Output") {
        Some(output) => output.take(),
        None => document,
    };
    let Value::Array(objects) = objects else { return HashMap::new() };
    let id = |one: &Value| one["ID"].as_str().or(one.as_str()).and_then(|id| id.parse().ok());
    objects.into_iter().filter_map(|one| Some((id(&one)?, one))).collect()
}
