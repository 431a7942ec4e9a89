//! The web UI in a browser: access to its content, and checks for each view.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::browser::Browser;
use crate::support::wait::wait_until;

const AXE: &str = include_str!("../../ui/axe.min.js");

pub(super) const VIEWS: [&str; 7] = ["overview", "services", "pending", "history", "hns", "networks", "drift"];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scheme {
    Light,
    Dark,
}

/// The properties of the browser window.
#[derive(Debug, Clone, Copy)]
pub(super) struct Window {
    pub(super) width: u32,
    pub(super) scheme: Scheme,
}

pub(super) const WIDE: Window = Window { width: 1400, scheme: Scheme::Light };

pub(super) struct Page {
    browser: Browser,
    address: String,
}

impl Page {
    /// Opens the web UI at the metrics address. `None` if no browser is installed.
    pub(super) fn open(metrics: SocketAddr, window: Window) -> Option<Self> {
        let page = Self { browser: Browser::start()?, address: format!("http://{metrics}/ui/") };
        page.resize(window);
        page.browser.post("/url", &json!({"url": page.address}));
        Some(page)
    }

    pub(super) fn resize(&self, Window { width, scheme }: Window) {
        let size = json!({"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": false});
        self.browser.devtools("Emulation.setDeviceMetricsOverride", &size);
        let value = if scheme == Scheme::Dark { "dark" } else { "light" };
        let media = json!({"features": [{"name": "prefers-color-scheme", "value": value}]});
        self.browser.devtools("Emulation.setEmulatedMedia", &media);
    }

    /// Shows a view, and waits until it is drawn.
    #[track_caller]
    pub(super) fn show(&self, view: &str) {
        self.browser.run("location.hash = arguments[0]", &[view]);
        let name = view.split('/').next().unwrap();
        self.wait_for_number(&format!(".view.{name} .panel"), |panels| panels > 0);
    }

    #[track_caller]
    pub(super) fn run(&self, script: &str, arguments: &[&str]) -> Value {
        self.browser.run(script, arguments)
    }

    /// Presses the Tab key until a predicate is true. The predicate is the body of a JavaScript function.
    #[track_caller]
    pub(super) fn tab_until(&self, predicate: &str) {
        const TAB: char = '\u{e004}';
        let is_reached = (0..200).any(|_| {
            self.browser.press(TAB);
            self.run(predicate, &[]) == true
        });
        assert!(is_reached, "the keyboard does not reach: {predicate}");
    }

    pub(super) fn press_enter(&self) {
        self.browser.press('\u{e007}');
    }

    #[track_caller]
    pub(super) fn click(&self, selector: &str) {
        self.run("document.querySelector(arguments[0]).click()", &[selector]);
    }

    /// The texts of all elements that a selector finds.
    #[track_caller]
    pub(super) fn texts(&self, selector: &str) -> Vec<String> {
        let script = "return [...document.querySelectorAll(arguments[0])].map((one) => one.innerText.replace(/\\s+/g, ' ').trim())";
        serde_json::from_value(self.run(script, &[selector])).unwrap()
    }

    #[track_caller]
    pub(super) fn number(&self, selector: &str) -> u64 {
        self.run("return document.querySelectorAll(arguments[0]).length", &[selector]).as_u64().unwrap()
    }

    #[track_caller]
    pub(super) fn wait_for_number(&self, selector: &str, accept: impl Fn(u64) -> bool) {
        wait_until(selector, || self.number(selector), |number| accept(*number));
    }

    /// Waits until the first element that matches a selector contains a text.
    #[track_caller]
    pub(super) fn wait_for(&self, selector: &str, text: &str) {
        let has = |texts: &Vec<String>| texts.first().is_some_and(|first| first.contains(text));
        wait_until(&format!("{selector} to have {text:?}"), || self.texts(selector), has);
    }

    /// Sets the value of a field, and sends the input event that typing would send.
    #[track_caller]
    pub(super) fn type_into(&self, selector: &str, text: &str) {
        let script = "const field = document.querySelector(arguments[0]); field.value = arguments[1]; \
                      field.dispatchEvent(new Event('input', {bubbles: true}))";
        self.run(script, &[selector, text]);
    }

    /// Fails if an axe rule is violated, or if the page is wider than the window.
    #[track_caller]
    pub(super) fn check(&self, what: &str) {
        if self.run("return typeof axe", &[]) == "undefined" {
            self.run(AXE, &[]);
        }
        let nodes = "one.nodes.map((node) => node.failureSummary + ' ' + node.html)";
        let run = format!("axe.run().then((result) => result.violations.map((one) => [one.id, {nodes}]))");
        assert_eq!(self.browser.run_async(&run), json!([]), "{what}");
        let overflow =
            self.run("return document.documentElement.scrollWidth - document.documentElement.clientWidth", &[]);
        assert_eq!(overflow, 0, "{what} is wider than the window");
    }

    /// Fails if the browser console has an error, such as a violation of the policy. Responses with an error code do not count.
    #[track_caller]
    pub(super) fn check_console(&self) {
        let entries = self.browser.post("/se/log", &json!({"type": "browser"}));
        let errors: Vec<_> = entries.as_array().unwrap().iter().filter(|entry| entry["source"] != "network").collect();
        assert_eq!(errors, Vec::<&Value>::new());
    }

    /// Saves a screenshot of the window in `target/ui`.
    #[track_caller]
    pub(super) fn keep_picture(&self, name: &str) {
        let picture = self.browser.devtools("Page.captureScreenshot", &json!({"format": "webp", "quality": 80}));
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap().join("ui");
        fs::create_dir_all(&folder).unwrap();
        let bytes = STANDARD.decode(picture["data"].as_str().unwrap()).unwrap();
        fs::write(folder.join(format!("{name}.webp")), bytes).unwrap();
    }
}
