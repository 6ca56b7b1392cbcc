"""`make demo`: the suite under load, killed twice, and a proof that nothing was lost or doubled.

python examples/demo/main.py [--executions N] [--per-second N] [--seed N] [--keep]
"""

import sys
from pathlib import Path

if __name__ == "__main__":
    # Started by its path, so the repository is not on the path of imports yet.
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
    from examples.demo.story import main

    sys.exit(main())
