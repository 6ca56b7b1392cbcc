"""Every service imports the expressions, so importing them has to be cheap."""

import subprocess
import sys


def test_no_terminal_library_comes_along() -> None:
    """The engine's own command line is left out, and the engine works for others too."""
    code = (
        "import sys, flowmesh.expressions, threading;"
        "assert not {'prompt_toolkit', 'typer', 'rich'} & set(sys.modules);"
        "assert threading.active_count() == 1;"
        "import cel; print(cel.evaluate('1 + 1'))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "2\n"
