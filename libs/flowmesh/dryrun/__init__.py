"""DryRuns: executions in memory, by the real engine, on a virtual clock. No call leaves.

run.dry_run(plan, input, …)       one execution; every attempt is answered by a mock, by the code
                                   that workers run where that has no effect, or from its schema
report.Report                      what happened: the path, inputs, outputs and calls of every node
suites.read_suite, suites.run_case what a `*.test.yaml` asks for, and how it went
"""
