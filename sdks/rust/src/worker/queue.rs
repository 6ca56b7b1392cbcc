//! The results of a worker until the server has acknowledged them.

use std::collections::{HashMap, VecDeque};

use crate::core::api::worker::v1::{task_result::Outcome, TaskResult};
use crate::core::limits::{FRAME_BYTES_MAX, FRAME_ITEMS_MAX};

const UNACKNOWLEDGED_MAX: usize = 10_000;
const UNACKNOWLEDGED_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Results to send, and those in frames that are not acknowledged. After a reconnect these are
/// sent again, in their order.
#[derive(Default)]
pub(super) struct Results {
    outgoing: VecDeque<TaskResult>,
    /// The number of results of a token in `outgoing`.
    waiting: HashMap<String, usize>,
    frames: VecDeque<Frame>,
    unacknowledged: HashMap<String, TaskResult>,
    bytes: usize,
    last_frame: i64,
}

struct Frame {
    number: i64,
    tokens: Vec<String>,
    bytes: usize,
}

impl Results {
    pub(super) fn push(&mut self, result: TaskResult) {
        *self.waiting.entry(result.token.clone()).or_default() += 1;
        self.outgoing.push_back(result);
    }

    pub(super) fn holds(&self, token: &str) -> bool {
        self.waiting.contains_key(token) || self.unacknowledged.contains_key(token)
    }

    pub(super) fn tokens(&self) -> impl Iterator<Item = &String> {
        self.waiting.keys().chain(self.unacknowledged.keys())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.outgoing.is_empty() && self.unacknowledged.is_empty()
    }

    pub(super) fn has_outgoing(&self) -> bool {
        !self.outgoing.is_empty()
    }

    /// Return the next frame within its limits: its number, results and bytes.
    pub(super) fn next(&mut self) -> (i64, Vec<TaskResult>, usize) {
        let (mut results, mut size) = (Vec::new(), 0);
        while results.len() < FRAME_ITEMS_MAX
            && size < FRAME_BYTES_MAX
            && self.unacknowledged.len() < UNACKNOWLEDGED_MAX
            && self.bytes + size < UNACKNOWLEDGED_BYTES_MAX
        {
            let Some(result) = self.outgoing.pop_front() else {
                break;
            };
            if let Some(count) = self.waiting.get_mut(&result.token) {
                *count -= 1;
                if *count == 0 {
                    self.waiting.remove(&result.token);
                }
            }
            size += size_of(&result);
            self.unacknowledged.insert(result.token.clone(), result.clone());
            results.push(result);
        }
        if results.is_empty() {
            return (0, results, 0);
        }
        self.last_frame += 1;
        self.bytes += size;
        let tokens = results.iter().map(|result| result.token.clone()).collect();
        self.frames.push_back(Frame { number: self.last_frame, tokens, bytes: size });
        (self.last_frame, results, size)
    }

    /// Send a result again: its execution has moved.
    pub(super) fn again(&mut self, token: &str) {
        if let Some(result) = self.unacknowledged.get(token).cloned() {
            self.push(result);
        }
    }

    pub(super) fn acknowledged(&mut self, number: i64) {
        while self.frames.front().is_some_and(|frame| frame.number <= number) {
            let Some(frame) = self.frames.pop_front() else {
                break;
            };
            for token in frame.tokens {
                self.unacknowledged.remove(&token);
            }
            self.bytes -= frame.bytes;
        }
    }

    /// Queue all unacknowledged results again, before the others.
    pub(super) fn start_over(&mut self) {
        let mut again = VecDeque::new();
        for token in std::mem::take(&mut self.frames).into_iter().flat_map(|frame| frame.tokens) {
            if self.waiting.contains_key(&token) {
                continue;
            }
            if let Some(result) = self.unacknowledged.remove(&token) {
                self.waiting.insert(token, 1);
                again.push_back(result);
            }
        }
        again.append(&mut self.outgoing);
        self.outgoing = again;
        self.unacknowledged.clear();
        (self.bytes, self.last_frame) = (0, 0);
    }
}

fn size_of(result: &TaskResult) -> usize {
    let content = match &result.outcome {
        Some(Outcome::Output(payload)) => payload.data.len(),
        Some(Outcome::Failure(failure)) => failure.details.len(),
        _ => 0,
    };
    content + 64
}
