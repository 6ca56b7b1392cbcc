"""Reports on histories: past states, comparisons, explanations."""
