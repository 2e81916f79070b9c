"""A headless Chromium, where one is installed, spoken to by its DevTools protocol."""

import asyncio
import json
import shutil
import subprocess
import time
import urllib.request
from pathlib import Path
from typing import Any

from tornado.websocket import websocket_connect

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
_FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--remote-debugging-port=0"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync", "about:blank"),
)
_PATIENCE = 120.0  # seconds for an answer, on a machine that does much else


def visited(page: Path, width: int, question: str, folder: Path) -> dict[str, Any]:
    """Opens a file in a window of ``width``; what an async function body answers there, the requests of the page, what
    it complained of, and the page printed as PDF in base 64.
    """
    profile = folder / f"profile-{width}"
    process = subprocess.Popen([str(BROWSER), f"--user-data-dir={profile}", *_FLAGS], stderr=subprocess.DEVNULL)
    try:
        port = profile / "DevToolsActivePort"
        deadline = time.monotonic() + _PATIENCE
        while not port.exists() or not port.read_text().strip():
            assert time.monotonic() < deadline, "Chromium does not start"
            time.sleep(0.05)
        return asyncio.run(_asked(int(port.read_text().split()[0]), page, width, question))
    finally:
        process.kill()
        process.wait()


async def _asked(port: int, page: Path, width: int, question: str) -> dict[str, Any]:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/json") as answer:
        (target,) = (each for each in json.load(answer) if each["type"] == "page")
    socket = await websocket_connect(target["webSocketDebuggerUrl"], max_message_size=2**28)
    events: list[dict[str, Any]] = []

    async def call(method: str, **parameters: Any) -> dict[str, Any]:
        await socket.write_message(json.dumps({"id": 1, "method": method, "params": parameters}))
        while "id" not in (message := json.loads(await asyncio.wait_for(socket.read_message(), _PATIENCE))):
            events.append(message)
        assert "error" not in message, message
        return message["result"]

    for domain in ("Page", "Runtime", "Network", "Log"):
        await call(f"{domain}.enable")
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
    await call("Emulation.setDeviceMetricsOverride", **size)
    await call("Page.navigate", url=page.as_uri())
    while (await _value(call, "document.readyState + location.protocol")) != "completefile:":
        await asyncio.sleep(0.05)
    answer = await _value(call, f"(async () => {{{question}}})()")
    printed = await call("Page.printToPDF", preferCSSPageSize=True)
    requests = [event["params"]["request"]["url"] for event in events if event["method"] == "Network.requestWillBeSent"]
    complaints = [
        event["params"] for event in events if event["method"] in ("Runtime.exceptionThrown", "Log.entryAdded")
    ]
    said = [event["params"] for event in events if event["method"] == "Runtime.consoleAPICalled"]
    return {"answer": answer, "requests": requests, "complaints": [*complaints, *said], "pdf": printed["data"]}


async def _value(call: Any, expression: str) -> Any:
    result = await call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
    assert "exceptionDetails" not in result, result
    return result["result"]["value"]
