"""Seeing, comparing and explaining executions from their histories. Pure, no I/O.

Each report is a value with one shape for the command line, REST and the SDK; see docs/insight.md.
"""
