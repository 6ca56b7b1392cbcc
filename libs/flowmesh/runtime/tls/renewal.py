"""The loop that keeps the certificates of a process fresh."""

from collections.abc import Callable, Mapping

import structlog

from flowmesh.certificates import CertificateError, Watched, renew_own
from flowmesh.runtime.loop import Loop
from flowmesh.telemetry import Metrics


class CertificateLoop(Loop):
    """Renews certificates whose authority is here, and reads those that others have written."""

    interval_ms = 2_000

    def __init__(
        self, *, watched: Mapping[str, Watched], changed: Callable[[], None], metrics: Metrics
    ) -> None:
        self._watched = watched
        self._changed = changed
        self._log = structlog.get_logger("flowmesh.tls")
        self._expiry = metrics.gauge(
            "flowmesh_certificate_expiry_timestamp_seconds",
            "Time at which a certificate of the process expires.",
            ("certificate",),
        )
        for name in watched:
            self._note(name)

    async def run_once(self) -> int:
        """Return the number of certificates that are new; raise CertificateError."""
        problem: CertificateError | None = None
        found = 0
        for name, watched in self._watched.items():
            try:
                found += self._refreshed(name, watched)
            except CertificateError as error:
                problem = error
        if found:
            self._changed()
        if problem is not None:
            raise problem
        return found

    def _refreshed(self, name: str, watched: Watched) -> bool:
        if watched.now.is_due():
            renew_own(watched.files)
        if not watched.refresh():
            return False
        self._note(name)
        expires = watched.now.expires.isoformat()
        self._log.info("certificate_loaded", certificate=name, expires=expires)
        return True

    def _note(self, name: str) -> None:
        self._expiry.labels(name).set(self._watched[name].now.expires.timestamp())
