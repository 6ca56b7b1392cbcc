//! The task of a handler, and its failures.

use std::any::Any;
use std::fmt;
use std::ops::Deref;
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use serde::Serialize;
use serde_json::value::RawValue;
use tokio_util::sync::CancellationToken;

use super::stream::Stream;
use crate::core::api::worker::v1 as message;
use crate::core::payload::encode;
use crate::{Error, Kind};

const HEARTBEAT_BYTES_MAX: usize = 64 * 1024;

/// The facts of the task that a handler runs.
#[derive(Clone, Debug)]
pub struct Task {
    /// The same on all attempts; pass it to the services that the handler calls.
    pub idempotency_key: String,
    /// The number of the attempt, from 1.
    pub attempt: u32,
    /// The id of the execution.
    pub execution_id: String,
    /// The id of the workflow.
    pub workflow_id: String,
    /// The namespace.
    pub namespace: String,
    /// The node.
    pub node: String,
    /// The type.
    pub task_type: String,
    /// The queue.
    pub queue: String,
    /// The W3C trace context of the execution. Calls of the handler carry it.
    pub traceparent: String,
    /// The time limit of the attempt.
    pub timeout: Option<Duration>,
    /// The configuration of the task type in JSON, as in its definition.
    pub config: Vec<u8>,
}

impl Task {
    pub(super) fn of(task: &message::Task, config: Vec<u8>) -> Self {
        let timeout = u64::try_from(task.timeout_ms).ok().filter(|limit| *limit > 0);
        Self {
            idempotency_key: task.idempotency_key.clone(),
            attempt: task.attempt,
            execution_id: task.execution_id.clone(),
            workflow_id: task.workflow_id.clone(),
            namespace: task.namespace.clone(),
            node: task.node.clone(),
            task_type: task.task_type.clone(),
            queue: task.queue.clone(),
            traceparent: task.traceparent.clone(),
            timeout: timeout.map(Duration::from_millis),
            config,
        }
    }
}

/// The cause for which the result of a handler is not wanted any more. A handler may return it
/// as its error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Interruption {
    /// The cancellation of the task.
    #[error("the task was canceled")]
    Canceled,
    /// The end of its time.
    #[error("the time limit of the attempt was exceeded")]
    TimedOut,
    /// The end of the worker.
    #[error("the worker stops")]
    Stopped,
}

/// The task of a handler, with its heartbeats and its interruption.
#[derive(Clone)]
pub struct Context(Arc<Inner>);

struct Inner {
    task: Task,
    token: String,
    stream: Weak<Stream>,
    interrupted: CancellationToken,
    cause: OnceLock<Interruption>,
}

impl Deref for Context {
    type Target = Task;

    fn deref(&self) -> &Task {
        &self.0.task
    }
}

impl Context {
    pub(super) fn new(task: Task, token: String, stream: &Arc<Stream>) -> Self {
        Self(Arc::new(Inner {
            task,
            token,
            stream: Arc::downgrade(stream),
            interrupted: CancellationToken::new(),
            cause: OnceLock::new(),
        }))
    }

    /// Return the cause once the result is not wanted any more.
    pub fn interruption(&self) -> Option<Interruption> {
        self.0.cause.get().copied()
    }

    /// Wait until the result is not wanted any more.
    pub async fn interrupted(&self) -> Interruption {
        self.0.interrupted.cancelled().await;
        self.interruption().unwrap_or(Interruption::Canceled)
    }

    /// Report that the task is alive, with details of at most 64 KiB; the newest are shown. The
    /// error is the interruption once the task is not wanted.
    pub fn heartbeat<T: Serialize + ?Sized>(&self, details: &T) -> Result<(), TaskError> {
        if let Some(cause) = self.interruption() {
            return Err(cause.into());
        }
        let data = encode(details)?;
        if data.len() > HEARTBEAT_BYTES_MAX {
            let message = format!(
                "the details of a heartbeat have {} bytes; the limit is {HEARTBEAT_BYTES_MAX}",
                data.len()
            );
            return Err(Error::new(Kind::TooLarge, "PAYLOAD_TOO_LARGE", message).into());
        }
        if let Some(stream) = self.0.stream.upgrade() {
            stream.heartbeat(&self.0.token, data);
        }
        Ok(())
    }

    pub(super) fn interrupt(&self, cause: Interruption) {
        // The first cause stays.
        let _ = self.0.cause.set(cause);
        self.0.interrupted.cancel();
    }
}

/// The error of a handler, with the class on which retry policies decide. Any error becomes one
/// by `?`, of the class of its type's name.
pub struct TaskError {
    pub(super) class: String,
    pub(super) message: String,
    pub(super) retry_after: Duration,
    pub(super) details: Option<Result<Box<RawValue>, String>>,
}

impl TaskError {
    /// Return an error of a class.
    pub fn new(class: impl Into<String>, message: impl Into<String>) -> Self {
        let (class, message) = (class.into(), message.into());
        Self { class, message, retry_after: Duration::ZERO, details: None }
    }

    /// Return an error of the class `NonRetryable`, which the default policy does not retry.
    pub fn non_retryable(message: impl Into<String>) -> Self {
        Self::new("NonRetryable", message)
    }

    /// Set the least delay before the next attempt.
    #[must_use]
    pub fn retry_after(mut self, delay: Duration) -> Self {
        self.retry_after = delay;
        self
    }

    /// Set any JSON value as details.
    #[must_use]
    pub fn details<T: Serialize + ?Sized>(mut self, value: &T) -> Self {
        let text = encode(value).map_err(|error| error.to_string());
        let text = text.and_then(|data| String::from_utf8(data).map_err(|e| e.to_string()));
        self.details = Some(text.and_then(|t| RawValue::from_string(t).map_err(|e| e.to_string())));
        self
    }

    /// Return the class.
    pub fn class(&self) -> &str {
        &self.class
    }
}

impl fmt::Display for TaskError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.message.is_empty() {
            true => formatter.write_str(&self.class),
            false => write!(formatter, "{}: {}", self.class, self.message),
        }
    }
}

impl fmt::Debug for TaskError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

impl<E: std::error::Error + Send + Sync + 'static> From<E> for TaskError {
    fn from(error: E) -> Self {
        let any: &dyn Any = &error;
        let class = if let Some(cause) = any.downcast_ref::<Interruption>() {
            match cause {
                Interruption::TimedOut => "Timeout".to_owned(),
                _ => "Cancelled".to_owned(),
            }
        } else if let Some(known) = any.downcast_ref::<Error>() {
            known.kind().to_string()
        } else {
            let name = std::any::type_name::<E>();
            let name = name.split('<').next().unwrap_or(name);
            name.rsplit("::").next().unwrap_or(name).to_owned()
        };
        Self::new(class, error.to_string())
    }
}
