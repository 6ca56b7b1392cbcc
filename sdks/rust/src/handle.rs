//! One execution by its id.

use std::collections::HashMap;
use std::future::IntoFuture;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use serde::de::DeserializeOwned;
use serde::Serialize;

use crate::core::api::execution::v1 as message;
use crate::core::caller::Limits;
use crate::core::limits::CALL_TIMEOUT;
use crate::core::payload::{decode, encode};
use crate::core::{locked, random_id, unary};
use crate::{Client, Error, Execution, ExecutionStatus, Failure, Kind, NodeStatus, Result, Value};

/// The longest wait of one call; a shorter one finds a lost server sooner than the five minutes
/// that servers accept.
pub(crate) const WAIT_MAX: Duration = Duration::from_secs(30);
/// The server ends a wait a little before its deadline.
const WAIT_MARGIN: Duration = Duration::from_millis(20);

/// One execution by its id. It holds no connection open.
#[derive(Clone)]
pub struct Handle {
    pub(crate) client: Client,
    pub(crate) id: String,
    created: bool,
    ended: Arc<Mutex<Option<message::Execution>>>,
}

impl Client {
    /// Return the handle of an execution that exists, without a call.
    pub fn handle(&self, id: impl Into<String>) -> Handle {
        Handle::new(self.clone(), id.into(), false, None)
    }
}

impl Handle {
    pub(crate) fn new(
        client: Client,
        id: String,
        created: bool,
        ended: Option<message::Execution>,
    ) -> Self {
        Self { client, id, created, ended: Arc::new(Mutex::new(ended)) }
    }

    /// Return the id of the execution.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Return false if an earlier call with the same request id has started the execution.
    pub fn created(&self) -> bool {
        self.created
    }

    /// Wait for the end and return the output. An execution that did not complete is
    /// [`Error::ExecutionFailed`].
    pub async fn result<Out: DeserializeOwned>(&self) -> Result<Out> {
        self.output(None).await
    }

    /// Wait for the end as [`result`](Self::result) does, within a limit.
    pub async fn result_within<Out: DeserializeOwned>(&self, limit: Duration) -> Result<Out> {
        self.output(Instant::now().checked_add(limit)).await
    }

    /// Wait for the end and return the execution in any status.
    pub async fn wait(&self) -> Result<Execution> {
        Ok(self.client.caller.execution(self.end(None).await?))
    }

    pub(crate) async fn output<Out: DeserializeOwned>(
        &self,
        until: Option<Instant>,
    ) -> Result<Out> {
        let found = self.end(until).await?;
        let status = ExecutionStatus::of(found.status);
        if status != ExecutionStatus::Completed {
            let failure = Failure::of(found.failure).map(Box::new);
            return Err(Error::ExecutionFailed { id: self.id.clone(), status, failure });
        }
        if found.erasure.is_some() {
            let message = format!("the values of {} were erased on request", self.id);
            return Err(Error::new(Kind::WrongState, "PAYLOAD_ERASED", message));
        }
        decode(&self.client.caller.unpack(found.output).await?)
    }

    async fn end(&self, until: Option<Instant>) -> Result<message::Execution> {
        if let Some(found) = locked(&self.ended).clone() {
            return Ok(found);
        }
        loop {
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            if left.is_some_and(|left| left < WAIT_MARGIN) {
                return Err(self.still_runs());
            }
            let wait = left.map_or(WAIT_MAX, |left| WAIT_MAX.min(left - WAIT_MARGIN));
            let request = message::WaitExecutionRequest {
                namespace: self.client.caller.namespace.clone(),
                execution_id: self.id.clone(),
                timeout_ms: wait.as_millis().max(1) as i64,
                without_nodes: true,
                ..message::WaitExecutionRequest::default()
            };
            let limits = Limits { each: wait + CALL_TIMEOUT, until };
            let call = unary!(self.client.caller, executions.wait_execution, request, limits);
            let response = call.await.map_err(|error| match error.reason() {
                "DEADLINE_EXCEEDED" if until.is_some() => self.still_runs(),
                _ => error,
            })?;
            if let Some(found) = response.execution {
                *locked(&self.ended) = Some(found.clone());
                return Ok(found);
            }
        }
    }

    fn still_runs(&self) -> Error {
        let message = format!("execution {} is still running", self.id);
        Error::new(Kind::Timeout, "SYNC_TIMEOUT", message)
    }

    /// Return the last committed state, with all nodes.
    pub async fn describe(&self) -> Result<Execution> {
        let request = message::GetExecutionRequest {
            namespace: self.client.caller.namespace.clone(),
            execution_id: self.id.clone(),
            ..message::GetExecutionRequest::default()
        };
        let call = unary!(self.client.caller, executions.get_execution, request);
        Ok(self.client.caller.execution(call.await?.execution.unwrap_or_default()))
    }

    /// Return the outputs of the completed nodes; large ones are fetched.
    pub async fn outputs(&self) -> Result<HashMap<String, Value>> {
        let mut found = HashMap::new();
        for node in self.describe().await?.nodes {
            if node.status != NodeStatus::Completed {
                continue;
            }
            let value = match node.output.digest() {
                Some(digest) => Value::of_json(self.client.caller.get(digest).await?),
                None => node.output,
            };
            found.insert(node.id, value);
        }
        Ok(found)
    }

    fn change<const R: bool, const C: bool>(&self, action: Action) -> Change<R, C> {
        Change {
            handle: self.clone(),
            action,
            request_id: random_id(),
            reason: String::new(),
            compensate: None,
        }
    }

    /// Send a signal; `.await` returns the sequence of its event.
    pub fn signal<T: Serialize + ?Sized>(&self, name: &str, payload: &T) -> Change<false, false> {
        self.change(Action::Signal(name.to_owned(), encode(payload)))
    }

    /// Cancel the execution: its tasks are canceled and none starts.
    pub fn cancel(&self) -> Change<true, true> {
        self.change(Action::Cancel)
    }

    /// End the execution; completed nodes are undone only if the workflow or
    /// [`compensate`](Change::compensate) asks for it.
    pub fn terminate(&self) -> Change<true, true> {
        self.change(Action::Terminate)
    }

    /// Pause the execution: no task starts, running ones continue.
    pub fn pause(&self) -> Change<true, false> {
        self.change(Action::Pause)
    }

    /// Resume a paused execution.
    pub fn resume(&self) -> Change<true, false> {
        self.change(Action::Resume)
    }
}

#[derive(Clone)]
enum Action {
    Signal(String, Result<Vec<u8>>),
    Cancel,
    Terminate,
    Pause,
    Resume,
}

/// A change of an execution, which is made by `.await`. It returns the sequence of a signal's
/// event, else 0. `REASONED` and `COMPENSATED` tell whether it has a reason, and whether it may undo
/// completed nodes.
#[must_use = "a change is made by .await"]
pub struct Change<const REASONED: bool, const COMPENSATED: bool> {
    handle: Handle,
    action: Action,
    request_id: String,
    reason: String,
    compensate: Option<bool>,
}

impl<const C: bool> Change<true, C> {
    /// Record a reason with the change.
    pub fn reason(mut self, text: impl Into<String>) -> Self {
        self.reason = text.into();
        self
    }
}

impl Change<true, true> {
    /// Decide whether a cancellation or termination undoes completed nodes first; the default
    /// follows the workflow.
    pub fn compensate(mut self, yes: bool) -> Self {
        self.compensate = Some(yes);
        self
    }
}

impl<const R: bool, const C: bool> Change<R, C> {
    /// Make the change idempotent: a repeated one returns the first response. The default is a
    /// new random id.
    pub fn request_id(mut self, id: impl Into<String>) -> Self {
        self.request_id = id.into();
        self
    }

    async fn made(self) -> Result<i64> {
        let caller = self.handle.client.caller.clone();
        let (namespace, actor) = (caller.namespace.clone(), caller.actor.clone());
        let (execution_id, compensate) = (self.handle.id, self.compensate);
        let (request_id, reason) = (self.request_id, self.reason);
        macro_rules! sent {
            ($method:ident, $request:ident { $($field:ident),* }) => {{
                let request = message::$request { $($field,)* ..message::$request::default() };
                let call = unary!(caller, executions.$method, request);
                call.await?
            }};
        }
        match self.action {
            Action::Signal(name, data) => {
                let payload = Some(caller.pack(data?).await?);
                let response = sent!(
                    signal_execution,
                    SignalExecutionRequest {
                        namespace,
                        execution_id,
                        name,
                        payload,
                        request_id,
                        actor
                    }
                );
                return Ok(response.sequence);
            }
            Action::Cancel => drop(sent!(
                cancel_execution,
                CancelExecutionRequest {
                    namespace,
                    execution_id,
                    reason,
                    request_id,
                    actor,
                    compensate
                }
            )),
            Action::Terminate => drop(sent!(
                terminate_execution,
                TerminateExecutionRequest {
                    namespace,
                    execution_id,
                    reason,
                    request_id,
                    actor,
                    compensate
                }
            )),
            Action::Pause => drop(sent!(
                pause_execution,
                PauseExecutionRequest { namespace, execution_id, reason, request_id, actor }
            )),
            Action::Resume => drop(sent!(
                resume_execution,
                ResumeExecutionRequest { namespace, execution_id, reason, request_id, actor }
            )),
        }
        Ok(0)
    }
}

impl<const R: bool, const C: bool> IntoFuture for Change<R, C> {
    type Output = Result<i64>;
    type IntoFuture = BoxFuture<'static, Result<i64>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.made())
    }
}
