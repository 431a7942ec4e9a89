//! Signatures and names of the functions of HNS, for all five kinds of objects.
//!
//! The compiler compares each signature with Microsoft's metadata, where the metadata has the function.

use std::ffi::c_void;

use windows_sys::Win32::System::HostComputeNetwork as metadata;
use windows_sys::core::{GUID, HRESULT, PCWSTR, PWSTR};

use super::library::{Dll, Function, Signature};
use crate::kind::Kind;

pub(super) type Callback = metadata::HCN_NOTIFICATION_CALLBACK;

macro_rules! signatures {
    ($($(#[doc = $doc:literal])* $name:ident = fn($($argument:ty),*);)*) => {
        $(
            $(#[doc = $doc])*
            pub(super) type $name = unsafe extern "system" fn($($argument),*) -> HRESULT;
            #[expect(unsafe_code, reason = "the trait promises that this is a type of function pointer")]
            // SAFETY: the line above defines it as one.
            unsafe impl Signature for $name {}
        )*
    };
}

signatures! {
    /// `HcnEnumerate…`: query, ids, record.
    Enumerate = fn(PCWSTR, *mut PWSTR, *mut PWSTR);
    /// `HcnCreate…`, except for endpoints: id, settings, handle, record.
    CreateAlone = fn(*const GUID, PCWSTR, *mut *mut c_void, *mut PWSTR);
    /// `HcnCreateEndpoint`: network, id, settings, handle, record.
    CreateInNetwork = fn(*const c_void, *const GUID, PCWSTR, *mut *mut c_void, *mut PWSTR);
    /// `HcnOpen…`: id, handle, record.
    Open = fn(*const GUID, *mut *mut c_void, *mut PWSTR);
    /// `HcnQuery…Properties`: handle, query, properties, record.
    Query = fn(*const c_void, PCWSTR, *mut PWSTR, *mut PWSTR);
    /// `HcnModify…`: handle, settings, record.
    Modify = fn(*const c_void, PCWSTR, *mut PWSTR);
    /// `HcnDelete…`: id, record.
    Delete = fn(*const GUID, *mut PWSTR);
    /// `HcnClose…`: handle.
    Close = fn(*const c_void);
    /// `HNSCall`: method, path, request, response.
    Hns = fn(PCWSTR, PCWSTR, PCWSTR, *mut PWSTR);
    /// `HcnRegisterServiceCallback`: callback, context, handle.
    Register = fn(Callback, *const c_void, *mut *mut c_void);
}

/// `HcnUnregisterServiceCallback`: handle. The same type as [`Close`].
pub(super) type Unregister = Close;

/// The functions for one kind of object.
pub(super) struct Family {
    pub(super) enumerate: Function<Enumerate>,
    pub(super) create: Create,
    pub(super) open: Function<Open>,
    pub(super) query: Function<Query>,
    pub(super) modify: Function<Modify>,
    pub(super) delete: Function<Delete>,
    pub(super) close: Function<Close>,
}

pub(super) enum Create {
    Alone(Function<CreateAlone>),
    InNetwork(Function<CreateInNetwork>),
}

pub(super) fn family(kind: Kind) -> &'static Family {
    match kind {
        Kind::Network => &NETWORK,
        Kind::Endpoint => &ENDPOINT,
        Kind::LoadBalancer => &LOAD_BALANCER,
        Kind::Namespace => &NAMESPACE,
        Kind::Route => &ROUTE,
    }
}

static COMPUTENETWORK: Dll = Dll::new("computenetwork.dll");
static VMCOMPUTE: Dll = Dll::new("vmcompute.dll");

pub(super) static HNS_CALL: Function<Hns> = Function::new(&VMCOMPUTE, c"HNSCall");
pub(super) static REGISTER: Function<Register> = Function::new(&COMPUTENETWORK, c"HcnRegisterServiceCallback");
pub(super) static UNREGISTER: Function<Unregister> = Function::new(&COMPUTENETWORK, c"HcnUnregisterServiceCallback");

static NETWORK: Family = Family {
    enumerate: Function::new(&COMPUTENETWORK, c"HcnEnumerateNetworks"),
    create: Create::Alone(Function::new(&COMPUTENETWORK, c"HcnCreateNetwork")),
    open: Function::new(&COMPUTENETWORK, c"HcnOpenNetwork"),
    query: Function::new(&COMPUTENETWORK, c"HcnQueryNetworkProperties"),
    modify: Function::new(&COMPUTENETWORK, c"HcnModifyNetwork"),
    delete: Function::new(&COMPUTENETWORK, c"HcnDeleteNetwork"),
    close: Function::new(&COMPUTENETWORK, c"HcnCloseNetwork"),
};

static ENDPOINT: Family = Family {
    enumerate: Function::new(&COMPUTENETWORK, c"HcnEnumerateEndpoints"),
    create: Create::InNetwork(Function::new(&COMPUTENETWORK, c"HcnCreateEndpoint")),
    open: Function::new(&COMPUTENETWORK, c"HcnOpenEndpoint"),
    query: Function::new(&COMPUTENETWORK, c"HcnQueryEndpointProperties"),
    modify: Function::new(&COMPUTENETWORK, c"HcnModifyEndpoint"),
    delete: Function::new(&COMPUTENETWORK, c"HcnDeleteEndpoint"),
    close: Function::new(&COMPUTENETWORK, c"HcnCloseEndpoint"),
};

static LOAD_BALANCER: Family = Family {
    enumerate: Function::new(&COMPUTENETWORK, c"HcnEnumerateLoadBalancers"),
    create: Create::Alone(Function::new(&COMPUTENETWORK, c"HcnCreateLoadBalancer")),
    open: Function::new(&COMPUTENETWORK, c"HcnOpenLoadBalancer"),
    query: Function::new(&COMPUTENETWORK, c"HcnQueryLoadBalancerProperties"),
    modify: Function::new(&COMPUTENETWORK, c"HcnModifyLoadBalancer"),
    delete: Function::new(&COMPUTENETWORK, c"HcnDeleteLoadBalancer"),
    close: Function::new(&COMPUTENETWORK, c"HcnCloseLoadBalancer"),
};

static NAMESPACE: Family = Family {
    enumerate: Function::new(&COMPUTENETWORK, c"HcnEnumerateNamespaces"),
    create: Create::Alone(Function::new(&COMPUTENETWORK, c"HcnCreateNamespace")),
    open: Function::new(&COMPUTENETWORK, c"HcnOpenNamespace"),
    query: Function::new(&COMPUTENETWORK, c"HcnQueryNamespaceProperties"),
    modify: Function::new(&COMPUTENETWORK, c"HcnModifyNamespace"),
    delete: Function::new(&COMPUTENETWORK, c"HcnDeleteNamespace"),
    close: Function::new(&COMPUTENETWORK, c"HcnCloseNamespace"),
};

// Not in Microsoft's metadata. Go clients call them with the signatures of the other kinds.
static ROUTE: Family = Family {
    enumerate: Function::new(&COMPUTENETWORK, c"HcnEnumerateSdnRoutes"),
    create: Create::Alone(Function::new(&COMPUTENETWORK, c"HcnCreateSdnRoute")),
    open: Function::new(&COMPUTENETWORK, c"HcnOpenSdnRoute"),
    query: Function::new(&COMPUTENETWORK, c"HcnQuerySdnRouteProperties"),
    modify: Function::new(&COMPUTENETWORK, c"HcnModifySdnRoute"),
    delete: Function::new(&COMPUTENETWORK, c"HcnDeleteSdnRoute"),
    close: Function::new(&COMPUTENETWORK, c"HcnCloseSdnRoute"),
};

/// Does not compile if a signature differs from the metadata. It is a constant, so that no program imports the functions.
const _: () = {
    use metadata::*;
    let _: [Enumerate; 4] =
        [HcnEnumerateNetworks, HcnEnumerateEndpoints, HcnEnumerateLoadBalancers, HcnEnumerateNamespaces];
    let _: [CreateAlone; 3] = [HcnCreateNetwork, HcnCreateLoadBalancer, HcnCreateNamespace];
    let _: CreateInNetwork = HcnCreateEndpoint;
    let _: [Open; 4] = [HcnOpenNetwork, HcnOpenEndpoint, HcnOpenLoadBalancer, HcnOpenNamespace];
    let _: [Query; 4] = [
        HcnQueryNetworkProperties,
        HcnQueryEndpointProperties,
        HcnQueryLoadBalancerProperties,
        HcnQueryNamespaceProperties,
    ];
    let _: [Modify; 4] = [HcnModifyNetwork, HcnModifyEndpoint, HcnModifyLoadBalancer, HcnModifyNamespace];
    let _: [Delete; 4] = [HcnDeleteNetwork, HcnDeleteEndpoint, HcnDeleteLoadBalancer, HcnDeleteNamespace];
    let _: [Close; 4] = [HcnCloseNetwork, HcnCloseEndpoint, HcnCloseLoadBalancer, HcnCloseNamespace];
    let _: Register = HcnRegisterServiceCallback;
    let _: Unregister = HcnUnregisterServiceCallback;
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Guid;
    use crate::call::{Call, Handle};

    #[test]
    fn every_call_uses_the_function_that_it_names() {
        let (id, handle, text) = (Guid::nil(), Handle(0), String::new);
        for kind in [Kind::Network, Kind::Endpoint, Kind::LoadBalancer, Kind::Namespace, Kind::Route] {
            let family = family(kind);
            let create = match &family.create {
                Create::Alone(function) => function.name(),
                Create::InNetwork(function) => function.name(),
            };
            let pairs = [
                (Call::Enumerate { kind, query: text() }, family.enumerate.name()),
                (Call::Create { kind, network: None, id, settings: text() }, create),
                (Call::Open { kind, id }, family.open.name()),
                (Call::Query { kind, handle, query: text() }, family.query.name()),
                (Call::Modify { kind, handle, settings: text() }, family.modify.name()),
                (Call::Delete { kind, id }, family.delete.name()),
                (Call::Close { kind, handle }, family.close.name()),
            ];
            for (call, name) in pairs {
                assert_eq!(name.to_str(), Ok(call.function()));
            }
        }
    }
}
