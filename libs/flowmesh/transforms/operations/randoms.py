"""Operations that choose at random: the same for the same seed, or for the same task."""

from random import Random

from flowmesh.contract.json_value import Json
from flowmesh.transforms.operation import Example, Flow, Operation, Parameter, Parameters, Prepared
from flowmesh.transforms.run import Run
from flowmesh.transforms.values import array

_SEED = Parameter("seed", "any", "Makes the choice always the same; otherwise each task has one.")
_COUNT = Parameter("count", "integer", "How many; all where there are fewer.", required=True,
                   minimum=0)  # fmt: skip


def _drawn(items: list[Json], count: int, random: Random) -> list[Json]:
    """So many of the items in random order. Only `random()` is the same on every Python."""
    drawn = [*items]
    for index in range(count):
        other = index + int(random.random() * (len(drawn) - index))
        drawn[index], drawn[other] = drawn[other], drawn[index]
    return drawn[:count]


def _random_one(parameters: Parameters) -> Prepared:
    def flow(value: Json, run: Run) -> Flow:
        yield from ()
        drawn = _drawn(array(value), min(1, len(value)), run.random(parameters["seed"]))
        return drawn[0] if drawn else None

    return Prepared(flow=flow)


def _random_n(parameters: Parameters) -> Prepared:
    def flow(value: Json, run: Run) -> Flow:
        yield from ()
        count = min(parameters["count"], len(array(value)))
        return _drawn(value, count, run.random(parameters["seed"]))

    return Prepared(flow=flow)


def _shuffle(parameters: Parameters) -> Prepared:
    def flow(value: Json, run: Run) -> Flow:
        yield from ()
        return _drawn(array(value), len(value), run.random(parameters["seed"]))

    return Prepared(flow=flow)


_LETTERS = ["a", "b", "c", "d"]

OPERATIONS = (
    Operation(
        "randomOne",
        "random",
        "One of the items, or null where there is none.",
        (_SEED,),
        Example(_LETTERS, {"seed": 1}, "b"),
        _random_one,
    ),
    Operation(
        "randomN",
        "random",
        "So many of the items, each at most once, in random order.",
        (_COUNT, _SEED),
        Example(_LETTERS, {"count": 2, "seed": 1}, ["b", "a"]),
        _random_n,
    ),
    Operation(
        "shuffle",
        "random",
        "The items in random order.",
        (_SEED,),
        Example(_LETTERS, {"seed": 1}, ["b", "a", "c", "d"]),
        _shuffle,
    ),
)
