"""`make bench`: measure the suite, its roofline and its peers in one run."""

import sys
from pathlib import Path

# Modules are imported as `benchmarks.*`, so the parent folder is the root of imports.
sys.path[0] = str(Path(__file__).resolve().parent.parent)

if __name__ == "__main__":
    from benchmarks.main import main

    sys.exit(main())
