//! The evidence that another program writes or deletes the same HNS objects.

use std::time::Duration;

use hcn::Guid;

/// Another program that deletes, replaces or modifies own objects again and again. The numbers are those of the time when that was found.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ForeignWriter {
    /// One of the objects: the frontend of a load balancer, or the address of an endpoint.
    pub object: String,
    /// The number of times that the object was lost, taken or modified.
    pub times: usize,
    /// The time between the first and the last of these times.
    pub within: Duration,
    /// The number of other contended objects.
    pub others: usize,
    pub writer: Writer,
}

/// Losses of most objects at once, without a restart of HNS that this process noticed. The numbers are those of the time when that was found.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
#[error(
    "most HNS objects of hnsproxy were deleted {times} times in {} s, and no restart of HNS was detected; stop the program that deletes them, \
     for example a script with Remove-HnsPolicyList, or find out why HNS loses them",
    within.as_secs()
)]
pub struct RepeatedLoss {
    pub times: usize,
    /// The time between the first and the last loss.
    pub within: Duration,
}

/// What is known about the other program.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Writer {
    /// It has load balancers on the frontends of this process that look like those of kube-proxy.
    KubeProxy { load_balancers: Vec<Guid> },
    /// It creates objects with the mark of hnsproxy.
    Hnsproxy,
    /// Perhaps none: HNS has objects that are not desired again after their deletion has succeeded.
    KeptByHns,
    /// It has other load balancers on these frontends.
    Other { load_balancers: Vec<Guid> },
    /// It only deletes or modifies.
    Unknown,
}

impl Writer {
    /// Whether it is known which program it is.
    pub(crate) fn is_program(&self) -> bool {
        !matches!(self, Writer::Unknown | Writer::KeptByHns)
    }
}

impl std::fmt::Display for ForeignWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { object, times, within, others, writer } = self;
        f.write_str(object)?;
        match others {
            0 => {}
            1 => f.write_str(" and 1 more HNS object")?,
            others => write!(f, " and {others} more HNS objects")?,
        }
        let within = within.as_secs();
        if *writer == Writer::KeptByHns {
            return write!(
                f,
                ": found in HNS {times} times in {within} s, each time after its deletion had succeeded; HNS keeps what it \
                 reports as deleted, or another hnsproxy with other settings creates it; stop the other hnsproxy if there is one"
            );
        }
        write!(f, ": lost, taken or modified {times} times in {within} s, each time after it was programmed; ")?;
        match writer {
            Writer::KeptByHns => Ok(()),
            Writer::KubeProxy { load_balancers } => {
                write!(f, "{}, as kube-proxy creates it, has the frontend; stop kube-proxy", listed(load_balancers))
            }
            Writer::Hnsproxy => f.write_str("another hnsproxy creates the same objects; stop one of the two"),
            Writer::Other { load_balancers } => {
                write!(f, "{} of another program has the frontend; stop that program", listed(load_balancers))
            }
            Writer::Unknown => f.write_str("another program deletes or modifies objects; stop that program"),
        }
    }
}

fn listed(load_balancers: &[Guid]) -> String {
    let ids: Vec<_> = load_balancers.iter().map(Guid::to_string).collect();
    format!("load balancer {}", ids.join(" or "))
}
