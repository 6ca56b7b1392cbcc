"""Secrets of applications: sources that are read while a document is expanded."""
