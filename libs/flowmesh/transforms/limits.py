"""The limits of pipelines and their results, with units."""

# The operations of a pipeline, including nested ones.
OPERATIONS_MAX = 100
PIPELINE_DEPTH_MAX = 8
PATTERN_CHARACTERS_MAX = 1_024
# The patterns of a pipeline that is compiled on the event loop.
INLINE_PATTERNS_MAX = 4

# The result of one operation: items of an array, characters of text, bytes as JSON.
ITEMS_MAX = 1_000_000
TEXT_CHARACTERS_MAX = 64 * 1024 * 1024
VALUE_BYTES_MAX = 128 * 1024 * 1024
# The results of all operations of one run, including nested pipelines.
WORK_ITEMS_MAX = 50_000_000
# The size of a number, boolean or null in estimates.
VALUE_BYTES = 4
# Estimated cost of a run on the event loop, about 10 ms: for each operation the size of its value
# in bytes as JSON, beside what its call takes. A costlier run is computed in a child process.
OPERATION_COST = 64
INLINE_COST_MAX = 128 * 1024

FLATTEN_DEPTH_MAX = 64
MERGE_DEPTH_MAX = 64
PAD_CHARACTERS_MAX = 10_000
DIGITS_MAX = 15
