"""`python -m flowmesh.suite` is the same as `flowmesh`."""

from flowmesh.suite.main import main

main()
