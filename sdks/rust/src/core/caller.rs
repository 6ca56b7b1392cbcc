//! The calls of a client, with deadlines, bounded retries and translated errors.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::Channel;
use tonic::{Request, Response, Status};

use super::api::identity::v1::ListSigningKeysRequest;
use super::budget::RetryBudget;
use super::credential::Credential;
use super::limits::*;
use super::pool::{Lease, Pool};
use super::sealing::Codec;
use crate::error::Refusal;
use crate::{Error, Kind};

tokio::task_local! {
    static TRACEPARENT: String;
}

/// Run a future whose calls carry a W3C trace context.
pub async fn with_traceparent<F: Future>(traceparent: impl Into<String>, future: F) -> F::Output {
    TRACEPARENT.scope(traceparent.into(), future).await
}

/// The calls of a client. Every call can be retried: a read has no effect, and a change carries a
/// request id that all its retries share.
pub(crate) struct Caller {
    pub(crate) pool: Arc<Pool>,
    pub(crate) credential: Option<Credential>,
    pub(crate) namespace: String,
    pub(crate) actor: String,
    pub(crate) budget: RetryBudget,
    pub(crate) codec: Option<Arc<dyn Codec>>,
    /// The end of the client, which is that of its calls and streams too.
    pub(crate) ended: CancellationToken,
}

/// The limits of a call: those of each try, and of all.
#[derive(Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) each: Duration,
    pub(crate) until: Option<Instant>,
}

impl Default for Limits {
    fn default() -> Self {
        Self { each: CALL_TIMEOUT, until: None }
    }
}

/// One try of a call: a place on a connection and the metadata.
pub(crate) struct Attempt {
    lease: Lease,
    pub(crate) header: Option<String>,
    timeout: Option<Duration>,
}

impl Attempt {
    pub(crate) fn channel(&self) -> Channel {
        self.lease.channel.clone()
    }

    pub(crate) fn request<M>(&self, message: M) -> Request<M> {
        let mut request = Request::new(message);
        let mut set = |name: &'static str, text: &str| {
            // Credentials were checked; a trace context that is none is not sent.
            if let Ok(value) = text.parse::<MetadataValue<Ascii>>() {
                request.metadata_mut().insert(name, value);
            }
        };
        if let Some(header) = &self.header {
            set("authorization", header);
        }
        // Outside of a task there is none.
        let _ = TRACEPARENT.try_with(|text| set("traceparent", text));
        if let Some(timeout) = self.timeout {
            // A little later than the limit of the caller, which decides.
            request.set_timeout(timeout + Duration::from_millis(500));
        }
        request
    }
}

impl Caller {
    /// Return the address of later calls.
    pub(crate) fn address(&self) -> String {
        self.pool.endpoint().address
    }

    /// Make later calls to the cell that an error names; false if it names none. An address that is
    /// less safe is refused.
    pub(crate) fn followed(&self, error: &Error) -> Result<bool, Error> {
        let Error::Refused(refusal) = error else {
            return Ok(false);
        };
        let now = self.pool.endpoint();
        // Another call may have moved this client already.
        if !refusal.cell.is_empty() && refusal.cell != now.address {
            let there = now.elsewhere(&refusal.cell)?;
            if let Some(credential) = &self.credential {
                there.check_credential(&credential.source)?;
            }
            self.pool.move_to(there);
        }
        Ok(!refusal.cell.is_empty())
    }

    /// Return a future that ends with the client.
    pub(crate) async fn scoped<T>(&self, future: impl Future<Output = T>) -> Result<T, Error> {
        tokio::select! {
            biased;
            () = self.ended.cancelled() => Err(Error::Closed),
            value = future => Ok(value),
        }
    }

    /// Return a place for a stream, which has no deadline.
    pub(crate) async fn attempt(&self) -> Result<Attempt, Error> {
        let lease = self.pool.lease()?;
        let header = match &self.credential {
            Some(credential) => Some(credential.header().await?),
            None => None,
        };
        Ok(Attempt { lease, header, timeout: None })
    }

    /// Wait for the server.
    pub(crate) async fn ready(&self) -> Result<(), Error> {
        let until = Instant::now() + CONNECT_TIMEOUT;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let lease = self.pool.lease()?;
            let mut probe = super::auth(lease.channel.clone());
            let answer = probe.list_signing_keys(ListSigningKeysRequest::default());
            let answer = self.scoped(tokio::time::timeout(left, answer)).await?;
            // Any answer, a refusal too, is one of a server.
            let cause = match answer {
                Ok(Ok(_)) => return Ok(()),
                Ok(Err(status)) => self.explained(Error::from_status(&status)),
                Err(_) => Error::deadline(),
            };
            match &cause {
                Error::Refused(refusal) if refusal.unreachable => {}
                Error::Refused(refusal) if refusal.reason == "TLS_FAILED" => return Err(cause),
                _ if Instant::now() < until => return Ok(()),
                _ => {}
            }
            if Instant::now() + RETRY_WAIT_MIN >= until {
                let message = format!(
                    "no server responds at {} within {CONNECT_TIMEOUT:?}; `flowmesh dev` starts a \
                     suite ({cause})",
                    self.address()
                );
                return Err(Error::new(Kind::Unavailable, "SERVICE_UNAVAILABLE", message));
            }
            self.scoped(tokio::time::sleep(RETRY_WAIT_MIN)).await?;
        }
    }

    /// Make a unary call with its retries.
    pub(crate) async fn call<M, R, F, Fut>(
        &self,
        limits: Limits,
        message: M,
        method: F,
    ) -> Result<R, Error>
    where
        M: Clone,
        F: Fn(Channel, Request<M>) -> Fut,
        Fut: Future<Output = Result<Response<R>, Status>>,
    {
        let once = |attempt: Attempt| {
            let answer = method(attempt.channel(), attempt.request(message.clone()));
            async move {
                let _place = attempt;
                Ok(answer.await.map_err(|status| Error::from_status(&status))?.into_inner())
            }
        };
        self.retried(limits, once).await
    }

    /// Try until success, an error that a retry cannot help, or the end of the time for retries.
    pub(crate) async fn retried<T, F, Fut>(&self, limits: Limits, once: F) -> Result<T, Error>
    where
        F: Fn(Attempt) -> Fut,
        Fut: Future<Output = Result<T, Error>>,
    {
        let total = Instant::now() + RETRY_TOTAL.max(limits.each);
        let until = limits.until.map_or(total, |until| until.min(total));
        let mut wait = RETRY_WAIT_MIN;
        let mut warned = false;
        let mut former = None;
        let mut moved = false;
        loop {
            let mut header = None;
            let failure = match self.scoped(self.try_once(limits, &once, &mut header)).await? {
                Ok(value) => {
                    self.budget.succeeded();
                    return Ok(value);
                }
                Err(error) => self.explained(error),
            };
            if limits.until.is_some_and(|until| Instant::now() >= until) {
                // The cause of the retry says more than the deadline that cut it.
                return Err(former.unwrap_or(failure));
            }
            if failure.kind() == Kind::Unauthenticated {
                if let (Some(credential), Some(header)) = (&self.credential, &header) {
                    if self.scoped(credential.rejected(header)).await? {
                        continue;
                    }
                }
            }
            if !moved && self.followed(&failure)? {
                moved = true;
                continue;
            }
            let Some(delay) = retry_delay(&failure, wait) else {
                return Err(failure);
            };
            // Jitter, so that clients that failed together do not retry together.
            let jitter = wait.mul_f64(rand::random());
            if Instant::now() + delay + jitter > until || !self.budget.permits(&failure) {
                return Err(failure);
            }
            if !warned && matches!(&failure, Error::Refused(refusal) if refusal.unreachable) {
                let address = self.address();
                tracing::warn!(address, "the server does not respond; retrying");
                warned = true;
            }
            self.scoped(tokio::time::sleep(delay + jitter)).await?;
            wait = (wait * 2).min(RETRY_WAIT_MAX);
            former = Some(failure);
        }
    }

    async fn try_once<T, F, Fut>(
        &self,
        limits: Limits,
        once: &F,
        header: &mut Option<String>,
    ) -> Result<T, Error>
    where
        F: Fn(Attempt) -> Fut,
        Fut: Future<Output = Result<T, Error>>,
    {
        let left = limits.until.map(|until| until.saturating_duration_since(Instant::now()));
        let each = left.map_or(limits.each, |left| left.min(limits.each));
        let whole = async {
            let mut attempt = self.attempt().await?;
            attempt.timeout = Some(each);
            header.clone_from(&attempt.header);
            once(attempt).await
        };
        let ended = tokio::time::timeout(each, whole).await;
        ended.unwrap_or_else(|_| Err(Error::deadline()))
    }

    /// Add the address or the credential that an error is about.
    pub(crate) fn explained(&self, mut error: Error) -> Error {
        let Error::Refused(refusal) = &mut error else {
            return error;
        };
        let Refusal { kind, reason, message, unreachable, .. } = refusal.as_mut();
        match (*kind, &self.credential) {
            _ if *unreachable => {
                *message = format!("no server responds at {} ({message})", self.address());
            }
            _ if reason == "TLS_FAILED" => {
                *message = format!("the connection to {} failed: {message}", self.address());
            }
            (Kind::Unauthenticated, Some(credential)) => {
                *message = format!("the server refused {}: {message}", credential.source);
            }
            _ if reason == "CREDENTIALS_REQUIRED" => {
                *message = format!(
                    "{} requires a credential; set FLOWMESH_API_KEY or FLOWMESH_TOKEN, or use \
                     api_key or token",
                    self.address()
                );
            }
            _ => {}
        }
        error
    }
}

/// Return the delay before a retry: that of the server, or `wait`; none if it cannot help.
pub(crate) fn retry_delay(error: &Error, wait: Duration) -> Option<Duration> {
    let Error::Refused(refusal) = error else {
        return None;
    };
    match (refusal.kind, refusal.retry_after) {
        (Kind::Unavailable | Kind::Overloaded, Some(asked)) => Some(asked.min(RETRY_WAIT_MAX)),
        (Kind::Unavailable, None) => Some(wait),
        _ => None,
    }
}
