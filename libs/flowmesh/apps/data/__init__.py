"""Databases of applications: SQLite in the event loop, PostgreSQL through a pool."""
