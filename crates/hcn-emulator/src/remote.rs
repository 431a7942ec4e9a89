//! An HNS at a TCP address: each call goes to the [`Service`](crate::service::Service) of an emulator.
//!
//! Errors are those of an RPC stub. Without a connection: `RPC_S_SERVER_UNAVAILABLE`, and the call was not made. If the connection
//! breaks: `RPC_S_CALL_FAILED`, and whether the call was made is unknown, so no call is repeated. The next call connects again.

use std::io::BufReader;
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::thread;

use hcn::call::{Call, Reply};
use hcn::notification::{Gate, Listener, Notification, Subscription};
use hcn::{Error, Event, Hcn, Hresult};

use crate::pool::{Lost, Pool};
use crate::wire::{Answer, Failure, Request, receive};

/// An HNS at a TCP address. Any number of threads may call at the same time; each call in progress has a connection.
///
/// Handles belong to the `Remote`: the service closes them when its last connection ends.
#[derive(Debug)]
pub struct Remote {
    pool: Pool,
}

impl Remote {
    /// The service at `HOST:PORT`. Connects at the first call.
    pub fn connect_lazily(address: impl Into<String>) -> Self {
        Self { pool: Pool::new(address.into()) }
    }

    pub fn address(&self) -> &str {
        self.pool.address()
    }
}

impl Hcn for Remote {
    fn call(&self, call: &Call) -> Result<Reply, Error> {
        let function = call.function();
        match self.pool.exchange(&Request::Call(call)) {
            Ok(Answer::Call(Ok(reply))) => Ok(reply),
            Ok(Answer::Call(Err(Failure { code, record }))) => Err(Error::Hns { function, code, record }),
            Ok(Answer::Refused(reason)) => Err(Error::Transport { function, reason }),
            Ok(_) => Err(mismatch(function)),
            Err(lost) => Err(failed(function, &lost)),
        }
    }

    /// The subscription has a connection and a thread of its own.
    fn subscribe(&self, listener: Listener) -> Result<Subscription, Error> {
        let function = "HcnRegisterServiceCallback";
        let (connection, answer) = self.pool.subscribe(&Request::Subscribe).map_err(|lost| failed(function, &lost))?;
        match answer {
            Answer::Subscribed(Ok(())) => {}
            Answer::Subscribed(Err(Failure { code, record })) => return Err(Error::Hns { function, code, record }),
            Answer::Refused(reason) => return Err(Error::Transport { function, reason }),
            _ => return Err(mismatch(function)),
        }
        let no_thread = |_| Error::hns(function, Hresult::E_OUTOFMEMORY);
        let stream = connection.get_ref().try_clone().map_err(no_thread)?;
        let gate = Gate::new(listener);
        let guard = Guard { gate: gate.clone(), stream };
        let listen = move || listen(connection, &gate);
        thread::Builder::new().name("hns-notifications".into()).spawn(listen).map_err(no_thread)?;
        Ok(Subscription::new(guard))
    }
}

/// Ends a subscription when dropped.
struct Guard {
    gate: Arc<Gate>,
    stream: TcpStream,
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.gate.close();
        // This ends the thread: it reads the end of the stream.
        let _ = self.stream.shutdown(Shutdown::Both);
    }
}

/// Delivers notifications until the service or the connection ends, which is delivered as a disconnect.
fn listen(mut connection: BufReader<TcpStream>, gate: &Gate) {
    while let Ok(Some(Answer::Told(notification))) = receive(&mut connection) {
        if notification.event == Event::ServiceDisconnect {
            break;
        }
        gate.deliver(notification);
    }
    let event = Event::ServiceDisconnect;
    gate.deliver(Notification { event, status: Hresult::S_OK, document: String::new() });
}

fn mismatch(function: &'static str) -> Error {
    Error::Transport { function, reason: "unexpected answer of the emulator".into() }
}

fn failed(function: &'static str, lost: &Lost) -> Error {
    tracing::debug!(function, %lost, "call failed without an answer of the emulator");
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
