//! A browser that is used as people use it: with a pointer, keys, other sizes, colours and paper, over Chromium's DevTools protocol.

use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use tempfile::TempDir;

/// A page in a browser without a window.
pub struct Browser {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    session: Option<String>,
    calls: u64,
    /// What has happened meanwhile, in the order of its happening.
    pub events: Vec<Value>,
    _profile: TempDir,
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.call("Browser.close", json!({})).is_null(); // its processes end with it
        let _ = self.child.wait();
    }
}

impl Browser {
    pub fn start() -> Self {
        let profile = TempDir::new().unwrap();
        // The protocol's pipe is file descriptors 3 and 4 of the browser.
        let mut child = Command::new("bash")
            .args(["-c", "exec chromium \"$@\" 3<&0 4>&1 1>&2", "chromium", "--headless=new", "--no-sandbox"])
            .args(["--disable-gpu", "--remote-debugging-pipe"])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let (input, output) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        let mut new =
            Self { child, input, output, session: None, calls: 0, events: vec![], _profile: profile };
        let target = new.call("Target.createTarget", json!({ "url": "about:blank" }))["targetId"].clone();
        let session = new.call("Target.attachToTarget", json!({ "targetId": target, "flatten": true }));
        new.session = Some(session["sessionId"].as_str().unwrap().into());
        for domain in ["Page", "Runtime", "Log", "Network"] {
            new.call(&format!("{domain}.enable"), json!({}));
        }
        new
    }

    fn hear(&mut self) -> Value {
        let mut message = vec![];
        self.output.read_until(0, &mut message).unwrap();
        assert_eq!(message.pop(), Some(0), "the browser is gone");
        serde_json::from_slice(&message).unwrap()
    }

    /// What the browser answers to `method`.
    pub fn call(&mut self, method: &str, parameters: Value) -> Value {
        self.calls += 1;
        let mut message = json!({ "id": self.calls, "method": method, "params": parameters });
        if let Some(session) = self.session.as_ref().filter(|_| !method.starts_with("Browser.")) {
            message["sessionId"] = session.as_str().into();
        }
        write!(self.input, "{message}\0").unwrap();
        loop {
            let mut heard = self.hear();
            if heard["id"] == self.calls {
                assert!(heard["error"].is_null(), "{method}: {heard}");
                return heard["result"].take();
            }
            self.events.push(heard);
        }
    }

    /// The page in the file at `path`, loaded.
    pub fn open(&mut self, path: &Path) {
        self.events.clear();
        self.call("Page.navigate", json!({ "url": format!("file://{}", path.display()) }));
        while !self.events.iter().any(|event| event["method"] == "Page.loadEventFired") {
            let event = self.hear();
            self.events.push(event);
        }
    }

    /// The value of an expression in the page.
    pub fn value(&mut self, expression: &str) -> Value {
        let wanted = json!({ "expression": expression, "returnByValue": true, "awaitPromise": true });
        let mut answer = self.call("Runtime.evaluate", wanted);
        assert!(answer["exceptionDetails"].is_null(), "{expression}: {answer}");
        answer["result"]["value"].take()
    }

    pub fn text(&mut self, expression: &str) -> String {
        let value = self.value(expression);
        value.as_str().unwrap_or_else(|| panic!("{expression} is {value}")).into()
    }

    /// Width and height of the page's window, and whether its system is dark, and printing.
    pub fn look(&mut self, (width, height): (u32, u32), dark: bool, media: &str) {
        let size = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
        self.call("Emulation.setDeviceMetricsOverride", size);
        let scheme = json!({ "name": "prefers-color-scheme", "value": if dark { "dark" } else { "light" } });
        self.call("Emulation.setEmulatedMedia", json!({ "media": media, "features": [scheme] }));
    }

    fn mouse(&mut self, kind: &str, place: &Value) {
        let event = json!({ "type": kind, "x": place[0], "y": place[1], "button": "left", "clickCount": 1 });
        self.call("Input.dispatchMouseEvent", event);
    }

    /// The pointer at `place`, `[x, y]`.
    pub fn hover(&mut self, place: &Value) {
        self.mouse("mouseMoved", place);
    }

    /// A click at `place`.
    pub fn click_at(&mut self, place: &Value) {
        ["mouseMoved", "mousePressed", "mouseReleased"].iter().for_each(|kind| self.mouse(kind, place));
    }

    /// A key by its name, as in `ArrowDown`, with its code of old.
    pub fn press(&mut self, key: &str, code: u32) {
        for kind in ["rawKeyDown", "char", "keyUp"] {
            let text = match key {
                "Enter" => "\r",
                " " => " ",
                _ => "",
            };
            if kind == "char" && text.is_empty() {
                continue;
            }
            let event =
                json!({ "type": kind, "key": key, "code": key, "windowsVirtualKeyCode": code, "text": text });
            self.call("Input.dispatchKeyEvent", event);
        }
    }

    /// Letters at the place of the cursor.
    pub fn write(&mut self, text: &str) {
        self.call("Input.insertText", json!({ "text": text }));
    }

    /// Errors and warnings of the page, and what it has read from elsewhere than its own file.
    pub fn complaints(&self) -> Vec<String> {
        let is_one = |e: &&Value| match e["method"].as_str() {
            Some("Runtime.exceptionThrown" | "Runtime.consoleAPICalled" | "Log.entryAdded") => true,
            Some("Network.requestWillBeSent") => {
                let address = e["params"]["request"]["url"].as_str().unwrap_or_default();
                !address.starts_with("file://") && !address.starts_with("data:")
            }
            _ => false,
        };
        self.events.iter().filter(is_one).map(Value::to_string).collect()
    }
}
