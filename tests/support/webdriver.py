"""A headless Chromium, told what to do by the W3C's WebDriver protocol over plain HTTP."""

import base64
import json
import shutil
import subprocess
import urllib.error
import urllib.request
from contextlib import contextmanager

from support.eventually import eventually
from support.optional import unwrap

CHROMIUM = shutil.which("chromium")
CHROMEDRIVER = shutil.which("chromedriver")
MISSING = "there is no chromium with its chromedriver (Debian: apt-get install chromium chromium-driver)"
ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
KEYS = {
    "Tab": "\ue004",
    "Enter": "\ue007",
    "Escape": "\ue00c",
    "Down": "\ue015",
    "Up": "\ue013",
    "Control": "\ue009",
    "End": "\ue010",
}
SECONDS = 60
"""Until something has to be on a page; on a loaded machine all takes long."""


CHANGED = {"stale element reference", "element click intercepted", "element not interactable"}
"""Errors of the driver where the page was rendered anew between finding an element and using it."""

NOTE_MESSAGES = """const messages = document.getElementById('messages');
    window.messages_seen = [];
    new MutationObserver(() => messages_seen.push(messages.textContent)).observe(messages, { childList: true });"""
FIND_MESSAGE = """const at = messages_seen.findIndex((each) => each.includes(arguments[0]));
    return at >= 0 && messages_seen.splice(0, at + 1).length > 0;"""


class WebDriverError(Exception):
    """What the driver answered instead of a value, with the W3C's name of the error."""

    def __init__(self, kind, message):
        super().__init__(message)
        self.kind = kind


class Browser:
    """A browser with one window.

    Args:
        driver_url: of the driver.
        profile: an empty directory for the browser's files.
    """

    def __init__(self, driver_url, profile):
        arguments = [
            "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-quic",
            "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync",
            "--hide-scrollbars", "--force-device-scale-factor=1", "--lang=en", f"--user-data-dir={profile}",
        ]  # fmt: skip
        options = {"args": arguments, "binary": CHROMIUM}
        wanted = {
            "goog:chromeOptions": options,
            "goog:loggingPrefs": {"browser": "ALL"},
            "unhandledPromptBehavior": "ignore",
        }
        self.url = driver_url
        opened = self.call("POST", "/session", {"capabilities": {"alwaysMatch": wanted}})
        self.url += f"/session/{opened['sessionId']}"

    def call(self, method, path, body=None):
        data = None if body is None and method != "POST" else json.dumps(body or {}).encode()
        request = urllib.request.Request(self.url + path, data, {"Content-Type": "application/json"}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=SECONDS) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            value = json.load(error)["value"]
            raise WebDriverError(value["error"], value["message"]) from None

    def open(self, url):
        self.call("POST", "/url", {"url": url})

    @property
    def address(self):
        return self.call("GET", "/url")

    def run(self, script, *args):
        """The value that a script returns."""
        return self.call("POST", "/execute/sync", {"script": script, "args": list(args)})

    def devtools(self, command, **params):
        return self.call("POST", "/goog/cdp/execute", {"cmd": command, "params": params})

    def find(self, selector, text=None):
        """The first element that can be seen, waited for; with a text in it, if one is given."""
        script = """const [selector, text] = arguments;
            return [...document.querySelectorAll(selector)].find(each =>
                each.checkVisibility() && (text === null || each.textContent.includes(text)));"""
        return self.wait(lambda: self.run(script, selector, text), f"{selector} with {text!r}")

    def wait(self, condition, what):
        """What a condition gives as soon as it is true."""
        return eventually(condition, lambda: f"{what}\n{self.run('return document.body.innerText')}\n{self.log()}")

    def see(self, text):
        """Wait for a text on the page."""
        self.wait(lambda: text in self.run("return document.body.innerText"), text)

    def note_messages(self):
        """Have the page note its messages, which it shows for some seconds only."""
        self.run(NOTE_MESSAGES)

    def see_message(self, text):
        """Wait for a message that came after the one that was waited for last, shown still or not any more."""
        self.wait(lambda: self.run(FIND_MESSAGE, text), text)

    def click(self, selector, text=None):
        self._use(selector, text, lambda element: self.call("POST", f"/element/{element}/click"))

    def type(self, selector, text):
        """Put a text in place of what is in a field."""

        def fill(element):
            self.call("POST", f"/element/{element}/clear")
            self.call("POST", f"/element/{element}/value", {"text": text})

        self._use(selector, None, fill)

    def _use(self, selector, text, use):
        """Do something with an element, or with the one that took its place when the page was rendered anew."""

        def is_done():
            try:
                use(self.find(selector, text)[ELEMENT])
            except WebDriverError as error:
                if error.kind not in CHANGED:
                    raise
                return False
            return True

        self.wait(is_done, f"{selector} with {text!r}, to be used")

    def press(self, *names, held=()):
        """Press keys on what has the focus."""
        keys = [KEYS.get(name, name) for name in names]
        actions = [{"type": kind, "value": key} for key in keys for kind in ("keyDown", "keyUp")]
        down = [{"type": "keyDown", "value": KEYS[name]} for name in held]
        up = [{"type": "keyUp", "value": KEYS[name]} for name in held]
        source = {"type": "key", "id": "keyboard", "actions": [*down, *actions, *up]}
        self.call("POST", "/actions", {"actions": [source]})

    def value(self, selector):
        """What is in the first field that can be seen, waited for; found and read at once, as pages render anew."""
        script = """const field = [...document.querySelectorAll(arguments[0])].find(each => each.checkVisibility());
            return field ? [field.value] : null;"""
        return self.wait(lambda: self.run(script, selector), selector)[0]

    def texts(self, selector):
        return self.run("return [...document.querySelectorAll(arguments[0])].map(each => each.textContent)", selector)

    def resize(self, width, height):
        self.devtools(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False
        )

    def prefer(self, scheme):
        """Have the system be dark or light."""
        self.devtools("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    def screenshot(self, path):
        path.write_bytes(base64.b64decode(self.call("GET", "/screenshot")))

    def log(self):
        """What the console of the page says since it was asked last, without what the server refused."""
        entries = self.call("POST", "/se/log", {"type": "browser"})
        return [entry["message"] for entry in entries if entry["source"] != "network"]

    def close(self):
        self.call("DELETE", "")


@contextmanager
def open_browser(directory):
    """A browser with a profile of its own, for the length of a block."""
    driver = subprocess.Popen(
        [unwrap(CHROMEDRIVER), "--port=0"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    try:
        line = next(line for line in unwrap(driver.stdout) if "started successfully on port" in line)
        port = int(line.rpartition("port ")[2].strip(" .\n"))
        browser = Browser(f"http://127.0.0.1:{port}", directory / "profile")
        try:
            yield browser
        finally:
            browser.close()
    finally:
        driver.terminate()
        driver.wait(SECONDS)
        unwrap(driver.stdout).close()
