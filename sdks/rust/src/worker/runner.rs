//! One task from its input to its result.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use futures_util::FutureExt;
use tracing::Instrument;

use super::task::{Context, Interruption, TaskError};
use crate::core::api::common::v1::{Failure, Payload};
use crate::core::api::worker::v1::{task_result::Outcome, TaskResult};
use crate::core::caller::{with_traceparent, Caller};
use crate::core::limits::INLINE_BYTES_MAX;
use crate::{Error, Kind};

const MESSAGE_BYTES_MAX: usize = 4096;

/// The end of a handler.
pub(super) enum Ended {
    Output(Vec<u8>),
    Failed(TaskError),
    /// A value of this name that could not be decoded, encoded, fetched or stored.
    Untransferred(&'static str, Error),
}

pub(super) type Handler = Arc<dyn Fn(Vec<u8>, Context) -> BoxFuture<'static, Ended> + Send + Sync>;

/// Run a task and return its result.
pub(super) async fn outcome(
    caller: Arc<Caller>,
    handler: Handler,
    context: Context,
    token: String,
    input: Option<Payload>,
) -> TaskResult {
    let span = tracing::info_span!(
        "flowmesh.task",
        task_type = context.task_type,
        execution_id = context.execution_id,
        node = context.node,
        attempt = context.attempt,
        traceparent = context.traceparent,
    );
    let traceparent = context.traceparent.clone();
    let work = async move {
        let result = guarded(&caller, handler, &context, input).await;
        let failure = match result {
            Ok(payload) => {
                return TaskResult {
                    token,
                    outcome: Some(Outcome::Output(payload)),
                    ..TaskResult::default()
                }
            }
            Err(failure) => failure,
        };
        if context.interruption().is_none() {
            tracing::warn!(class = failure.class, error = failure.message, "the attempt failed");
        }
        TaskResult { token, outcome: Some(Outcome::Failure(failure)), ..TaskResult::default() }
    };
    with_traceparent(traceparent, work).instrument(span).await
}

/// Call a handler; its panic is a failure.
async fn guarded(
    caller: &Caller,
    handler: Handler,
    context: &Context,
    input: Option<Payload>,
) -> Result<Payload, Failure> {
    let input = caller.unpack(input).await.map_err(|error| transfer_failed("input", &error))?;
    let called = context.clone();
    let work = AssertUnwindSafe(async move { handler(input, called).await }).catch_unwind();
    tokio::pin!(work);
    let ended = match context.timeout {
        None => work.await,
        Some(limit) => tokio::select! {
            ended = &mut work => ended,
            () = tokio::time::sleep(limit) => {
                context.interrupt(Interruption::TimedOut);
                work.await
            }
        },
    };
    match ended {
        Ok(Ended::Output(data)) => {
            caller.pack(data).await.map_err(|error| transfer_failed("output", &error))
        }
        Ok(Ended::Untransferred(field, error)) => Err(transfer_failed(field, &error)),
        Ok(Ended::Failed(error)) => Err(failure_of(context, error)),
        Err(panic) => Err(failed("Panic", &panic_text(panic.as_ref()))),
    }
}

fn panic_text(panic: &(dyn Any + Send)) -> String {
    let literal = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = literal.or_else(|| panic.downcast_ref::<String>().cloned());
    text.unwrap_or_else(|| "the handler panicked".to_owned())
}

pub(super) fn failed(class: &str, message: &str) -> Failure {
    let (class, message) = (limited(class), limited(message));
    Failure { class, message, ..Failure::default() }
}

fn failure_of(context: &Context, error: TaskError) -> Failure {
    let timed_out = context.interruption() == Some(Interruption::TimedOut);
    let class = if timed_out && error.class == "Cancelled" { "Timeout" } else { &error.class };
    let message = if error.message.is_empty() { &error.class } else { &error.message };
    let mut failure = failed(class, message);
    failure.retry_after_ms = i64::try_from(error.retry_after.as_millis()).unwrap_or(i64::MAX);
    match error.details {
        None => {}
        Some(Err(cause)) => {
            return failed("ValidationError", &format!("details of a failure: {cause}"));
        }
        Some(Ok(details)) if details.get().len() > INLINE_BYTES_MAX => {
            let size = details.get().len();
            let note = format!("its details have {size} bytes, more than the limit of 256 KiB");
            failure.message = limited(&format!("{message}: {note}"));
        }
        Some(Ok(details)) => failure.details = details.get().as_bytes().to_vec(),
    }
    failure
}

/// Return a text of at most the bytes of a message, without NUL.
fn limited(text: &str) -> String {
    let mut end = text.len().min(MESSAGE_BYTES_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].replace('\0', "?")
}

/// Return the failure for a value that could not be fetched, stored, decoded or encoded.
fn transfer_failed(field: &str, error: &Error) -> Failure {
    let (class, message) = match error {
        Error::Closed => ("Cancelled", error.to_string()),
        Error::Refused(refusal) => match refusal.kind {
            Kind::Unavailable | Kind::Timeout => ("NetworkError", refusal.message.clone()),
            _ => ("ValidationError", refusal.message.clone()),
        },
        Error::ExecutionFailed { .. } => ("ValidationError", error.to_string()),
    };
    failed(class, &format!("{field}: {message}"))
}
