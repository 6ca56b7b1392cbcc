//! The decision to open a broken stream again, and the delay before.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tonic::Code;

use super::caller::{Attempt, Caller};
use super::limits::{RECONNECT_BUDGET, STREAM_LASTED, STREAM_RETRY_MAX, STREAM_RETRY_MIN};
use crate::{Error, Kind};

pub(crate) struct Reconnect {
    caller: Arc<Caller>,
    header: Option<String>,
    opened_at: Instant,
    down_since: Option<Instant>,
    last: Option<Error>,
    transient: bool,
    /// True if the last end was that of another cell, which was followed.
    moved: bool,
}

impl Reconnect {
    /// Return the policy of one stream.
    pub(crate) fn new(caller: &Arc<Caller>) -> Self {
        Self {
            caller: caller.clone(),
            header: None,
            opened_at: Instant::now(),
            down_since: None,
            last: None,
            transient: true,
            moved: false,
        }
    }

    pub(crate) fn caller(&self) -> Arc<Caller> {
        self.caller.clone()
    }

    /// Note an attempt to open the stream, and return it.
    pub(crate) async fn opening(&mut self) -> Result<Attempt, Error> {
        self.opened_at = Instant::now();
        let attempt = self.caller.attempt().await?;
        self.header.clone_from(&attempt.header);
        Ok(attempt)
    }

    /// Note a received message.
    pub(crate) fn connected(&mut self) {
        (self.down_since, self.last, self.transient, self.moved) = (None, None, true, false);
    }

    /// Note the end of the stream; None is an end without an error. A stream that another cell
    /// serves is opened there once.
    pub(crate) async fn broken(&mut self, error: Option<Error>) {
        if self.opened_at.elapsed() > STREAM_LASTED {
            self.down_since = None;
        }
        self.down_since.get_or_insert_with(Instant::now);
        let Some(error) = error else {
            return;
        };
        let error = self.caller.explained(error);
        self.transient = match &error {
            Error::Refused(refusal) => match refusal.kind {
                Kind::Unauthenticated => match (&self.caller.credential, &self.header) {
                    (Some(credential), Some(header)) => credential.rejected(header).await,
                    _ => false,
                },
                Kind::Invalid => false,
                _ => refusal.reason != "TLS_FAILED" && transient(refusal.code),
            },
            _ => false,
        };
        let followed = if self.moved { Ok(false) } else { self.caller.followed(&error) };
        self.moved = matches!(followed, Ok(true));
        self.transient |= self.moved;
        self.last = Some(followed.err().unwrap_or(error));
    }

    /// Report whether the server would refuse the stream again.
    pub(crate) fn refused(&self) -> bool {
        !self.transient
    }

    /// Report whether the stream was refused or is down for too long.
    pub(crate) fn hopeless(&self) -> bool {
        self.refused() || self.down() > RECONNECT_BUDGET
    }

    fn down(&self) -> Duration {
        self.down_since.map_or(Duration::ZERO, |since| since.elapsed())
    }

    /// Return the error of a stream that is given up.
    pub(crate) fn error(&self) -> Error {
        let message = "the server closed the stream and does not respond";
        let unavailable = || Error::new(Kind::Unavailable, "SERVICE_UNAVAILABLE", message);
        self.last.clone().unwrap_or_else(unavailable)
    }

    /// Wait before the next attempt.
    pub(crate) async fn pause(&self) -> Result<(), Error> {
        let delay = (self.down() / 10).clamp(STREAM_RETRY_MIN, STREAM_RETRY_MAX);
        self.caller.scoped(tokio::time::sleep(delay)).await
    }
}

fn transient(code: Code) -> bool {
    matches!(
        code,
        Code::Unavailable
            | Code::ResourceExhausted
            | Code::DeadlineExceeded
            | Code::Cancelled
            | Code::Aborted
            | Code::Internal
            | Code::Unknown
    )
}
