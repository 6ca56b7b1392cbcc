"""The HTTPS server that the API servers ask before they store a resource."""

import asyncio
import time
from typing import Any

import orjson
import structlog
from aiohttp import web

from flowmesh.errors import FlowmeshError, Overloaded, Unavailable
from flowmesh.operator.certificates import Certificates
from flowmesh.operator.limits import REVIEW_BYTES_MAX, REVIEW_TIMEOUT_S, REVIEWS_AT_ONCE
from flowmesh.operator.metrics import OperatorMetrics
from flowmesh.operator.reviews import Reviewer
from flowmesh.operator.suite import REFUSED

PATH = "/review"


class Webhook:
    """Answers reviews; what it cannot answer, the API server refuses by its failure policy."""

    def __init__(
        self,
        *,
        reviewer: Reviewer,
        certificates: Certificates,
        host: str,
        port: int,
        metrics: OperatorMetrics,
    ) -> None:
        self._reviewer = reviewer
        self._certificates = certificates
        self._host = host
        self._port = port
        self._metrics = metrics
        self._open = asyncio.Semaphore(REVIEWS_AT_ONCE)
        self._log = structlog.get_logger("flowmesh.operator")
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        """Serve once there is a certificate."""
        await self._certificates.ready.wait()
        app = web.Application(client_max_size=REVIEW_BYTES_MAX)
        app.router.add_post(PATH, self._review)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        context = self._certificates.context
        await web.TCPSite(runner, self._host, self._port, ssl_context=context).start()
        self._runner = runner

    async def check(self) -> None:
        """Raise Unavailable until it serves."""
        if self._runner is None:
            raise Unavailable("SERVICE_UNAVAILABLE", "the webhook waits for its certificate")

    async def close(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def _review(self, request: web.Request) -> web.Response:
        began = time.perf_counter()
        try:
            review = orjson.loads(await request.read())
            asked = review["request"]
            async with asyncio.timeout(REVIEW_TIMEOUT_S), self._open:
                response = await self._reviewer.review(asked)
        except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError) as error:
            self._metrics.reviews.labels("malformed").inc()
            return web.json_response({"message": f"no AdmissionReview: {error!r}"}, status=400)
        except REFUSED as error:
            # The whole source is refused, as for its size or the name of its namespace.
            message = f"{error.message} [{error.reason}]"
            status = {"code": 422, "reason": "Invalid", "message": message}
            response = {"uid": asked["uid"], "allowed": False, "status": status}
        except (FlowmeshError, TimeoutError) as error:
            self._metrics.reviews.labels("unavailable").inc()
            self._log.warning("review_failed", problem=str(error)[:200])
            why = f": {error.message}" if isinstance(error, Overloaded) else ""
            text = f"Flowmesh cannot check the resource now{why}; apply it again later"
            return web.json_response({"message": text}, status=503, headers={"Retry-After": "1"})
        self._metrics.reviews.labels("allowed" if response["allowed"] else "refused").inc()
        self._metrics.review_seconds.observe(time.perf_counter() - began)
        answer: dict[str, Any] = {
            "apiVersion": "admission.k8s.io/v1",
            "kind": "AdmissionReview",
            "response": response,
        }
        return web.Response(body=orjson.dumps(answer), content_type="application/json")
