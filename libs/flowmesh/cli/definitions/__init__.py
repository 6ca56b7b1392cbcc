"""Commands for definitions: apply, check, convert, test, compare."""
