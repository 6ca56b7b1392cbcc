"""The CEL engine without its command line.

Importing the package `cel` also imports its interactive shell (0.5 s and 20 MiB of a terminal
library), so the extension module is loaded directly. A later import of `cel` gets the same module.
"""

import sys
from importlib.machinery import EXTENSION_SUFFIXES, ExtensionFileLoader
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

_NAME = "cel.cel"


def _load() -> Any:
    if _NAME in sys.modules:
        return sys.modules[_NAME]
    package = find_spec("cel")
    folders = package.submodule_search_locations if package is not None else None
    for folder in folders or ():
        for suffix in EXTENSION_SUFFIXES:
            path = Path(folder, f"cel{suffix}")
            if path.exists():
                return _load_extension(path)
    raise ModuleNotFoundError("conditions need common-expression-language", name="cel")


def _load_extension(path: Path) -> Any:
    spec = spec_from_file_location(_NAME, path, loader=ExtensionFileLoader(_NAME, str(path)))
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    sys.modules[_NAME] = module
    return module


cel = _load()
