"""Commands on definitions: apply, check, convert, test, compare."""
