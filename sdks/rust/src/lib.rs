//! Rust SDK of Flowmesh: start, watch and steer workflows, and run their tasks.
//!
//! ```no_run
//! # async fn example() -> Result<(), flowmesh::Error> {
//! let client = flowmesh::Client::connect("127.0.0.1:7450").await?;
//! let total: u32 = client.run("order", &serde_json::json!({"items": 3})).await?;
//! # Ok(())
//! # }
//! ```
//!
//! [`worker`] runs the tasks of workflows, [`mesh`] finds services.

mod client;
mod core;
mod error;
mod events;
mod execution;
mod handle;
mod lists;
pub mod mesh;
mod session;
mod start;
pub mod worker;

pub use client::{Builder, Client};
pub use core::caller::with_traceparent;
pub use core::endpoint::Tls;
pub use core::sealing::{Codec, SealingKeys};
pub use error::{Error, Kind, Refusal, Violation};
pub use events::{AllEvents, Event, Events};
pub use execution::{Execution, ExecutionStatus, Failure, Node, NodeStatus, Value};
/// The messages of the contracts, for the data of events.
pub use flowmesh_proto;
pub use handle::{Change, Handle};
pub use lists::{Executions, Resource};
pub use session::{Session, SessionCall};
pub use start::{Start, ToHandle, ToOutput, ToSession};
pub use worker::{TaskError, Worker};

/// The result of a call.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A stream of results; an error is its last item.
pub type Stream<T> = futures_util::stream::BoxStream<'static, Result<T>>;
