//! The answers to the health checks of external load balancers: how many ready backends of a Service are on this node.
//!
//! A Service of type LoadBalancer with `externalTrafficPolicy: Local` has a port for them, `healthCheckNodePort`. They
//! depend only on the cluster, not on whether HNS is available.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use uuid::Uuid;

use crate::condition::{Condition, PortUser, ServiceCondition};
use crate::model::{Cluster, Family, ServiceEntry, ServiceName};

/// The health check of one Service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthCheck {
    pub uid: Option<Uuid>,
    pub port: u16,
    /// The number of ready addresses on this node, for each family of the Service.
    pub local: BTreeMap<Family, usize>,
}

/// The health checks of all Services that have one. Cheap to clone.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HealthChecks(Arc<BTreeMap<ServiceName, HealthCheck>>);

impl FromIterator<(ServiceName, HealthCheck)> for HealthChecks {
    fn from_iter<I: IntoIterator<Item = (ServiceName, HealthCheck)>>(checks: I) -> Self {
        Self(Arc::new(checks.into_iter().collect()))
    }
}

impl HealthChecks {
    /// Sorted by Service.
    pub fn iter(&self) -> impl Iterator<Item = (&ServiceName, &HealthCheck)> {
        self.0.iter()
    }

    pub fn get(&self, service: &ServiceName) -> Option<&HealthCheck> {
        self.0.get(service)
    }

    /// A condition for each Service whose port another Service or this process listens at.
    pub(crate) fn conflicts(&self, healthz_port: Option<u16>, metrics_port: Option<u16>) -> Vec<ServiceCondition> {
        let mut by_port: BTreeMap<u16, Vec<&ServiceName>> = BTreeMap::new();
        self.iter().for_each(|(service, check)| by_port.entry(check.port).or_default().push(service));
        let mut conflicts = Vec::new();
        for (port, services) in by_port {
            // This process listens at its own ports before any Service is known.
            let own = if healthz_port == Some(port) {
                Some(PortUser::Healthz)
            } else {
                (metrics_port == Some(port)).then_some(PortUser::Metrics)
            };
            for service in &services {
                // One of the others is enough to tell the user what to change.
                let other =
                    services.iter().find(|other| *other != service).map(|other| PortUser::Service((*other).clone()));
                conflicts.extend(own.clone().or(other).map(|other| ServiceCondition {
                    service: (*service).clone(),
                    condition: Condition::HealthCheckPortConflict { port, other },
                }));
            }
        }
        conflicts
    }

    /// Updates the health check of a Service.
    pub(crate) fn update(&mut self, service: &ServiceName, cluster: &Cluster, node_name: &str) {
        let now = cluster.get(service).and_then(|entry| HealthCheck::of(entry, node_name));
        if self.0.get(service) != now.as_ref() {
            let all = Arc::make_mut(&mut self.0);
            match now {
                Some(check) => drop(all.insert(service.clone(), check)),
                None => drop(all.remove(service)),
            }
        }
    }
}

impl HealthCheck {
    fn of(entry: &ServiceEntry, node_name: &str) -> Option<Self> {
        let service = entry.service.as_ref()?;
        let port = service.health_check_node_port?;
        let families = Family::ALL.into_iter().filter(|family| service.cluster_ip(*family).is_some());
        Some(Self {
            uid: service.uid,
            port,
            local: families.map(|family| (family, local(entry, family, node_name))).collect(),
        })
    }
}

/// The number of ready addresses of a family on this node. Terminating backends do not count, even if they are used as
/// fallback: load balancers should send new connections elsewhere.
fn local(entry: &ServiceEntry, family: Family, node_name: &str) -> usize {
    let slices = entry.slices.values().filter(|slice| slice.family == family && !slice.ports.is_empty());
    let backends = slices.flat_map(|slice| &slice.backends);
    let here =
        backends.filter(|backend| backend.node.as_deref().is_some_and(|node| !node.is_empty() && node == node_name));
    here.filter(|backend| backend.ready).map(|backend| backend.address).collect::<BTreeSet<_>>().len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{backend, service, slice};

    fn checks(cluster: &Cluster, names: &[&str]) -> HealthChecks {
        let mut checks = HealthChecks::default();
        names.iter().for_each(|name| checks.update(&ServiceName::new("ns", *name), cluster, "win-1"));
        checks
    }

    fn cluster() -> Cluster {
        let mut cluster = Cluster::default();
        let mut web = service("ns/web").cluster_ip("10.96.0.1").cluster_ip("fd00::1").port(80).build();
        web.health_check_node_port = Some(32000);
        cluster.apply_service(web);
        cluster.apply_service(service("ns/plain").cluster_ip("10.96.0.2").port(80).build());
        cluster
    }

    fn local_counts(backends: Vec<crate::testing::BackendBuilder>) -> Vec<usize> {
        let mut cluster = cluster();
        let mut builder = slice("ns/web-1", "ns/web").port(8080);
        for backend in backends {
            builder = builder.backend(backend);
        }
        cluster.apply_slice(builder.build());
        checks(&cluster, &["web", "plain"]).iter().flat_map(|(_, check)| check.local.values().copied()).collect()
    }

    #[test]
    fn ready_addresses_of_this_node_count_once() {
        let here = |address: &str| backend(address).on("win-1");
        assert_eq!(local_counts(vec![]), [0, 0]);
        assert_eq!(local_counts(vec![here("10.0.0.1"), here("10.0.0.2"), backend("10.0.0.3")]), [2, 0]);
        assert_eq!(local_counts(vec![here("10.0.0.1"), backend("10.0.0.2").on("win-2")]), [1, 0]);
        assert_eq!(local_counts(vec![here("10.0.0.1"), here("10.0.0.2").terminating()]), [1, 0]);
        let mut twice = cluster();
        twice.apply_slice(slice("ns/web-1", "ns/web").port(80).port(81).backend(here("10.0.0.1")).build());
        twice.apply_slice(slice("ns/web-2", "ns/web").port(82).backend(here("10.0.0.1")).build());
        assert_eq!(checks(&twice, &["web"]).get(&ServiceName::new("ns", "web")).unwrap().local[&Family::V4], 1);
    }

    #[test]
    fn a_deleted_service_has_no_health_check() {
        let mut cluster = cluster();
        let name = ServiceName::new("ns", "web");
        let mut checks = checks(&cluster, &["web", "plain"]);
        let ports: Vec<_> = checks.iter().map(|(service, check)| (service.to_string(), check.port)).collect();
        assert_eq!(ports, [("ns/web".to_owned(), 32000)]);
        let before = checks.clone();
        cluster.delete_service(&name);
        checks.update(&name, &cluster, "win-1");
        assert_eq!(checks, HealthChecks::default());
        assert!(before.get(&name).is_some());
    }

    #[test]
    fn services_with_one_port_and_with_a_port_of_the_process_conflict() {
        let mut cluster = Cluster::default();
        for (name, port) in [("a", 32000), ("b", 32000), ("c", 32001), ("d", 10256), ("e", 10249)] {
            let mut service = service(&format!("ns/{name}")).cluster_ip("10.96.0.1").port(80).build();
            service.health_check_node_port = Some(port);
            cluster.apply_service(service);
        }
        let checks = checks(&cluster, &["a", "b", "c", "d", "e"]);
        let conflicts = checks.conflicts(Some(10256), Some(10249));
        let name = |name: &str| ServiceName::new("ns", name);
        let conflict = |service: &str, port, other| ServiceCondition {
            service: name(service),
            condition: Condition::HealthCheckPortConflict { port, other },
        };
        assert_eq!(
            conflicts,
            [
                conflict("e", 10249, PortUser::Metrics),
                conflict("d", 10256, PortUser::Healthz),
                conflict("a", 32000, PortUser::Service(name("b"))),
                conflict("b", 32000, PortUser::Service(name("a"))),
            ]
        );
    }
}
