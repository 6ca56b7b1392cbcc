//! The worker: it runs the tasks of the types for which it has handlers.
//!
//! ```no_run
//! use flowmesh::worker::{Context, Worker};
//! use flowmesh::TaskError;
//!
//! # async fn example(client: flowmesh::Client) -> Result<(), flowmesh::Error> {
//! let worker = Worker::new(&client)
//!     .task("greet", |name: String, _: Context| async move { Ok::<_, TaskError>(format!("Hello {name}")) })
//!     .start()
//!     .await?;
//! worker.stop().await;
//! # Ok(())
//! # }
//! ```

mod queue;
mod runner;
mod stream;
mod task;

use std::collections::{BTreeMap, HashMap};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::Serialize;
use tokio_util::sync::CancellationToken;

pub use task::{Context, Interruption, Task, TaskError};

use crate::core::payload::{decode, encode};
use crate::core::random_id;
use crate::{Client, Error, Result};
use runner::{Ended, Handler};
use stream::Stream;

const SLOTS_DEFAULT: u32 = 100;
const SLOTS_MAX: u32 = 10_000;
const DRAIN_DEFAULT: Duration = Duration::from_secs(10);

/// The settings and handlers of a worker.
#[must_use]
pub struct Worker {
    client: Client,
    settings: Settings,
    handlers: BTreeMap<String, Handler>,
    repeated: Option<String>,
}

#[derive(Clone)]
struct Settings {
    id: String,
    slots: u32,
    queues: Vec<String>,
    labels: HashMap<String, String>,
    drain: Duration,
}

impl Worker {
    /// Return a worker of a client without handlers.
    pub fn new(client: &Client) -> Self {
        let settings = Settings {
            id: format!("worker-{}", random_id()),
            slots: SLOTS_DEFAULT,
            queues: Vec::new(),
            labels: HashMap::new(),
            drain: DRAIN_DEFAULT,
        };
        Self { client: client.clone(), settings, handlers: BTreeMap::new(), repeated: None }
    }

    /// Set the identity of the worker, which no other may have; the default is a random one.
    pub fn id(mut self, id: impl Into<String>) -> Self {
        self.settings.id = id.into();
        self
    }

    /// Set the number of tasks that run at once, 1 to 10,000; the default is 100.
    pub fn slots(mut self, count: u32) -> Self {
        self.settings.slots = count;
        self
    }

    /// Set the queues to serve; the default is `default`.
    pub fn queues(mut self, names: Vec<String>) -> Self {
        self.settings.queues = names;
        self
    }

    /// Set labels that tasks may require.
    pub fn labels(mut self, labels: HashMap<String, String>) -> Self {
        self.settings.labels = labels;
        self
    }

    /// Set the time that running tasks have at the end; the default is 10 s.
    pub fn drain_for(mut self, limit: Duration) -> Self {
        self.settings.drain = limit;
        self
    }

    /// Add the handler of a task type. Its input is decoded from JSON, and its output encoded. A
    /// handler that blocks its thread runs its work in `tokio::task::spawn_blocking`.
    pub fn task<In, Out, F, Fut>(mut self, task_type: &str, function: F) -> Self
    where
        In: DeserializeOwned + Send + 'static,
        Out: Serialize + Send + 'static,
        F: Fn(In, Context) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = std::result::Result<Out, TaskError>> + Send + 'static,
    {
        let function = Arc::new(function);
        let handler: Handler = Arc::new(move |input: Vec<u8>, context: Context| {
            let function = function.clone();
            Box::pin(async move {
                let input: In = match decode(&input) {
                    Ok(input) => input,
                    Err(error) => return Ended::Untransferred("input", error),
                };
                match function(input, context).await {
                    Err(failure) => Ended::Failed(failure),
                    Ok(output) => match encode(&output) {
                        Ok(data) => Ended::Output(data),
                        Err(error) => Ended::Untransferred("output", error),
                    },
                }
            })
        });
        if self.handlers.insert(task_type.to_owned(), handler).is_some() {
            self.repeated = Some(task_type.to_owned());
        }
        self
    }

    /// Connect, and return once the server accepts the worker, or with its refusal. It gives up
    /// after 60 s without a server.
    pub async fn start(self) -> Result<Running> {
        let wrong = |message: String| Err(Error::invalid("HELLO_INVALID", message));
        if let Some(repeated) = self.repeated {
            return wrong(format!("the task type {repeated:?} has two handlers"));
        }
        if self.handlers.is_empty() {
            return wrong("a worker needs at least one handler".to_owned());
        }
        check_slots(self.settings.slots)?;
        let running = Running {
            id: self.settings.id.clone(),
            drain: self.settings.drain,
            stream: Stream::open(&self.client, self.settings, self.handlers),
            _client: self.client,
        };
        running.stream.accepted().await?;
        Ok(running)
    }

    /// Run until a token is canceled, and drain. The error is that of a server that refuses the
    /// worker.
    pub async fn run(self, end: CancellationToken) -> Result<()> {
        let running = tokio::select! {
            () = end.cancelled() => return Ok(()),
            running = self.start() => running?,
        };
        let outcome = tokio::select! {
            () = end.cancelled() => Ok(()),
            error = running.ended() => Err(error),
        };
        running.stop().await;
        outcome
    }
}

fn check_slots(count: u32) -> Result<()> {
    if (1..=SLOTS_MAX).contains(&count) {
        return Ok(());
    }
    let message = format!("slots must be 1 to {SLOTS_MAX}, not {count}");
    Err(Error::invalid("HELLO_INVALID", message))
}

/// A worker that runs. Its drop stops it without a drain.
pub struct Running {
    id: String,
    drain: Duration,
    stream: Arc<Stream>,
    _client: Client,
}

impl Running {
    /// Return the identity of the worker.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Change the number of tasks that run at once.
    pub fn set_slots(&self, count: u32) -> Result<()> {
        check_slots(count)?;
        self.stream.set_slots(count);
        Ok(())
    }

    /// Wait for an end that was not asked for, and return its cause.
    pub async fn ended(&self) -> Error {
        self.stream.ended().await
    }

    /// Drain: accept no tasks, give running ones the time of [`Worker::drain_for`], interrupt the
    /// rest and close the stream. Stopping again has no effect.
    pub async fn stop(&self) {
        self.stream.drain(self.drain).await;
        self.stream.stop().await;
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stream.abandon();
    }
}
