"""JSON Schemas (2020-12) of documents, for completion and checks in editors.

A schema accepts the documents that the reader of the format accepts; names, types and ranges come
from the reader. `formats.table` lists the schemas.
"""
