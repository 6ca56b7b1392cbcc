"""Sagas: steps with compensations, run as workflows of the engine."""
