//! Carries calls to the service, and their answers into the caller's places.

use std::ffi::c_void;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::OnceLock;

use hcn::call::{Call, Reply};
use hcn::error::ErrorRecord;
use hcn::notification::{Listener, Subscription};
use hcn::{Error, Hcn, Hresult};
use hcn_emulator::Remote;

use crate::memory::Place;

/// What functions return: an `HRESULT` that fills the register, its upper half zero. Clients in Go read all of it.
pub(crate) type Returned = usize;

/// The environment variable that names the service, as `HOST:PORT`.
const ADDRESS: &str = "HNS_EMULATOR";
/// A result has no place to go to.
const E_POINTER: Hresult = Hresult(0x8000_4003);
/// Something here went wrong that should not be able to.
const E_UNEXPECTED: Hresult = Hresult(0x8000_ffff);

/// Where the result of a call goes.
pub(crate) enum Wanted {
    /// There is none.
    Nothing,
    /// A document, at this place.
    Document(Option<Place<u16>>),
    /// A handle, at this place.
    Handle(Option<Place<c_void>>),
}

/// A refusal: its code, and what the service says about it.
type Refusal = (Hresult, Option<ErrorRecord>);

/// The service, unless none is named.
fn service() -> Option<&'static Remote> {
    static SERVICE: OnceLock<Option<Remote>> = OnceLock::new();
    // Read once, as the address of an RPC service is fixed too.
    let address = || std::env::var(ADDRESS).ok().filter(|address| !address.is_empty());
    SERVICE.get_or_init(|| address().map(Remote::connect_lazily)).as_ref()
}

/// Carries a call out. The result goes to its place, the explanation of a failure to that of the record; the code is returned.
pub(crate) fn carry(call: Result<Call, Hresult>, wanted: Wanted, record: Option<Place<u16>>) -> Returned {
    guard(|| {
        let Err((code, explanation)) = carried(call, wanted) else { return Hresult::S_OK };
        let text = explanation.and_then(|explanation| serde_json::to_string(&explanation).ok());
        if let (Some(text), Some(mut record)) = (text, record) {
            // Where there is no memory for it, the code must do.
            let _ = record.store_text(&text);
        }
        code
    })
}

fn carried(call: Result<Call, Hresult>, wanted: Wanted) -> Result<(), Refusal> {
    let call = call.map_err(|code| (code, None))?;
    // Nothing may be created whose handle would be lost.
    if matches!(wanted, Wanted::Document(None) | Wanted::Handle(None)) {
        return Err((E_POINTER, None));
    }
    let service = service().ok_or((Hresult::RPC_S_SERVER_UNAVAILABLE, None))?;
    let reply = service.call(&call).map_err(refusal)?;
    let stored = match (wanted, reply) {
        (Wanted::Nothing, _) => Ok(()),
        (Wanted::Document(Some(mut place)), Reply::Document(document)) => place.store_text(&document),
        (Wanted::Handle(Some(mut place)), Reply::Handle(handle)) => place.store_handle(handle),
        _ => Err(E_UNEXPECTED),
    };
    stored.map_err(|code| (code, None))
}

fn refusal(error: Error) -> Refusal {
    match error {
        Error::Hns { code, record, .. } => (code, record),
        // The service is not one that we understand.
        _ => (Hresult::RPC_S_CALL_FAILED, None),
    }
}

/// Has a listener called for each notification of the service.
pub(crate) fn subscribe(listener: Listener) -> Result<Subscription, Hresult> {
    let service = service().ok_or(Hresult::RPC_S_SERVER_UNAVAILABLE)?;
    service.subscribe(listener).map_err(|error| refusal(error).0)
}

/// The code of what is done inside, where a panic is a code too: unwinding into foreign code would end the process.
pub(crate) fn guard(work: impl FnOnce() -> Hresult) -> Returned {
    // What was under way is dropped, and what outlives it, the connections, has locks that a panic does not spoil.
    let code = catch_unwind(AssertUnwindSafe(work)).unwrap_or(E_UNEXPECTED);
    code.0 as Returned
}
