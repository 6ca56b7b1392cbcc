//! The commands of the protocol.

use std::collections::HashMap;
use std::time::Duration;

use flowmesh::Start;
use serde::Deserialize;
use serde_json::Value;

/// The members of every verb.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Command {
    pub id: i64,
    pub verb: String,
    pub client: Option<String>,
    pub worker: Option<String>,
    pub session: Option<String>,
    pub address: String,
    pub namespace: String,
    pub token: String,
    pub api_key: String,
    pub provider: String,
    pub ca: String,
    pub certificate: String,
    pub key: String,
    pub sealing: String,
    pub only: Vec<String>,
    pub source: String,
    pub workflow: String,
    pub request_id: String,
    pub execution: String,
    pub filter: String,
    pub name: String,
    pub action: String,
    pub reason: String,
    pub digest: String,
    pub worker_id: String,
    pub endpoint: String,
    pub capability: String,
    pub kind: String,
    pub version: u32,
    pub wait_ms: u64,
    pub timeout_ms: Option<i64>,
    pub delay_ms: u64,
    pub page_size: u32,
    pub slots: Option<u32>,
    pub drain_ms: Option<u64>,
    pub after_ms: u64,
    pub count: usize,
    pub picks: usize,
    pub after: i64,
    pub input: Option<Value>,
    pub payload: Option<Value>,
    pub value: Option<Value>,
    pub inputs: Option<Vec<Value>>,
    pub types: Vec<String>,
    pub statuses: Vec<String>,
    pub queues: Vec<String>,
    pub request_ids: Option<Vec<String>>,
    pub capabilities: Vec<String>,
    pub labels: HashMap<String, String>,
    pub tasks: HashMap<String, String>,
    pub results: Option<bool>,
}

impl Command {
    pub fn limit(&self) -> Duration {
        let limit = self.timeout_ms.unwrap_or(30_000);
        // A duration of Rust is not negative.
        Duration::from_millis(limit.max(0).unsigned_abs())
    }

    pub fn start<To>(&self, start: Start<To>) -> Start<To> {
        start.request_id(&self.request_id).version(self.version).labels(self.labels.clone())
    }
}
