"""The commands of the command line.

Exit codes: 0 done; 1 rejected, invalid, or an execution that did not complete; 2 wrong usage;
3 no response from the address. With `--json` standard output contains only JSON.
"""
