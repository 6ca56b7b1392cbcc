"""The part of jq that the sample script uses, for machines without it: `[-r] [.field]`."""

import json
import sys

arguments = sys.argv[1:]
raw = "-r" in arguments
value = json.load(sys.stdin)
for argument in arguments:
    if argument.startswith(".") and argument != ".":
        value = value.get(argument[1:])
print(value if raw and isinstance(value, str) else json.dumps(value, indent=2))
