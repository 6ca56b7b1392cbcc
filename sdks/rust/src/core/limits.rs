//! Limits and default times of the SDK.

use std::time::Duration;

/// The largest value inside a message.
pub(crate) const INLINE_BYTES_MAX: usize = 256 * 1024;
/// The largest value that is passed by reference.
pub(crate) const STORED_BYTES_MAX: usize = 64 * 1024 * 1024;
pub(crate) const CHUNK_BYTES: usize = 512 * 1024;
/// Descriptions of large executions exceed the default of gRPC.
pub(crate) const MESSAGE_BYTES_MAX: usize = 64 * 1024 * 1024;

/// A server accepts 100 calls per connection; further ones are opened before that.
pub(crate) const CONNECTION_CALLS: usize = 80;
pub(crate) const CONNECTIONS_MAX: usize = 32;
pub(crate) const IDLE_TIMEOUT: Duration = Duration::from_secs(60);
pub(crate) const KEEPALIVE: Duration = Duration::from_secs(20);
pub(crate) const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(10);

/// The limit of one try of a call.
pub(crate) const CALL_TIMEOUT: Duration = Duration::from_secs(10);
/// The limit of the wait for a server.
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// The limit of a call with all its retries.
pub(crate) const RETRY_TOTAL: Duration = Duration::from_secs(30);
pub(crate) const RETRY_WAIT_MIN: Duration = Duration::from_millis(100);
pub(crate) const RETRY_WAIT_MAX: Duration = Duration::from_secs(2);
/// The retries that all calls of a client share, and the share of one that a success returns.
pub(crate) const RETRY_TOKENS: f64 = 10.0;
pub(crate) const RETRY_TOKENS_PER_SUCCESS: f64 = 0.1;
/// The delay after a try that no server answered.
pub(crate) const UNREACHABLE_RETRY: Duration = Duration::from_millis(500);

pub(crate) const RECONNECT_BUDGET: Duration = Duration::from_secs(60);
pub(crate) const STREAM_LASTED: Duration = Duration::from_secs(30);
pub(crate) const STREAM_RETRY_MIN: Duration = Duration::from_millis(100);
pub(crate) const STREAM_RETRY_MAX: Duration = Duration::from_secs(1);

/// The limits of one message of a stream.
pub(crate) const FRAME_BYTES_MAX: usize = 1024 * 1024;
pub(crate) const FRAME_ITEMS_MAX: usize = 1000;

pub(crate) const TOKEN_MARGIN: Duration = Duration::from_secs(60);
pub(crate) const TOKEN_RENEWAL_MIN: Duration = Duration::from_secs(5);
pub(crate) const TOKEN_REJECTED: Duration = Duration::from_secs(10);
pub(crate) const CREDENTIAL_BYTES_MAX: usize = 4096;
