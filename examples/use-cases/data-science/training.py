"""A logistic regression in plain Python, and the data that it learns from."""

import math
import random
from collections.abc import Sequence

Row = list[float]
KINDS = ("setosa", "versicolor")
# Mean and spread of the length and the width of a petal in cm, for each kind.
PETALS = (((1.46, 0.17), (0.25, 0.11)), ((4.26, 0.47), (1.33, 0.20)))
EPOCHS = 40


def measured(count: int, seed: int) -> list[Row]:
    """Return rows of length, width and kind (0 or 1), drawn like the measured flowers."""
    chance = random.Random(seed)
    kinds = [number % 2 for number in range(count)]
    return [[*(chance.gauss(*measure) for measure in PETALS[kind]), kind] for kind in kinds]


def probability(weights: Row, features: Sequence[float]) -> float:
    """Return how likely kind 1 is."""
    bias, *factors = weights
    score = bias + sum(w * x for w, x in zip(factors, features, strict=True))
    return 1 / (1 + math.exp(-max(-60.0, min(60.0, score))))


def fit(rows: list[Row], rate: float) -> Row:
    """Return the weights after gradient descent, one row at a time."""
    # Starts on the wrong side, so that a rate that is too small shows.
    weights = [1.0, 0.0, 0.0]
    for _ in range(EPOCHS):
        for *features, kind in rows:
            error = kind - probability(weights, features)
            steps = [rate * error * x for x in (1.0, *features)]
            weights = [weight + step for weight, step in zip(weights, steps, strict=True)]
    return weights


def accuracy(weights: Row, rows: list[Row]) -> float:
    """Return the share of rows whose kind is predicted right."""
    right = sum(round(probability(weights, features)) == kind for *features, kind in rows)
    return right / len(rows)
