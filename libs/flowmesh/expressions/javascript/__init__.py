"""The expression subset of JavaScript, compiled to CEL."""
