"""Proposals that make a workflow faster or safer, from the durations of its executions."""
