//! Chromium, driven by WebDriver (<https://www.w3.org/TR/webdriver2/>): requests with JSON to the program `chromedriver`.
//! The tests need only six commands, and a crate for WebDriver would add more than 30 packages.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::program::free_addresses;
use crate::support::wait::{BOUND, wait_until};

/// Whether the programs are installed. In CI, they must be installed.
fn is_here() -> bool {
    let is_here = ["chromium", "chromedriver"].map(|program| Command::new(program).arg("--version").output().is_ok());
    if is_here == [true; 2] {
        return true;
    }
    assert!(
        std::env::var_os("CI").is_none(),
        "chromium and chromedriver not found: install the Debian packages chromium and chromium-driver"
    );
    eprintln!(
        "SKIPPED: chromium and chromedriver not found; the Debian packages chromium and chromium-driver have them"
    );
    false
}

/// A Chromium process with its own profile. Chromium and chromedriver are killed when this value is dropped.
pub(super) struct Browser {
    driver: Child,
    address: SocketAddr,
    /// The path of the session.
    session: String,
    /// The id of Chromium's process.
    process: Option<u64>,
    _profile: TempDir,
}

impl Browser {
    /// None if the programs are not installed.
    pub(super) fn start() -> Option<Self> {
        if !is_here() {
            return None;
        }
        let profile = tempfile::tempdir().unwrap();
        let [address] = free_addresses();
        let mut command = Command::new("chromedriver");
        command.arg(format!("--port={}", address.port())).env("TZ", "UTC").stdin(Stdio::null()).stdout(Stdio::null());
        let driver = command.stderr(Stdio::null()).spawn().unwrap();
        let arguments = [
            "--headless=new",
            "--no-sandbox",
            // Containers have a small /dev/shm.
            "--disable-dev-shm-usage",
            "--disable-gpu",
            "--lang=en",
            &format!("--user-data-dir={}", profile.path().display()),
        ];
        let capabilities = json!({"capabilities": {"alwaysMatch": {
            "browserName": "chrome",
            "goog:loggingPrefs": {"browser": "ALL"},
            "goog:chromeOptions": {"binary": "/usr/bin/chromium", "args": arguments},
        }}});
        let mut browser = Self { driver, address, session: "/session".to_owned(), process: None, _profile: profile };
        let status = || exchange(address, "GET", "/status", "").map(|status| status["ready"].clone());
        wait_until("chromedriver to be ready", status, |ready| *ready == Some(Value::Bool(true)));
        let session = browser.post("", &capabilities);
        browser.process = session["capabilities"]["goog:processID"].as_u64();
        browser.session = format!("/session/{}", session["sessionId"].as_str().unwrap());
        Some(browser)
    }

    /// Sends a command of the session, and returns the value of the answer.
    #[track_caller]
    pub(super) fn post(&self, command: &str, body: &Value) -> Value {
        let path = format!("{}{command}", self.session);
        let value = exchange(self.address, "POST", &path, &body.to_string());
        let value = value.unwrap_or_else(|| panic!("no answer to {command}"));
        assert!(value["error"].is_null(), "{command}: {}", value["message"]);
        value
    }

    /// Sends a command of the DevTools protocol.
    #[track_caller]
    pub(super) fn devtools(&self, command: &str, parameters: &Value) -> Value {
        self.post("/goog/cdp/execute", &json!({"cmd": command, "params": parameters}))
    }

    /// Runs the body of a JavaScript function with arguments, and returns its result.
    #[track_caller]
    pub(super) fn run(&self, script: &str, arguments: &[&str]) -> Value {
        self.post("/execute/sync", &json!({"script": script, "args": arguments}))
    }

    /// Evaluates an expression, and returns the result of its promise.
    #[track_caller]
    pub(super) fn run_async(&self, promise: &str) -> Value {
        let script = format!("const done = arguments[0]; {promise}.then(done, (error) => done(String(error)))");
        self.post("/execute/async", &json!({"script": script, "args": []}))
    }

    /// Presses keys of the keyboard, one after the other.
    #[track_caller]
    pub(super) fn press(&self, key: char) {
        let actions = json!([{"type": "keyDown", "value": key}, {"type": "keyUp", "value": key}]);
        self.post("/actions", &json!({"actions": [{"type": "key", "id": "keyboard", "actions": actions}]}));
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let is_closed = exchange(self.address, "DELETE", &self.session, "").is_some_and(|answer| answer.is_null());
        if let Some(process) = self.process.filter(|_| !is_closed) {
            // The process may have ended already.
            let _ = Command::new("kill").args(["-KILL", &process.to_string()]).status();
        }
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

/// Sends a request, and returns the value of the response; `None` without a response. chromedriver supports only HTTP/1.1, and keeps the
/// connection open.
fn exchange(address: SocketAddr, method: &str, path: &str, body: &str) -> Option<Value> {
    let mut stream = TcpStream::connect_timeout(&address, BOUND).ok()?;
    stream.set_read_timeout(Some(BOUND)).ok()?;
    let length = body.len();
    write!(stream, "{method} {path} HTTP/1.1\r\nHost: {address}\r\nContent-Length: {length}\r\n\r\n{body}").ok()?;
    let mut reader = BufReader::new(stream);
    let mut length = 0;
    for line in reader.by_ref().lines() {
        let line = line.ok()?.to_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(serde_json::from_slice::<Value>(&body).ok()?["value"].clone())
}
