//! What HNS tells of its own accord.

use crate::Hresult;

macro_rules! events {
    ($($(#[doc = $doc:literal])* $name:ident = $value:literal;)*) => {
        /// What happened. HNS tells nothing of load balancers, nor of endpoints that are created or deleted.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Event {
            $($(#[doc = $doc])* $name,)*
            /// Something else, by its number.
            Other(u32),
        }

        impl From<u32> for Event {
            fn from(number: u32) -> Self {
                match number { $($value => Event::$name,)* other => Event::Other(other) }
            }
        }
    };
}

events! {
    /// A network is about to be created.
    NetworkPreCreate = 1;
    /// A network was created.
    NetworkCreate = 2;
    /// A network is about to be deleted.
    NetworkPreDelete = 3;
    /// A network was deleted.
    NetworkDelete = 4;
    /// A namespace was created.
    NamespaceCreate = 5;
    /// A namespace was deleted.
    NamespaceDelete = 6;
    /// A guest network service was created.
    GuestNetworkServiceCreate = 7;
    /// A guest network service was deleted.
    GuestNetworkServiceDelete = 8;
    /// An endpoint was attached.
    EndpointAttached = 9;
    /// An endpoint was detached.
    EndpointDetached = 0x10;
    /// A guest network service changed its state.
    GuestNetworkServiceStateChanged = 0x11;
    /// An interface of a guest network service changed its state.
    GuestNetworkServiceInterfaceStateChanged = 0x12;
    /// HNS ended: nothing more will come.
    ServiceDisconnect = 0x0100_0000;
}

/// One notification.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notification {
    /// What happened.
    pub event: Event,
    /// How it went.
    pub status: Hresult,
    /// The document that came with it, `{"ID":…}`, unread; empty where none came.
    pub document: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_come_from_their_numbers_and_unknown_ones_are_kept() {
        assert_eq!(Event::from(4), Event::NetworkDelete);
        assert_eq!(Event::from(0x10), Event::EndpointDetached);
        assert_eq!(Event::from(0x0100_0000), Event::ServiceDisconnect);
        assert_eq!(Event::from(0xf000_0001), Event::Other(0xf000_0001));
    }
}
