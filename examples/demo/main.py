"""`make demo`: the suite under load, killed twice, with a proof of no losses or duplicates.

python examples/demo/main.py [--executions N] [--per-second N] [--seed N] [--keep]
"""

import sys
from pathlib import Path

if __name__ == "__main__":
    # A start by path does not put the repository on the import path.
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
    from examples.demo.story import main

    sys.exit(main())
