"""Layered layout of boxes and arrows: top to bottom, few crossings, little slant.

The steps are those of Sugiyama, Tagawa and Toda (1981): reverse the arrows of cycles, assign
layers, add bends where an arrow crosses a layer, order the layers by barycenters, and place them by
isotonic regression, which keeps the order and the distances and moves nothing further than needed.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

Size = tuple[float, float]
Point = tuple[float, float]

ORDER_SWEEPS = 6
PLACE_SWEEPS = 8
GAP_X = 28.0
GAP_Y = 56.0
BEND_WIDTH = 8.0
# Arrows that would need more bends than this in all are drawn straight.
BENDS_MAX = 20_000


@dataclass(slots=True)
class Layout:
    """Centers of the boxes, the points of each arrow from source to target, and the whole size."""

    centers: list[Point]
    ways: list[list[Point]]
    size: Size


@dataclass(slots=True)
class _Layers:
    """Boxes and bends by layer; a bend has an index behind those of the boxes."""

    layer: list[int]
    rows: list[list[int]] = field(default_factory=list)
    above: list[list[int]] = field(default_factory=list)
    below: list[list[int]] = field(default_factory=list)
    bends: list[list[int]] = field(default_factory=list)


def lay_out(sizes: Sequence[Size], arrows: Sequence[tuple[int, int]]) -> Layout:
    """Place boxes of these sizes with arrows between them."""
    if not sizes:
        return Layout([], [], (0.0, 0.0))
    downward = _without_circles(len(sizes), arrows)
    layers = _layers(len(sizes), downward)
    widths = [width for width, _ in sizes] + [BEND_WIDTH] * (len(layers.layer) - len(sizes))
    _order(layers)
    x = _place(layers, widths)
    y = _heights(layers, sizes)
    left = min(x[i] - widths[i] / 2 for i in range(len(widths)))
    x = [value - left for value in x]
    size = (max(x[i] + widths[i] / 2 for i in range(len(widths))), y[-1])
    centers = [(x[i], y[layers.layer[i]]) for i in range(len(sizes))]
    ways = []
    for (source, target), (first, _), bends in zip(arrows, downward, layers.bends, strict=True):
        middle = [(x[bend], y[layers.layer[bend]]) for bend in bends]
        if first != source:
            middle.reverse()
        ways.append([centers[source], *middle, centers[target]])
    return Layout(centers, ways, size)


def _without_circles(count: int, arrows: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return the arrows with those reversed that close a cycle."""
    after: list[list[int]] = [[] for _ in range(count)]
    for source, target in arrows:
        after[source].append(target)
    state = [0] * count
    back: set[tuple[int, int]] = set()
    for root in range(count):
        waiting = [(root, iter(after[root]))] if not state[root] else []
        state[root] = state[root] or 1
        while waiting:
            node, targets = waiting[-1]
            target = next(targets, -1)
            if target < 0:
                state[node] = 2
                waiting.pop()
            elif state[target] == 1:
                back.add((node, target))
            elif not state[target]:
                state[target] = 1
                waiting.append((target, iter(after[target])))
    return [(t, s) if (s, t) in back else (s, t) for s, t in arrows]


def _layers(count: int, arrows: Sequence[tuple[int, int]]) -> _Layers:
    """Assign each box a layer below its predecessors; arrows across layers get bends."""
    after: list[list[int]] = [[] for _ in range(count)]
    waiting = [0] * count
    for source, target in arrows:
        if source != target:
            after[source].append(target)
            waiting[target] += 1
    layer = [0] * count
    ready = [node for node in range(count) if not waiting[node]]
    for node in ready:
        for target in after[node]:
            layer[target] = max(layer[target], layer[node] + 1)
            waiting[target] -= 1
            if not waiting[target]:
                ready.append(target)
    found = _Layers(layer, above=[[] for _ in range(count)], below=[[] for _ in range(count)])
    spans = sum(max(0, layer[target] - layer[source] - 1) for source, target in arrows)
    for source, target in arrows:
        bends: list[int] = []
        if source != target:
            last = source
            for row in range(layer[source] + 1, layer[target] if spans <= BENDS_MAX else 0):
                bend = len(layer)
                layer.append(row)
                found.above.append([])
                found.below.append([])
                _link(found, last, bend)
                bends.append(bend)
                last = bend
            _link(found, last, target)
        found.bends.append(bends)
    found.rows = [[] for _ in range(max(layer) + 1)]
    for node, row in enumerate(layer):
        found.rows[row].append(node)
    return found


def _link(layers: _Layers, upper: int, lower: int) -> None:
    layers.below[upper].append(lower)
    layers.above[lower].append(upper)


def _order(layers: _Layers) -> None:
    """Order each row by the mean position of its neighbors, down and up until it settles."""
    place = [0] * len(layers.layer)
    for row in layers.rows:
        for index, node in enumerate(row):
            place[node] = index
    for sweep in range(ORDER_SWEEPS):
        down = sweep % 2 == 0
        neighbours = layers.above if down else layers.below
        for row in layers.rows if down else reversed(layers.rows):
            means = dict(
                zip(row, (_mean(place, neighbours[n], place[n]) for n in row), strict=True)
            )
            row.sort(key=means.__getitem__)
            for index, node in enumerate(row):
                place[node] = index


def _place(layers: _Layers, widths: Sequence[float]) -> list[float]:
    """Return a horizontal position for each box and bend, near its neighbors and in its order."""
    x = [0.0] * len(widths)
    for row in layers.rows:
        total = sum(widths[node] + GAP_X for node in row)
        at = -total / 2
        for node in row:
            x[node] = at + widths[node] / 2
            at += widths[node] + GAP_X
    for sweep in range(PLACE_SWEEPS):
        down = sweep % 2 == 0
        neighbours = layers.above if down else layers.below
        for row in layers.rows if down else reversed(layers.rows):
            wanted = [_mean(x, neighbours[node], x[node]) for node in row]
            for node, at in zip(row, _spaced(row, wanted, widths), strict=True):
                x[node] = at
    return x


def _mean(of: Sequence[float], nodes: Sequence[int], otherwise: float) -> float:
    return sum(of[node] for node in nodes) / len(nodes) if nodes else otherwise


def _spaced(row: Sequence[int], wanted: Sequence[float], widths: Sequence[float]) -> list[float]:
    """Return the positions nearest to those wanted, in the row's order and far enough apart."""
    offsets = [0.0]
    for before, node in pairwise(row):
        offsets.append(offsets[-1] + (widths[before] + widths[node]) / 2 + GAP_X)
    # Pool adjacent violators: neighbors that would overlap share their mean position.
    pools: list[tuple[float, int]] = []
    for want, offset in zip(wanted, offsets, strict=True):
        total, count = want - offset, 1
        while pools and pools[-1][0] / pools[-1][1] >= total / count:
            more, others = pools.pop()
            total, count = total + more, count + others
        pools.append((total, count))
    places = [total / count for total, count in pools for _ in range(count)]
    return [place + offset for place, offset in zip(places, offsets, strict=True)]


def _heights(layers: _Layers, sizes: Sequence[Size]) -> list[float]:
    """Return the middle of each row, and the total height."""
    found, top = [], 0.0
    for row in layers.rows:
        height = max((sizes[node][1] for node in row if node < len(sizes)), default=0.0)
        found.append(top + height / 2)
        top += height + GAP_Y
    return [*found, top - GAP_Y]
