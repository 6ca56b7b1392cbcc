//! The handlers of the driver, and the ledger of their calls.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use flowmesh::worker::{Context, Interruption};
use flowmesh::{Client, TaskError};
use serde::Deserialize;
use serde_json::{json, Value};

use crate::values::Given;

const CALLS_MAX: usize = 1000;

/// The calls of the handlers of one worker.
pub struct Ledger {
    client: Client,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    calls: Vec<Call>,
    ended: usize,
    began: Option<Instant>,
}

struct Call {
    context: Context,
    state: &'static str,
}

/// The inputs of all behaviors.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Input {
    class: String,
    message: String,
    workflow: String,
    retry_after_ms: u64,
    ms: u64,
    every_ms: u64,
    attempts: u32,
    count: u32,
    bytes: usize,
    details: Option<Value>,
    input: Value,
    nested: bool,
}

type Outcome = Result<Given, TaskError>;

/// A plain error.
#[derive(Debug)]
struct Broken(String);

impl std::fmt::Display for Broken {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl std::error::Error for Broken {}

impl Ledger {
    pub fn new(client: Client) -> Arc<Self> {
        Arc::new(Self { client, state: Mutex::default() })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Note a call while a behavior runs.
    pub async fn handle(
        self: Arc<Self>,
        behavior: String,
        input: Value,
        context: Context,
    ) -> Outcome {
        let index = {
            let mut state = self.state();
            state.began.get_or_insert_with(Instant::now);
            state.calls.push(Call { context: context.clone(), state: "running" });
            state.calls.len() - 1
        };
        let _ended = Ended { ledger: self.clone(), index };
        behave(&self.client, &behavior, input, context).await
    }

    pub fn ended(&self) -> (usize, Option<Instant>) {
        let state = self.state();
        (state.ended, state.began)
    }

    pub fn summary(&self) -> Value {
        let state = self.state();
        let key =
            |c: &Call| (c.context.execution_id.clone(), c.context.node.clone(), c.context.attempt);
        let distinct: HashSet<_> = state.calls.iter().map(key).collect();
        let count = |word: &str| state.calls.iter().filter(|call| call.state == word).count();
        let shown = if state.calls.len() > CALLS_MAX { &[] } else { state.calls.as_slice() };
        let calls: Vec<Value> = shown
            .iter()
            .map(|call| {
                let task = &call.context;
                json!({
                    "taskType": task.task_type, "execution": task.execution_id, "node": task.node,
                    "attempt": task.attempt, "key": task.idempotency_key, "state": call.state,
                })
            })
            .collect();
        json!({
            "calls": calls, "count": state.calls.len(), "distinct": distinct.len(),
            "running": count("running"), "canceled": count("canceled"), "ended": count("ended"),
        })
    }
}

/// The end of a call, that of a panic too.
struct Ended {
    ledger: Arc<Ledger>,
    index: usize,
}

impl Drop for Ended {
    fn drop(&mut self) {
        let mut state = self.ledger.state();
        state.ended += 1;
        let call = &mut state.calls[self.index];
        let canceled = call.context.interruption().is_some();
        call.state = if canceled { "canceled" } else { "ended" };
    }
}

async fn behave(client: &Client, behavior: &str, given: Value, task: Context) -> Outcome {
    if behavior == "echo" {
        return Ok(Given(given));
    }
    // Behaviors with other inputs do not read them.
    let input: Input = serde_json::from_value(given).unwrap_or_default();
    let pause = Duration::from_millis(input.ms);
    let value = match behavior {
        "context" => json!({
            "attempt": task.attempt, "key": task.idempotency_key, "execution": task.execution_id,
            "workflow": task.workflow_id, "namespace": task.namespace, "node": task.node,
            "taskType": task.task_type, "traceparent": task.traceparent,
            "timeoutMs": task.timeout.map_or(0, |limit| limit.as_millis() as u64),
        }),
        "fail" => {
            let delay = Duration::from_millis(input.retry_after_ms);
            let failure = TaskError::new(input.class, input.message).retry_after(delay);
            return Err(match input.details {
                Some(details) => failure.details(&details),
                None => failure,
            });
        }
        "final" => return Err(TaskError::non_retryable(input.message)),
        "error" => return Err(Broken(input.message).into()),
        "panic" => panic!("panic on purpose"),
        "flaky" if task.attempt < input.attempts => {
            return Err(TaskError::new(input.class, format!("attempt {}", task.attempt)));
        }
        "flaky" => json!({"attempt": task.attempt, "key": task.idempotency_key}),
        "sleep" => tokio::select! {
            () = tokio::time::sleep(pause) => json!({"ms": input.ms}),
            cause = task.interrupted() => return Err(cause.into()),
        },
        "stubborn" => {
            tokio::time::sleep(pause).await;
            json!({"ms": input.ms})
        }
        "beat" => beat(&task, &input).await?,
        "big" => json!("x".repeat(input.bytes)),
        "unencodable" if input.nested => {
            return Ok(Given(json!({"sums": [1, {"$bad": "-infinity"}]})));
        }
        "unencodable" => return Ok(Given(json!({"$bad": "nan"}))),
        "call" => {
            let output: Value = client.run(&input.workflow, &input.input).await?;
            json!({"traceparent": task.traceparent, "output": output})
        }
        "close" => {
            client.close();
            Value::Null
        }
        "exit" => std::process::exit(3),
        _ => Value::Null,
    };
    Ok(Given(value))
}

async fn beat(task: &Context, input: &Input) -> Result<Value, TaskError> {
    for n in 1..=input.count {
        let details = match input.bytes {
            0 => json!({"n": n}),
            bytes => json!("x".repeat(bytes)),
        };
        if let Err(refusal) = task.heartbeat(&details) {
            let interrupted: Option<Interruption> = task.interruption();
            return Err(interrupted
                .map_or_else(|| TaskError::new("Refused", refusal.to_string()), TaskError::from));
        }
        tokio::time::sleep(Duration::from_millis(input.every_ms)).await;
    }
    Ok(json!({"beats": input.count}))
}
