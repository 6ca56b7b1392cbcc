"""Compatibility of two schemas: whether the second allows every value of the first.

Both are expanded to shapes of one type each. The upstream is compatible if each of its shapes is
inside a shape of the downstream, in all members and items. A recursive pair of schemas is assumed
compatible when it recurs, which is sound for finite values. It is incompatible by the rules of
`Kind`. The effort is limited; too large schemas have an unknown result.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import orjson

from flowmesh.contract.json_value import Json
from flowmesh.schemas.documents import Document, Path
from flowmesh.schemas.expansion import Expansion
from flowmesh.schemas.relation import How, relation
from flowmesh.schemas.shapes import (
    ANYTHING,
    NOTHING,
    Arrays,
    Either,
    Every,
    Leaf,
    Objects,
    Part,
    Rule,
    Shape,
    constant,
    every,
    held_by,
)
from flowmesh.schemas.verdicts import Finding, Kind, Outcome, Verdict
from flowmesh.schemas.words import types_of, words_of

OTHERS = "*"
"""Stands in a path for members that neither schema names."""
STEPS_MAX = 5_000
"""The limit of compared pairs of parts and shapes for one verdict."""
ALL_STEPS_MAX = 100_000
"""The limit for all verdicts together, beyond the first FREE_STEPS of each."""
FREE_STEPS = 64
DEPTH_MAX = 40
FINDINGS_MAX = 50
ITEMS_MAX = 64
MEMBERS_MAX = 1_000
_OUTCOMES = {
    How.INSIDE: Outcome.COMPATIBLE,
    How.OPEN: Outcome.UNKNOWN,
    How.BROKEN: Outcome.INCOMPATIBLE,
    How.APART: Outcome.INCOMPATIBLE,
}


@dataclass(frozen=True, slots=True)
class Result:
    how: How
    findings: tuple[Finding, ...] = ()


_INSIDE = Result(How.INSIDE)


def _all_of(results: Iterable[Result]) -> Result:
    """Combine the results of all parts of a value; a conflict takes precedence."""
    how, findings = How.INSIDE, list[Finding]()
    for result in results:
        how = max(how, result.how)
        findings += result.findings
    findings.sort(key=lambda finding: not finding.conflict)
    return Result(how, tuple(findings[:FINDINGS_MAX]))


def _milder(result: Result) -> Result:
    """Return the result for an optional part."""
    return Result(How.BROKEN, result.findings) if result.how is How.APART else result


def _moved(result: Result, path: Path) -> Result:
    """Return the result below a path."""
    if not path or not result.findings:
        return result
    findings = (replace(each, path=(*path, *each.path)) for each in result.findings)
    return Result(result.how, tuple(findings))


class Comparison:
    """Compares parts and caches their shapes; one instance serves a whole workflow."""

    def __init__(self) -> None:
        self.expansion = Expansion(self._disjoint)
        self._steps = 0
        self._steps_left = ALL_STEPS_MAX
        self._open: set[tuple[object, object]] = set()
        # The number of pairs assumed compatible or skipped.
        self._assumed = 0
        self._results: dict[tuple[object, object], tuple[Part, Part, Result]] = {}

    def verdict(self, up: Part, down: Part) -> Verdict:
        self._steps = 0
        result = _INSIDE if _same(up, down) else self._parts(up, down, ())
        return Verdict(_OUTCOMES[result.how], result.findings)

    def _step(self) -> bool:
        """Count a step. Return whether it is within the limits."""
        self._steps += 1
        if self._steps <= FREE_STEPS:
            return True
        self._steps_left -= 1
        return self._steps <= STEPS_MAX and self._steps_left >= 0

    def _disjoint(self, one: Part, other: Part) -> bool:
        return self._parts(one, other, ()).how is How.APART

    def _parts(self, up: Part, down: Part, path: Path) -> Result:
        """Compare a pair; cache the result unless it depends on an assumption."""
        pair = (_identity(up), _identity(down))
        if pair[0] == pair[1]:
            return _INSIDE
        if pair in self._results:
            return _moved(self._results[pair][2], path)
        if pair in self._open:
            self._assumed += 1
            return _INSIDE
        if not self._step() or len(self._open) >= DEPTH_MAX:
            self._assumed += 1
            text = "the schemas are too large to compare"
            return Result(How.OPEN, (Finding(Kind.UNFOLLOWED, path, "", "", text),))
        assumed = self._assumed
        self._open.add(pair)
        ups, downs = self.expansion.shapes(up), self.expansion.shapes(down)
        result = self._shapes(ups, downs, ())
        self._open.discard(pair)
        lasting = isinstance(up, Leaf) and isinstance(down, Leaf)
        if lasting and (assumed == self._assumed or result.how is not How.INSIDE):
            # Keeps the parts alive, so that their ids stay unique.
            self._results[pair] = (up, down, result)
        return _moved(result, path)

    def _shapes(self, ups: tuple[Shape, ...], downs: tuple[Shape, ...], path: Path) -> Result:
        """Compare alternatives with alternatives, by type."""
        groups: list[tuple[list[Shape], Result]] = []
        for type_ in dict.fromkeys(shape.type for shape in ups):
            some = [shape for shape in ups if shape.type == type_]
            takers = [shape for shape in downs if shape.type == type_]
            groups.append((some, self._group(some, takers, path)))
        results = [result for _, result in groups]
        if all(result.how is How.INSIDE for result in results):
            return _INSIDE
        if any(result.how is How.BROKEN for result in results):
            findings = [f for r in results if r.how is How.BROKEN for f in r.findings]
            return Result(How.BROKEN, tuple(findings))
        if all(result.how is How.APART for result in results):
            findings = [finding for result in results for finding in result.findings]
            return Result(How.APART, tuple(findings) or (_no_fit(ups, downs, path),))
        findings = []
        for some, result in groups:
            if result.how is How.APART and not result.findings:
                kind = Kind.RANGE if all(shape.said for shape in some) else Kind.UNDECLARED
                text = f"may be {words_of(some)}"
                findings.append(Finding(kind, path, words_of(ups), words_of(downs), text))
            # A conflict in one of several alternatives is a doubt about the whole.
            findings += [_doubted(finding) for finding in result.findings]
        return Result(How.OPEN, tuple(findings))

    def _group(self, ups: list[Shape], downs: list[Shape], path: Path) -> Result:
        """Compare shapes of one type. Nested conflicts are reported for a single pair only."""
        results = [self._one(up, downs, path) for up in ups]
        if len(results) == 1:
            return results[0]
        if all(result.how is How.INSIDE for result in results):
            return _INSIDE
        if all(result.how is How.APART for result in results):
            return Result(How.APART)
        findings: list[Finding] = []
        for up, result in zip(ups, results, strict=True):
            if result.how is not How.INSIDE and not result.findings:
                text = f"may be {words_of([up])}"
                findings.append(_doubt(up, downs, path, text))
            findings += [_doubted(finding) for finding in result.findings]
        return Result(How.OPEN, tuple(findings[:FINDINGS_MAX]))

    def _one(self, up: Shape, downs: list[Shape], path: Path) -> Result:
        results = [self._pair(up, down, path) for down in downs]
        if len(results) == 1:
            return results[0]
        if any(result.how is How.INSIDE for result in results):
            return _INSIDE
        near = [result for result in results if result.how is not How.APART]
        if not near:
            return Result(How.APART)
        if len(near) == 1:
            return near[0]
        if up.values is not None and _each_inside(up, downs):
            return _INSIDE
        text = "fits none of the alternatives for certain"
        return Result(How.OPEN, (_doubt(up, downs, path, text),))

    def _pair(self, up: Shape, down: Shape, path: Path) -> Result:
        if not self._step():
            self._assumed += 1
            text = "the schemas are too large to compare"
            return Result(How.OPEN, (Finding(Kind.UNFOLLOWED, path, "", "", text),))
        how, text = relation(up, down)
        if how is How.APART:
            return Result(How.APART)
        results = [Result(how, (_doubt(up, [down], path, text),))] if text else []
        match up.facts, down.facts:
            case Arrays(), Arrays():
                results += self._arrays(up, down, up.facts, down.facts, path)
            case Objects(), Objects():
                results += self._objects(up, down, up.facts, down.facts, path)
        result = _all_of(results)
        if down.opaque and result.how is How.INSIDE:
            text = f"{down.opaque} is not followed"
            finding = Finding(Kind.UNFOLLOWED, path, words_of([up]), words_of([down]), text)
            return Result(How.OPEN, (finding,))
        return result

    # --- arrays ---

    def _arrays(
        self, up: Shape, down: Shape, have: Arrays, take: Arrays, path: Path
    ) -> list[Result]:
        most, room = self._most(have), self._most(take)
        if (room is not None and have.least > room) or (most is not None and most < take.least):
            return [Result(How.APART, (_no_fit((up,), (down,), path),))]
        texts = []
        if have.least < take.least:
            texts.append(f"may have less than {take.least} items")
        if room is not None and (most is None or most > room):
            texts.append(f"may have more than {room} items")
        if take.unique and not have.unique and (most is None or most > 1):
            texts.append("may hold an item twice")
        if not set(take.contains) <= set(have.contains):
            texts.append("may not hold the items that contains asks for")
        results = [Result(How.OPEN, (_doubt(up, [down], path, text),)) for text in texts]
        told = max(have.told, take.told) + 1
        if told > ITEMS_MAX:
            results.append(Result(How.OPEN, (_doubt(up, [down], path, "is a very long tuple"),)))
        for index in range(min(told, ITEMS_MAX)):
            if (most is not None and index >= most) or (room is not None and index >= room):
                break
            result = self._parts(have.item(index), take.item(index), (*path, index))
            results.append(result if index < have.least else _milder(result))
        return results

    def _most(self, facts: Arrays) -> int | None:
        """Return the maximum number of items; an item that allows no value ends the list."""
        for index in range(min(facts.told + 1, ITEMS_MAX)):
            if facts.most is not None and index >= facts.most:
                break
            if not self.expansion.shapes(facts.item(index)):
                return index
        return facts.most

    # --- objects ---

    def _objects(
        self, up: Shape, down: Shape, have: Objects, take: Objects, path: Path
    ) -> list[Result]:
        missing = sorted(take.required - have.required)
        results = [self._required(up, down, name, path) for name in missing]
        told = list(have.told | take.told)
        results += [self._member(have, take, name, path) for name in told[:MEMBERS_MAX]]
        results += self._others(up, down, path)
        texts = ["has very many members"] if len(told) > MEMBERS_MAX else []
        if max(have.least, len(have.required)) < take.least:
            texts.append(f"may have less than {take.least} members")
        most = self._members_most(have)
        if take.most is not None and (most is None or most > take.most):
            texts.append(f"may have more than {take.most} members")
        known = {identity for identity, _ in have.names}
        names = [part for identity, part in take.names if identity not in known]
        if names and not self._names_fit(have, names):
            texts.append("may have members of other names")
        for one, two in sorted(take.dependent - have.dependent):
            if two not in have.required and self.expansion.shapes(have.member(one)):
                texts.append(f"may have {one!r} without {two!r}")
        return results + [Result(How.OPEN, (_doubt(up, [down], path, text),)) for text in texts]

    def _required(self, up: Shape, down: Shape, name: str, path: Path) -> Result:
        have = up.facts
        assert isinstance(have, Objects)
        given, needed, text = words_of([up]), words_of([down]), f"has no field {name!r}"
        if not self.expansion.shapes(have.member(name)):
            return Result(How.APART, (Finding(Kind.MISSING, path, given, needed, text, name),))
        if have.leaves_out(name):
            return Result(How.BROKEN, (Finding(Kind.UNLISTED, path, given, needed, text, name),))
        kind = Kind.OPTIONAL if have.rules else Kind.UNDECLARED
        finding = Finding(kind, path, given, needed, f"may have no field {name!r}", name)
        return Result(How.OPEN, (finding,))

    def _member(self, have: Objects, take: Objects, name: str, path: Path) -> Result:
        """Compare a member that at least one of the two names."""
        given, below = have.member(name), (*path, name)
        shapes = self.expansion.shapes(given)
        if not shapes:
            return _INSIDE
        needed = take.member(name)
        if self.expansion.shapes(needed):
            result = self._parts(given, needed, below)
        elif name not in have.told and not any(shape.said for shape in shapes):
            finding = Finding(Kind.UNDECLARED, below, types_of(shapes), "nothing", "is not taken")
            result = Result(How.OPEN, (finding,))
        else:
            finding = Finding(Kind.EXTRA, below, types_of(shapes), "nothing", "is not taken")
            result = Result(How.APART, (finding,))
        return result if name in have.required else _milder(result)

    def _others(self, up: Shape, down: Shape, path: Path) -> list[Result]:
        """Compare the members that neither schema names."""
        have, take = up.facts, down.facts
        assert isinstance(have, Objects)
        assert isinstance(take, Objects)
        patterns = {pattern for rule in have.rules for pattern in rule.patterns}
        rests = [rule.rest for rule in have.rules if rule.rest is not None]
        sources = [(p, part) for rule in have.rules for p, part in rule.patterns.items()]
        sources = [("", every(rests)), *sources]
        results = []
        for source, given in sources:
            if not self.expansion.shapes(given):
                continue
            said = any(shape.said for shape in self.expansion.shapes(given))
            sinks = [
                (part, bool(rule.patterns or patterns))
                for rule in take.rules
                for pattern, part in [*rule.patterns.items(), ("", rule.rest)]
                if part is not None and _may_reach(source, pattern, rule, patterns)
            ]
            for needed, unsure in sinks:
                result = self._parts(given, needed, (*path, OTHERS))
                if result.how > How.OPEN and said and not unsure:
                    result = _milder(result)
                elif result.how is not How.INSIDE:
                    text = "may have other fields, which may not fit"
                    kind = Kind.RANGE if said else Kind.UNDECLARED
                    finding = Finding(kind, path, words_of([up]), words_of([down]), text)
                    result = Result(How.OPEN, (finding,))
                results.append(result)
        return results

    def _members_most(self, facts: Objects) -> int | None:
        """Return the maximum number of members if a rule lists them all."""
        counts = [] if facts.most is None else [facts.most]
        counts += [len(rule.properties) for rule in facts.rules if self._lists_all(rule)]
        return min(counts, default=None)

    def _lists_all(self, rule: Rule) -> bool:
        rest = rule.rest
        return not rule.patterns and rest is not None and not self.expansion.shapes(rest)

    def _names_fit(self, have: Objects, needed: list[Part]) -> bool:
        lists = [rule.properties for rule in have.rules if self._lists_all(rule)]
        return bool(lists) and all(
            self._parts(constant(name), part, ()).how is How.INSIDE
            for name in lists[0]
            for part in needed
        )


def _may_reach(source: str, sink: str, rule: Rule, patterns: set[str]) -> bool:
    """Return whether a name matching `source` can match the pattern `sink` of a rule.

    An empty pattern stands for the names that match no pattern.
    """
    if not source:
        return sink not in patterns
    return bool(sink) or source not in rule.patterns


def _no_fit(ups: Sequence[Shape], downs: Sequence[Shape], path: Path) -> Finding:
    given, needed = types_of(ups), types_of(downs)
    if {shape.type for shape in ups} & {shape.type for shape in downs}:
        given, needed = words_of(ups), words_of(downs)
    return Finding(Kind.TYPE, path, given, needed, "")


def _doubt(up: Shape, downs: Sequence[Shape], path: Path, text: str) -> Finding:
    kind = Kind.RANGE if up.said else Kind.UNDECLARED
    return Finding(kind, path, words_of([up]), words_of(downs), text)


def _doubted(finding: Finding) -> Finding:
    """Turn a conflict in one of several alternatives into a doubt."""
    if not finding.conflict:
        return finding
    text = finding.text or f"may be {finding.given}"
    return replace(finding, kind=Kind.RANGE, text=text)


def _each_inside(up: Shape, downs: Sequence[Shape]) -> bool:
    certain = [down for down in downs if not down.opaque and not down.by_nullable]
    tests = [held_by(down) for down in certain]
    values = filter(held_by(up), up.values or ())
    return all(any(holds(value) for holds in tests) for value in values)


def _identity(part: Part) -> object:
    """Return a key that is equal for equal parts during a comparison."""
    match part:
        case Leaf(schema, document):
            if isinstance(schema, bool):
                return schema
            return id(schema), id(document)
        case Every(parts) | Either(parts):
            return type(part).__name__, frozenset(map(_identity, parts))
    return id(part)


def _same(up: Part, down: Part) -> bool:
    """Return whether both are written alike, so that they are equivalent."""
    if not isinstance(up, Leaf) or not isinstance(down, Leaf):
        return False
    return all(
        _text(one) == _text(other)
        for one, other in ((up.schema, down.schema), (up.document.root, down.document.root))
    )


def _text(schema: Json) -> bytes:
    """Return the schema as text; an embedded part equals only itself."""
    return orjson.dumps(schema, default=id, option=orjson.OPT_PASSTHROUGH_DATACLASS)


def compatible(upstream: Json, downstream: Json) -> Verdict:
    """Compare two valid schemas: whether `downstream` allows every value of `upstream`."""
    return Comparison().verdict(part_of(upstream), part_of(downstream))


def part_of(schema: Json) -> Part:
    """Return a valid schema as a part; None has no constraint.

    Parts can be embedded in place of subschemas.
    """
    if isinstance(schema, Part):
        return schema
    if isinstance(schema, dict):
        return Leaf(schema, Document(schema))
    return NOTHING if schema is False else ANYTHING
