"""Questions about histories: states of the past, comparisons, explanations."""
