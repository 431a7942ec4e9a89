//! Tests the web UI in Chromium, from the Debian packages `chromium` and `chromium-driver`.

mod browser;
mod page;

use std::time::Duration;

use hcn::Hresult;
use hcn_emulator::faults::{Effect, Fault, Which};
use hcn_emulator::testing;
use serde_json::{Value, json};
use test_api_server::Credentials;

use crate::support::cluster::{Cluster, service, slice};
use crate::support::hns::Hns;
use crate::support::http::get;
use crate::support::running::Running;
use crate::support::wait::wait_until;
use page::{Page, Scheme, VIEWS, WIDE, Window};

const BOUTIQUE: &str = "boutique-l2bridge";

/// The running program with the cluster and the HNS of a recording. HNS is in sync.
fn boutique() -> (Cluster, Hns, Running) {
    let (cluster, hns) = (Cluster::recorded(BOUTIQUE), Hns::of(BOUTIQUE));
    let running = start(&cluster, &hns);
    running.wait_until_in_sync();
    (cluster, hns, running)
}

fn start(cluster: &Cluster, hns: &Hns) -> Running {
    Running::start(&[&cluster.flag(&Credentials::None), &hns.flag(), "--enable-dsr"])
}

fn l2bridge() -> Hns {
    Hns::on(&testing::host("15.5", &["L2Bridge"]))
}

/// A cluster with many Services. Each one of `every` has a backend.
fn large_cluster(services: usize, every: usize) -> Cluster {
    let cluster = Cluster::empty();
    let objects = (0..services).flat_map(|number| {
        let (name, low) = (format!("s{number:05}"), number % 250 + 1);
        let slice = (number % every == 0).then(|| slice(&name, &format!("10.244.{}.{low}", number / 250 + 2)));
        std::iter::once(service(&name, &format!("10.96.{}.{low}", number / 250))).chain(slice).collect::<Vec<_>>()
    });
    cluster.server.load(Value::Array(objects.collect())).unwrap();
    cluster
}

#[test]
fn a_healthy_node_serves_and_a_row_opens_a_service() {
    let (_cluster, _hns, running) = boutique();
    let Some(page) = Page::open(running.metrics, WIDE) else { return };
    page.wait_for("#headline", "Serving: HNS is in sync with the cluster");
    page.keep_picture("healthy");

    page.show("services");
    let total = get(running.metrics, "/debug/services").unwrap().json()["total"].as_u64().unwrap();
    page.wait_for_number(".services tbody tr", |rows| rows == total);
    page.click("tr[data-key='default/frontend-external'] a");
    page.wait_for("#service", "default/frontend-external");
    page.wait_for_number(".frontend", |frontends| frontends == 3);
    let backends = ["10.244.1.13:8080 this node ready", "10.244.2.13:8080 win-2 ready"];
    let shown = page.texts(".frontend:first-of-type .backends li");
    assert!(backends.iter().all(|backend| shown.iter().any(|text| text.contains(backend))), "{shown:#?}");
    page.wait_for(".frontend:first-of-type .balancers", "as desired");
    page.keep_picture("service");

    page.show("history");
    let last = get(running.metrics, "/debug/history").unwrap().json()["last_sequence"].as_u64().unwrap();
    page.wait_for_number(".entries li", |entries| entries >= last);
    page.show("hns");
    page.wait_for_number(".hns tbody tr", |functions| functions > 0);
    let calls = get(running.metrics, "/debug/hns").unwrap().json();
    let functions: Vec<_> =
        calls["calls"].as_array().unwrap().iter().map(|call| call["function"].as_str().unwrap()).collect();
    assert_eq!(page.texts(".hns tbody th"), functions);
    page.keep_picture("hns");
    page.check_console();
}

#[test]
fn hns_unavailable_is_the_headline() {
    let (_cluster, hns, running) = boutique();
    let Some(page) = Page::open(running.metrics, WIDE) else { return };
    page.wait_for("#headline", "Serving");
    let unavailable = Effect::Fail(Hresult::RPC_S_SERVER_UNAVAILABLE);
    hns.emulator.inject(Fault::of_each(Which::Any, unavailable));
    page.wait_for("#headline", "HNS unavailable since ");
    page.wait_for("#detail", "cannot read HNS");
    page.wait_for("#announcement", "Problem: HNS unavailable");
    assert_eq!(page.texts(".tile.bad .label"), ["HNS"]);
    page.check("HNS unavailable");
    page.keep_picture("hns-unavailable");
    page.check_console();
}

#[test]
fn a_call_that_hangs_holds_up_no_view() {
    let (cluster, hns) = (large_cluster(3, 1), l2bridge());
    let kubeconfig = cluster.flag(&Credentials::None);
    let running = Running::start(&[&kubeconfig, &hns.flag(), "--hns-call-budget=1"]);
    running.wait_until_in_sync();
    let Some(page) = Page::open(running.metrics, WIDE) else { return };
    page.wait_for("#headline", "Serving");
    hns.emulator.hang_nth("HcnCreateLoadBalancer", 1);
    cluster.put_web("late", "10.96.200.1");
    page.wait_for("#headline", "Waiting for an HNS call that has not returned");
    page.wait_for("#detail", "HcnCreateLoadBalancer");
    page.show("services/ns/s00001");
    page.wait_for(".frontend", "in sync");
    page.show("services/ns/late");
    page.wait_for(".frontend", "10.96.200.1:80/TCP");
    page.wait_for(".steps", "create load balancer");
    page.wait_for("#link", "live");
    page.show("history");
    page.wait_for(".entries", "HNS call over its budget");
    hns.emulator.release();
    page.wait_for("#headline", "Serving");
    page.show("services/ns/late");
    page.wait_for(".frontend", "in sync");
    page.check_console();
}

#[test]
fn a_long_first_programming_has_progress_and_an_estimate() {
    let (cluster, hns) = (large_cluster(400, 1), l2bridge());
    hns.emulator.inject(Fault::of_each(Which::Writes, Effect::Delay(Duration::from_millis(100))));
    let running = start(&cluster, &hns);
    let Some(page) = Page::open(running.metrics, WIDE) else { return };
    page.wait_for("#headline", " of 400 programmed");
    page.show("pending");
    page.wait_for(".progress", "of 400 load balancers");
    page.wait_for(".progress", " left");
    // The page of the API lists the first 100.
    page.wait_for_number(".pending tbody tr", |rows| rows == 100);
    page.check("pending");
    page.keep_picture("pending");
    page.check_console();
}

#[test]
fn ten_thousand_services_are_shown_page_by_page_and_found() {
    let (cluster, hns) = (large_cluster(10_000, 1000), l2bridge());
    let running = start(&cluster, &hns);
    running.wait_until_in_sync();
    let Some(page) = Page::open(running.metrics, WIDE) else { return };
    page.show("services");
    page.wait_for(".range", "1 to 100 of 10 000 Services");
    assert_eq!(page.number(".services tbody tr"), 100);
    page.click("[data-action=forward]");
    page.wait_for(".range", "101 to 200 of 10 000 Services");
    assert_eq!(page.texts(".services tbody th").first().unwrap(), "ns/s00100");
    page.type_into("#search", "s0999");
    page.wait_for(".range", "1 to 10 of 10 Services");
    page.show("overview");
    page.show("services");
    assert_eq!(page.run("return document.querySelector('#search').value", &[]), "s0999");
    page.wait_for(".range", "1 to 10 of 10 Services");
    assert!(page.number("body *") < 1000, "{} elements", page.number("body *"));
    page.keep_picture("many-services");
    page.check_console();
}

#[test]
fn a_service_shows_its_backends_over_time() {
    let (cluster, hns) = (large_cluster(3, 1), l2bridge());
    let running = start(&cluster, &hns);
    running.wait_until_in_sync();
    let Some(page) = Page::open(running.metrics, WIDE) else { return };
    page.show("services/ns/s00001");
    page.wait_for(".backends", "10.244.2.2:8080");
    assert_eq!(page.number("[aria-label^='Backends over time']"), 0);
    cluster.server.put(slice("s00001", "10.244.7.7")).unwrap();
    page.wait_for_number("[aria-label^='Backends over time: 2 addresses']", |charts| charts == 1);
    let periods =
        page.run("return [...document.querySelectorAll('.detail svg .mark')].map((one) => one.dataset.tip)", &[]);
    let periods: Vec<String> = serde_json::from_value(periods).unwrap();
    let has = |texts: &[&str]| periods.iter().any(|period| texts.iter().all(|text| period.contains(text)));
    assert!(has(&["10.244.2.2\n", "then removed: no EndpointSlice has it"]), "{periods:#?}");
    assert!(has(&["10.244.7.7\n", " to now, "]), "{periods:#?}");
    page.check("a Service with its backends over time");
    page.check_console();
}

#[test]
fn the_backends_of_a_large_change_are_shown_as_far_as_they_are_known() {
    let (cluster, hns) = (large_cluster(2, 1), l2bridge());
    let running = start(&cluster, &hns);
    running.wait_until_in_sync();
    let Some(page) = Page::open(running.metrics, WIDE) else { return };
    page.show("services/ns/s00001");
    page.wait_for(".backends", "10.244.2.2:8080");
    // 70 backends come, and all but one go: the history names 64 of each.
    let mut all = slice("s00001", "10.244.7.1");
    all["endpoints"] = (1..=70).map(|last| json!({"addresses": [format!("10.244.7.{last}")]})).collect();
    cluster.server.put(all).unwrap();
    page.wait_for_number(".frontend .backends li", |backends| backends == 70);
    cluster.server.put(slice("s00001", "10.244.7.1")).unwrap();
    page.wait_for_number(".frontend .backends li", |backends| backends == 1);
    page.wait_for(".detail", "Some changes were too large to name each address.");
    let periods =
        || page.run("return [...document.querySelectorAll('.detail svg .mark')].map((one) => one.dataset.tip)", &[]);
    let until_now = |periods: &Value| -> Vec<String> {
        let of = periods.as_array().unwrap().iter().filter_map(Value::as_str).filter(|one| one.contains(" to now, "));
        of.map(|one| one.lines().next().unwrap_or_default().to_owned()).collect()
    };
    wait_until("one backend that is left", periods, |periods| until_now(periods) == ["10.244.7.1"]);
    page.check_console();
}

#[test]
fn an_error_of_the_script_is_shown_and_the_page_goes_on() {
    let (_cluster, _hns, running) = boutique();
    let Some(page) = Page::open(running.metrics, WIDE) else { return };
    page.wait_for("#headline", "Serving");
    let empty_state = "window.text = Response.prototype.text; \
        Response.prototype.text = async function () { return this.url.includes('statusz') ? '{}' : window.text.call(this); }";
    page.run(empty_state, &[]);
    page.wait_for("#notice", "This page has failed, and will retry: TypeError");
    page.run("Response.prototype.text = window.text", &[]);
    wait_until("the page to go on", || page.number("#notice:not([hidden])"), |notices| *notices == 0);
    page.wait_for("#headline", "Serving");
}

#[test]
fn drift_of_many_objects_is_counted_once() {
    let (cluster, hns) = (large_cluster(30, 1), l2bridge());
    let running = start(&cluster, &hns);
    running.wait_until_in_sync();
    let Some(page) = Page::open(running.metrics, WIDE) else { return };
    page.show("drift");
    hns.load_balancers().iter().take(25).for_each(|lost| hns.remove(lost));
    page.wait_for(".drift tbody tr", "Load balancer lost 0 25 25");
    page.wait_for("[data-key=Drift]", "25 found in the last hour");
    page.check_console();
}

#[test]
fn repaired_drift_is_counted_by_cause() {
    let (_cluster, hns, running) = boutique();
    let Some(page) = Page::open(running.metrics, WIDE) else { return };
    page.show("drift");
    page.wait_for(".drift .panel", "None found.");
    hns.remove(&hns.load_balancers()[0]);
    page.wait_for(".drift tbody tr", "Load balancer lost 0 1 1");
    page.wait_for(".drift .entries", "Drift repaired");
    page.check("drift");
    page.keep_picture("drift");
    page.check_console();
}

/// Checks each view in a window of a width, light and dark.
fn check_all_views(width: u32) {
    let (_cluster, _hns, running) = boutique();
    let Some(page) = Page::open(running.metrics, Window { width, ..WIDE }) else { return };
    for scheme in [Scheme::Light, Scheme::Dark] {
        page.resize(Window { width, scheme });
        for view in VIEWS.into_iter().chain(["services/default/frontend-external"]) {
            page.show(view);
            if view.contains('/') {
                page.wait_for_number(".frontend", |frontends| frontends > 0);
            }
            page.check(&format!("{view} at {width} pixels, {scheme:?}"));
            page.keep_picture(&format!("{}-{width}-{scheme:?}", view.replace('/', "-")).to_lowercase());
        }
    }
    page.check_console();
}

#[test]
fn each_view_is_accessible() {
    check_all_views(WIDE.width);
}

#[test]
fn each_view_is_accessible_in_a_narrow_window() {
    check_all_views(400);
}

#[test]
fn a_dark_browser_gets_a_dark_page() {
    let (_cluster, _hns, running) = boutique();
    let Some(page) = Page::open(running.metrics, Window { scheme: Scheme::Dark, ..WIDE }) else { return };
    page.wait_for("#headline", "Serving");
    let luminance =
        "return getComputedStyle(document.body).backgroundColor.match(/\\d+/g).reduce((sum, one) => sum + +one, 0)";
    let dark = page.run(luminance, &[]).as_u64().unwrap();
    page.resize(WIDE);
    let light = page.run(luminance, &[]).as_u64().unwrap();
    assert!(dark < 3 * 64 && light > 3 * 192, "{dark} {light}");
}

#[test]
fn a_service_opens_and_closes_by_keyboard() {
    let (_cluster, _hns, running) = boutique();
    let Some(page) = Page::open(running.metrics, WIDE) else { return };
    page.wait_for("#headline", "Serving");
    page.tab_until("return document.activeElement.textContent === 'Services'");
    page.press_enter();
    page.wait_for_number(".services tbody tr", |rows| rows > 0);
    page.tab_until("return document.activeElement.textContent === 'default/adservice'");
    page.press_enter();
    page.wait_for("#service:focus", "default/adservice");
    page.tab_until("return document.activeElement.textContent === 'Close'");
    page.press_enter();
    page.wait_for("tr a:focus", "default/adservice");
    assert_eq!(page.number("#service"), 0);
}

#[test]
fn the_end_and_the_restart_of_the_process_are_shown() {
    let (cluster, hns, running) = boutique();
    let Some(page) = Page::open(running.metrics, WIDE) else { return };
    page.wait_for("#headline", "Serving");
    let (health, metrics) = (running.health, running.metrics);
    running.kill();
    page.wait_for("#headline", "hnsproxy has not responded since ");
    page.wait_for("#detail", "All data is from ");
    page.keep_picture("no-answer");
    let _running =
        Running::start_at(health, metrics, &[&cluster.flag(&Credentials::None), &hns.flag(), "--enable-dsr"]);
    page.wait_for("#headline", "Serving");
    page.wait_for("#notice", "hnsproxy has restarted.");
    page.check_console();
}

#[test]
fn the_policy_refuses_other_scripts_styles_hosts_and_html() {
    let (_cluster, _hns, running) = boutique();
    let Some(page) = Page::open(running.metrics, WIDE) else { return };
    page.wait_for("#headline", "Serving");
    page.check_console();
    let attempts = "window.violations = []; \
        addEventListener('securitypolicyviolation', ({effectiveDirective}) => window.violations.push(effectiveDirective)); \
        const style = document.createElement('style'); style.textContent = 'body { color: red }'; document.head.append(style); \
        const image = new Image(); image.src = 'http://127.0.0.1:1/'; \
        fetch('http://127.0.0.1:1/').catch(() => {}); \
        try { document.body.innerHTML = '<b>'; } catch {} \
        try { eval('1'); } catch {}";
    page.run(attempts, &[]);
    let refused = ["connect-src", "img-src", "require-trusted-types-for", "style-src-elem"];
    let violations = || page.run("return [...new Set(window.violations)].sort()", &[]);
    wait_until("violations", violations, |all| {
        refused.iter().all(|directive| all.as_array().unwrap().contains(&json!(directive)))
    });
}
