"""Unit tests of the program, run by the pipeline."""

import unittest

from greeting import greet


class Greetings(unittest.TestCase):
    def test_the_name_is_greeted(self) -> None:
        assert greet("Ada") == "Hello Ada"
