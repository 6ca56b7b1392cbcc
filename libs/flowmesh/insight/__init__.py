"""Reports on executions from their histories: states, traces, comparisons, explanations. No I/O.

Each report is a value with one shape for the command line, REST and the SDK; see docs/insight.md.
"""
