"""Bounds and lifetimes of the identity service."""

from typing import Final

SLUG_CHARS_MAX: Final = 63
NAME_CHARS_MAX: Final = 200
EMAIL_CHARS_MAX: Final = 254
PASSWORD_CHARS_MIN: Final = 12
# The strength of a longer password is judged by its beginning.
PASSWORD_CHARS_JUDGED: Final = 72
PASSWORD_BYTES_MAX: Final = 1_024
KEY_LIST_MAX: Final = 100
PAGE_SIZE: Final = 100
PAGE_SIZE_MAX: Final = 1_000

ACCESS_TOKEN_S: Final = 600
REFRESH_TOKEN_DAYS: Final = 30
# A refresh token that is sent again within this time had a lost answer.
REFRESH_GRACE_S: Final = 10
INVITATION_DAYS: Final = 7
SIGNING_KEY_DAYS: Final = 30
# A retired signing key verifies for as long as its last token lives, twice.
SIGNING_KEY_KEPT_S: Final = 1_200
TOMBSTONE_DAYS: Final = 30
KEY_OVERLAP_S: Final = 86_400
KEY_OVERLAP_S_MAX: Final = 30 * 86_400

# Failed logins before the first delay, which then doubles.
FAILURES_FREE: Final = 5
# A network is shared by many users, such as those behind one proxy.
NETWORK_FAILURES_FREE: Final = 100
DELAY_S_MAX: Final = 900
# Passwords hashed at once; each takes 64 MiB.
HASHES_AT_ONCE: Final = 2
