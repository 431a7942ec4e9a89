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
pub(crate) enum Output {
    Nothing,
    Document(Option<Place<u16>>),
    Handle(Option<Place<c_void>>),
}

/// A failure: its code and error record.
type Failure = (Hresult, Option<ErrorRecord>);

/// The service, if `HNS_EMULATOR` is set.
fn service() -> Option<&'static Remote> {
    static SERVICE: OnceLock<Option<Remote>> = OnceLock::new();
    // Read once: the address of a real RPC service does not change either.
    let address = || std::env::var(ADDRESS).ok().filter(|address| !address.is_empty());
    SERVICE.get_or_init(|| address().map(Remote::connect_lazily)).as_ref()
}

/// Makes a call. Stores its result, or the error record of a failure, and returns the code.
pub(crate) fn carry(call: Result<Call, Hresult>, output: Output, record: Option<Place<u16>>) -> Returned {
    guard(|| {
        let Err((code, error_record)) = send(call, output) else { return Hresult::S_OK };
        let text = error_record.and_then(|record| serde_json::to_string(&record).ok());
        if let (Some(text), Some(mut record)) = (text, record) {
            // If there is no memory for the record, only the code is returned.
            let _ = record.store_text(&text);
        }
        code
    })
}

fn send(call: Result<Call, Hresult>, output: Output) -> Result<(), Failure> {
    let call = call.map_err(|code| (code, None))?;
    // Checked before the call: without an out parameter, the handle of a created object would be lost.
    if matches!(output, Output::Document(None) | Output::Handle(None)) {
        return Err((E_POINTER, None));
    }
    let service = service().ok_or((Hresult::RPC_S_SERVER_UNAVAILABLE, None))?;
    let reply = service.call(&call).map_err(failure)?;
    let stored = match (output, reply) {
        (Output::Nothing, _) => Ok(()),
        (Output::Document(Some(mut place)), Reply::Document(document)) => place.store_text(&document),
        (Output::Handle(Some(mut place)), Reply::Handle(handle)) => place.store_handle(handle),
        _ => Err(E_UNEXPECTED),
    };
    stored.map_err(|code| (code, None))
}

fn failure(error: Error) -> Failure {
    match error {
        Error::Hns { code, record, .. } => (code, record),
        // The service does not follow the protocol.
        _ => (Hresult::RPC_S_CALL_FAILED, None),
    }
}

/// Subscribes a listener to the notifications of the service.
pub(crate) fn subscribe(listener: Listener) -> Result<Subscription, Hresult> {
    let service = service().ok_or(Hresult::RPC_S_SERVER_UNAVAILABLE)?;
    service.subscribe(listener).map_err(|error| failure(error).0)
}

/// Returns the code of `work`, or `E_UNEXPECTED` if it panics: unwinding into foreign code would end the process.
pub(crate) fn guard(work: impl FnOnce() -> Hresult) -> Returned {
    // A panic leaves no invalid state: the call is dropped, and the locks of the shared connections tolerate poisoning.
    let code = catch_unwind(AssertUnwindSafe(work)).unwrap_or(E_UNEXPECTED);
    code.0 as Returned
}
