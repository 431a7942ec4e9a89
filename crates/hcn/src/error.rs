//! Errors of calls, and the class of each.
//!
//! Classes come from codes alone, since message texts differ between builds and languages of Windows. An error has [`Class::Absent`] only
//! if its code states that the object does not exist. After any other failure, the state of the object is unknown.

use serde::{Deserialize, Serialize};

use crate::Guid;
use crate::kind::Kind;

/// An [HRESULT](https://learn.microsoft.com/openspecs/windows_protocols/ms-erref/0642cb2f-2075-4469-918c-4441e69c548a). The highest
/// bit means failure. Kept unsigned, as HNS prints it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Hresult(pub u32);

macro_rules! codes {
    ($($name:ident = $value:literal, $text:literal;)*) => {
        impl Hresult {
            $(#[doc = $text] pub const $name: Hresult = Hresult($value);)*

            /// The known codes.
            pub const KNOWN: &'static [Hresult] = &[$(Hresult($value)),*];

            /// The name of a known code: `HCN_E_…` as in `computenetwork.h`, or the name of a general Windows code.
            pub fn name(self) -> Option<&'static str> {
                match self { $(Hresult::$name => Some(stringify!($name)),)* _ => None }
            }

            /// The English message text of Windows for a known code.
            pub fn text(self) -> Option<&'static str> {
                match self { $(Hresult::$name => Some($text),)* _ => None }
            }
        }
    };
}

codes! {
    S_OK = 0, "The operation completed successfully.";
    E_NOTIMPL = 0x8000_4001, "Not implemented";
    E_ACCESSDENIED = 0x8007_0005, "Access is denied.";
    E_OUTOFMEMORY = 0x8007_000e, "Not enough memory resources are available to complete this operation.";
    E_HANDLE = 0x8007_0006, "The handle is invalid.";
    ERROR_GEN_FAILURE = 0x8007_001f, "A device attached to the system is not functioning.";
    ERROR_DUP_NAME = 0x8007_0034, "You were not connected because a duplicate name exists on the network. If joining a domain, go to System in Control Panel to change the computer name and try again. If joining a workgroup, choose another workgroup name.";
    E_INVALIDARG = 0x8007_0057, "The parameter is incorrect.";
    ERROR_ALREADY_EXISTS = 0x8007_00b7, "Cannot create a file when that file already exists.";
    ERROR_TIMEOUT = 0x8007_05b4, "This operation returned because the timeout period expired.";
    ERROR_SERVICE_NOT_ACTIVE = 0x8007_0426, "The service has not been started.";
    ELEMENT_NOT_FOUND = 0x8007_0490, "Element not found.";
    ERROR_OBJECT_ALREADY_EXISTS = 0x8007_1392, "The object already exists.";
    RPC_S_SERVER_UNAVAILABLE = 0x8007_06ba, "The RPC server is unavailable.";
    RPC_S_SERVER_TOO_BUSY = 0x8007_06bb, "The RPC server is too busy to complete this operation.";
    RPC_S_CALL_FAILED = 0x8007_06be, "The remote procedure call failed.";
    RPC_S_CALL_FAILED_DNE = 0x8007_06bf, "The remote procedure call failed and did not execute.";
    HCN_E_NETWORK_NOT_FOUND = 0x803b_0001, "The network was not found.";
    HCN_E_ENDPOINT_NOT_FOUND = 0x803b_0002, "The endpoint was not found.";
    HCN_E_LAYER_NOT_FOUND = 0x803b_0003, "The network's underlying layer was not found.";
    HCN_E_SWITCH_NOT_FOUND = 0x803b_0004, "The virtual switch was not found.";
    HCN_E_SUBNET_NOT_FOUND = 0x803b_0005, "The network does not have a subnet for this endpoint.";
    HCN_E_ADAPTER_NOT_FOUND = 0x803b_0006, "An adapter was not found.";
    HCN_E_PORT_NOT_FOUND = 0x803b_0007, "The switch-port was not found.";
    HCN_E_POLICY_NOT_FOUND = 0x803b_0008, "An expected policy was not found.";
    HCN_E_VFP_PORTSETTING_NOT_FOUND = 0x803b_0009, "A required VFP port setting was not found.";
    HCN_E_INVALID_NETWORK = 0x803b_000a, "The provided network configuration is invalid or missing parameters.";
    HCN_E_INVALID_NETWORK_TYPE = 0x803b_000b, "Invalid network type.";
    HCN_E_INVALID_ENDPOINT = 0x803b_000c, "The provided endpoint configuration is invalid or missing parameters.";
    HCN_E_INVALID_POLICY = 0x803b_000d, "The provided policy configuration is invalid or missing parameters.";
    HCN_E_INVALID_POLICY_TYPE = 0x803b_000e, "Invalid policy type.";
    HCN_E_INVALID_REMOTE_ENDPOINT_OPERATION = 0x803b_000f, "This requested operation is invalid for a remote endpoint.";
    HCN_E_NETWORK_ALREADY_EXISTS = 0x803b_0010, "A network with this name already exists.";
    HCN_E_LAYER_ALREADY_EXISTS = 0x803b_0011, "A network with this name already exists.";
    HCN_E_POLICY_ALREADY_EXISTS = 0x803b_0012, "Policy information already exists on this object.";
    HCN_E_PORT_ALREADY_EXISTS = 0x803b_0013, "The specified port already exists.";
    HCN_E_ENDPOINT_ALREADY_ATTACHED = 0x803b_0014, "This endpoint is already attached to the switch.";
    HCN_E_REQUEST_UNSUPPORTED = 0x803b_0015, "The specified request is unsupported.";
    HCN_E_MAPPING_NOT_SUPPORTED = 0x803b_0016, "Port mapping is not supported on the given network.";
    HCN_E_DEGRADED_OPERATION = 0x803b_0017, "There was an operation attempted on a degraded object.";
    HCN_E_SHARED_SWITCH_MODIFICATION = 0x803b_0018, "Cannot modify a switch shared by multiple networks.";
    HCN_E_GUID_CONVERSION_FAILURE = 0x803b_0019, "Failed to interpret a parameter as a GUID.";
    HCN_E_REGKEY_FAILURE = 0x803b_001a, "Failed to process registry key.";
    HCN_E_INVALID_JSON = 0x803b_001b, "Invalid JSON document string.";
    HCN_E_INVALID_JSON_REFERENCE = 0x803b_001c, "The reference is invalid in the JSON document.";
    HCN_E_ENDPOINT_SHARING_DISABLED = 0x803b_001d, "Endpoint sharing is disabled.";
    HCN_E_INVALID_IP = 0x803b_001e, "IP address is either invalid or not part of any configured subnet(s).";
    HCN_E_SWITCH_EXTENSION_NOT_FOUND = 0x803b_001f, "The specified switch extension does not exist on this switch.";
    HCN_E_MANAGER_STOPPED = 0x803b_0020, "Operation cannot be performed while service is stopping.";
    HCN_E_GCN_DEFAULTNAMESPACE_EXISTS = 0x803b_0029, "The default namespace already exists.";
    HCN_E_ICS_DISABLED = 0x803b_002a, "Internet Connection Sharing service (SharedAccess) is disabled and cannot be started.";
    HCN_E_ENDPOINT_NAMESPACE_ALREADY_EXISTS = 0x803b_002b, "This requested operation is invalid as endpoint is already part of a network namespace.";
    HCN_E_ENTITY_HAS_REFERENCES = 0x803b_002c, "The specified entity cannot be removed while it still has references.";
    HCN_E_INVALID_INTERNAL_PORT = 0x803b_002d, "The internal port must exist and cannot be zero.";
    HCN_E_NAMESPACE_ATTACH_FAILED = 0x803b_002e, "The requested operation for attach namespace failed.";
    HCN_E_ADDR_INVALID_OR_RESERVED = 0x803b_002f, "An address provided is invalid or reserved.";
    HCN_E_INVALID_PREFIX = 0x803b_0030, "The prefix provided is invalid.";
    HCN_E_OBJECT_USED_AFTER_UNLOAD = 0x803b_0031, "A call was performed against an object that was torn down.";
    HCN_E_INVALID_SUBNET = 0x803b_0032, "The provided subnet configuration is invalid.";
    HCN_E_INVALID_IP_SUBNET = 0x803b_0033, "The provided IP subnet configuration is invalid.";
    HCN_E_ENDPOINT_NOT_ATTACHED = 0x803b_0034, "The endpoint must be attached to complete the operation.";
    HCN_E_ENDPOINT_NOT_LOCAL = 0x803b_0035, "The endpoint must be local to complete the operation.";
    HCN_E_VFP_NOT_ALLOWED = 0x803b_0037, "VFP is not allowed.";
}

impl Hresult {
    /// Whether the code means success.
    pub fn is_success(self) -> bool {
        self.0 < 0x8000_0000
    }

    /// The code as Go clients (hcsshim, hnslib) show it: Win32 codes without their facility, others unchanged.
    pub fn win32(self) -> u32 {
        if self.0 & 0x1fff_0000 == 0x0007_0000 { self.0 & 0xffff } else { self.0 }
    }

    /// The class of the code.
    pub fn class(self) -> Class {
        match self {
            // Other NOT_FOUND codes (subnet, port, policy) concern a part of the request, and not the object itself. HNS
            // returns OBJECT_USED_AFTER_UNLOAD for a handle whose object was deleted.
            Self::ELEMENT_NOT_FOUND
            | Self::HCN_E_NETWORK_NOT_FOUND
            | Self::HCN_E_ENDPOINT_NOT_FOUND
            | Self::HCN_E_OBJECT_USED_AFTER_UNLOAD => Class::Absent,
            Self::ERROR_ALREADY_EXISTS
            | Self::ERROR_OBJECT_ALREADY_EXISTS
            | Self::ERROR_DUP_NAME
            | Self::HCN_E_NETWORK_ALREADY_EXISTS => Class::Exists,
            // Not Exists: the id is free, but the frontend is not, so the owner of the frontend has to be found.
            Self::HCN_E_PORT_ALREADY_EXISTS => Class::PortInUse,
            Self::E_NOTIMPL | Self::HCN_E_REQUEST_UNSUPPORTED => Class::Unsupported,
            Self::E_INVALIDARG
            | Self::HCN_E_INVALID_NETWORK
            | Self::HCN_E_INVALID_NETWORK_TYPE
            | Self::HCN_E_INVALID_ENDPOINT
            | Self::HCN_E_INVALID_POLICY
            | Self::HCN_E_INVALID_POLICY_TYPE
            | Self::HCN_E_INVALID_REMOTE_ENDPOINT_OPERATION
            | Self::HCN_E_GUID_CONVERSION_FAILURE
            | Self::HCN_E_INVALID_JSON
            | Self::HCN_E_INVALID_JSON_REFERENCE
            | Self::HCN_E_INVALID_IP
            | Self::HCN_E_INVALID_INTERNAL_PORT
            | Self::HCN_E_ADDR_INVALID_OR_RESERVED
            | Self::HCN_E_INVALID_PREFIX
            | Self::HCN_E_INVALID_SUBNET
            | Self::HCN_E_INVALID_IP_SUBNET => Class::Invalid,
            // Except for RPC_S_CALL_FAILED_DNE (did not execute), HNS may have carried out the call, for example before a timeout.
            Self::RPC_S_SERVER_UNAVAILABLE
            | Self::RPC_S_SERVER_TOO_BUSY
            | Self::RPC_S_CALL_FAILED
            | Self::RPC_S_CALL_FAILED_DNE
            | Self::ERROR_SERVICE_NOT_ACTIVE
            | Self::ERROR_TIMEOUT
            | Self::HCN_E_MANAGER_STOPPED => Class::Unavailable,
            _ => Class::Other,
        }
    }
}

impl std::fmt::Debug for Hresult {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:#010x}", self.0)
    }
}

impl std::fmt::Display for Hresult {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.text(), self.name()) {
            (Some(text), Some(name)) => write!(f, "{text} ({name}, {:#010x})", self.0),
            _ => write!(f, "{:#010x}", self.0),
        }
    }
}

/// What an error means for the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Class {
    /// HNS reports that the object does not exist.
    Absent,
    /// The id, the name, the frontend or the address is in use by another object.
    Exists,
    /// Address, protocol and port are in use: by another load balancer, a listener, or a reservation.
    PortInUse,
    /// This build of HNS does not support the operation.
    Unsupported,
    /// HNS rejects the document. A retry with the same document fails too.
    Invalid,
    /// HNS is unavailable. The state of the object is unknown.
    Unavailable,
    /// Any other code. The state of the object is unknown.
    Other,
}

impl Class {
    /// A stable name for logs and metric labels.
    pub fn as_str(self) -> &'static str {
        match self {
            Class::Absent => "absent",
            Class::Exists => "exists",
            Class::PortInUse => "port_in_use",
            Class::Unsupported => "unsupported",
            Class::Invalid => "invalid",
            Class::Unavailable => "unavailable",
            Class::Other => "other",
        }
    }
}

/// The document that HNS returns with a failure.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ErrorRecord {
    /// `false` in documents of HNS.
    pub success: bool,
    /// The message text of the code. HNS ends it with a space.
    pub error: String,
    /// The code, as an unsigned decimal number.
    pub error_code: u32,
}

/// Why a call failed, or why its reply is invalid.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// HNS rejected the call.
    #[error("{function} failed: {code}{}", detail(*code, record.as_ref()))]
    Hns {
        /// The native function.
        function: &'static str,
        /// The code that the function returned.
        code: Hresult,
        /// The error record, if HNS returned one.
        record: Option<ErrorRecord>,
    },
    /// `HNSCall` of an older build: it returns success, and reports the failure in its envelope, without a code. The text is not compared,
    /// so the class is [`Class::Other`]: the state of the object is unknown.
    #[error("HNSCall {method} {path} failed: {message}")]
    Envelope {
        /// The method.
        method: &'static str,
        /// The path.
        path: String,
        /// The message text of HNS. For people only.
        message: String,
    },
    /// The reply is not the expected document.
    #[error("{function} returned an invalid document: {reason}")]
    Document {
        /// The native function.
        function: &'static str,
        /// What is invalid, with its position.
        reason: String,
    },
    /// HNS has created or modified the object, and reading it back failed. Whether HNS has it as requested is not known.
    #[error("{function} succeeded, but the object cannot be read back: {source}")]
    NotReadBack {
        /// The native function that created or modified it.
        function: &'static str,
        /// Why the read failed.
        source: Box<Error>,
    },
    /// This system lacks the DLL or the function.
    #[error("{what} is not available on this system: {reason}")]
    Missing {
        /// The DLL or function.
        what: String,
        /// The error of the system.
        reason: String,
    },
    /// The call could not be sent to HNS, or its reply could not be received.
    #[error("{function} failed: {reason}")]
    Transport {
        /// The native function.
        function: &'static str,
        /// Why the connection failed.
        reason: String,
    },
    /// The call was not made, because the process shuts down.
    #[error("{function} was not called: shutdown requested")]
    Stopped {
        /// The native function.
        function: &'static str,
    },
    /// The object is not in the list that HNS returned.
    #[error("{} {id} not found", kind.name())]
    NotListed {
        /// The kind of the object.
        kind: Kind,
        /// The id of the object.
        id: Guid,
    },
}

/// What the error record says beyond the text of the code, for example what is wrong with a document.
fn detail(code: Hresult, record: Option<&ErrorRecord>) -> String {
    let text = record.map_or("", |record| record.error.trim());
    let known = code.text().unwrap_or_default().trim_end_matches('.');
    let rest = text.strip_prefix(known).map_or(text, |rest| rest.trim_start_matches('.')).trim();
    if rest.is_empty() { String::new() } else { format!(": {rest}") }
}

impl Error {
    /// Creates an [`Error::Hns`] without an error record.
    pub fn hns(function: &'static str, code: Hresult) -> Self {
        Error::Hns { function, code, record: None }
    }

    /// The class of the error.
    pub fn class(&self) -> Class {
        match self {
            Error::Hns { code, .. } => code.class(),
            Error::NotListed { .. } => Class::Absent,
            Error::Missing { .. } => Class::Unsupported,
            Error::Transport { .. } | Error::Stopped { .. } => Class::Unavailable,
            // The class of the failed read says nothing about the write: the object is neither refused nor absent.
            Error::NotReadBack { source, .. } if source.class() == Class::Unavailable => Class::Unavailable,
            Error::NotReadBack { .. } | Error::Envelope { .. } | Error::Document { .. } => Class::Other,
        }
    }

    /// The code of HNS, if the error has one.
    pub fn code(&self) -> Option<Hresult> {
        match self {
            Error::Hns { code, .. } => Some(*code),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_codes_for_an_absent_object_have_class_absent() {
        for code in 0x803b_0001..=0x803b_0037_u32 {
            let absent = Hresult(code).class() == Class::Absent;
            let expected = matches!(code & 0xff, 0x01 | 0x02 | 0x31);
            assert_eq!(absent, expected, "{code:#x}");
        }
        assert_eq!(Hresult::RPC_S_SERVER_UNAVAILABLE.class(), Class::Unavailable);
        assert_eq!(Hresult(0x8007_ffff).class(), Class::Other);
    }

    #[test]
    fn win32_keeps_hcn_codes_unchanged() {
        assert_eq!(Hresult::ELEMENT_NOT_FOUND.win32(), 0x490);
        assert_eq!(Hresult::HCN_E_PORT_ALREADY_EXISTS.win32(), 0x803b_0013);
        assert_eq!(Hresult::E_NOTIMPL.win32(), 0x8000_4001);
    }

    #[test]
    fn messages_name_the_function_the_text_and_the_code() {
        let error = Error::hns("HcnCreateLoadBalancer", Hresult::HCN_E_PORT_ALREADY_EXISTS);
        assert_eq!(
            error.to_string(),
            "HcnCreateLoadBalancer failed: The specified port already exists. (HCN_E_PORT_ALREADY_EXISTS, 0x803b0013)"
        );
    }

    #[test]
    fn messages_end_with_what_the_error_record_adds() {
        let message = |code: Hresult, text: &str| {
            let record = Some(ErrorRecord { success: false, error: text.into(), error_code: code.0 });
            Error::Hns { function: "F", code, record }.to_string()
        };
        let code = Hresult::HCN_E_INVALID_JSON_REFERENCE;
        let plain =
            "F failed: The reference is invalid in the JSON document. (HCN_E_INVALID_JSON_REFERENCE, 0x803b001c)";
        assert_eq!(message(code, "The reference is invalid in the JSON document. "), plain);
        assert_eq!(
            message(code, "The reference is invalid in the JSON document. A Reference is required"),
            format!("{plain}: A Reference is required")
        );
        assert_eq!(message(code, "Der Verweis ist ungültig. "), format!("{plain}: Der Verweis ist ungültig."));
        assert_eq!(message(Hresult(0x8007_ffff), "Odd. "), "F failed: 0x8007ffff: Odd.");
    }
}
