"""Dry runs: executions in memory with the real engine and a virtual clock. No call is sent.

run.dry_run(plan, input, …)        run one execution; attempts are answered by mocks, by the real
                                   executors without side effects, or from the output schema
report.Report                      the path, and inputs, outputs and calls of every node
suites.read_suite, suites.run_case read a `*.test.yaml` and run its tests
"""
