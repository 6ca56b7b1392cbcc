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
# A new key signs after this time, when every process of the identity service has read it.
SIGNING_KEY_KNOWN_S: Final = 120
TOMBSTONE_DAYS: Final = 30
KEY_OVERLAP_S: Final = 86_400
KEY_OVERLAP_S_MAX: Final = 30 * 86_400
# The process of a replaced release completes its runs in less time.
APP_KEY_OVERLAP_S: Final = 900

AUDIT_RECORDS_MAX: Final = 1_000
AUDIT_FILTER_CHARS_MAX: Final = 512
AUDIT_SEQUENCE_LAST: Final = 2**63 - 1
# Entries that are read at once to verify or export a chain.
AUDIT_PAGE: Final = 500
SECRET_BYTES_MAX: Final = 65_536
SECRETS_MAX: Final = 1_000
# Older versions of a secret are deleted.
SECRET_VERSIONS_KEPT: Final = 100
SECRET_REFS_MAX: Final = 100
# Versions in a page that moves to another cell, and the time of such an import.
SECRET_PAGE: Final = 64
SECRET_IMPORT_S: Final = 3_600

# Failed logins of an account from a network before the first delay, which then doubles.
FAILURES_FREE: Final = 5
# Failed logins of an account within a window, from all networks that it has not logged in from.
ACCOUNT_FAILURES_MAX: Final = 200
ACCOUNT_WINDOW_S: Final = 3_600
# A network that an account has logged in from is known for this time.
KNOWN_NETWORK_DAYS: Final = 90
# A network is shared by many users, such as those behind one proxy.
NETWORK_FAILURES_FREE: Final = 100
DELAY_S_MAX: Final = 900
# Passwords hashed at once; each takes 64 MiB.
HASHES_AT_ONCE: Final = 2
# Passwords of one network that wait to be hashed; of them one is hashed at a time.
HASHES_WAITING_MAX: Final = 50

FILE_BYTES_MAX: Final = 64 << 20
FILE_PATH_BYTES_MAX: Final = 1_024
FILE_NAME_BYTES_MAX: Final = 255
# Older versions are deleted.
FILE_VERSIONS_MAX: Final = 100
FILE_NUMBER_MAX: Final = 10**9
# Uploads of a project at once; further ones wait.
FILE_UPLOADS_MAX: Final = 4
FILE_TRANSFER_S: Final = 300
FILE_PIECE_BYTES: Final = 1 << 20
# Of a message of a download; streams within a process hold up to 64 messages.
FILE_MESSAGE_BYTES: Final = 64 << 10
# An upload that began before this time was cut off.
FILE_ABANDONED_S: Final = 3_600
QUOTA_MAX: Final = 10**15
USAGE_HOURS: Final = 24
USAGE_KEPT_DAYS: Final = 90
USAGE_HOURS_MAX: Final = 720
# Of a login at an identity provider, from its start to its answer.
LOGIN_S: Final = 600
# Of the code that a browser brings to the command.
LOOPBACK_CODE_S: Final = 60
CLOCK_SKEW_S: Final = 60
PROVIDERS_MAX: Final = 20
PROVIDER_RULES_MAX: Final = 100
PROVIDER_TEXT_MAX: Final = 512
PROVIDER_CERTIFICATES_MAX: Final = 5
PROVIDER_CERTIFICATE_CHARS_MAX: Final = 8_192
# Of a session whose provider gives no refresh token to look after it.
PROVIDER_SESSION_S: Final = 8 * 3_600
PROVIDER_CALL_MS: Final = 5_000
PROVIDER_HOOK_MS: Final = 5_000
PROVIDER_DOCUMENT_BYTES_MAX: Final = 256 << 10
PROVIDER_KEYS_MAX: Final = 100
PROVIDER_TOKEN_BYTES_MAX: Final = 64 << 10
# Documents of a provider are read again after this time; keys also for an unknown key id.
PROVIDER_KEPT_S: Final = 600.0
PROVIDER_READ_AGAIN_S: Final = 60.0
DEVICE_POLL_S: Final = 2
# The report of a backup drill that an export of evidence contains.
DRILL_REPORT_BYTES_MAX: Final = 1 << 20
SCIM_MEMBERS_MAX: Final = 1_000
