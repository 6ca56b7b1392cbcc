"""Checks of a source beyond its single documents; `everything.check` runs all.

Nothing is imported here: readers of documents use single checks, and `everything` uses readers.
"""
