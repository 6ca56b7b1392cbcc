"""Cache keys of attempts: an attempt with an equal key can reuse an earlier result.

Attempts of the same task with the same input (or the same key, if the definition has one) are
equal within a namespace or within a workflow.
"""

import hashlib

import orjson

from flowmesh.api.definition.v1.plan_pb2 import CACHE_SCOPE_NAMESPACE, TaskSpec
from flowmesh.executors.base import Attempt
from flowmesh.executors.http.answers import NowUs
from flowmesh.executors.templates import Rendered


class MemoRule:
    """Computes the cache key of an attempt; holds the lifetime of its result."""

    def __init__(self, spec: TaskSpec, now_us: NowUs) -> None:
        rule = spec.cache
        self.ttl_ms = rule.ttl_ms
        self._everywhere = rule.scope == CACHE_SCOPE_NAMESPACE
        self._digest = spec.digest
        template = orjson.loads(rule.key_template) if rule.key_template else None
        self._key = None if template is None else Rendered(template, spec.dialect, now_us)

    def key(self, attempt: Attempt) -> str:
        """Return the key. Raises TaskFailure if its template cannot be rendered."""
        task = attempt.task
        named = attempt.value if self._key is None else self._key.over(attempt)
        parts = [
            task.namespace,
            "" if self._everywhere else task.workflow_id,
            self._digest,
            named,
        ]
        return hashlib.sha256(orjson.dumps(parts, option=orjson.OPT_SORT_KEYS)).hexdigest()
