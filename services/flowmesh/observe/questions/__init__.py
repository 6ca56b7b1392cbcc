"""Questions about the suite, answered in one sentence with the figures behind it."""
