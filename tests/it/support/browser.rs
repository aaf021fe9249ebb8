//! Chromium without a window, driven over WebDriver (W3C) by ChromeDriver.

use std::path::Path;

use base64::Engine;
use serde_json::{Value, json};

use super::process::{Process, find};
use super::{keeper, ports, wait};

/// One browser with one window. What it asked of the network and what it complained about is kept.
pub struct Browser {
    session: String,
    agent: ureq::Agent,
    _driver: Process,
}

impl Browser {
    /// Starts a browser that knows nothing yet.
    #[track_caller]
    pub fn start() -> Self {
        let (folder, port) = (keeper::folder("browser"), ports::free());
        let chromium = find("chromium", "chromium");
        let settings = ureq::Agent::config_builder().http_status_as_error(false).timeout_global(Some(wait::SOON * 2));
        let agent = ureq::Agent::new_with_config(settings.build());
        let argument = format!("--port={port}");
        let mut driver = Process::start("chromedriver", "chromium-driver", &[&argument], &folder.join("driver.log"));
        let base = format!("http://127.0.0.1:{port}");
        driver.ready(|| agent.get(format!("{base}/status")).call().is_ok());
        let profile = format!("--user-data-dir={}", folder.join("profile").display());
        let mut arguments: Vec<&str> = ARGUMENTS.to_vec();
        arguments.push(&profile);
        let wanted = json!({ "capabilities": { "alwaysMatch": {
            "browserName": "chrome",
            "goog:loggingPrefs": { "browser": "ALL", "performance": "ALL" },
            "goog:chromeOptions": { "binary": chromium, "args": arguments },
        }}});
        let mut browser = Self { session: format!("{base}/session"), agent, _driver: driver };
        let begun = browser.post("", &wanted);
        // It is in a process group of its own, which must not outlive the tests.
        if let Some(id) = begun["capabilities"]["goog:processID"].as_u64() {
            keeper::watch(u32::try_from(id).expect("the number of a process"));
        }
        browser.session = format!("{}/{}", browser.session, begun["sessionId"].as_str().expect("a session"));
        browser
    }

    /// Loads a page.
    #[track_caller]
    pub fn go(&self, url: &str) {
        self.post("/url", &json!({ "url": url }));
    }

    /// Clicks on the first element that a CSS selector finds.
    #[track_caller]
    pub fn click(&self, selector: &str) {
        self.post(&format!("/element/{}/click", self.element(selector)), &json!({}));
    }

    /// Types into it.
    #[track_caller]
    pub fn write(&self, selector: &str, text: &str) {
        self.post(&format!("/element/{}/value", self.element(selector)), &json!({ "text": text }));
    }

    /// What a script that is run in the page returns.
    #[track_caller]
    pub fn run(&self, script: &str) -> Value {
        self.post("/execute/sync", &json!({ "script": script, "args": [] }))
    }

    /// The text that a reader of the page sees.
    #[track_caller]
    pub fn text(&self) -> String {
        self.run("return document.body.innerText").as_str().expect("text").to_owned()
    }

    /// Waits until the page shows these words.
    #[track_caller]
    pub fn shows(&self, words: &str) {
        self.becomes(&format!("the page to show {words:?}"), || self.text().contains(words));
    }

    /// Waits until the page shows these words no more.
    #[track_caller]
    pub fn shows_no(&self, words: &str) {
        self.becomes(&format!("the page to show no {words:?}"), || !self.text().contains(words));
    }

    /// Waits until something is so; fails the test with what the page shows.
    #[track_caller]
    pub fn becomes(&self, what: &str, is_so: impl FnMut() -> bool) {
        let waited =
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| wait::until_true(what, wait::SOON, is_so)));
        assert!(waited.is_ok(), "waited for {what}; it shows:\n{}", self.text());
    }

    /// How wide the window is, and whether it is dark outside.
    #[track_caller]
    pub fn looks(&self, width: u32, height: u32, dark: bool) {
        let metrics = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
        self.command("Emulation.setDeviceMetricsOverride", &metrics);
        let scheme = if dark { "dark" } else { "light" };
        let features = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
        self.command("Emulation.setEmulatedMedia", &features);
    }

    /// A picture of the window.
    #[track_caller]
    pub fn picture(&self, file: &Path) {
        let picture = self.get("/screenshot");
        let picture = base64::engine::general_purpose::STANDARD.decode(picture.as_str().expect("base64")).unwrap();
        std::fs::write(file, picture).unwrap();
    }

    /// What an open dialogue says, if a page has opened one.
    pub fn dialogue(&self) -> Option<Value> {
        let answer = self.agent.get(format!("{}/alert/text", self.session)).call().expect("the driver answers");
        (answer.status() == 200).then(|| read(answer))
    }

    /// What the console said since it was asked last.
    #[track_caller]
    pub fn complaints(&self) -> Vec<String> {
        self.log("browser").iter().map(|entry| entry["message"].as_str().unwrap_or_default().to_owned()).collect()
    }

    /// All URLs that were asked for since it was asked last, but for its own inner pages.
    #[track_caller]
    pub fn requests(&self) -> Vec<String> {
        let url = |entry: &Value| {
            let message: Value = serde_json::from_str(entry["message"].as_str()?).ok()?;
            let message = &message["message"];
            (message["method"] == "Network.requestWillBeSent")
                .then(|| message["params"]["request"]["url"].as_str().map(ToOwned::to_owned))?
        };
        let is_its_own = |url: &String| url.starts_with("chrome:") || url.starts_with("data:");
        self.log("performance").iter().filter_map(url).filter(|url| !is_its_own(url)).collect()
    }

    #[track_caller]
    fn log(&self, kind: &str) -> Vec<Value> {
        self.post("/se/log", &json!({ "type": kind })).as_array().expect("a list").clone()
    }

    #[track_caller]
    fn command(&self, command: &str, parameters: &Value) {
        self.post("/goog/cdp/execute", &json!({ "cmd": command, "params": parameters }));
    }

    #[track_caller]
    fn element(&self, selector: &str) -> String {
        let found = self.post("/element", &json!({ "using": "css selector", "value": selector }));
        let id = found.as_object().and_then(|found| found.values().next()).and_then(Value::as_str);
        id.unwrap_or_else(|| panic!("no {selector} on the page, which shows:\n{}", self.text())).to_owned()
    }

    #[track_caller]
    fn get(&self, path: &str) -> Value {
        read(self.agent.get(format!("{}{path}", self.session)).call().expect("the driver answers"))
    }

    #[track_caller]
    fn post(&self, path: &str, body: &Value) -> Value {
        let url = format!("{}{path}", self.session);
        read(self.agent.post(url).send_json(body).expect("the driver answers"))
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.agent.delete(&self.session).call();
    }
}

#[track_caller]
fn read(mut answer: ureq::http::Response<ureq::Body>) -> Value {
    let status = answer.status();
    let mut body: Value = answer.body_mut().with_config().limit(64 << 20).read_json().expect("JSON");
    assert_eq!(status, 200, "{body}");
    body["value"].take()
}

/// Root has no sandbox; and a browser left to itself asks its maker for news.
const ARGUMENTS: [&str; 9] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
];
