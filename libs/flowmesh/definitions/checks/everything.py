"""Runs every check over every resource of a source."""

from flowmesh.definitions.problems import Problem
from flowmesh.definitions.reading import Reading, Resolve


def check(reading: Reading, resolve: Resolve) -> tuple[Problem, ...]:
    return ()
