//! [`Windows`]: native calls through the DLLs of this system.

use super::calls::{self, Answer};
use super::object::Object;
use super::subscription;
use super::table::Table;
use crate::call::{Call, Handle, Hcn, Reply};
use crate::error::ErrorRecord;
use crate::notification::{Listener, Subscription};
use crate::{Error, Kind};

type OnWarning = dyn Fn(&'static str, &ErrorRecord) + Send + Sync;

/// The Host Networking Service of this system.
///
/// Creating it makes no call and loads no DLL. Dropping it closes the objects that are still open.
pub struct Windows {
    open: Table<Object>,
    on_warning: Box<OnWarning>,
}

impl Windows {
    /// Ignores error records that HNS returns together with success.
    pub fn new() -> Self {
        Self::with_warnings(|_, _| ())
    }

    /// Calls `on_warning` for each error record that HNS returns together with success, with the name of the native function.
    ///
    /// HNS is not known to do that, and the meaning is not documented. The code decides: treating the call as failed would repeat a
    /// write that was made. `on_warning` lets a caller log the record. It is called on the thread of the call, before the call returns.
    pub fn with_warnings(on_warning: impl Fn(&'static str, &ErrorRecord) + Send + Sync + 'static) -> Self {
        Self { open: Table::new(), on_warning: Box::new(on_warning) }
    }

    fn take<T>(&self, function: &'static str, answer: Answer<T>) -> T {
        if let Some(record) = &answer.warning {
            (self.on_warning)(function, record);
        }
        answer.value
    }

    fn keep(&self, function: &'static str, kind: Kind, answer: Answer<Object>) -> Reply {
        let object = self.take(function, answer);
        Reply::Handle(self.open.insert(kind, object))
    }

    fn close(&self, function: &'static str, kind: Kind, handle: Handle) -> Result<(), Error> {
        match self.open.remove(function, kind, handle)? {
            Some(object) => object.close(function),
            // Another thread uses the object, and closes it when its call ends.
            None => Ok(()),
        }
    }
}

impl Default for Windows {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for Windows {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Windows").field("open", &self.open).finish_non_exhaustive()
    }
}

impl Hcn for Windows {
    fn subscribe(&self, listener: Listener) -> Result<Subscription, Error> {
        subscription::subscribe(listener).map(Subscription::new)
    }

    fn call(&self, call: &Call) -> Result<Reply, Error> {
        let function = call.function();
        match call {
            Call::Enumerate { kind, query } => {
                let ids = calls::enumerate(function, *kind, query)?;
                Ok(Reply::Document(self.take(function, ids)))
            }
            Call::Create { kind, network, id, settings } => {
                // Keeps the network open for the whole call, even if another thread closes its handle meanwhile.
                let network = network.map(|handle| self.open.get(function, Kind::Network, handle)).transpose()?;
                let object = calls::create(function, *kind, network.as_deref(), *id, settings)?;
                Ok(self.keep(function, *kind, object))
            }
            Call::Open { kind, id } => {
                let object = calls::open(function, *kind, *id)?;
                Ok(self.keep(function, *kind, object))
            }
            Call::Query { kind, handle, query } => {
                let object = self.open.get(function, *kind, *handle)?;
                let properties = calls::query(function, *kind, &object, query)?;
                Ok(Reply::Document(self.take(function, properties)))
            }
            Call::Modify { kind, handle, settings } => {
                let object = self.open.get(function, *kind, *handle)?;
                self.take(function, calls::modify(function, *kind, &object, settings)?);
                Ok(Reply::Done)
            }
            Call::Delete { kind, id } => {
                self.take(function, calls::delete(function, *kind, *id)?);
                Ok(Reply::Done)
            }
            Call::Close { kind, handle } => {
                self.close(function, *kind, *handle)?;
                Ok(Reply::Done)
            }
            Call::Hns { method, path, body } => {
                let response = calls::hns(function, *method, path, body)?;
                Ok(Reply::Document(self.take(function, response)))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Guid, Hresult};

    #[test]
    fn unknown_handles_do_not_reach_hns() {
        let windows = Windows::new();
        let kind = Kind::Endpoint;
        let (handle, text) = (Handle(7), || "{}".to_owned());
        let calls = [
            Call::Query { kind, handle, query: text() },
            Call::Modify { kind, handle, settings: text() },
            Call::Close { kind, handle },
            Call::Create { kind, network: Some(handle), id: Guid::nil(), settings: text() },
            Call::Create { kind, network: None, id: Guid::nil(), settings: text() },
        ];
        for call in calls {
            assert_eq!(windows.call(&call), Err(Error::hns(call.function(), Hresult::E_HANDLE)));
        }
    }

    #[test]
    fn warnings_are_reported_with_their_function() {
        let (sender, receiver) = std::sync::mpsc::channel();
        let windows = Windows::with_warnings(move |function, record| sender.send((function, record.clone())).unwrap());
        let record = ErrorRecord { success: false, error: "Odd. ".into(), error_code: 31 };
        windows.take("HcnDeleteEndpoint", Answer { value: (), warning: Some(record.clone()) });
        windows.take("HcnDeleteNetwork", Answer { value: (), warning: None });
        drop(windows);
        assert_eq!(receiver.iter().collect::<Vec<_>>(), [("HcnDeleteEndpoint", record)]);
    }
}
