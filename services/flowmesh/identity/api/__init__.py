"""Servers of the identity contracts: translation only."""
