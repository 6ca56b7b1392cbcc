"""Every bound of a pipeline and of what it makes, with its unit."""

# A pipeline, those inside it counted as well.
OPERATIONS_MAX = 100
PIPELINE_DEPTH_MAX = 8
PATTERN_CHARACTERS_MAX = 1_024

# What one operation may yield: items of an array, text it writes, bytes of all of it as JSON.
ITEMS_MAX = 1_000_000
TEXT_CHARACTERS_MAX = 64 * 1024 * 1024
VALUE_BYTES_MAX = 128 * 1024 * 1024
# What all operations of one run may yield, those of inner pipelines included.
WORK_ITEMS_MAX = 50_000_000

FLATTEN_DEPTH_MAX = 64
MERGE_DEPTH_MAX = 64
PAD_CHARACTERS_MAX = 10_000
DIGITS_MAX = 15
