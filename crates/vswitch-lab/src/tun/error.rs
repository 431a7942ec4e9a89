//! Why a host cannot be attached to the switch, or packets are not forwarded any more.

use std::io;
use std::net::IpAddr;

use hcn_emulator::feed::FeedEnd;
use vswitch::InvalidChange;

#[derive(Debug, thiserror::Error)]
pub enum TunError {
    #[error(
        "cannot create a network namespace: {0}; run as root, in a container with the capabilities SYS_ADMIN and NET_ADMIN"
    )]
    Namespace(io::Error),
    #[error("cannot enter a network namespace: {0}")]
    Enter(io::Error),
    #[error(
        "cannot create a TUN device: {0}; load the module (modprobe tun), run as root, and give a container the device /dev/net/tun"
    )]
    Device(io::Error),
    #[error("cannot configure a TUN device: cannot run ip: {0}; install iproute2")]
    NoIp(io::Error),
    #[error("cannot configure a TUN device: ip {arguments}: {message}")]
    Ip { arguments: String, message: String },
    #[error("cannot read from the TUN device of {host}: {error}")]
    Read { host: IpAddr, error: io::Error },
    #[error(transparent)]
    Change(#[from] InvalidChange),
    #[error(transparent)]
    FeedEnded(#[from] FeedEnd),
}
