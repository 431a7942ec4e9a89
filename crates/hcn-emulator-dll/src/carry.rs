//! Sends calls to the service, and stores their results in the out parameters of the caller.

use std::ffi::c_void;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::OnceLock;

use hcn::call::{Call, Reply};
use hcn::error::ErrorRecord;
use hcn::notification::{Listener, Subscription};
use hcn::{Error, Hcn, Hresult};
use hcn_emulator::Remote;

use crate::memory::Place;

/// The return value: an `HRESULT` with the upper half of the register zero, since Go clients read all of it.
pub(crate) type Returned = usize;

/// The environment variable with the `HOST:PORT` of the service.
const ADDRESS: &str = "HNS_EMULATOR";
/// An out parameter is NULL.
const E_POINTER: Hresult = Hresult(0x8000_4003);
/// A bug in this DLL.
const E_UNEXPECTED: Hresult = Hresult(0x8000_ffff);

/// The out parameter for the result of a call.
pub(crate) enum Wanted {
    Nothing,
    Document(Option<Place<u16>>),
    Handle(Option<Place<c_void>>),
}

/// A failure: its code and error record.
type Refusal = (Hresult, Option<ErrorRecord>);

/// The service, if `HNS_EMULATOR` is set.
fn service() -> Option<&'static Remote> {
    static SERVICE: OnceLock<Option<Remote>> = OnceLock::new();
    // Read once, as the address of an RPC service is fixed too.
    let address = || std::env::var(ADDRESS).ok().filter(|address| !address.is_empty());
    SERVICE.get_or_init(|| address().map(Remote::connect_lazily)).as_ref()
}

/// Makes a call. Stores its result, or the error record of a failure, and returns the code.
pub(crate) fn carry(call: Result<Call, Hresult>, wanted: Wanted, record: Option<Place<u16>>) -> Returned {
    guard(|| {
        let Err((code, explanation)) = carried(call, wanted) else { return Hresult::S_OK };
        let text = explanation.and_then(|explanation| serde_json::to_string(&explanation).ok());
        if let (Some(text), Some(mut record)) = (text, record) {
            // Without memory for the record, the code alone is returned.
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
