//! The exported functions, with the names of Microsoft's DLLs.
//!
//! # Safety
//! All functions have the contract of the functions that they replace: a string is NULL or ends with NUL, an id is NULL or points to a
//! `GUID`, an out parameter is NULL or writable, and all of these stay valid until the function returns. A handle may have any value.
#![expect(unsafe_code, reason = "these are the functions of a DLL")]
#![allow(non_snake_case, reason = "the names are Microsoft's")]
#![allow(clippy::missing_safety_doc, reason = "the contract of all of them is in the module's documentation")]

use std::ffi::c_void;

use hcn::call::{Call, Handle, Method};
use hcn::{Guid, Hresult, Kind};
use windows_sys::Win32::System::HostComputeNetwork::HCN_NOTIFICATION_CALLBACK;
use windows_sys::core::{GUID, PCWSTR, PWSTR};

use crate::carry::{Output, Returned, carry, guard};
use crate::memory::{Place, handle, id, text};
use crate::registrations;

/// Defines a function: its parameters, its call, and its out parameters. Reads arguments and sets out parameters to NULL first.
macro_rules! function {
    ($name:ident($($parameter:ident: $type:ty),*) $call:expr, $wanted:expr, $record:expr) => {
        #[doc = concat!("`", stringify!($name), "`. See the module for its contract.")]
        #[unsafe(no_mangle)]
        pub unsafe extern "system" fn $name($($parameter: $type),*) -> Returned {
            let record = $record;
            let wanted = $wanted;
            carry($call, wanted, record)
        }
    };
}

// Each helper passes the contract of the module on to one function.

/// # Safety
/// The module's contract.
unsafe fn place<T>(address: *mut *mut T) -> Option<Place<T>> {
    // SAFETY: null or writable, by the module's contract.
    unsafe { Place::new(address) }
}

/// # Safety
/// The module's contract.
unsafe fn document(address: *mut PWSTR) -> Output {
    // SAFETY: by the module's contract.
    Output::Document(unsafe { place(address) })
}

/// # Safety
/// The module's contract.
unsafe fn open_handle(address: *mut *mut c_void) -> Output {
    // SAFETY: by the module's contract.
    Output::Handle(unsafe { place(address) })
}

/// # Safety
/// The module's contract.
unsafe fn create(kind: Kind, network: Option<Handle>, wanted: *const GUID, settings: PCWSTR) -> Result<Call, Hresult> {
    // SAFETY: by the module's contract.
    let wanted: Guid = unsafe { id(wanted) }?;
    // SAFETY: by the module's contract.
    let settings = unsafe { text(settings) };
    Ok(Call::Create { kind, network, id: wanted, settings })
}

/// The seven functions of a kind of object. Six of them have the same parameters for all kinds.
macro_rules! family {
    ($kind:expr, $enumerate:ident, $open:ident, $query:ident, $modify:ident, $delete:ident, $close:ident, alone $create:ident) => {
        family!($kind, $enumerate, $open, $query, $modify, $delete, $close);
        function! {
            $create(Id: *const GUID, Settings: PCWSTR, Object: *mut *mut c_void, ErrorRecord: *mut PWSTR)
            // SAFETY: by the module's contract.
            unsafe { create($kind, None, Id, Settings) },
            // SAFETY: by the module's contract.
            unsafe { open_handle(Object) },
            // SAFETY: by the module's contract.
            unsafe { place(ErrorRecord) }
        }
    };
    ($kind:expr, $enumerate:ident, $open:ident, $query:ident, $modify:ident, $delete:ident, $close:ident, in network $create:ident) => {
        family!($kind, $enumerate, $open, $query, $modify, $delete, $close);
        function! {
            $create(
                Network: *const c_void, Id: *const GUID, Settings: PCWSTR, Object: *mut *mut c_void, ErrorRecord: *mut PWSTR
            )
            // SAFETY: by the module's contract.
            unsafe { create($kind, Some(handle(Network)), Id, Settings) },
            // SAFETY: by the module's contract.
            unsafe { open_handle(Object) },
            // SAFETY: by the module's contract.
            unsafe { place(ErrorRecord) }
        }
    };
    ($kind:expr, $enumerate:ident, $open:ident, $query:ident, $modify:ident, $delete:ident, $close:ident) => {
        function! {
            $enumerate(Query: PCWSTR, Ids: *mut PWSTR, ErrorRecord: *mut PWSTR)
            // SAFETY: by the module's contract.
            Ok(Call::Enumerate { kind: $kind, query: unsafe { text(Query) } }),
            // SAFETY: by the module's contract.
            unsafe { document(Ids) },
            // SAFETY: by the module's contract.
            unsafe { place(ErrorRecord) }
        }
        function! {
            $open(Id: *const GUID, Object: *mut *mut c_void, ErrorRecord: *mut PWSTR)
            // SAFETY: by the module's contract.
            unsafe { id(Id) }.map(|id| Call::Open { kind: $kind, id }),
            // SAFETY: by the module's contract.
            unsafe { open_handle(Object) },
            // SAFETY: by the module's contract.
            unsafe { place(ErrorRecord) }
        }
        function! {
            $query(Object: *const c_void, Query: PCWSTR, Properties: *mut PWSTR, ErrorRecord: *mut PWSTR)
            // SAFETY: by the module's contract.
            Ok(Call::Query { kind: $kind, handle: handle(Object), query: unsafe { text(Query) } }),
            // SAFETY: by the module's contract.
            unsafe { document(Properties) },
            // SAFETY: by the module's contract.
            unsafe { place(ErrorRecord) }
        }
        function! {
            $modify(Object: *const c_void, Settings: PCWSTR, ErrorRecord: *mut PWSTR)
            // SAFETY: by the module's contract.
            Ok(Call::Modify { kind: $kind, handle: handle(Object), settings: unsafe { text(Settings) } }),
            Output::Nothing,
            // SAFETY: by the module's contract.
            unsafe { place(ErrorRecord) }
        }
        function! {
            $delete(Id: *const GUID, ErrorRecord: *mut PWSTR)
            // SAFETY: by the module's contract.
            unsafe { id(Id) }.map(|id| Call::Delete { kind: $kind, id }),
            Output::Nothing,
            // SAFETY: by the module's contract.
            unsafe { place(ErrorRecord) }
        }
        function! {
            $close(Object: *const c_void)
            Ok(Call::Close { kind: $kind, handle: handle(Object) }),
            Output::Nothing,
            None
        }
    };
}

family!(
    Kind::Network,
    HcnEnumerateNetworks,
    HcnOpenNetwork,
    HcnQueryNetworkProperties,
    HcnModifyNetwork,
    HcnDeleteNetwork,
    HcnCloseNetwork,
    alone HcnCreateNetwork
);
family!(
    Kind::Endpoint,
    HcnEnumerateEndpoints,
    HcnOpenEndpoint,
    HcnQueryEndpointProperties,
    HcnModifyEndpoint,
    HcnDeleteEndpoint,
    HcnCloseEndpoint,
    in network HcnCreateEndpoint
);
family!(
    Kind::Namespace,
    HcnEnumerateNamespaces,
    HcnOpenNamespace,
    HcnQueryNamespaceProperties,
    HcnModifyNamespace,
    HcnDeleteNamespace,
    HcnCloseNamespace,
    alone HcnCreateNamespace
);
family!(
    Kind::LoadBalancer,
    HcnEnumerateLoadBalancers,
    HcnOpenLoadBalancer,
    HcnQueryLoadBalancerProperties,
    HcnModifyLoadBalancer,
    HcnDeleteLoadBalancer,
    HcnCloseLoadBalancer,
    alone HcnCreateLoadBalancer
);
family!(
    Kind::Route,
    HcnEnumerateSdnRoutes,
    HcnOpenSdnRoute,
    HcnQuerySdnRouteProperties,
    HcnModifySdnRoute,
    HcnDeleteSdnRoute,
    HcnCloseSdnRoute,
    alone HcnCreateSdnRoute
);

function! {
    HNSCall(Method: PCWSTR, Path: PCWSTR, Request: PCWSTR, Response: *mut PWSTR)
    // SAFETY: by the module's contract.
    unsafe { hns(Method, Path, Request) },
    // SAFETY: by the module's contract.
    unsafe { document(Response) },
    // An error record has members of the envelope. On a failure without an envelope, the record is stored in its place.
    // SAFETY: by the module's contract. Both refer to the same out parameter, and only one of them is stored to.
    unsafe { place(Response) }
}

/// # Safety
/// The module's contract.
unsafe fn hns(method: PCWSTR, path: PCWSTR, body: PCWSTR) -> Result<Call, Hresult> {
    // SAFETY: by the module's contract.
    let method = unsafe { text(method) };
    let method = [Method::Get, Method::Post, Method::Delete].into_iter().find(|known| known.as_str() == method);
    let method = method.ok_or(Hresult::E_INVALIDARG)?;
    // SAFETY: by the module's contract.
    let path = unsafe { text(path) };
    // SAFETY: by the module's contract.
    let body = unsafe { text(body) };
    Ok(Call::Hns { method, path, body })
}

/// `HcnRegisterServiceCallback`. See the module for its contract; the callback is called on threads of this DLL, one call at a time,
/// until it is unregistered.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn HcnRegisterServiceCallback(
    Callback: HCN_NOTIFICATION_CALLBACK,
    Context: *const c_void,
    CallbackHandle: *mut *mut c_void,
) -> Returned {
    // SAFETY: by the module's contract.
    let place = unsafe { place(CallbackHandle) };
    guard(|| {
        let (Some(mut place), Some(callback)) = (place, Callback) else { return Hresult::E_INVALIDARG };
        // SAFETY: by the contract of the original function, the callback may be called with this context until it is unregistered.
        let listener = unsafe { registrations::listener(callback, Context) };
        let stored = registrations::add(listener).and_then(|registration| place.store_handle(registration));
        stored.err().unwrap_or(Hresult::S_OK)
    })
}

/// `HcnUnregisterServiceCallback`. Takes any handle. Afterwards the callback is not called. Waits for a call in progress, unless the callback itself
/// unregisters.
#[unsafe(no_mangle)]
pub extern "system" fn HcnUnregisterServiceCallback(CallbackHandle: *const c_void) -> Returned {
    guard(|| registrations::remove(handle(CallbackHandle)).err().unwrap_or(Hresult::S_OK))
}
