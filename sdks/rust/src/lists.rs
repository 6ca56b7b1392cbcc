//! Lists of executions, stored histories and definitions.

use std::time::SystemTime;

use async_stream::try_stream;

use crate::core::api::definition::v1::ApplyRequest;
use crate::core::api::event::v1::LifecycleEvent;
use crate::core::api::execution::v1::ListExecutionsRequest;
use crate::core::api::history::v1::{history_event::Event as Body, ListHistoryEventsRequest};
use crate::core::{random_id, unary};
use crate::{Client, Event, Execution, ExecutionStatus, Handle, Result, Stream};

/// The selection and order of executions; the default selects all, the newest first.
#[derive(Clone, Debug, Default)]
pub struct Executions {
    /// The workflow.
    pub workflow_id: String,
    /// The statuses.
    pub statuses: Vec<ExecutionStatus>,
    /// The earliest start.
    pub started_after: Option<SystemTime>,
    /// The latest start.
    pub started_before: Option<SystemTime>,
    /// A filter, such as `workflow = "order" AND label.shop = "x"`.
    pub filter: String,
    /// The order, such as `started desc`.
    pub order_by: String,
    /// The number of executions per call, at most 1,000.
    pub page_size: u32,
    /// True fetches the nodes too.
    pub with_nodes: bool,
}

fn micros(at: Option<SystemTime>) -> i64 {
    let since = at.and_then(|at| at.duration_since(SystemTime::UNIX_EPOCH).ok());
    since.map_or(0, |since| since.as_micros() as i64)
}

impl Client {
    /// Return the selected executions, of all pages.
    pub fn list(&self, selection: Executions) -> Stream<Execution> {
        let client = self.clone();
        Box::pin(try_stream! {
            let mut request = ListExecutionsRequest {
                namespace: client.caller.namespace.clone(),
                workflow_id: selection.workflow_id,
                statuses: selection.statuses.iter().map(|each| each.number()).collect(),
                started_after_us: micros(selection.started_after),
                started_before_us: micros(selection.started_before),
                filter: selection.filter,
                order_by: selection.order_by,
                page_size: selection.page_size,
                with_nodes: selection.with_nodes,
                ..ListExecutionsRequest::default()
            };
            loop {
                let call = unary!(client.caller, executions.list_executions, request.clone());
                let response = call.await?;
                for each in response.executions {
                    yield client.caller.execution(each);
                }
                if response.next_page_token.is_empty() {
                    return;
                }
                request.page_token = response.next_page_token;
            }
        })
    }

    /// Register all workflows and tasks of a source in YAML or JSON, or none. The refusal of a
    /// wrong one has a violation for each problem, with its line and column.
    pub async fn apply(&self, source: impl Into<Vec<u8>>) -> Result<Vec<Resource>> {
        let request = ApplyRequest {
            namespace: self.caller.namespace.clone(),
            source: source.into(),
            request_id: random_id(),
            actor: self.caller.actor.clone(),
            ..ApplyRequest::default()
        };
        let call = unary!(self.caller, definitions.apply, request);
        let resources = call.await?.resources.into_iter().map(|each| Resource {
            kind: each.kind,
            name: each.name,
            version: each.version,
            digest: each.digest,
            created: each.created,
        });
        Ok(resources.collect())
    }
}

/// An applied workflow or task.
#[derive(Clone, Debug)]
pub struct Resource {
    /// `Workflow` or `WorkflowTask`.
    pub kind: String,
    /// The name.
    pub name: String,
    /// The version.
    pub version: u32,
    /// The digest of the content.
    pub digest: String,
    /// False if the newest version had the same content.
    pub created: bool,
}

impl Handle {
    /// Return the stored events of the execution, after a sequence.
    pub fn history(&self, after: i64) -> Stream<Event> {
        let handle = self.clone();
        Box::pin(try_stream! {
            let caller = &handle.client.caller;
            let (mut after, mut workflow_id) = (after, String::new());
            loop {
                let request = ListHistoryEventsRequest {
                    namespace: caller.namespace.clone(),
                    execution_id: handle.id.clone(),
                    after,
                    ..ListHistoryEventsRequest::default()
                };
                let call = unary!(caller, histories.list_history_events, request);
                let response = call.await?;
                for each in response.events {
                    if let Some(Body::WorkflowStarted(begun)) = &each.event {
                        workflow_id.clone_from(&begun.workflow_id);
                    }
                    let event = LifecycleEvent {
                        execution_id: handle.id.clone(),
                        workflow_id: workflow_id.clone(),
                        event: Some(each),
                        ..LifecycleEvent::default()
                    };
                    yield Event::of(event, "");
                }
                after = response.next_after;
                if after == 0 {
                    return;
                }
            }
        })
    }
}
