//! The `Work` stream, kept open, and its tasks.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use async_stream::stream;
use tokio::sync::Notify;
use tokio::task::AbortHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::queue::Results;
use super::runner::{self, Handler};
use super::task::{Context, Interruption, Task};
use super::Settings;
use crate::core::api::worker::v1 as message;
use crate::core::caller::Caller;
use crate::core::limits::FRAME_BYTES_MAX;
use crate::core::reconnect::Reconnect;
use crate::core::{locked, work};
use crate::{Client, Error};

const PING_EVERY: Duration = Duration::from_secs(3);
const SILENCE_MAX: Duration = Duration::from_secs(10);
const SPECS_MAX: usize = 10_000;
/// The wait for interrupted handlers at the end.
const CANCEL_WAIT: Duration = Duration::from_secs(1);

/// A `WorkerService.Work` stream. A result is kept until its frame is acknowledged; after a
/// reconnect the hello lists everything held, and unacknowledged results are sent again.
pub(super) struct Stream {
    caller: Arc<Caller>,
    settings: Settings,
    handlers: BTreeMap<String, Handler>,
    cancel: CancellationToken,
    ready: CancellationToken,
    ended: CancellationToken,
    error: OnceLock<Error>,
    wake: Notify,
    idle: Notify,
    tasks: TaskTracker,
    state: Mutex<State>,
}

struct State {
    slots: u32,
    running: HashMap<String, (Context, Option<AbortHandle>)>,
    results: Results,
    heartbeats: HashMap<String, Vec<u8>>,
    specs: HashMap<String, Vec<u8>>,
    spec_order: VecDeque<String>,
    ping: bool,
    new_slots: u32,
    draining: bool,
    drain_sent: bool,
    server_drains: bool,
    received_at: Instant,
}

impl Stream {
    pub(super) fn open(
        client: &Client,
        settings: Settings,
        handlers: BTreeMap<String, Handler>,
    ) -> Arc<Self> {
        let opened = Arc::new(Self {
            caller: client.caller.clone(),
            cancel: client.caller.ended.child_token(),
            ready: CancellationToken::new(),
            ended: CancellationToken::new(),
            error: OnceLock::new(),
            wake: Notify::new(),
            idle: Notify::new(),
            tasks: TaskTracker::new(),
            state: Mutex::new(State {
                slots: settings.slots,
                running: HashMap::new(),
                results: Results::default(),
                heartbeats: HashMap::new(),
                specs: HashMap::new(),
                spec_order: VecDeque::new(),
                ping: false,
                new_slots: 0,
                draining: false,
                drain_sent: false,
                server_drains: false,
                received_at: Instant::now(),
            }),
            settings,
            handlers,
        });
        tokio::spawn(opened.clone().run());
        opened
    }

    /// Wait for the acceptance of the server, or its refusal.
    pub(super) async fn accepted(&self) -> Result<(), Error> {
        tokio::select! {
            biased;
            () = self.ready.cancelled() => Ok(()),
            error = self.ended() => Err(error),
        }
    }

    /// Wait for the end and return its cause.
    pub(super) async fn ended(&self) -> Error {
        self.ended.cancelled().await;
        self.error.get().cloned().unwrap_or(Error::Closed)
    }

    /// Open the stream again and again, until the worker ends or the server refuses it.
    async fn run(self: Arc<Self>) {
        let mut reconnect = Reconnect::new(&self.caller);
        let mut reachable = true;
        loop {
            let failure = tokio::select! {
                biased;
                () = self.cancel.cancelled() => break,
                ended = self.converse(&mut reconnect, &mut reachable) => ended.err(),
            };
            reconnect.broken(failure).await;
            let waits = !self.ready.is_cancelled();
            if reconnect.refused() || (reconnect.hopeless() && waits) {
                // Set once: the loop ends.
                let _ = self.error.set(reconnect.error());
                break;
            }
            if reachable {
                let (address, error) = (self.caller.address(), reconnect.error());
                tracing::warn!(address, %error, "the stream of a worker broke; reconnecting");
            }
            reachable = false;
            tokio::select! {
                () = self.cancel.cancelled() => break,
                paused = reconnect.pause() => if paused.is_err() { break },
            }
        }
        self.interrupt();
        self.ended.cancel();
    }

    /// Open the stream once and return the error that ended it.
    async fn converse(
        self: &Arc<Self>,
        reconnect: &mut Reconnect,
        reachable: &mut bool,
    ) -> Result<(), Error> {
        let attempt = reconnect.opening().await?;
        let hello = locked(&self.state).start_over(self);
        // The writer ends with this call: it must not take what the next one is to send.
        let writing = CancellationToken::new();
        let _end = writing.clone().drop_guard();
        let shared = self.clone();
        let requests = stream! {
            yield message::WorkRequest { hello: Some(hello), ..message::WorkRequest::default() };
            loop {
                let frame = {
                    let mut state = locked(&shared.state);
                    if writing.is_cancelled() {
                        return;
                    }
                    state.frame()
                };
                match frame {
                    Some(frame) => yield frame,
                    None => tokio::select! {
                        () = writing.cancelled() => return,
                        () = shared.wake.notified() => {}
                    },
                }
            }
        };
        let mut pings = tokio::time::interval(PING_EVERY);
        let mut client = work(attempt.channel());
        let answer = client.work(attempt.request(requests));
        tokio::pin!(answer);
        let mut responses = loop {
            tokio::select! {
                answer = &mut answer => {
                    break answer.map_err(|status| Error::from_status(&status))?.into_inner();
                }
                _ = pings.tick() => if self.silent() { return Ok(()) },
            }
        };
        loop {
            let received = tokio::select! {
                received = responses.message() => received,
                _ = pings.tick() => {
                    if self.silent() {
                        return Ok(());
                    }
                    continue;
                }
            };
            let Some(response) = received.map_err(|status| Error::from_status(&status))? else {
                return Ok(());
            };
            reconnect.connected();
            self.ready.cancel();
            if !*reachable {
                tracing::info!(address = self.caller.address(), "the server responds again");
                *reachable = true;
            }
            if !self.receive(response) {
                return Ok(()); // the server drains, and nothing is left here
            }
        }
    }

    /// Queue a ping; true if the server is silent for too long.
    fn silent(&self) -> bool {
        let mut state = locked(&self.state);
        state.ping = true;
        self.wake.notify_one();
        state.received_at.elapsed() > SILENCE_MAX
    }

    /// Handle one message; false ends the stream.
    fn receive(self: &Arc<Self>, response: message::WorkResponse) -> bool {
        let mut state = locked(&self.state);
        state.received_at = Instant::now();
        for exception in response.exceptions {
            // The new owner receives a moved result; a stale one is dropped.
            if exception.kind == message::ResultExceptionKind::Moved as i32 {
                state.results.again(&exception.token);
                self.wake.notify_one();
            }
        }
        if response.acknowledged_frame > 0 {
            state.results.acknowledged(response.acknowledged_frame);
            if state.results.has_outgoing() {
                self.wake.notify_one();
            }
        }
        for spec in response.specs {
            if state.specs.insert(spec.digest.clone(), spec.config).is_none() {
                state.spec_order.push_back(spec.digest);
            }
        }
        for task in response.tasks {
            if !state.running.contains_key(&task.token) && !state.results.holds(&task.token) {
                self.accept(&mut state, task);
            }
        }
        while state.spec_order.len() > SPECS_MAX {
            if let Some(digest) = state.spec_order.pop_front() {
                state.specs.remove(&digest);
            }
        }
        // A message may contain a task and its cancellation.
        for token in response.cancels {
            if let Some((context, _)) = state.running.get(&token) {
                context.interrupt(Interruption::Canceled);
            }
        }
        state.server_drains |= response.drain;
        if state.is_idle() {
            self.idle.notify_one();
        }
        !(state.server_drains && state.is_idle())
    }

    /// Start a task.
    fn accept(self: &Arc<Self>, state: &mut State, task: message::Task) {
        let token = task.token.clone();
        let mut refuse = |class: &str, message: &str| {
            let failure = runner::failed(class, message);
            let outcome = Some(message::task_result::Outcome::Failure(failure));
            let token = token.clone();
            state.results.push(message::TaskResult { token, outcome, ..Default::default() });
            self.wake.notify_one();
        };
        let Some(handler) = self.handlers.get(&task.task_type).cloned() else {
            let message = format!("this worker has no handler for {}", task.task_type);
            return refuse("HandlerMissing", &message);
        };
        if task.journal.is_some() {
            let message = "this SDK runs no durable handlers; use a worker in Python";
            return refuse("Unsupported", message);
        }
        let config = state.specs.get(&task.spec_digest).cloned().unwrap_or_default();
        let context = Context::new(Task::of(&task, config), token.clone(), self);
        state.running.insert(token.clone(), (context.clone(), None));
        let (stream, caller) = (self.clone(), self.caller.clone());
        let spawned = self.tasks.spawn(async move {
            let token = task.token.clone();
            let result = runner::outcome(caller, handler, context, task.token, task.input).await;
            let mut state = locked(&stream.state);
            state.running.remove(&token);
            state.heartbeats.remove(&token);
            state.results.push(result);
            stream.wake.notify_one();
        });
        // The task removes itself under the lock that is held here.
        if let Some(entry) = state.running.get_mut(&token) {
            entry.1 = Some(spawned.abort_handle());
        }
    }

    pub(super) fn heartbeat(&self, token: &str, details: Vec<u8>) {
        let mut state = locked(&self.state);
        if state.running.contains_key(token) {
            state.heartbeats.insert(token.to_owned(), details);
            self.wake.notify_one();
        }
    }

    pub(super) fn set_slots(&self, count: u32) {
        let mut state = locked(&self.state);
        (state.slots, state.new_slots) = (count, count);
        self.wake.notify_one();
    }

    /// Accept no tasks, and wait until running ones have ended and their results are
    /// acknowledged, or for the limit.
    pub(super) async fn drain(&self, limit: Duration) {
        {
            let mut state = locked(&self.state);
            state.draining = true;
            self.wake.notify_one();
        }
        let drained = async {
            while !locked(&self.state).is_idle() {
                self.idle.notified().await;
            }
        };
        // Tasks that still run after the limit are dispatched again.
        tokio::select! {
            _ = tokio::time::timeout(limit, drained) => {}
            () = self.ended.cancelled() => {}
        }
    }

    /// Close the stream and interrupt the tasks, whose results are not sent.
    pub(super) async fn stop(&self) {
        self.cancel.cancel();
        self.ended.cancelled().await;
        self.interrupt();
        self.tasks.close();
        if tokio::time::timeout(CANCEL_WAIT, self.tasks.wait()).await.is_err() {
            tracing::warn!("handlers ignore their interruption; they are aborted");
            self.abort();
        }
    }

    /// End at once.
    pub(super) fn abandon(&self) {
        self.cancel.cancel();
        self.abort();
    }

    fn interrupt(&self) {
        for (context, _) in locked(&self.state).running.values() {
            context.interrupt(Interruption::Stopped);
        }
    }

    fn abort(&self) {
        for (_, handle) in locked(&self.state).running.values() {
            if let Some(handle) = handle {
                handle.abort();
            }
        }
    }
}

impl State {
    fn is_idle(&self) -> bool {
        self.running.is_empty() && self.results.is_empty()
    }

    /// Return the hello of a new stream.
    fn start_over(&mut self, stream: &Stream) -> message::WorkHello {
        self.results.start_over();
        self.specs.clear();
        self.spec_order.clear();
        (self.drain_sent, self.server_drains) = (false, false);
        self.received_at = Instant::now();
        let held = self.running.keys().chain(self.results.tokens()).cloned().collect();
        message::WorkHello {
            worker_id: stream.settings.id.clone(),
            namespace: stream.caller.namespace.clone(),
            queues: stream.settings.queues.clone(),
            task_types: stream.handlers.keys().cloned().collect(),
            slots: self.slots,
            labels: stream.settings.labels.clone(),
            held,
            sdk: concat!("rust-", env!("CARGO_PKG_VERSION")).into(),
            ..message::WorkHello::default()
        }
    }

    /// Return the next frame within its limits, if there is anything to send.
    fn frame(&mut self) -> Option<message::WorkRequest> {
        let (results_frame, results, mut size) = self.results.next();
        let mut frame = message::WorkRequest {
            results_frame,
            results,
            ping: std::mem::take(&mut self.ping),
            slots: std::mem::take(&mut self.new_slots),
            drain: self.draining && !self.drain_sent,
            ..message::WorkRequest::default()
        };
        self.drain_sent |= frame.drain;
        while size < FRAME_BYTES_MAX {
            let Some(token) = self.heartbeats.keys().next().cloned() else {
                break;
            };
            let details = self.heartbeats.remove(&token).unwrap_or_default();
            size += details.len();
            frame.heartbeats.push(message::Heartbeat { token, details, ..Default::default() });
        }
        (frame != message::WorkRequest::default()).then_some(frame)
    }
}
