"""The mutants of a package, by the operators of cosmic-ray, and draws of them."""

import ast
import itertools
import random
import re
import subprocess
import tomllib
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code
from cosmic_ray.plugins import get_operator, operator_names

from tools.breaks import ROOT

# Mutants that no test can kill, with the reason.
EQUIVALENT: Final = ROOT / "tests" / "mutants.toml"
_UNIT: Final = "tests/unit/"
# Of definitions: also tests of what is made from them, and of wrong ones.
_DEFINITIONS: Final = (
    *(_UNIT + each for each in ("definitions", "dryrun", "tasktypes")),
    *(_UNIT + each for each in ("operator/test_admission.py", "sdk/client/test_flow.py")),
    "tests/badinput/test_definitions.py",
    "tests/badinput/test_editor_schemas.py",
    "tests/badinput/test_member_bounds.py",
)
_ORCHESTRATOR: Final = (_UNIT + "orchestrator", "tests/integration/orchestrator")
# The real code on a virtual clock, with few draws.
_SIMULATED: Final = ("tests/simulation/test_ahead.py", "tests/simulation/test_scenarios.py")
# The sources of each package, and the tests that are to kill its mutants.
PACKAGES: Final[dict[str, tuple[str, tuple[str, ...]]]] = {
    "engine": ("libs/flowmesh/engine", (_UNIT + "engine",)),
    "definitions": ("libs/flowmesh/definitions", _DEFINITIONS),
    "expressions": ("libs/flowmesh/expressions", (_UNIT + "expressions",)),
    "commit": ("services/flowmesh/orchestrator/commit", (*_ORCHESTRATOR, *_SIMULATED)),
    "limits": ("services/flowmesh/orchestrator/limits", _ORCHESTRATOR),
    "routing": ("services/flowmesh/broker/routing", (_UNIT + "broker",)),
    "observe": (
        "services/flowmesh/observe",
        (_UNIT + "observe", "tests/integration/observe"),
    ),
    "eventstore": (
        "services/flowmesh/eventstore",
        (_UNIT + "eventstore", "tests/integration/eventstore"),
    ),
    "access": ("libs/flowmesh/access", (_UNIT + "access", _UNIT + "identity")),
    "retries": ("libs/flowmesh/sdk/transport", (_UNIT + "sdk",)),
}
# Slots save memory; a class without them has the same values.
SLOTS: Final = re.compile(r".*slots=True.*  ->  .*slots=False.*")
# Faults that people make; an operator that mutates annotations, such as `|`, is left out.
OPERATORS: Final = re.compile(
    r"core/(AddNot|NumberReplacer|ReplaceAndWithOr|ReplaceOrWithAnd|ReplaceTrueWithFalse"
    r"|ReplaceFalseWithTrue|ReplaceBreakWithContinue|ReplaceContinueWithBreak|ZeroIterationForLoop"
    r"|ReplaceUnaryOperator_(Delete_Not|USub_UAdd)"
    r"|ReplaceBinaryOperator_(Add_Sub|Sub_Add|Mul_FloorDiv|FloorDiv_Mul|Div_Mul|Mod_Mul)"
    r"|ReplaceComparisonOperator_(Eq_NotEq|NotEq_Eq|Lt_LtE|LtE_Lt|Gt_GtE|GtE_Gt|Is_IsNot|IsNot_Is))"
)


@dataclass(frozen=True, slots=True)
class Mutant:
    """One change at one place of a file."""

    package: str
    file: str
    line: int
    operator: str
    occurrence: int

    def source(self) -> str:
        """Return the file with the change in it."""
        operator = get_operator(self.operator)()
        return str(mutate_code((ROOT / self.file).read_text(), operator, self.occurrence))

    def shown(self) -> str:
        """Return the changed line before and after."""
        old, new = (ROOT / self.file).read_text().split("\n"), self.source().split("\n")
        pairs = ((a.strip(), b.strip()) for a, b in zip(old, new, strict=False) if a != b)
        return "  ->  ".join(next(pairs, ("", "")))

    def compiles(self) -> bool:
        """Return False for a change of what only looks like a product, as in `def f(*, a)`."""
        with suppress(SyntaxError):
            ast.parse(self.source())
            return True
        return False


def mutants_of(package: str) -> Iterator[Mutant]:
    """Yield every mutant of a package."""
    chosen = sorted(name for name in operator_names() if OPERATORS.fullmatch(name))
    for path in sorted((ROOT / PACKAGES[package][0]).rglob("*.py")):
        nodes = list(ast_nodes(get_ast(path.read_text())))
        for name in chosen:
            operator = get_operator(name)()
            positions = (each for node in nodes for each in operator.mutation_positions(node))
            for occurrence, ((line, _), _) in enumerate(positions):
                file = path.relative_to(ROOT).as_posix()
                yield Mutant(package, file, line, name, occurrence)


def changed_lines(base: str) -> dict[str, set[int]]:
    """Return the lines of each file that differ from a commit."""
    done = subprocess.run(
        ("git", "diff", "-U0", base), cwd=ROOT, capture_output=True, text=True, check=True
    )
    found: dict[str, set[int]] = {}
    lines: set[int] = set()
    for row in done.stdout.splitlines():
        if row.startswith("+++ "):
            lines = found.setdefault(row[6:], set())
        elif match := re.match(r"@@ -\S+ \+(\d+)(?:,(\d+))? @@", row):
            first, count = int(match[1]), int(match[2] or 1)
            lines.update(range(first, first + count))
    return found


def draw(names: Sequence[str], count: int, seed: int, base: str) -> list[Mutant]:
    """Draw from each package in turn, and pass over those that have no more.

    Mutants that are listed as equivalent are left out, and those of slots and of what does not
    compile; with a base, so are lines that are the same there.
    """
    equivalent = {
        (row["file"], row["change"]) for row in tomllib.loads(EQUIVALENT.read_text())["equivalent"]
    }
    lines = changed_lines(base) if base else None

    def shuffled(name: str) -> Iterator[Mutant]:
        every = [m for m in mutants_of(name) if lines is None or m.line in lines.get(m.file, ())]
        random.Random(f"{seed}-{name}").shuffle(every)
        shown = ((each, each.shown()) for each in every)
        return (
            each
            for each, change in shown
            if not SLOTS.fullmatch(change)
            and (each.file, change) not in equivalent
            and each.compiles()
        )

    turns = itertools.zip_longest(*map(shuffled, names))
    drawn = (each for turn in turns for each in turn if each is not None)
    return sorted(itertools.islice(drawn, count), key=lambda each: names.index(each.package))
