"""The entry of the TypeScript SDK for browsers, in a headless Chromium."""

import asyncio
import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from flowmesh.testing.suite import Suite
from sdks.conformance.languages import LANGUAGES, ROOT, run

PACKAGE = ROOT / "sdks/typescript"
WITHIN_S = 60.0
PAGE = """<!doctype html><script type="module">
import { WebClient, reasonOf } from "/web.js";
const client = new WebClient({ url: "%s" });
const told = {};
try {
  await client.request("POST", "/api/v1/workflows", { body: `
apiVersion: workflow.io/v1
kind: Workflow
metadata: {name: from-a-page}
spec:
  tasks: [{id: paid, wait: {event: paid}}]
  output: "{{tasks.paid.output.amount}}"` });
  const handle = await client.start("from-a-page");
  await handle.signal("paid", { amount: 12 });
  told.output = await handle.result({ timeoutMs: 20000 });
  told.all = [];
  for await (const { sequence } of handle.events()) told.all.push(sequence);
  told.resumed = [];
  for await (const { sequence } of handle.events({ after: 2 })) told.resumed.push(sequence);
  told.reason = await client.start("none").catch(reasonOf);
} catch (error) {
  told.error = String(error);
}
await fetch("/done", { method: "POST", body: JSON.stringify(told) });
</script>"""


@pytest.mark.long
@pytest.mark.timeout(180)
async def test_the_entry_for_browsers_runs_in_chromium(tmp_path: Path) -> None:
    """A page of another origin starts, signals, waits and resumes; nothing of Node is needed."""
    chromium = shutil.which("chromium")
    if chromium is None or shutil.which("npm") is None:
        assert os.environ.get("CI") != "true", "CI needs chromium (apt-get) and npm"
        pytest.skip("no chromium or npm")
    run(LANGUAGES["typescript"], "build")
    done: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    pages: dict[str, str] = {}

    async def page(_request: web.Request) -> web.Response:
        return web.Response(text=pages["html"], content_type="text/html")

    async def script(_request: web.Request) -> web.FileResponse:
        return web.FileResponse(PACKAGE / "build/web.js")

    async def finished(request: web.Request) -> web.Response:
        done.set_result(json.loads(await request.text()))
        return web.Response()

    site = web.Application()
    site.add_routes([web.get("/", page), web.get("/web.js", script), web.post("/done", finished)])
    runner = web.AppRunner(site)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    origin = f"http://127.0.0.1:{runner.addresses[0][1]}"
    settings = {"FLOWMESH_AUTH": "open", "FLOWMESH_CORS_ORIGINS": origin}
    async with Suite(tmp_path / "data", environment=settings) as suite:
        pages["html"] = PAGE % suite.http_url
        options = ("--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path}/b")
        browser = await asyncio.create_subprocess_exec(
            *(chromium, *options, "--remote-debugging-port=0", origin),
            stderr=asyncio.subprocess.DEVNULL,
        )
        try:
            told = await asyncio.wait_for(done, WITHIN_S)
        finally:
            browser.terminate()
            await browser.wait()
    await runner.cleanup()
    assert "error" not in told, told
    assert told["output"] == 12
    assert told["all"] == list(range(1, len(told["all"]) + 1))
    assert told["resumed"] == told["all"][2:]
    assert told["reason"] == "WORKFLOW_NOT_FOUND"
