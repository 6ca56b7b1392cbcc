"""`make bench`: measures the suite, its roofline and a peer in one run, side by side."""

import sys
from pathlib import Path

# The modules are `benchmarks.*`: the folder above is the root of the imports, not this one.
sys.path[0] = str(Path(__file__).resolve().parent.parent)

if __name__ == "__main__":
    from benchmarks.main import main

    sys.exit(main())
