//! Whether the Service of the API server accepts connections on this node.

use super::super::check::{Check, Finding};
use super::super::facts::{Answer, Facts};

pub(in super::super) const CHECK: Check = Check {
    id: "kubernetes-answers",
    title: "the Service default/kubernetes accepts connections",
    finds: "a failure for each cluster IP of default/kubernetes that does not accept a TCP connection from this node in 2 s; a warning for each of up to 8 ready backends that does not. The line of a cluster IP says how many of its backends accept one directly. Only on Windows, with the cluster of an API server.",
    cause: "If backends accept connections and the cluster IP does not, the load balancer does not forward packets, although HNS has it, or hnsproxy has not programmed it. If no backend accepts one, the node does not reach the API servers at the addresses of the EndpointSlice: a route or a firewall is the cause, or the API servers advertise addresses that only their own network has.",
    cure: "If only the cluster IP fails, see kubernetes-service; delete the load balancer of that frontend (`Get-HnsPolicyList`, `Remove-HnsPolicyList`), and hnsproxy creates it again. Otherwise check the route from the node to the backends, and `--advertise-address` of the API servers.",
    run,
};

fn run(facts: &Facts) -> Result<Finding, String> {
    let answers = facts.kubernetes.as_ref().map_err(Clone::clone)?;
    if answers.is_empty() {
        return Err("the cluster does not have default/kubernetes".to_owned());
    }
    let of = |is_backend: bool| answers.iter().filter(move |answer| answer.server.is_backend == is_backend);
    let failures: Vec<_> = of(false).filter_map(|frontend| frontend_line(frontend, answers)).collect();
    let warnings: Vec<_> = of(true).filter_map(line).collect();
    if !failures.is_empty() {
        return Ok(Finding::Failure(failures.into_iter().chain(warnings).collect()));
    }
    let count = answers.len();
    let ok = if count == 1 { "1 server accepts".to_owned() } else { format!("{count} servers accept") };
    Ok(Finding::warning_unless_empty(warnings, ok + " connections"))
}

/// Why a server accepts no connection.
fn line(Answer { server, result }: &Answer<()>) -> Option<String> {
    result.as_ref().err().map(|reason| format!("{server}: {reason}"))
}

/// As [`line`], with what its backends tell about the cause.
fn frontend_line(frontend: &Answer<()>, answers: &[Answer<()>]) -> Option<String> {
    let line = line(frontend)?;
    let is_ipv4 = frontend.server.address.is_ipv4();
    let backends = answers.iter().filter(|one| one.server.is_backend && one.server.address.is_ipv4() == is_ipv4);
    let (mut asked, mut accepted) = (0, 0);
    backends.for_each(|backend| {
        asked += 1;
        accepted += usize::from(backend.result.is_ok());
    });
    let cause = match (asked, accepted) {
        (0, _) => "it has no ready backend".to_owned(),
        (_, 0) => format!("none of {asked} backends accepts a connection: this node does not reach the API servers"),
        _ => format!("{accepted} of {asked} backends accept connections: the load balancer does not forward"),
    };
    Some(format!("{line}; {cause}"))
}

#[cfg(test)]
mod tests {
    use super::super::super::facts::{Server, Transport, testing};
    use super::*;

    const FRONTEND: &str = "Service default/kubernetes: frontend 10.96.0.1:443/TCP: refused";

    /// The cluster IPs of both families, and two backends of IPv4.
    fn with(accepts: [bool; 4]) -> Result<Finding, String> {
        let addresses = ["10.96.0.1:443", "[fd00::1]:443", "192.0.2.1:6443", "192.0.2.2:6443"];
        let answers = addresses.iter().enumerate().zip(accepts).map(|((number, address), accepts)| Answer {
            server: Server {
                service: "default/kubernetes".into(),
                address: address.parse().unwrap(),
                transport: Transport::Tcp,
                is_backend: number > 1,
            },
            result: accepts.then_some(()).ok_or_else(|| "refused".to_owned()),
        });
        run(&Facts { kubernetes: Ok(answers.collect()), ..testing::none() })
    }

    fn backend(last: u8) -> String {
        format!("Service default/kubernetes: backend 192.0.2.{last}:6443/TCP: refused")
    }

    #[test]
    fn servers_that_accept_connections_are_ok() {
        assert_eq!(with([true; 4]), Ok(Finding::Ok("4 servers accept connections".into())));
        let none = Facts { kubernetes: Ok(Vec::new()), ..testing::none() };
        assert_eq!(run(&none), Err("the cluster does not have default/kubernetes".into()));
    }

    #[test]
    fn a_cluster_ip_that_does_not_is_a_failure_with_its_cause() {
        let forwards = format!("{FRONTEND}; 1 of 2 backends accept connections: the load balancer does not forward");
        assert_eq!(with([false, true, true, false]), Ok(Finding::Failure(vec![forwards, backend(2)])));
        let reaches =
            format!("{FRONTEND}; none of 2 backends accepts a connection: this node does not reach the API servers");
        assert_eq!(with([false, true, false, false]), Ok(Finding::Failure(vec![reaches, backend(1), backend(2)])));
        let other = "Service default/kubernetes: frontend [fd00::1]:443/TCP: refused; it has no ready backend";
        assert_eq!(with([true, false, true, true]), Ok(Finding::Failure(vec![other.into()])));
    }

    #[test]
    fn a_backend_that_does_not_is_a_warning() {
        assert_eq!(with([true, true, false, true]), Ok(Finding::Warning(vec![backend(1)])));
    }
}
