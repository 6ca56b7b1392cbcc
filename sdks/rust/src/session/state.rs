//! The starts of a session until they are acknowledged, and the calls that wait for results.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::watch;

use super::{SessionCall, UNACKNOWLEDGED_MAX};
use crate::core::api::execution::v1::{
    SessionRequest, SessionResult, SessionStart, SessionWatch, StartExecutionRequest,
};
use crate::core::limits::{FRAME_BYTES_MAX, FRAME_ITEMS_MAX};
use crate::{Client, Error};

pub(super) struct State {
    pub(super) closed: bool,
    pub(super) last: u64,
    pub(super) calls: BTreeMap<u64, Call>,
    pub(super) outgoing: VecDeque<u64>,
    pub(super) watching: VecDeque<u64>,
    /// The refused starts of an overloaded server.
    pub(super) overloaded: Vec<u64>,
    /// The calls with a retry at a time.
    pub(super) later: BTreeMap<(Instant, u64), Again>,
    pub(super) window: f64,
    pub(super) in_flight: HashSet<u64>,
}

pub(super) enum Again {
    Start,
    Watch,
    Overloaded,
}

pub(super) struct Call {
    /// The start until it is acknowledged.
    pub(super) request: Option<StartExecutionRequest>,
    pub(super) want_result: bool,
    pub(super) id: String,
    pub(super) refused_at: Option<Instant>,
    pub(super) progress: watch::Sender<Progress>,
}

#[derive(Clone)]
pub(super) enum Progress {
    Open,
    Started(String),
    Done(Arc<SessionResult>),
    Failed(String, Error),
}

impl State {
    pub(super) fn new() -> Self {
        Self {
            closed: false,
            last: 0,
            calls: BTreeMap::new(),
            outgoing: VecDeque::new(),
            watching: VecDeque::new(),
            overloaded: Vec::new(),
            later: BTreeMap::new(),
            window: UNACKNOWLEDGED_MAX as f64,
            in_flight: HashSet::new(),
        }
    }

    pub(super) fn added(
        &mut self,
        client: &Client,
        request: Option<StartExecutionRequest>,
        want_result: bool,
        id: String,
    ) -> (u64, SessionCall) {
        self.last += 1;
        let begun = if id.is_empty() { Progress::Open } else { Progress::Started(id.clone()) };
        let (sender, progress) = watch::channel(begun);
        let call = Call { request, want_result, id, refused_at: None, progress: sender };
        self.calls.insert(self.last, call);
        (self.last, SessionCall { client: client.clone(), want_result, progress })
    }

    /// Return the next starts and watches, within the limits of a frame and the window.
    pub(super) fn frame(&mut self, namespace: &str) -> Option<SessionRequest> {
        let mut frame = SessionRequest::default();
        let mut size = 0;
        let free = (self.window as usize).saturating_sub(self.in_flight.len());
        let room = if self.overloaded.is_empty() { free.min(FRAME_ITEMS_MAX) } else { 0 };
        while frame.starts.len() < room && size < FRAME_BYTES_MAX {
            let Some(number) = self.outgoing.pop_front() else {
                break;
            };
            let Some(call) = self.calls.get(&number) else {
                continue;
            };
            let Some(request) = call.request.clone() else {
                continue;
            };
            if !self.in_flight.insert(number) {
                continue;
            }
            size += request.input.as_ref().map_or(0, |input| input.data.len()) + 128;
            let (start, want_result) = (Some(request), call.want_result);
            frame.starts.push(SessionStart {
                call_id: number,
                start,
                want_result,
                ..SessionStart::default()
            });
        }
        while frame.watches.len() < FRAME_ITEMS_MAX {
            let Some(number) = self.watching.pop_front() else {
                break;
            };
            if let Some(call) = self.calls.get(&number) {
                frame.watches.push(SessionWatch {
                    call_id: number,
                    namespace: namespace.to_owned(),
                    execution_id: call.id.clone(),
                    ..SessionWatch::default()
                });
            }
        }
        (!frame.starts.is_empty() || !frame.watches.is_empty()).then_some(frame)
    }

    /// Queue the retries that are due, and return the time of the next one.
    pub(super) fn due(&mut self) -> Option<Instant> {
        while let Some(((at, number), _)) = self.later.first_key_value() {
            let (at, number) = (*at, *number);
            if at > Instant::now() {
                return Some(at);
            }
            match self.later.remove(&(at, number)) {
                Some(Again::Start) => self.outgoing.push_back(number),
                Some(Again::Watch) => self.watching.push_back(number),
                _ => self.retry_overloaded(),
            }
        }
        None
    }

    /// Queue the refused starts before those never sent.
    pub(super) fn retry_overloaded(&mut self) {
        self.overloaded.sort_unstable();
        for number in std::mem::take(&mut self.overloaded).into_iter().rev() {
            self.outgoing.push_front(number);
        }
    }

    /// Queue everything open again, after a reconnect.
    pub(super) fn start_over(&mut self) {
        self.in_flight.clear();
        self.overloaded.clear();
        self.later.clear();
        let started = |call: &Call| call.request.is_none();
        let numbers = |watched: bool| {
            let chosen = self.calls.iter().filter(move |(_, call)| started(call) == watched);
            chosen.map(|(number, _)| *number).collect()
        };
        (self.outgoing, self.watching) = (numbers(false), numbers(true));
    }
}
