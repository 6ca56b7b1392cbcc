"""What tests of the suite and of things built on it stand on: real servers, the real suite."""
