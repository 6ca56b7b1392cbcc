//! The retries that a client may make for all its calls together.

use std::sync::Mutex;

use super::limits::{RETRY_TOKENS, RETRY_TOKENS_PER_SUCCESS};
use super::locked;
use crate::Error;

/// Bounds the retries of all calls: a server that fails them gets at most a tenth more calls. A
/// retry takes a token, a success returns a tenth. A retry after a delay that the server named, or
/// after no answer at all, is free.
#[derive(Default)]
pub(crate) struct RetryBudget {
    spent: Mutex<f64>,
}

impl RetryBudget {
    /// Take the token of a retry; false if there is none.
    pub(crate) fn permits(&self, failure: &Error) -> bool {
        if matches!(failure, Error::Refused(refusal) if refusal.retry_after.is_some()) {
            return true;
        }
        let mut spent = locked(&self.spent);
        let left = *spent <= RETRY_TOKENS - 1.0;
        *spent += f64::from(u8::from(left));
        left
    }

    /// Return the share of a success.
    pub(crate) fn succeeded(&self) {
        let mut spent = locked(&self.spent);
        *spent = (*spent - RETRY_TOKENS_PER_SUCCESS).max(0.0);
    }
}
