//! The document of `/debug/services` as a table.

use serde::Deserialize;

use super::{Layout, columns, counted};

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct ServicesView {
    services: Vec<Service>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
struct Service {
    service: String,
    state: String,
    frontends: usize,
    load_balancers: usize,
    backends: usize,
    pending: usize,
    failed: usize,
    conditions: Vec<String>,
}

pub fn services(view: &ServicesView, layout: Layout) -> String {
    let count = counted(view.services.len(), "Service");
    if view.services.is_empty() {
        return count + "\n";
    }
    let is_wide = layout == Layout::Wide;
    let header = ["SERVICE", "STATE", "FRONTENDS", "BACKENDS", "CONDITIONS"];
    let wide = ["LOAD BALANCERS", "PENDING", "FAILED"];
    let header = header.into_iter().chain(wide.into_iter().filter(|_| is_wide));
    let rows = view.services.iter().map(|service| {
        let conditions = if service.conditions.is_empty() { "none".to_owned() } else { service.conditions.join(",") };
        let numbers = [service.frontends, service.backends].map(|number| number.to_string());
        let wide = [service.load_balancers, service.pending, service.failed].map(|number| number.to_string());
        let row = [service.service.clone(), service.state.clone()].into_iter().chain(numbers).chain([conditions]);
        row.chain(wide.into_iter().filter(|_| is_wide)).collect::<Vec<_>>()
    });
    format!("{}\n{count}\n", columns(layout, 2, header, rows))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn text(layout: Layout) -> String {
        let service = |name: &str, state: &str, conditions: &[&str]| {
            json!({"service": name, "state": state, "frontends": 3, "load_balancers": 2, "backends": 4, "pending": 1,
                "failed": 0, "conditions": conditions})
        };
        let all = [service("shop/web", "pending", &["PortInUse"]), service("shop/db", "in_sync", &[])];
        services(&ServicesView::deserialize(json!({"total": 2, "services": all})).unwrap(), layout)
    }

    #[test]
    fn a_row_shows_a_service() {
        let expected = "\
SERVICE   STATE    FRONTENDS  BACKENDS  CONDITIONS
shop/web  pending  3          4         PortInUse
shop/db   in_sync  3          4         none
2 Services
";
        assert_eq!(text(Layout::Narrow { width: None }), expected);
        let wide = text(Layout::Wide);
        assert!(
            wide.starts_with("SERVICE   STATE    FRONTENDS  BACKENDS  CONDITIONS  LOAD BALANCERS  PENDING  FAILED\n")
        );
    }

    #[test]
    fn without_services_there_is_no_table() {
        let none = ServicesView { services: Vec::new() };
        assert_eq!(services(&none, Layout::Wide), "0 Services\n");
    }
}
