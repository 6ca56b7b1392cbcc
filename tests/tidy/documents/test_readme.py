"""What the README shows is what the examples are."""

import re

from tests.tidy import sources

FLAGS = re.MULTILINE | re.DOTALL
BLOCK = re.compile(r"^```(yaml|python)\n(.*?)^```$", FLAGS)


def test_code_in_the_readme_is_that_of_the_examples() -> None:
    """Every block of YAML or Python stands, word for word, in a file that is run by a test."""
    files = [name for name in sources.tracked() if name.startswith("examples/quickstart/")]
    examples = [sources.text(name) for name in files]
    blocks = [block for _, block in BLOCK.findall(sources.text("README.md"))]
    assert blocks
    strange = [block for block in blocks if not any(block in example for example in examples)]
    assert not strange, sources.lines(strange)
