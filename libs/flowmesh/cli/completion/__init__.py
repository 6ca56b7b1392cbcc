"""Completion of commands, options and values in a shell.

The script of a shell asks `flowmesh __complete WORDS…` at each press of the key. Commands and
options are answered from the table of commands and from `options.json`, which
`python -m tools.docs` writes, without the parser.
"""
