"""Analyzers of English text, by rules: sentiment, alerts, suggestions. No model, no network."""
