//! Chromium without a window, through the DevTools protocol over a pipe: JSON, with a NUL after each message.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver};

use base64::Engine as _;
use serde_json::{Value, json};

use crate::support::PATIENCE;

const NAMES: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];

/// A browser with one page. Killed when it is dropped.
pub struct Browser {
    child: Child,
    input: ChildStdin,
    messages: Receiver<Value>,
    session: Value,
    calls: u64,
    /// The events since the last navigation.
    events: Vec<Value>,
}

/// What a page did.
#[derive(Debug)]
pub struct Seen {
    /// The width that its content needs, in CSS pixels.
    pub width: u64,
    /// The rows of its table.
    pub rows: u64,
    /// The addresses that it requested, besides its own.
    pub requests: Vec<String>,
    /// The messages on the console, and exceptions.
    pub messages: Vec<String>,
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Browser {
    /// Starts a browser with a profile in `folder`; none where it is not installed.
    pub fn start(folder: &Path) -> Option<Self> {
        let is_there = |name: &&&str| Command::new(**name).arg("--version").output().is_ok();
        let name = NAMES.iter().find(is_there)?;
        // The browser reads descriptor 3 and writes 4.
        let mut child = Command::new("sh")
            .args(["-c", "exec \"$0\" \"$@\" 3<&0 4>&1 0</dev/null 1>/dev/null", name])
            .args([
                "--headless=new",
                "--disable-gpu",
                "--no-sandbox",
                "--remote-debugging-pipe",
                "--no-first-run",
            ])
            .args([
                "--disable-background-networking",
                "--disable-component-update",
                "--disable-dev-shm-usage",
            ])
            .arg(format!("--user-data-dir={}", folder.join("profile").display()))
            .env("HOME", folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        let (input, output) = (child.stdin.take()?, child.stdout.take()?);
        let (sender, messages) = mpsc::channel();
        std::thread::spawn(move || {
            for message in BufReader::new(output).split(0).map_while(Result::ok) {
                let Ok(message) = serde_json::from_slice(&message) else { break };
                if sender.send(message).is_err() {
                    break;
                }
            }
        });
        let mut browser = Self { child, input, messages, session: Value::Null, calls: 0, events: Vec::new() };
        let target = browser.call("Target.createTarget", json!({ "url": "about:blank" }));
        let attach = json!({ "targetId": target["targetId"], "flatten": true });
        browser.session = browser.call("Target.attachToTarget", attach)["sessionId"].clone();
        for domain in ["Page", "Network", "Log", "Runtime"] {
            browser.call(&format!("{domain}.enable"), json!({}));
        }
        Some(browser)
    }

    /// Shows a file in a viewport of this width. Writes a picture beside the file if `WARMD_PICTURES` names a folder.
    pub fn show(&mut self, page: &Path, width: u64, is_dark: bool) -> Seen {
        let size = json!({ "width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500 });
        self.call("Emulation.setDeviceMetricsOverride", size);
        let scheme = if is_dark { "dark" } else { "light" };
        let feature = json!({ "name": "prefers-color-scheme", "value": scheme });
        self.call("Emulation.setEmulatedMedia", json!({ "features": [feature] }));
        self.events.clear();
        let address = format!("file://{}", page.display());
        self.call("Page.navigate", json!({ "url": address }));
        while !self.events.iter().any(|event| event["method"] == "Page.loadEventFired") {
            let event = self.receive();
            self.events.push(event);
        }
        let number = |browser: &mut Self, expression: &str| {
            let result = browser.call("Runtime.evaluate", json!({ "expression": expression }));
            result["result"]["value"].as_u64().unwrap_or_else(|| panic!("{expression}: {result}"))
        };
        let inner = number(self, "innerWidth");
        assert_eq!(inner.min(width), width, "the viewport is narrower");
        let width_needed = number(self, "document.documentElement.scrollWidth");
        let rows = number(self, "document.querySelectorAll('tbody tr').length");
        if let Ok(folder) = std::env::var("WARMD_PICTURES") {
            let picture = self.call("Page.captureScreenshot", json!({ "captureBeyondViewport": true }));
            let bytes = base64::prelude::BASE64_STANDARD.decode(picture["data"].as_str().unwrap()).unwrap();
            let name = page.file_stem().unwrap().to_string_lossy();
            std::fs::write(format!("{folder}/{name}-{width}-{scheme}.png"), bytes).unwrap();
        }
        let of = |method: &str| {
            let events = self.events.iter().filter(move |event| event["method"] == method);
            events.map(|event| &event["params"]).collect::<Vec<_>>()
        };
        let requests = of("Network.requestWillBeSent").into_iter();
        let requests =
            requests.map(|params| params["request"]["url"].as_str().unwrap_or_default().to_owned());
        let messages = ["Log.entryAdded", "Runtime.consoleAPICalled", "Runtime.exceptionThrown"];
        Seen {
            width: width_needed,
            rows,
            requests: requests.filter(|url| *url != address && !url.starts_with("data:")).collect(),
            messages: messages.iter().flat_map(|method| of(method)).map(ToString::to_string).collect(),
        }
    }

    fn receive(&self) -> Value {
        self.messages.recv_timeout(PATIENCE).expect("the browser does not answer")
    }

    /// Calls a method, and returns its result. Events meanwhile are kept.
    fn call(&mut self, method: &str, params: Value) -> Value {
        self.calls += 1;
        let mut call = json!({ "id": self.calls, "method": method, "params": params });
        if !self.session.is_null() {
            call["sessionId"] = self.session.clone();
        }
        self.input.write_all(format!("{call}\0").as_bytes()).unwrap();
        loop {
            let message = self.receive();
            if message["id"] == self.calls {
                assert!(message["error"].is_null(), "{method}: {message}");
                return message["result"].clone();
            }
            self.events.push(message);
        }
    }
}
