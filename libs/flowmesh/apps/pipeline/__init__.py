"""Pipelines: compiled once into plain functions, run with a context of their own each."""
