"""The browser of a test: logs in at a provider, approves the login of the command, and answers it.

`python -m tests.features.logins.browser_program PROVIDER TWIST URL` is what `BROWSER` names.
A twist is a way in which the answer is wrong.
"""

import asyncio
import sys
from urllib.parse import parse_qs, urlencode, urlsplit

import aiohttp

from tests.features.security.openid_provider import Browser

ACCESS = "__Host-flowmesh-access"


async def main(provider: str, twist: str, page: str) -> None:
    """Bring the answer as the twist says: `none`, `never`, `state`, `host`, `twice`, `stolen`."""
    if twist == "never":
        return
    parts = urlsplit(page)
    query = {name: values[0] for name, values in parse_qs(parts.query).items()}
    browser = Browser(f"{parts.scheme}://{parts.netloc}")
    # The page after the login is that of the approval, as in the console.
    await browser.log_in(provider, f"{parts.path}?{parts.query}")
    headers = {"authorization": f"Bearer {browser.cookies[ACCESS]}"}
    body = {
        "clientId": query["client_id"],
        "redirectUri": query["redirect_uri"],
        "codeChallenge": query["code_challenge"],
    }
    async with aiohttp.ClientSession() as http:
        url = f"{browser.url}/api/v1/auth/loopback:approve"
        async with http.post(url, json=body, headers=headers) as response:
            code = (await response.json())["code"]
        right = {"code": code, "state": query["state"]}
        for wrong in _WRONG.get(twist, ()):
            status = await _answered(http, query["redirect_uri"], right | wrong)
            assert status == 400, status
        if twist == "host":
            assert await _answered(http, query["redirect_uri"], right, host="evil.example") == 400
        if twist == "stolen":
            used = body | {"code": code, "codeVerifier": "v" * 43}
            used.pop("codeChallenge")
            async with http.post(f"{browser.url}/api/v1/auth/loopback:complete", json=used) as lost:
                assert lost.status == 401
        await _answered(http, query["redirect_uri"], right)


_WRONG = {"state": ({"state": "another"}, {"state": ""}, {"code": ""})}


async def _answered(
    http: aiohttp.ClientSession, uri: str, answer: dict[str, str], host: str = ""
) -> int:
    headers = {"host": host} if host else {}
    async with http.get(f"{uri}?{urlencode(answer)}", headers=headers) as response:
        text = await response.text()
        assert ("You may close this window" in text) == (response.status == 200)
        return response.status


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
