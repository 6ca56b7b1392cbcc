"""Support for tests of the suite and of programs that use it: real servers, a running suite."""
