//! Events of executions, without gap or repeat over broken connections.

use std::fmt::Write as _;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::SystemTime;

use async_stream::stream;

use crate::core::api::event::v1::{
    LifecycleEvent, WatchEventsRequest, WatchEventsResponse, WatchExecutionRequest,
    WatchExecutionResponse,
};
use crate::core::api::history::v1::{history_event::Event as Body, HistoryEvent};
use crate::core::events;
use crate::core::reconnect::Reconnect;
use crate::execution::moment;
use crate::{Client, Error, Handle, Result, Stream};

/// An event of an execution's history.
#[derive(Clone, Debug)]
pub struct Event {
    /// Its public name, such as `TaskCompleted`; `Unknown` for one of a newer server.
    pub kind: String,
    /// Its number in the execution, from 1 without gap.
    pub sequence: i64,
    /// The id of the execution.
    pub execution_id: String,
    /// The id of the workflow.
    pub workflow_id: String,
    /// The node that it is about; empty if it is about the execution.
    pub node: String,
    /// The attempt that it is about, or 0.
    pub attempt: u32,
    /// Its time.
    pub at: Option<SystemTime>,
    /// All its data.
    pub message: HistoryEvent,
    /// The place from which [`AllEvents::cursor`] resumes.
    pub cursor: String,
    derived: bool,
}

impl Event {
    /// Report whether it is the last event of its execution.
    pub fn last(&self) -> bool {
        matches!(
            self.kind.as_str(),
            "WorkflowCompleted"
                | "WorkflowFailed"
                | "WorkflowCanceled"
                | "WorkflowTerminated"
                | "WorkflowContinued"
        )
    }

    pub(crate) fn of(message: LifecycleEvent, cursor: &str) -> Self {
        let event = message.event.unwrap_or_default();
        let (node, attempt) = event.event.as_ref().map_or(("", 0), place);
        let derived = message.signal_flow.is_some();
        Self {
            kind: match &event.event {
                _ if derived => "SignalFlow".to_owned(),
                Some(body) => name(body),
                None => "Unknown".to_owned(),
            },
            sequence: event.sequence,
            execution_id: message.execution_id,
            workflow_id: message.workflow_id,
            node: node.to_owned(),
            attempt,
            at: moment(event.at_us),
            cursor: cursor.to_owned(),
            derived,
            message: event,
        }
    }
}

/// Return the public name of an event, which is that of its variant.
fn name(body: &Body) -> String {
    /// A writer that fails after the name.
    struct Name(String);

    impl std::fmt::Write for Name {
        fn write_str(&mut self, text: &str) -> std::fmt::Result {
            let end = text.find('(').unwrap_or(text.len());
            self.0.push_str(&text[..end]);
            if end < text.len() {
                Err(std::fmt::Error)
            } else {
                Ok(())
            }
        }
    }

    let mut found = Name(String::new());
    // The failure of the writer is the end of the name.
    let _ = write!(found, "{body:?}");
    found.0
}

macro_rules! places {
    ($body:expr; attempts: $($both:ident)*; nodes: $($node:ident)*) => {
        match $body {
            $(Body::$both(found) => (&found.node, found.attempt),)*
            $(Body::$node(found) => (&found.node, 0),)*
            _ => ("", 0),
        }
    };
}

/// Return the node and the attempt of an event.
fn place(body: &Body) -> (&str, u32) {
    places!(
        body;
        attempts: TaskScheduled TaskStarted TaskCompleted TaskFailed TaskRetrying TaskCanceled
            TaskHeld ChildRequested ChildStarted ChildEnded JournalAppended TaskSuspended;
        nodes: TaskSkipped MapStarted StatesStarted TimerStarted TimerFired NodeSteered
            BreakpointReached ResultReused ApprovalRequested ApprovalDecided ApprovalEscalated
            WaitKeyed PageTurned
    )
}

/// The events of an execution up to its last one: a stream. A broken connection is opened again
/// after the last event received; an error is the last item.
#[must_use = "a stream does nothing until it is read"]
pub struct Events {
    handle: Handle,
    after: i64,
    types: Vec<String>,
    opened: Option<Stream<Event>>,
}

impl Events {
    /// Begin after the event of a sequence.
    pub fn after(mut self, sequence: i64) -> Self {
        self.after = sequence;
        self
    }

    /// Select events by their public names; the last one is always sent.
    pub fn types<T: Into<String>>(mut self, names: impl IntoIterator<Item = T>) -> Self {
        self.types = names.into_iter().map(Into::into).collect();
        self
    }
}

impl futures_core::Stream for Events {
    type Item = Result<Event>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        let (handle, after, types) = (&this.handle, this.after, &this.types);
        let opened = this.opened.get_or_insert_with(|| watch(handle.clone(), after, types.clone()));
        opened.as_mut().poll_next(context)
    }
}

impl Handle {
    /// Return the events of the execution.
    pub fn events(&self) -> Events {
        Events { handle: self.clone(), after: 0, types: Vec::new(), opened: None }
    }
}

fn watch(handle: Handle, after: i64, types: Vec<String>) -> Stream<Event> {
    Box::pin(stream! {
        let caller = handle.client.caller.clone();
        let mut position = Position::new(after, types.is_empty());
        let mut reconnect = Reconnect::new(&caller);
        loop {
            position.again = position.derived_seen;
            let request = WatchExecutionRequest {
                namespace: caller.namespace.clone(),
                execution_id: handle.id.clone(),
                after: position.known,
                types: types.clone(),
                ..WatchExecutionRequest::default()
            };
            let (mut silent, mut failure) = (true, None);
            match opened(&mut reconnect, request).await {
                Err(error) => failure = Some(error),
                Ok(mut source) => loop {
                    let event = match source.next(&mut reconnect).await {
                        Err(error) => {
                            failure = error;
                            break;
                        }
                        Ok(response) => Event::of(response.event.unwrap_or_default(), ""),
                    };
                    silent = false;
                    let last = event.last();
                    match position.accepts(&event) {
                        // Events are missing: watch again from the last known one.
                        Arrival::Gap => break,
                        Arrival::Repeat => {}
                        Arrival::New => yield Ok(event),
                    }
                    if last {
                        return;
                    }
                },
            }
            if let Some(Error::Closed) = failure {
                yield Err(Error::Closed);
                return;
            }
            reconnect.broken(failure).await;
            if silent && !reconnect.refused() {
                // The last event may be known already.
                if let Ok(found) = handle.describe().await {
                    if found.status.ended() && found.last_sequence <= position.known {
                        return;
                    }
                }
            }
            if reconnect.hopeless() {
                yield Err(reconnect.error());
                return;
            }
            if let Err(error) = reconnect.pause().await {
                yield Err(error);
                return;
            }
        }
    })
}

/// A received stream, with its place on the connection.
struct Source {
    caller: Arc<crate::core::caller::Caller>,
    _attempt: crate::core::caller::Attempt,
    messages: tonic::Streaming<WatchExecutionResponse>,
}

async fn opened(reconnect: &mut Reconnect, request: WatchExecutionRequest) -> Result<Source> {
    let caller = reconnect.caller();
    let attempt = caller.scoped(reconnect.opening()).await??;
    let mut client = events(attempt.channel());
    let answer = client.watch_execution(attempt.request(request));
    let answer = caller.scoped(answer).await?.map_err(|status| Error::from_status(&status))?;
    Ok(Source { caller, _attempt: attempt, messages: answer.into_inner() })
}

impl Source {
    /// Return the next message; an end without an error is `Err(None)`.
    async fn next(
        &mut self,
        reconnect: &mut Reconnect,
    ) -> Result<WatchExecutionResponse, Option<Error>> {
        match self.caller.scoped(self.messages.message()).await? {
            Ok(Some(response)) => {
                reconnect.connected();
                Ok(response)
            }
            Ok(None) => Err(None),
            Err(status) => Err(Some(Error::from_status(&status))),
        }
    }
}

enum Arrival {
    New,
    Repeat,
    Gap,
}

/// The last known event; it finds the repeats of streams that were opened again. Derived events
/// have the sequence of the event from which they are derived.
struct Position {
    known: i64,
    all: bool,
    derived_from: i64,
    derived_seen: usize,
    again: usize,
}

impl Position {
    fn new(known: i64, all: bool) -> Self {
        Self { known, all, derived_from: 0, derived_seen: 0, again: 0 }
    }

    fn accepts(&mut self, event: &Event) -> Arrival {
        if event.derived {
            if event.sequence == self.derived_from && self.again > 0 {
                self.again -= 1;
                return Arrival::Repeat;
            }
            if event.sequence != self.derived_from {
                (self.derived_from, self.derived_seen) = (event.sequence, 0);
            }
            self.derived_seen += 1;
            self.known = self.known.max(event.sequence - 1);
            return Arrival::New;
        }
        if event.sequence <= self.known {
            return Arrival::Repeat;
        }
        if self.all && event.sequence > self.known + 1 {
            return Arrival::Gap;
        }
        self.known = event.sequence;
        Arrival::New
    }
}

/// The selection of events of a whole namespace.
#[derive(Clone, Debug, Default)]
pub struct AllEvents {
    /// The workflow; empty selects all.
    pub workflow_id: String,
    /// The public names of events; empty selects all.
    pub types: Vec<String>,
    /// The cursor of the last known event; empty begins with the next one.
    pub cursor: String,
}

impl Client {
    /// Return the events of all executions of the namespace, from now or from a cursor, without
    /// an end. A broken connection is opened again after the last event received.
    pub fn events(&self, selection: AllEvents) -> Stream<Event> {
        let client = self.clone();
        Box::pin(stream! {
            let caller = client.caller.clone();
            let mut cursor = selection.cursor;
            let mut reconnect = Reconnect::new(&caller);
            loop {
                let request = WatchEventsRequest {
                    namespace: caller.namespace.clone(),
                    workflow_id: selection.workflow_id.clone(),
                    types: selection.types.clone(),
                    cursor: cursor.clone(),
                    ..WatchEventsRequest::default()
                };
                let failure = match all_opened(&mut reconnect, request).await {
                    Err(error) => Some(error),
                    Ok((_attempt, mut messages)) => loop {
                        match caller.scoped(messages.message()).await {
                            Err(error) => break Some(error),
                            Ok(Err(status)) => break Some(Error::from_status(&status)),
                            Ok(Ok(None)) => break None,
                            Ok(Ok(Some(response))) => {
                                reconnect.connected();
                                if !response.cursor.is_empty() {
                                    cursor = response.cursor;
                                }
                                if let Some(event) = response.event {
                                    yield Ok(Event::of(event, &cursor));
                                }
                            }
                        }
                    },
                };
                reconnect.broken(failure).await;
                if reconnect.hopeless() {
                    yield Err(reconnect.error());
                    return;
                }
                if let Err(error) = reconnect.pause().await {
                    yield Err(error);
                    return;
                }
            }
        })
    }
}

async fn all_opened(
    reconnect: &mut Reconnect,
    request: WatchEventsRequest,
) -> Result<(crate::core::caller::Attempt, tonic::Streaming<WatchEventsResponse>)> {
    let caller = reconnect.caller();
    let attempt = caller.scoped(reconnect.opening()).await??;
    let mut client = events(attempt.channel());
    let answer = client.watch_events(attempt.request(request));
    let answer = caller.scoped(answer).await?.map_err(|status| Error::from_status(&status))?;
    Ok((attempt, answer.into_inner()))
}
