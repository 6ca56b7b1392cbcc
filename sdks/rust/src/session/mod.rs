//! Many starts over one stream, with their results.

mod state;

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_stream::stream;
use serde::de::DeserializeOwned;
use tokio::sync::{watch, Notify, Semaphore};
use tokio_util::sync::CancellationToken;

use crate::core::api::execution::v1::{SessionRefused, SessionResponse, StartExecutionRequest};
use crate::core::caller::{retry_delay, Caller};
use crate::core::limits::{RETRY_TOTAL, RETRY_WAIT_MIN};
use crate::core::payload::decode;
use crate::core::reconnect::Reconnect;
use crate::core::{executions, locked};
use crate::{Client, Error, ExecutionStatus, Failure, Result};
use state::{Again, Progress, State};

const UNACKNOWLEDGED_MAX: usize = 10_000;
/// The least number of starts in flight of a session that the server throttles.
const WINDOW_MIN: f64 = 10.0;
const FLUSH: Duration = Duration::from_secs(10);

/// A stream of many starts, which receives their results too. A broken stream is opened again:
/// unacknowledged starts are sent again with their request ids. Clones share it; it ends with
/// [`close`](Self::close), with its last clone, or with the client.
#[derive(Clone)]
pub struct Session {
    pub(crate) client: Client,
    shared: Arc<Shared>,
    _end: Arc<tokio_util::sync::DropGuard>,
}

struct Shared {
    caller: Arc<Caller>,
    /// One permit per start that may be unacknowledged.
    room: Semaphore,
    wake: Notify,
    idle: Notify,
    cancel: CancellationToken,
    ended: CancellationToken,
    state: Mutex<State>,
}

/// A start of a session.
#[derive(Clone)]
pub struct SessionCall {
    client: Client,
    want_result: bool,
    progress: watch::Receiver<Progress>,
}

impl SessionCall {
    /// Wait for the commit of the start and return the id of the execution.
    pub async fn started(&self) -> Result<String> {
        match self.reached(|progress| !matches!(progress, Progress::Open)).await? {
            Progress::Started(id) => Ok(id),
            Progress::Done(result) => Ok(result.execution_id.clone()),
            Progress::Failed(id, _) if !id.is_empty() => Ok(id),
            Progress::Failed(_, error) => Err(error),
            Progress::Open => Err(Error::Closed),
        }
    }

    /// Wait for the end of the execution and return its output.
    pub async fn result<Out: DeserializeOwned>(&self) -> Result<Out> {
        if !self.want_result {
            let message = "the start was queued without a result";
            return Err(Error::invalid("REQUEST_INVALID", message));
        }
        let done = |found: &Progress| matches!(found, Progress::Done(_) | Progress::Failed(..));
        let result = match self.reached(done).await? {
            Progress::Done(result) => result,
            Progress::Failed(_, error) => return Err(error),
            _ => return Err(Error::Closed),
        };
        let status = ExecutionStatus::of(result.status);
        if status != ExecutionStatus::Completed {
            let failure = Failure::of(result.failure.clone()).map(Box::new);
            return Err(Error::ExecutionFailed {
                id: result.execution_id.clone(),
                status,
                failure,
            });
        }
        decode(&self.client.caller.unpack(result.output.clone()).await?)
    }

    async fn reached(&self, wanted: impl Fn(&Progress) -> bool) -> Result<Progress> {
        let mut progress = self.progress.clone();
        let found = progress.wait_for(|progress| wanted(progress)).await;
        let found = found.map_err(|_| Error::Closed)?.clone();
        Ok(found)
    }
}

impl Client {
    /// Open a session. Call it inside of a tokio runtime.
    pub fn session(&self) -> Session {
        let cancel = self.caller.ended.child_token();
        let shared = Arc::new(Shared {
            caller: self.caller.clone(),
            room: Semaphore::new(UNACKNOWLEDGED_MAX),
            wake: Notify::new(),
            idle: Notify::new(),
            cancel: cancel.clone(),
            ended: CancellationToken::new(),
            state: Mutex::new(State::new()),
        });
        tokio::spawn(shared.clone().run());
        Session { client: self.clone(), shared, _end: Arc::new(cancel.drop_guard()) }
    }
}

impl Session {
    /// Wait until every start is acknowledged, for 10 s at most, and end the session. Calls
    /// without a result then fail with [`Error::Closed`].
    pub async fn close(&self) {
        locked(&self.shared.state).closed = true;
        let flushed = async {
            while self.shared.room.available_permits() < UNACKNOWLEDGED_MAX {
                self.shared.idle.notified().await;
            }
        };
        tokio::select! {
            _ = tokio::time::timeout(FLUSH, flushed) => {}
            () = self.shared.ended.cancelled() => {}
        }
        self.shared.cancel.cancel();
        self.shared.ended.cancelled().await;
    }

    /// Return a call whose result is that of an execution that exists.
    pub fn watch(&self, id: impl Into<String>) -> Result<SessionCall> {
        let mut state = locked(&self.shared.state);
        if state.closed {
            return Err(Error::Closed);
        }
        let (number, call) = state.added(&self.client, None, true, id.into());
        state.watching.push_back(number);
        self.shared.wake.notify_one();
        Ok(call)
    }

    pub(crate) async fn submit(
        &self,
        request: StartExecutionRequest,
        want_result: bool,
    ) -> Result<SessionCall> {
        let permit = tokio::select! {
            permit = self.shared.room.acquire() => permit.map_err(|_| Error::Closed)?,
            () = self.shared.ended.cancelled() => return Err(Error::Closed),
        };
        let mut state = locked(&self.shared.state);
        if state.closed {
            return Err(Error::Closed);
        }
        // The acknowledgment returns the permit.
        permit.forget();
        let (number, call) = state.added(&self.client, Some(request), want_result, String::new());
        state.outgoing.push_back(number);
        self.shared.wake.notify_one();
        Ok(call)
    }
}

impl Shared {
    async fn run(self: Arc<Self>) {
        let mut reconnect = Reconnect::new(&self.caller);
        loop {
            let failure = tokio::select! {
                biased;
                () = self.cancel.cancelled() => break,
                ended = self.converse(&mut reconnect) => ended.err(),
            };
            reconnect.broken(failure).await;
            if reconnect.hopeless() {
                self.fail(&reconnect.error(), false);
            }
            tokio::select! {
                () = self.cancel.cancelled() => break,
                paused = reconnect.pause() => if paused.is_err() { break },
            }
        }
        self.fail(&Error::Closed, true);
        self.room.close();
        self.ended.cancel();
    }

    /// Open the stream and return the error that ended it.
    async fn converse(self: &Arc<Self>, reconnect: &mut Reconnect) -> Result<()> {
        let attempt = reconnect.opening().await?;
        locked(&self.state).start_over();
        // The writer ends with this call: it must not take what the next one is to send.
        let writing = CancellationToken::new();
        let _end = writing.clone().drop_guard();
        let shared = self.clone();
        let requests = stream! {
            loop {
                let (frame, due) = {
                    let mut state = locked(&shared.state);
                    if writing.is_cancelled() {
                        return;
                    }
                    let due = state.due();
                    (state.frame(&shared.caller.namespace), due)
                };
                if let Some(frame) = frame {
                    yield frame;
                    continue;
                }
                let later = Instant::now() + RETRY_TOTAL;
                tokio::select! {
                    () = writing.cancelled() => return,
                    () = shared.wake.notified() => {}
                    () = tokio::time::sleep_until(due.unwrap_or(later).into()) => {}
                }
            }
        };
        let answer = executions(attempt.channel()).session(attempt.request(requests)).await;
        let mut responses = answer.map_err(|status| Error::from_status(&status))?.into_inner();
        loop {
            match responses.message().await.map_err(|status| Error::from_status(&status))? {
                None => return Ok(()),
                Some(response) => {
                    reconnect.connected();
                    self.receive(response);
                }
            }
        }
    }

    fn receive(&self, response: SessionResponse) {
        let mut state = locked(&self.state);
        let accepted = !response.started.is_empty();
        for started in response.started {
            let number = started.call_id;
            if state.calls.get(&number).is_some_and(|call| call.request.is_some()) {
                self.accepted(&mut state, number, &started.execution_id);
                if state.calls.get(&number).is_some_and(|call| !call.want_result) {
                    state.calls.remove(&number);
                }
            }
        }
        for result in response.results {
            let number = result.call_id;
            if state.calls.get(&number).is_some_and(|call| call.request.is_some()) {
                self.accepted(&mut state, number, &result.execution_id);
            }
            if let Some(call) = state.calls.remove(&number) {
                call.progress.send_replace(Progress::Done(Arc::new(result)));
            }
        }
        for refused in response.refused {
            self.refused(&mut state, &refused);
        }
        if accepted && !state.overloaded.is_empty() {
            state.retry_overloaded(); // the server has capacity again
        }
        if !state.outgoing.is_empty() || !state.later.is_empty() {
            self.wake.notify_one();
        }
    }

    fn accepted(&self, state: &mut State, number: u64, id: &str) {
        state.in_flight.remove(&number);
        // The window grows by a tenth per accepted start, and shrinks by one per start that an
        // overloaded server refuses.
        state.window = (state.window + 0.1).min(UNACKNOWLEDGED_MAX as f64);
        if let Some(call) = state.calls.get_mut(&number) {
            call.request = None;
            call.id = id.to_owned();
            call.progress.send_replace(Progress::Started(id.to_owned()));
        }
        self.acknowledged();
    }

    fn acknowledged(&self) {
        self.room.add_permits(1);
        if self.room.available_permits() >= UNACKNOWLEDGED_MAX {
            self.idle.notify_one();
        }
    }

    fn refused(&self, state: &mut State, refused: &SessionRefused) {
        let number = refused.call_id;
        let (reason, after) = (&refused.reason, refused.retry_after_ms);
        let error = Error::of_session(refused.code, reason, &refused.message, after);
        let overloaded = error.reason() == "OVERLOADED";
        if state.in_flight.remove(&number) && overloaded {
            state.window = (state.window - 1.0).max(WINDOW_MIN);
        }
        let Some(call) = state.calls.get_mut(&number) else {
            return;
        };
        let since = call.refused_at.get_or_insert_with(Instant::now).elapsed();
        let again = match call.request {
            None => Again::Watch,
            Some(_) if overloaded => Again::Overloaded,
            Some(_) => Again::Start,
        };
        let delay = retry_delay(&error, RETRY_WAIT_MIN);
        let Some(delay) = delay.filter(|delay| since + *delay <= RETRY_TOTAL) else {
            self.drop_call(state, number, &error);
            return;
        };
        if let Again::Overloaded = again {
            state.overloaded.push(number);
            if state.overloaded.len() > 1 {
                return;
            }
        }
        state.later.insert((Instant::now() + delay, number), again);
    }

    fn drop_call(&self, state: &mut State, number: u64, error: &Error) {
        if let Some(call) = state.calls.remove(&number) {
            call.progress.send_replace(Progress::Failed(call.id, error.clone()));
            if call.request.is_some() {
                self.acknowledged();
            }
        }
    }

    fn fail(&self, error: &Error, closed: bool) {
        let mut state = locked(&self.state);
        state.closed |= closed;
        let numbers: Vec<u64> = state.calls.keys().copied().collect();
        for number in numbers {
            self.drop_call(&mut state, number, error);
        }
    }
}
