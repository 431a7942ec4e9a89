//! Checks whether the cluster DNS answers queries from this node.

use super::super::check::{Check, Finding};
use super::super::facts::{Answer, Facts};

pub(in super::super) const CHECK: Check = Check {
    id: "dns-answers",
    title: "the cluster DNS answers queries",
    finds: "a failure for each cluster IP of the DNS Service that does not answer a query from this node in 2 s, by UDP and by TCP; a warning for each of up to 8 ready backends that does not answer, and for each error code. Runs only on Windows, and only if the cluster is read from an API server.",
    cause: "If backends answer and the cluster IP does not, the load balancer does not forward packets, although HNS has it ([containers-roadmap 2176](https://github.com/aws/containers-roadmap/issues/2176), [hcsshim 994](https://github.com/microsoft/hcsshim/issues/994)), or hnsproxy has not programmed it. If no backend answers, the DNS pods, the network between the nodes, or a network policy is the cause.",
    cure: "If only the cluster IP fails, see dns-service; delete the load balancer of that frontend (`Get-HnsPolicyList`, `Remove-HnsPolicyList`), and hnsproxy creates it again. Otherwise check the DNS pods and the routes to their nodes.",
    run,
};

/// `NOERROR` and `NXDOMAIN`. The latter is also a response: the cluster can have another domain than the one in the query.
const ANSWERED: [u8; 2] = [0, 3];

fn run(facts: &Facts) -> Result<Finding, String> {
    let answers = facts.dns.as_ref().map_err(Clone::clone)?;
    if answers.is_empty() {
        return Err("DNS Service not found in the cluster".to_owned());
    }
    let lines = |is_failure: bool| -> Vec<_> {
        let found = answers.iter().filter(|answer| is_silent_frontend(answer) == is_failure);
        found.filter_map(line).collect()
    };
    let (failures, warnings) = (lines(true), lines(false));
    if !failures.is_empty() {
        return Ok(Finding::Failure(failures.into_iter().chain(warnings).collect()));
    }
    let count = answers.len();
    let ok = format!("{count} {} answered", if count == 1 { "server" } else { "servers" });
    Ok(Finding::warning_unless_empty(warnings, ok))
}

fn is_silent_frontend(answer: &Answer<u8>) -> bool {
    !answer.server.is_backend && answer.result.is_err()
}

/// Describes the problem of a server. `None` if the server has answered.
fn line(Answer { server, result }: &Answer<u8>) -> Option<String> {
    let problem = match result {
        Ok(code) if ANSWERED.contains(code) => return None,
        Ok(code) => format!("error code {code}"),
        Err(reason) => reason.clone(),
    };
    Some(format!("{server}: {problem}"))
}

#[cfg(test)]
mod tests {
    use super::super::super::facts::{Server, Transport, testing};
    use super::*;

    fn with(codes: [Result<u8, &str>; 3]) -> Result<Finding, String> {
        let servers = [
            ("10.96.0.10:53", Transport::Udp, false),
            ("10.96.0.10:53", Transport::Tcp, false),
            ("10.244.1.2:53", Transport::Udp, true),
        ];
        let answers = servers.into_iter().zip(codes).map(|((address, transport, is_backend), code)| {
            let (service, address) = ("kube-system/kube-dns".to_owned(), address.parse().unwrap());
            Answer { server: Server { service, address, transport, is_backend }, result: code.map_err(str::to_owned) }
        });
        run(&Facts { dns: Ok(answers.collect()), ..testing::none() })
    }

    #[test]
    fn servers_that_answer_are_ok() {
        assert_eq!(with([Ok(0), Ok(3), Ok(0)]), Ok(Finding::Ok("3 servers answered".into())));
    }

    #[test]
    fn a_cluster_ip_that_does_not_answer_is_a_failure() {
        let expected = "Service kube-system/kube-dns: frontend 10.96.0.10:53/TCP: no answer in 2 s";
        assert_eq!(with([Ok(0), Err("no answer in 2 s"), Ok(0)]), Ok(Finding::Failure(vec![expected.into()])));
    }

    #[test]
    fn a_backend_that_does_not_answer_or_an_error_is_a_warning() {
        let expected = vec![
            "Service kube-system/kube-dns: frontend 10.96.0.10:53/UDP: error code 2".into(),
            "Service kube-system/kube-dns: backend 10.244.1.2:53/UDP: refused".into(),
        ];
        assert_eq!(with([Ok(2), Ok(0), Err("refused")]), Ok(Finding::Warning(expected)));
    }
}
