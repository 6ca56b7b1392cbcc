"""Imports of Python modules from memory, in a process that has no files."""

from typing import Final

IMPORTS: Final = """
import sys

class Modules:
    def find_spec(self, name, path=None, target=None):
        base = name.replace(".", "/")
        for file, is_package in ((f"{base}/__init__.py", True), (f"{base}.py", False)):
            if file in modules:
                spec = type(sys.__spec__)
                return spec(name, self, origin=file, is_package=is_package)

    def create_module(self, spec):
        return None

    def exec_module(self, module):
        file = module.__spec__.origin
        exec(compile(modules[file], file, "exec"), module.__dict__)

sys.meta_path.insert(0, Modules())
place, _, name = handler.partition(":")
function = getattr(__import__(place, fromlist=[name]), name)
"""
"""Imports `function`, which `handler` names as `module:function`, out of the texts `modules`."""
