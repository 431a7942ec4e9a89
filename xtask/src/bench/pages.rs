//! Measures the response times of pages of a large cluster: without changes, during changes with other clients, and while HNS hangs.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::Table;
use crate::cluster;
use crate::http::get;
use crate::rig::{Rig, median_and_p99};

const SERVICES: u32 = 10_000;
const BACKENDS: u32 = 5;
/// The number of requests for each page in each state.
const REQUESTS: usize = 300;
/// The number of other clients that request pages at the same time.
const CLIENTS: usize = 2;
/// The pause of each of these clients between two requests. Real clients, such as the web UI, scrapers and commands, pause for seconds.
const CLIENT_PAUSE: Duration = Duration::from_millis(20);
/// The pause between two changes of the cluster.
const CHANGE_PAUSE: Duration = Duration::from_millis(20);

const PATHS: [&str; 11] = [
    "/readyz",
    "/statusz?format=json",
    "/configz",
    "/metrics",
    "/debug/services?limit=1000",
    "/debug/services?q=service-09999",
    "/debug/services/bench/service-00000",
    "/debug/pending",
    "/debug/hns",
    "/debug/networks",
    "/debug/history?limit=4096",
];

pub(super) fn run() -> Result<Table> {
    let mut rig = Rig::new("15.5", cluster::objects(SERVICES, BACKENDS), &[])?;
    rig.start()?;
    rig.settle()?;
    let mut rows = ask(rig.metrics_address()?, "idle")?;
    let done = AtomicBool::new(false);
    let loaded = thread::scope(|scope| {
        let address = rig.metrics_address()?;
        let (done, api) = (&done, &rig.api);
        scope.spawn(move || {
            for change in (0..).take_while(|_| !done.load(Ordering::Relaxed)) {
                let service = (change / 2 * 37) % SERVICES;
                // The measurement fails if the API server has ended.
                let _ = api.put(cluster::slice(service, if change % 2 == 0 { BACKENDS + 1 } else { BACKENDS }));
                thread::sleep(CHANGE_PAUSE);
            }
        });
        for client in 0..CLIENTS {
            scope.spawn(move || {
                for path in PATHS.iter().cycle().skip(client * 3).take_while(|_| !done.load(Ordering::Relaxed)) {
                    get(address, path);
                    thread::sleep(CLIENT_PAUSE);
                }
            });
        }
        let rows = ask(address, "changes, clients");
        done.store(true, Ordering::Relaxed);
        rows
    });
    rows.extend(loaded?);
    rig.settle()?;
    rig.emulator().hang_nth("HcnCreateEndpoint", 1);
    rig.api.put(cluster::slice(0, BACKENDS + 2))?;
    rig.until("a call to hang", || rig.emulator().hung_calls() == 1)?;
    rows.extend(ask(rig.metrics_address()?, "HNS hangs")?);
    rig.emulator().release();
    let title = "Pages of 10 000 Services with 5 backends each: time of a request";
    Ok(Table { title, columns: &["median ms", "99 % ms", "worst ms", "kB"], rows })
}

/// Requests each page, and measures the response times.
fn ask(address: SocketAddr, state: &str) -> Result<Vec<(String, Vec<f64>)>> {
    let row = |path: &&str| {
        let (mut times, mut size) = (Vec::new(), 0);
        for _ in 0..REQUESTS {
            let begun = Instant::now();
            let page = get(address, path).with_context(|| format!("no response to {path}"))?;
            times.push(begun.elapsed().as_secs_f64() * 1000.0);
            // `/readyz` has code 503 while changes are pending.
            ensure!(matches!(page.code, 200 | 503), "code {} of {path}", page.code);
            size = page.body.len();
        }
        let worst = times.iter().copied().fold(0.0, f64::max);
        let [median, p99] = median_and_p99(times);
        #[allow(clippy::cast_precision_loss, reason = "the size of a page")]
        let size = size as f64 / 1000.0;
        Ok((format!("{path}, {state}"), vec![median, p99, worst, size]))
    };
    PATHS.iter().map(row).collect()
}
