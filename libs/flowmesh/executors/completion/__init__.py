"""Guarded model steps: the task `ai.complete`, its messages, guards and budgets."""
