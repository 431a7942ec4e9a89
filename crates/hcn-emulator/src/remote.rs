//! An HNS behind a TCP address: each call goes to an emulator's [`Service`](crate::service::Service).
//!
//! It fails as the stubs of an RPC service do. Where no service answers, `RPC_S_SERVER_UNAVAILABLE`: the call was not carried out.
//! Where the connection breaks, `RPC_S_CALL_FAILED`: whether it was carried out is not known, so no call is ever repeated. The next
//! call connects anew.

use hcn::call::{Call, Reply};
use hcn::{Error, Hcn, Hresult};

use crate::wire::{Answer, Failure, Lost, Pool, Request};

/// An HNS behind a TCP address. Any number of threads may call at once; each call under way has a connection.
///
/// Handles belong to it: the service closes them when the last of its connections has ended.
#[derive(Debug)]
pub struct Remote {
    pool: Pool,
}

impl Remote {
    /// The service at `HOST:PORT`. It is connected to by the first call.
    pub fn connect_lazily(address: impl Into<String>) -> Self {
        Self { pool: Pool::new(address.into()) }
    }

    /// The address, as given.
    pub fn address(&self) -> &str {
        self.pool.address()
    }

    /// Connects, if there is no connection yet.
    ///
    /// # Errors
    /// [`Error::Hns`] with `RPC_S_SERVER_UNAVAILABLE` in the name of a native function, where there is no service.
    pub fn reach(&self, function: &'static str) -> Result<(), Error> {
        self.pool.reach().map_err(|lost| failed(function, &lost))
    }
}

impl Hcn for Remote {
    fn call(&self, call: &Call) -> Result<Reply, Error> {
        let function = call.function();
        match self.pool.exchange(&Request::Call(call)) {
            Ok(Answer::Call(Ok(reply))) => Ok(reply),
            Ok(Answer::Call(Err(Failure { code, record }))) => Err(Error::Hns { function, code, record }),
            Ok(Answer::Refused(reason)) => Err(Error::Transport { function, reason }),
            Ok(Answer::Control(_)) => {
                Err(Error::Transport { function, reason: "the service answered another question".into() })
            }
            Err(lost) => Err(failed(function, &lost)),
        }
    }
}

fn failed(function: &'static str, lost: &Lost) -> Error {
    tracing::debug!(function, %lost, "a call got no answer");
    let code = match lost {
        Lost::Unsendable(reason) => {
            let Failure { code, record } = Failure::explained(Hresult::E_INVALIDARG, &reason.to_string());
            return Error::Hns { function, code, record };
        }
        Lost::Unreachable { .. } => Hresult::RPC_S_SERVER_UNAVAILABLE,
        Lost::Broken { .. } => Hresult::RPC_S_CALL_FAILED,
    };
    Error::hns(function, code)
}
