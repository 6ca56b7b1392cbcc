//! Executions, their nodes and values, as last committed.

use std::collections::HashMap;
use std::fmt;
use std::time::{Duration, SystemTime};

use serde::de::DeserializeOwned;

use crate::core::api::common::v1 as common;
use crate::core::api::execution::v1 as message;
use crate::core::payload::{as_json, decode};
use crate::{Error, Result};

macro_rules! statuses {
    ($(#[$about:meta])* $name:ident { $($(#[$each:meta])* $word:ident = $number:literal,)* }) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum $name {
            $($(#[$each])* $word,)*
            /// A status of a newer server, by its number.
            Unknown(i32),
        }

        impl $name {
            pub(crate) fn of(number: i32) -> Self {
                match number {
                    $($number => Self::$word,)*
                    other => Self::Unknown(other),
                }
            }

            /// Return the number of the status in the contracts.
            pub fn number(self) -> i32 {
                match self {
                    $(Self::$word => $number,)*
                    Self::Unknown(number) => number,
                }
            }

            /// Return the status of a word, such as `running`.
            pub fn from_word(word: &str) -> Option<Self> {
                [$(Self::$word),*].into_iter().find(|each| each.to_string() == word)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self {
                    Self::Unknown(_) => formatter.write_str("unknown"),
                    $(Self::$word => formatter.write_str(&stringify!($word).to_lowercase()),)*
                }
            }
        }
    };
}

statuses! {
    /// The state of an execution.
    ExecutionStatus {
        /// Accepted, and not begun.
        Pending = 1,
        /// At work, or waiting for an event.
        Running = 2,
        /// No task starts until it is resumed.
        Paused = 3,
        /// Ended with an output.
        Completed = 4,
        /// Ended with a failure.
        Failed = 5,
        /// Ended by a cancellation.
        Canceled = 6,
        /// Ended by a termination.
        Terminated = 7,
        /// At work to undo completed nodes.
        Compensating = 8,
        /// Ended, and continued as a new execution.
        Continued = 9,
    }
}

statuses! {
    /// The state of a node.
    NodeStatus {
        /// Waits for other nodes.
        Pending = 1,
        /// At work.
        Running = 2,
        /// Ended with an output.
        Completed = 3,
        /// Ended with a failure.
        Failed = 4,
        /// Not needed.
        Skipped = 5,
        /// Ended by a cancellation.
        Canceled = 6,
    }
}

impl ExecutionStatus {
    /// Report whether an execution of this status has ended.
    pub fn ended(self) -> bool {
        use ExecutionStatus::{Canceled, Completed, Continued, Failed, Terminated};
        matches!(self, Completed | Failed | Canceled | Terminated | Continued)
    }
}

/// A value of an execution. One above 256 KiB is not inline: it has a digest, by which
/// [`Client::fetch`](crate::Client::fetch) reads it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Value {
    json: Vec<u8>,
    digest: Option<String>,
    size: u64,
}

impl Value {
    pub(crate) fn of(payload: Option<common::Payload>) -> Self {
        let payload = payload.unwrap_or_default();
        if let Some(found) = payload.reference {
            let size = found.size_bytes.max(0) as u64;
            return Self { digest: Some(found.digest), size, json: Vec::new() };
        }
        Self::of_json(as_json(payload.data, &payload.encoding))
    }

    pub(crate) fn of_json(json: Vec<u8>) -> Self {
        Self { size: json.len() as u64, json, digest: None }
    }

    /// Return the reference of a stored value, by its digest.
    pub fn stored(digest: impl Into<String>) -> Self {
        Self { digest: Some(digest.into()), ..Self::default() }
    }

    /// Return the JSON of an inline value; empty is null.
    pub fn json(&self) -> &[u8] {
        &self.json
    }

    /// Return the digest of a stored value.
    pub fn digest(&self) -> Option<&str> {
        self.digest.as_deref()
    }

    /// Return the number of bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Read an inline value.
    pub fn decode<T: DeserializeOwned>(&self) -> Result<T> {
        if self.digest.is_some() {
            let message = "the value is stored; Client::fetch reads it";
            return Err(Error::invalid("REQUEST_INVALID", message));
        }
        decode(&self.json)
    }
}

/// The failure of an attempt, a node or an execution.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Failure {
    /// The name on which retry policies decide.
    pub class: String,
    /// The text for people.
    pub message: String,
    /// The node that failed.
    pub node: String,
    /// The least delay before the next attempt.
    pub retry_after: Duration,
    /// More about the failure.
    pub details: Value,
}

impl Failure {
    pub(crate) fn of(failure: Option<common::Failure>) -> Option<Self> {
        failure.map(|found| Self {
            class: found.class,
            message: found.message,
            node: found.node,
            retry_after: Duration::from_millis(found.retry_after_ms.max(0) as u64),
            details: Value::of_json(found.details),
        })
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.node.is_empty() {
            true => write!(formatter, "{}: {}", self.class, self.message),
            false => write!(formatter, "{} in {}: {}", self.class, self.node, self.message),
        }
    }
}

/// One step of an execution.
#[derive(Clone, Debug)]
pub struct Node {
    /// The id in the definition.
    pub id: String,
    /// The name for people.
    pub name: String,
    /// Its state.
    pub status: NodeStatus,
    /// The type of its task; empty for other nodes.
    pub task_type: String,
    /// The number of started attempts.
    pub attempts: u32,
    /// The nodes that must complete before.
    pub dependencies: Vec<String>,
    /// The worker of the last attempt.
    pub worker_id: String,
    /// The start of the first attempt.
    pub started_at: Option<SystemTime>,
    /// The end.
    pub ended_at: Option<SystemTime>,
    /// The output of a completed node.
    pub output: Value,
    /// The failure of the last attempt.
    pub failure: Option<Failure>,
    /// True if it waits for an operator.
    pub held: bool,
    /// The execution of a subworkflow.
    pub child_execution_id: String,
}

/// One running or ended workflow, as last committed.
#[derive(Clone, Debug)]
pub struct Execution {
    /// The id.
    pub id: String,
    /// The namespace.
    pub namespace: String,
    /// The id of the workflow.
    pub workflow_id: String,
    /// The version of the workflow.
    pub version: u32,
    /// Its state.
    pub status: ExecutionStatus,
    /// The start.
    pub started_at: Option<SystemTime>,
    /// The end.
    pub ended_at: Option<SystemTime>,
    /// The input.
    pub input: Value,
    /// The output of a completed execution.
    pub output: Value,
    /// The failure of a failed execution.
    pub failure: Option<Failure>,
    /// The sequence of its last event.
    pub last_sequence: i64,
    /// The request id of its start.
    pub request_id: String,
    /// The execution of which it is a subworkflow.
    pub parent_id: String,
    /// The execution that continues it.
    pub continued_as: String,
    /// The variables.
    pub variables: HashMap<String, Value>,
    /// The nodes in the order of the definition; lists have none.
    pub nodes: Vec<Node>,
}

pub(crate) fn moment(micros: i64) -> Option<SystemTime> {
    let since = Duration::from_micros(u64::try_from(micros).ok().filter(|at| *at > 0)?);
    SystemTime::UNIX_EPOCH.checked_add(since)
}

impl Node {
    fn of(node: message::Node) -> Self {
        Self {
            name: if node.name.is_empty() { node.id.clone() } else { node.name },
            id: node.id,
            status: NodeStatus::of(node.status),
            task_type: node.task_type,
            attempts: node.attempts,
            dependencies: node.dependencies,
            worker_id: node.worker_id,
            started_at: moment(node.started_at_us),
            ended_at: moment(node.ended_at_us),
            output: Value::of(node.output),
            failure: Failure::of(node.failure),
            held: node.held,
            child_execution_id: node.child_execution_id,
        }
    }
}

impl Execution {
    pub(crate) fn of(found: message::Execution) -> Self {
        Self {
            id: found.execution_id,
            namespace: found.namespace,
            workflow_id: found.workflow_id,
            version: found.workflow_version,
            status: ExecutionStatus::of(found.status),
            started_at: moment(found.started_at_us),
            ended_at: moment(found.ended_at_us),
            input: Value::of(found.input),
            output: Value::of(found.output),
            failure: Failure::of(found.failure),
            last_sequence: found.last_sequence,
            request_id: found.request_id,
            parent_id: found.link.map(|link| link.parent_id).unwrap_or_default(),
            continued_as: found.continued_as,
            variables: found.variables.into_iter().map(|(k, v)| (k, Value::of(Some(v)))).collect(),
            nodes: found.nodes.into_iter().map(Node::of).collect(),
        }
    }

    /// Return the node of an id.
    pub fn node(&self, id: &str) -> Option<&Node> {
        self.nodes.iter().find(|node| node.id == id)
    }
}
