"""The limits of the built-in executors, with their units."""

# An executor that can choose processes a larger input outside the event loop.
LOOP_BYTES_MAX = 64 * 1024
COMPILED_SPECS_MAX = 2_000
COMPILED_PIPELINES_MAX = 500
NESTING_MAX = 64
XML_BYTES_MAX = 1024 * 1024
XML_DEPTH_MAX = 100
ERROR_BODY_CHARACTERS_MAX = 4_096
METADATA_HEADER_BYTES_MAX = 8 * 1024
RETRY_AFTER_MS_MAX = 24 * 3_600_000
