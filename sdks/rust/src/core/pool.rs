//! Connections that are opened as calls need them: a server accepts a bounded number of calls on
//! each, and further ones would wait in this process.

use std::sync::{Arc, Mutex};
use std::time::Instant;

use tonic::transport::Channel;

use super::endpoint::Endpoint;
use super::limits::{CONNECTIONS_MAX, CONNECTION_CALLS, IDLE_TIMEOUT};
use super::locked;
use crate::Error;

pub(crate) struct Pool {
    state: Mutex<State>,
}

struct State {
    endpoint: Endpoint,
    connections: Vec<Connection>,
    last_id: u64,
    closed: bool,
}

struct Connection {
    id: u64,
    channel: Channel,
    calls: usize,
    used_at: Instant,
}

/// The place of one call on a connection; dropping it frees the place.
pub(crate) struct Lease {
    pool: Arc<Pool>,
    id: u64,
    pub(crate) channel: Channel,
}

impl Pool {
    pub(crate) fn new(endpoint: Endpoint) -> Arc<Self> {
        let state = State { endpoint, connections: Vec::new(), last_id: 0, closed: false };
        Arc::new(Self { state: Mutex::new(state) })
    }

    /// Return the server of later calls.
    pub(crate) fn endpoint(&self) -> Endpoint {
        locked(&self.state).endpoint.clone()
    }

    /// Make later calls to another server; former connections close with their last call.
    pub(crate) fn move_to(&self, endpoint: Endpoint) {
        let mut state = locked(&self.state);
        state.endpoint = endpoint;
        state.connections.clear();
    }

    /// Count a call on the first connection with capacity, a new one, or the least used one.
    pub(crate) fn lease(self: &Arc<Self>) -> Result<Lease, Error> {
        let mut state = locked(&self.state);
        if state.closed {
            return Err(Error::Closed);
        }
        state.prune();
        let free = state.connections.iter().position(|each| each.calls < CONNECTION_CALLS);
        let index = match free {
            Some(index) => index,
            None if state.connections.len() < CONNECTIONS_MAX => {
                let channel = state.endpoint.channel()?;
                state.last_id += 1;
                let id = state.last_id;
                state.connections.push(Connection {
                    id,
                    channel,
                    calls: 0,
                    used_at: Instant::now(),
                });
                state.connections.len() - 1
            }
            None => {
                let calls = state.connections.iter().enumerate().min_by_key(|(_, each)| each.calls);
                calls.map_or(0, |(index, _)| index)
            }
        };
        let picked = &mut state.connections[index];
        picked.calls += 1;
        Ok(Lease { pool: self.clone(), id: picked.id, channel: picked.channel.clone() })
    }

    /// Drop the connections.
    pub(crate) fn close(&self) {
        let mut state = locked(&self.state);
        state.closed = true;
        state.connections.clear();
    }
}

impl State {
    /// Close idle connections beside the first.
    fn prune(&mut self) {
        let mut first = true;
        self.connections.retain(|each| {
            let kept = first || each.calls > 0 || each.used_at.elapsed() < IDLE_TIMEOUT;
            first = false;
            kept
        });
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let mut state = locked(&self.pool.state);
        if let Some(found) = state.connections.iter_mut().find(|each| each.id == self.id) {
            found.calls -= 1;
            found.used_at = Instant::now();
        }
        state.prune();
    }
}
