"""Readers of documents, one package or module per format; `table` lists the formats.

Nothing is imported here: the table is used without the readers.
"""
