//! One test for each document of the corpus: reading, writing and converting it loses nothing, also if one of its members is unreadable.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "test code, helpers included: a panic is a failed test"
)]

mod mutate;
mod whole;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use hcn::error::ErrorRecord;
use hcn::schema::v1::{HnsEndpoint, HnsNetwork, PolicyList};
use hcn::schema::{Document, Endpoint, LoadBalancer, Network, Unreadable};
use hcn::{ApiVersion, Call, Client, Error, Guid, Hcn, Hresult, Reply};
use libtest_mimic::{Arguments, Failed, Trial};
use serde_json::{Value, json};

use whole::differences;

type Check = fn(&Value) -> Result<Value, String>;

/// The folders, and what is tested with their files.
const KINDS: [(&str, Check); 7] = [
    ("endpoint", endpoint),
    ("envelope", envelope),
    ("error", error),
    ("loadbalancer", load_balancer),
    ("namespace", namespace),
    ("network", network),
    ("policylist", policy_list),
];

fn main() {
    let arguments = Arguments::from_args();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus");
    let mut trials = Vec::new();
    for (kind, check) in KINDS {
        for file in files(&root.join(kind)) {
            let name = file.file_stem().unwrap().to_string_lossy().into_owned();
            trials.push(Trial::test(format!("{kind}::{name}"), move || compare(&file, check)));
        }
    }
    let folders = std::fs::read_dir(&root).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir());
    let folders: Vec<_> = folders.map(|path| path.file_name().unwrap().to_string_lossy().into_owned()).collect();
    trials.push(Trial::test("each_folder_is_tested", move || {
        let untested = folders.iter().find(|folder| KINDS.iter().all(|(kind, _)| kind != folder));
        untested.map_or(Ok(()), |folder| Err(format!("no test for tests/corpus/{folder}").into()))
    }));
    libtest_mimic::run(&arguments, trials).exit();
}

/// The documents of a folder, without the files with the expected results.
fn files(folder: &Path) -> Vec<PathBuf> {
    let all = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut documents: Vec<_> = all.filter(|path| !path.to_string_lossy().ends_with(".expected.json")).collect();
    documents.sort();
    documents
}

/// Compares the result of a document with the recorded one. `UPDATE_CORPUS=1` records it.
fn compare(file: &Path, check: Check) -> Result<(), Failed> {
    let document = serde_json::from_str(&std::fs::read_to_string(file)?).map_err(|error| error.to_string())?;
    let result = serde_json::to_string_pretty(&check(&document)?).unwrap() + "\n";
    let expected = file.with_extension("expected.json");
    if std::env::var_os("UPDATE_CORPUS").is_some() {
        std::fs::write(&expected, &result)?;
    }
    let recorded = std::fs::read_to_string(&expected).map_err(|error| format!("{}: {error}", expected.display()))?;
    if result == recorded { Ok(()) } else { Err(format!("{} differs:\n{result}", expected.display()).into()) }
}

fn network(document: &Value) -> Result<Value, String> {
    let result = v1(document, |v1: HnsNetwork| Network::from(v1), |v2| HnsNetwork::from(v2), &["SchemaVersion"])?;
    if document.get("ID").is_some() {
        let listed = client(document).networks_from_v1_list().map_err(|error| error.to_string())?;
        is_listed(document, listed.iter().map(|one| (one.id, one.document.as_ref().is_some_and(Result::is_ok))))?;
    }
    Ok(result)
}

fn endpoint(document: &Value) -> Result<Value, String> {
    let result = v1(document, |v1: HnsEndpoint| Endpoint::from(v1), |v2| HnsEndpoint::from(v2), &["SchemaVersion"])?;
    let listed = client(document).endpoints_from_v1_list(Some).map_err(|error| error.to_string())?;
    is_listed(document, listed.iter().map(|one| (one.id, one.document.as_ref().is_some_and(Result::is_ok))))?;
    Ok(result)
}

fn policy_list(document: &Value) -> Result<Value, String> {
    let to_v2 = |v1: PolicyList| LoadBalancer::try_from(v1).unwrap_or_default();
    let result = v1(document, to_v2, |v2| PolicyList::from(v2), &["SchemaVersion", "Flags"])?;
    let listed = client(document).load_balancers_from_v1_list(Some).map_err(|error| error.to_string())?;
    is_listed(document, listed.iter().map(|one| (one.id, one.document.as_ref().is_some_and(Result::is_ok))))?;
    Ok(result)
}

fn load_balancer(document: &Value) -> Result<Value, String> {
    let read = whole::<LoadBalancer>(document)?;
    mutate::each(document, |mutated| whole::<LoadBalancer>(mutated).map(drop))?;
    let v1 = serde_json::to_value(PolicyList::from(&read)).unwrap();
    Ok(json!({"v2": read, "v1": v1, "unreadable": unreadable(&read.unreadable_members())}))
}

/// Namespaces have no type of their own: hnsproxy does not read them. A test of the emulator uses the document.
fn namespace(document: &Value) -> Result<Value, String> {
    let id: Guid = document["ID"].as_str().ok_or("missing ID")?.parse().map_err(|_| "invalid ID")?;
    Ok(json!({ "id": id }))
}

fn error(document: &Value) -> Result<Value, String> {
    let record: ErrorRecord = serde_json::from_value(document.clone()).map_err(|error| error.to_string())?;
    let code = Hresult(record.error_code);
    if serde_json::to_value(&record).unwrap() != *document {
        return Err("the record is not kept whole".into());
    }
    Ok(described(&Error::Hns { function: "HcnFunction", code, record: Some(record) }))
}

/// An envelope is the reply to different calls: here to a deletion, to a request for the version and to a list.
fn envelope(document: &Value) -> Result<Value, String> {
    let hns = OneReply(document.to_string());
    let client = Client::new(Arc::new(hns), ApiVersion::V1);
    Ok(match document.get("Output") {
        None => described(&client.delete_endpoint(Guid::nil()).err().ok_or("not a failure")?),
        Some(Value::Array(_)) => {
            let networks = client.networks_from_v1_list().map_err(|error| error.to_string())?;
            json!({"networks": networks.into_iter().map(|network| network.id).collect::<Vec<_>>()})
        }
        Some(_) => json!({"version": client.version().map_err(|error| error.to_string())?.to_string()}),
    })
}

fn described(error: &Error) -> Value {
    json!({"message": error.to_string(), "class": error.class().as_str()})
}

/// Reads a document, writes it, and compares.
fn whole<T: Document>(document: &Value) -> Result<T, String> {
    let read = T::deserialize(document).map_err(|error| error.to_string())?;
    same("written again", document, &serde_json::to_value(&read).unwrap(), &[])?;
    Ok(read)
}

/// Reads a document of the v1 API, also with each member replaced, and converts it to v2 and back.
fn v1<V1: Document, V2: Document>(
    document: &Value,
    to_v2: impl Fn(V1) -> V2,
    to_v1: impl Fn(&V2) -> V1,
    lost: &[&str],
) -> Result<Value, String> {
    let convert = |document: &Value| {
        let v2 = to_v2(whole(document)?);
        // A policy list of another type is not a load balancer.
        let is_other_type = document.pointer("/References").is_some()
            && document.pointer("/Policies/0/Type").is_none_or(|kind| kind != "ELB");
        if !is_other_type {
            same("converted to v2 and back", document, &serde_json::to_value(to_v1(&v2)).unwrap(), lost)?;
        }
        Ok::<_, String>(v2)
    };
    let v2 = convert(document)?;
    mutate::each(document, |mutated| convert(mutated).map(drop))?;
    Ok(json!({"v2": v2, "unreadable": unreadable(&v2.unreadable_members())}))
}

fn unreadable(members: &[Unreadable]) -> Vec<String> {
    members.iter().map(Unreadable::to_string).collect()
}

fn same(what: &str, original: &Value, written: &Value, lost: &[&str]) -> Result<(), String> {
    match differences(original, written, lost).as_slice() {
        [] => Ok(()),
        found => Err(format!("{what}: {}", found.join("; "))),
    }
}

/// The document is in a list, and readable.
fn is_listed(document: &Value, mut listed: impl Iterator<Item = (Guid, bool)>) -> Result<(), String> {
    let id = document["ID"].as_str().and_then(|id| id.parse().ok());
    let one = listed.next();
    if one == id.map(|id| (id, true)) { Ok(()) } else { Err(format!("listed as {one:?}")) }
}

/// A client of an HNS whose lists have one document.
fn client(document: &Value) -> Client {
    let envelope = json!({"Output": [document], "Success": true});
    Client::new(Arc::new(OneReply(envelope.to_string())), ApiVersion::V1)
}

struct OneReply(String);

impl Hcn for OneReply {
    fn call(&self, _: &Call) -> Result<Reply, Error> {
        Ok(Reply::Document(self.0.clone()))
    }
}
