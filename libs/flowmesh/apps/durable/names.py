"""Names of durable runs in a suite: queue, workflows and task types, and digests of pipelines."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import asdict

import orjson

from flowmesh.apps.document.model import PipelineSpec, StepSpec
from flowmesh.contract.json_value import Json

_FOREIGN = re.compile(r"[^a-z0-9]+")
_APP_CHARACTERS_MAX, _NAME_CHARACTERS_MAX = 40, 48
_DIGEST_CHARACTERS = 12
REQUEST_DIGEST_CHARACTERS = 32


def slug(text: str, characters_max: int = _NAME_CHARACTERS_MAX) -> str:
    """Return a text as a part of an id; one that is cut or changed ends in its digest."""
    plain = _FOREIGN.sub("-", text.lower()).strip("-")
    if plain == text and len(plain) <= characters_max:
        return plain
    tail = hashlib.blake2b(text.encode(), digest_size=3).hexdigest()
    return f"{plain[: characters_max - 7].strip('-')}-{tail}".strip("-")


def queue_of(app: str) -> str:
    """Return the queue of the worker of an application."""
    return f"app.{slug(app, _APP_CHARACTERS_MAX)}"


def workflow_of(app: str, name: str) -> str:
    """Return the workflow whose executions are the durable runs of a pipeline."""
    return f"{queue_of(app)}.{slug(name)}"


def task_type_of(workflow: str, digest: str) -> str:
    """Return the task type of one form of a pipeline; only processes that have it take its runs."""
    return f"{workflow}.{digest}"


def digest_of(value: Json, characters: int = _DIGEST_CHARACTERS) -> str:
    """Return the digest of a JSON value."""
    text = orjson.dumps(value, option=orjson.OPT_SORT_KEYS, default=str)
    return hashlib.sha256(text).hexdigest()[:characters]


def caller_of(claims: Mapping[str, Json] | None) -> str:
    """Return a digest of the authenticated caller of a request; empty without one."""
    known = claims or {}
    subject = known.get("sub") or known.get("id") or known.get("email")
    return digest_of(subject, REQUEST_DIGEST_CHARACTERS) if subject else ""


def pipeline_digest(spec: PipelineSpec, others: Mapping[str, PipelineSpec]) -> str:
    """Return the digest of a pipeline with those that it runs."""
    seen: dict[str, Json] = {}
    waiting = [spec]
    while waiting:
        each = waiting.pop()
        if each.name in seen:
            continue
        seen[each.name] = _content(each)
        steps = (*each.steps, *each.compensation)
        names = [str(s.config.get("name")) for s in steps if s.type == "step.pipeline"]
        waiting += [others[name] for name in names if name in others]
    return digest_of(seen)


def _content(spec: PipelineSpec) -> Json:
    return {
        "steps": [_step(each) for each in spec.steps],
        "compensation": [_step(each) for each in spec.compensation],
        "rules": [spec.on_error, spec.timeout_s, spec.transaction, spec.strict, spec.output],
    }


def _step(spec: StepSpec) -> Json:
    return {key: value for key, value in asdict(spec).items() if key != "at"}
