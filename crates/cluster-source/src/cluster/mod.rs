//! The cluster of an API server: lists and watches its Services, its EndpointSlices and the local Node.

mod access;
mod access_error;
mod api_status;
#[cfg(test)]
mod arbitrary;
mod backoff;
mod client;
mod connection;
mod connection_options;
mod credentials;
mod decode;
#[cfg(feature = "fuzzing")]
pub(crate) mod fuzzing;
mod gzip;
mod header;
mod kind;
mod known;
mod kubeconfig;
mod lifetime;
mod limits;
mod line_buffer;
mod list_watch;
mod object;
mod outage;
#[cfg(test)]
mod parity;
mod pem;
mod plugin;
mod proxy;
mod rate_limiter;
mod read;
mod reflector;
mod request;
mod request_error;
mod request_observer;
mod resource_version;
mod server_url;
mod service_account;
mod silence;
mod tls;
mod userinfo;

pub use access::Access;
pub use access_error::AccessError;
pub use connection_options::ConnectionOptions;
pub use lifetime::{CredentialKind, CredentialLifetime};
pub use list_watch::list_watch;
pub use plugin::kill_plugins;
pub use read::{ReadError, read};
pub use request_observer::RequestObserver;
pub use silence::WatchSilence;
pub use userinfo::hide_userinfo;
