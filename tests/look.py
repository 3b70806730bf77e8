"""Looks at report pages as a reader's browser shows them: `make look`, or by hand on any page.

Opens each page in a headless Chromium without a network, at the width of a desk and of a phone, in
light and in dark, and writes a picture of each. It complains of messages on the console, of any
request, of what is wider than the screen, and of links and folds that the keyboard does not reach.
"""

import argparse
import base64
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
WIDTHS = {"desk": 1280, "phone": 390}
MAX_BYTES = 5_000_000
# Where the focus goes from one press of Tab to the next; None behind the last place.
FOCUS = """(() => { const e = document.activeElement;
  if (!e || e === document.body) return null;
  return e.tagName + ' ' + (e.textContent || '').trim().slice(0, 60); })()"""
REACHABLE = """[...document.querySelectorAll('a[href], summary, [tabindex="0"]')]
  .filter(e => e.checkVisibility()).length"""
TOO_WIDE = "document.documentElement.scrollWidth > document.documentElement.clientWidth"
# All folds but the long list: what is folded away must fit too.
UNFOLD = "document.querySelectorAll('details:not(.all-sentences)').forEach(e => e.open = true)"
WIDE = """[...document.querySelectorAll('body *')].filter(e => !e.closest('.wide') &&
  e.getBoundingClientRect().right > document.documentElement.clientWidth + 1)
  .slice(0, 3).map(e => e.tagName + '.' + e.className)"""


class Browser:
    """A headless Chromium, spoken to through two pipes: no port, no library."""

    def __init__(self, process: subprocess.Popen[bytes], to: int, back: int) -> None:
        self._process = process
        self._to, self._back = to, back
        self._number = 0
        self._buffer = b""
        self.events: list[dict[str, Any]] = []
        target = self.call("Target.createTarget", {"url": "about:blank"})["targetId"]
        attached = self.call("Target.attachToTarget", {"targetId": target, "flatten": True})
        self._session = str(attached["sessionId"])

    def call(self, method: str, options: dict[str, Any] | None = None) -> dict[str, Any]:
        """Ask for something and return the answer; events that come in between are kept."""
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": options or {}}
        if hasattr(self, "_session"):
            message["sessionId"] = self._session
        os.write(self._to, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._read()
            if answer.get("id") == self._number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                return dict(answer["result"])
            self.events.append(answer)

    def wait_for(self, method: str) -> None:
        """Wait for an event that has not come yet."""
        while not any(event.get("method") == method for event in self.events):
            self.events.append(self._read())

    def value(self, expression: str) -> Any:
        """Return what an expression is worth in the page."""
        options = {"expression": expression, "returnByValue": True}
        return self.call("Runtime.evaluate", options)["result"].get("value")

    def _read(self) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            read = os.read(self._back, 1 << 20)
            if not read:
                raise RuntimeError("the browser has gone")
            self._buffer += read
        line, self._buffer = self._buffer.split(b"\0", 1)
        return dict(json.loads(line))


@contextmanager
def browser() -> Iterator[Browser]:
    """Start a Chromium and end it."""
    program = next(filter(None, map(shutil.which, NAMES)), None)
    if program is None:
        raise SystemExit(f"look: no browser is here, install one of {', '.join(NAMES)}")
    to_child, to = os.pipe()
    back, from_child = os.pipe()
    with tempfile.TemporaryDirectory() as profile:
        command = [program, "--headless=new", "--no-sandbox", "--disable-gpu"]
        command += ["--remote-debugging-pipe", f"--user-data-dir={profile}", "--no-first-run"]
        # Chromium reads from its file 3 and writes to its file 4
        script = f'exec 3<&{to_child} 4>&{from_child}; exec "$@"'
        process = subprocess.Popen(
            ["bash", "-c", script, "look", *command],
            pass_fds=(to_child, from_child),
            stderr=subprocess.DEVNULL,
        )
        os.close(to_child)
        os.close(from_child)
        try:
            yield Browser(process, to, back)
        finally:
            process.terminate()
            process.wait()


def look(shown: Browser, page: Path, pictures: Path) -> list[str]:
    """Open a page in every way, write the pictures, and return what is wrong."""
    size = page.stat().st_size
    complaints = [f"{size:,} bytes, at most {MAX_BYTES:,}"] if size > MAX_BYTES else []
    for domain in ("Page", "Runtime", "Log", "Network"):
        shown.call(f"{domain}.enable")
    offline = {"offline": True, "latency": 0, "downloadThroughput": 0, "uploadThroughput": 0}
    shown.call("Network.emulateNetworkConditions", offline)
    for place, width in WIDTHS.items():
        for scheme in ("light", "dark"):
            found = open_page(shown, page, width, scheme)
            picture = pictures / f"{page.parent.name}-{page.stem}-{place}-{scheme}.png"
            take_picture(shown, picture)
            complaints += [f"{place}, {scheme}: {complaint}" for complaint in found]
    return complaints + check_keyboard(shown)


def open_page(shown: Browser, page: Path, width: int, scheme: str) -> list[str]:
    """Open a page at one width in one scheme; return what it said and asked for."""
    shown.events.clear()
    metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
    shown.call("Emulation.setDeviceMetricsOverride", metrics)
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    shown.call("Emulation.setEmulatedMedia", {"features": features})
    address = page.resolve().as_uri()
    shown.call("Page.navigate", {"url": address})
    shown.wait_for("Page.loadEventFired")
    complaints = []
    for event in shown.events:
        details = event.get("params", {})
        match event.get("method"):
            case "Network.requestWillBeSent":
                asked = details["request"]["url"]
                if asked != address and not asked.startswith("data:"):
                    complaints.append(f"asks for {asked}")
            case "Log.entryAdded":
                complaints.append(f"console: {details['entry']['text']}")
            case "Runtime.consoleAPICalled" | "Runtime.exceptionThrown":
                complaints.append(f"console: {json.dumps(details)[:200]}")
    shown.value(UNFOLD)
    if shown.value(TOO_WIDE):
        complaints.append(f"wider than the screen: {shown.value(WIDE)}")
    return complaints


def take_picture(shown: Browser, path: Path) -> None:
    """Write what stands on the page, from top to bottom."""
    options = {"format": "png", "captureBeyondViewport": True}
    size = shown.call("Page.getLayoutMetrics")["cssContentSize"]
    height = min(size["height"], 12_000)
    clip = {"x": 0, "y": 0, "width": size["width"], "height": height, "scale": 1}
    picture = shown.call("Page.captureScreenshot", {**options, "clip": clip})["data"]
    path.write_bytes(base64.b64decode(picture))


def check_keyboard(shown: Browser) -> list[str]:
    """Press Tab until the focus leaves the page; every link and fold must have had it."""
    wanted = shown.value(REACHABLE)
    reached = 0
    while reached <= 2 * wanted:  # what scrolls is a place too
        for kind in ("rawKeyDown", "keyUp"):
            key = {"type": kind, "key": "Tab", "code": "Tab", "windowsVirtualKeyCode": 9}
            shown.call("Input.dispatchKeyEvent", key)
        if shown.value(FOCUS) is None:
            break
        reached += 1
    return (
        []
        if wanted <= reached <= 2 * wanted
        else [f"keyboard reaches {reached} of {wanted} places"]
    )


def main() -> int:
    """Look at the pages named, and say what is wrong with each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pages", nargs="+", type=Path, help="pages to look at")
    parser.add_argument("--pictures", type=Path, required=True, help="folder for the pictures")
    options = parser.parse_args()
    options.pictures.mkdir(parents=True, exist_ok=True)
    is_well = True
    with browser() as shown:
        for page in options.pages:
            complaints = look(shown, page, options.pictures)
            print(f"{page}: {'; '.join(complaints) or 'well'}")
            is_well = is_well and not complaints
    print(f"pictures in {options.pictures}")
    return 0 if is_well else 1


if __name__ == "__main__":
    sys.exit(main())
