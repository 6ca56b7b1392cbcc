"""The program of `make demo`: the suite under load with injected failures, and a final proof."""
