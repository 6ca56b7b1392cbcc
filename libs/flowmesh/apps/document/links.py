"""Links between applications: `[{source, target, link_type, event_pattern, target_action}]`."""

from collections.abc import Sequence

from flowmesh.apps.catalog import nearest_names
from flowmesh.apps.document.findings import Findings, SourcePath
from flowmesh.apps.document.model import LinkSpec
from flowmesh.contract.json_value import Json
from flowmesh.expressions.references import kind_of

LINKS_MAX = 200
TRIGGER, FORWARD = "event_trigger", "event_forward"
_NEEDED = ("source", "target", "event_pattern")
_KEYS = (*_NEEDED, "link_type", "target_action", "name", "description", "ui")
_SPELLINGS = {
    "linkType": "link_type",
    "eventPattern": "event_pattern",
    "targetAction": "target_action",
}


def read_links(raw: Json, at: SourcePath, findings: Findings) -> list[LinkSpec]:
    """Return the links of a file; problems become findings."""
    if raw is None:
        return []
    if not isinstance(raw, list):
        findings.error("APP_LINK_INVALID", f"links is a list, not {kind_of(raw)}", at)
        return []
    if len(raw) > LINKS_MAX:
        message = f"an application has at most {LINKS_MAX} links, not {len(raw)}"
        findings.error("APP_TOO_LARGE", message, at)
        return []
    read = [_link(each, at / index, findings) for index, each in enumerate(raw)]
    found = [each for each in read if each is not None]
    if cycle := cycle_of(found):
        names = " → ".join(cycle)
        message = f"events would pass through the links in a cycle: {names}"
        place = next(each.at for each in found if each.source == cycle[0])
        findings.error("APP_LINK_CYCLE", message, place)
    return found


def _link(raw: Json, at: SourcePath, findings: Findings) -> LinkSpec | None:
    if not isinstance(raw, dict):
        findings.error("APP_LINK_INVALID", f"a link is an object, not {kind_of(raw)}", at)
        return None
    given: dict[str, Json] = {}
    for key, value in raw.items():
        name = _SPELLINGS.get(str(key), str(key))
        if name not in _KEYS:
            message = f"a link has no key {key!r}{nearest_names(str(key), _KEYS)}"
            findings.warn("APP_KEY_UNKNOWN", message, at / key, at_key=True)
        given[name] = value
    wrong = [key for key in _NEEDED if not isinstance(given.get(key), str) or not given[key]]
    for key in wrong:
        findings.error("APP_LINK_INVALID", f"a link needs {key}, a text", at)
    kind = given.get("link_type", TRIGGER)
    if kind not in (TRIGGER, FORWARD):
        message = f"link_type is {TRIGGER} or {FORWARD}, not {str(kind)[:60]!r}"
        findings.error("APP_LINK_INVALID", message, at / "link_type")
        return None
    if wrong:
        return None
    action = str(given.get("target_action") or "")
    if kind == TRIGGER and not action:
        findings.error("APP_LINK_INVALID", f"a link of {TRIGGER} needs target_action", at)
    return LinkSpec(
        source=given["source"],
        target=given["target"],
        pattern=given["event_pattern"],
        action=action,
        forward=kind == FORWARD,
        at=at,
    )


def cycle_of(links: Sequence[LinkSpec]) -> list[str]:
    """Return the applications of a cycle, the first one again at the end; empty without one."""
    left: dict[str, set[str]] = {}
    for each in links:
        left.setdefault(each.source, set()).add(each.target)
        left.setdefault(each.target, set())
    while ends := [name for name, targets in left.items() if not targets & left.keys()]:
        for name in ends:
            del left[name]
    if not left:
        return []
    path = [next(iter(left))]
    while path.count(path[-1]) == 1:
        path.append(next(name for name in sorted(left[path[-1]]) if name in left))
    return path[path.index(path[-1]) :]
