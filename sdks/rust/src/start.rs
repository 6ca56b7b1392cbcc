//! Starts of executions.

use std::collections::HashMap;
use std::future::IntoFuture;
use std::marker::PhantomData;
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use serde::de::DeserializeOwned;
use serde::Serialize;

use crate::core::api::execution::v1::StartExecutionRequest;
use crate::core::caller::Limits;
use crate::core::limits::CALL_TIMEOUT;
use crate::core::payload::encode;
use crate::core::{random_id, unary};
use crate::handle::WAIT_MAX;
use crate::{Client, Handle, Result, Session, SessionCall};

/// The start of an execution, which is made by `.await`. The execution is durable then.
#[must_use = "a start is made by .await"]
pub struct Start<To> {
    client: Client,
    request: StartExecutionRequest,
    input: Result<Vec<u8>>,
    timeout: Option<Duration>,
    to: To,
}

/// A start that returns a [`Handle`].
pub struct ToHandle;

/// A start that waits for the output.
pub struct ToOutput<Out>(PhantomData<fn() -> Out>);

/// A start of a [`Session`].
pub struct ToSession {
    session: Session,
    want_result: bool,
}

impl<To> Start<To> {
    pub(crate) fn new<In: Serialize + ?Sized>(
        client: &Client,
        workflow: &str,
        input: &In,
        to: To,
    ) -> Self {
        let request = StartExecutionRequest {
            namespace: client.caller.namespace.clone(),
            workflow_id: workflow.to_owned(),
            actor: client.caller.actor.clone(),
            ..StartExecutionRequest::default()
        };
        Self { client: client.clone(), request, input: encode(input), timeout: None, to }
    }

    /// Make the start idempotent: a repeated one returns the execution that the first has
    /// started. The default is a new random id.
    pub fn request_id(mut self, id: impl Into<String>) -> Self {
        self.request.request_id = id.into();
        self
    }

    /// Start a version of the workflow; the default is the newest.
    pub fn version(mut self, number: u32) -> Self {
        self.request.version = number;
        self
    }

    /// Start the version that has a label.
    pub fn version_label(mut self, label: impl Into<String>) -> Self {
        self.request.version_label = label.into();
        self
    }

    /// Set labels by which the execution is found.
    pub fn labels(mut self, labels: HashMap<String, String>) -> Self {
        self.request.labels = labels;
        self
    }

    /// Set the permissions of the starter, which tasks may require.
    pub fn permissions(mut self, ids: Vec<String>) -> Self {
        self.request.permissions = ids;
        self
    }

    async fn packed(&mut self) -> Result<StartExecutionRequest> {
        let input = std::mem::replace(&mut self.input, Ok(Vec::new()))?;
        self.request.input = Some(self.client.caller.pack(input).await?);
        if self.request.request_id.is_empty() {
            self.request.request_id = random_id();
        }
        Ok(std::mem::take(&mut self.request))
    }

    async fn sent(mut self, until: Option<Instant>) -> Result<Handle> {
        let request = self.packed().await?;
        let wait = Duration::from_millis(request.wait_ms.max(0) as u64);
        let limits = Limits { each: CALL_TIMEOUT + wait, until };
        let call = unary!(self.client.caller, executions.start_execution, request, limits);
        let response = call.await?;
        let (id, created) = (response.execution_id, response.created);
        Ok(Handle::new(self.client, id, created, response.execution))
    }
}

impl Start<ToHandle> {
    /// Let the call wait for the end of the execution; the handle then has the result already.
    pub fn wait_at_most(mut self, wait: Duration) -> Self {
        self.request.wait_ms = i64::try_from(wait.as_millis()).unwrap_or(i64::MAX);
        self
    }
}

impl<Out> Start<ToOutput<Out>> {
    /// Limit the wait; the execution runs on after it.
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.timeout = Some(limit);
        self
    }
}

impl Start<ToSession> {
    /// Receive no result, which is cheaper.
    pub fn without_result(mut self) -> Self {
        self.to.want_result = false;
        self
    }
}

impl IntoFuture for Start<ToHandle> {
    type Output = Result<Handle>;
    type IntoFuture = BoxFuture<'static, Result<Handle>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.sent(None))
    }
}

impl<Out: DeserializeOwned + 'static> IntoFuture for Start<ToOutput<Out>> {
    type Output = Result<Out>;
    type IntoFuture = BoxFuture<'static, Result<Out>>;

    fn into_future(mut self) -> Self::IntoFuture {
        // A limit beyond all time is none.
        let until = self.timeout.and_then(|limit| Instant::now().checked_add(limit));
        let wait = self.timeout.map_or(WAIT_MAX, |limit| limit.min(WAIT_MAX));
        self.request.wait_ms = wait.as_millis() as i64;
        self.request.without_nodes = true;
        Box::pin(async move { self.sent(until).await?.output(until).await })
    }
}

impl IntoFuture for Start<ToSession> {
    type Output = Result<SessionCall>;
    type IntoFuture = BoxFuture<'static, Result<SessionCall>>;

    fn into_future(mut self) -> Self::IntoFuture {
        Box::pin(async move {
            let request = self.packed().await?;
            self.to.session.submit(request, self.to.want_result).await
        })
    }
}

impl Client {
    /// Start an execution of a workflow.
    pub fn start<In: Serialize + ?Sized>(&self, workflow: &str, input: &In) -> Start<ToHandle> {
        Start::new(self, workflow, input, ToHandle)
    }

    /// Start an execution, wait for its end and return its output. An execution that did not
    /// complete is [`Error::ExecutionFailed`](crate::Error::ExecutionFailed).
    pub fn run<Out>(
        &self,
        workflow: &str,
        input: &(impl Serialize + ?Sized),
    ) -> Start<ToOutput<Out>> {
        Start::new(self, workflow, input, ToOutput(PhantomData))
    }
}

impl Session {
    /// Queue a start. The future waits only while 10,000 are unacknowledged.
    pub fn start<In: Serialize + ?Sized>(&self, workflow: &str, input: &In) -> Start<ToSession> {
        let to = ToSession { session: self.clone(), want_result: true };
        Start::new(&self.client, workflow, input, to)
    }
}
