//! The values of commands and answers.

use std::collections::HashMap;

use flowmesh::{Error, Event, Execution, Failure, Kind, Stream, Value as Stored};
use futures_util::StreamExt;
use serde::ser::Error as _;
use serde::{Serialize, Serializer};
use serde_json::{json, Map, Value};
use sha2::{Digest, Sha256};

const TEXT_MAX: usize = 1000;

/// A wrong command, or an error of the SDK.
pub enum Wrong {
    Usage(String),
    Call(Error),
}

impl From<Error> for Wrong {
    fn from(error: Error) -> Self {
        Self::Call(error)
    }
}

/// The value of a command, whose parts may stand for a long text or for what is no JSON.
pub struct Given(pub Value);

impl Serialize for Given {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let member = |name| self.0.get(name);
        if let Some(length) = member("$text").and_then(Value::as_u64) {
            return serializer.serialize_str(&"x".repeat(length as usize));
        }
        match member("$bad").and_then(Value::as_str) {
            Some("function") => return Err(S::Error::custom("the value refuses to be written")),
            Some("-infinity") => return serializer.serialize_f64(f64::NEG_INFINITY),
            Some(_) => return serializer.serialize_f64(f64::NAN),
            None => {}
        }
        match &self.0 {
            Value::Object(found) => {
                serializer.collect_map(found.iter().map(|(k, v)| (k, Given(v.clone()))))
            }
            Value::Array(found) => serializer.collect_seq(found.iter().cloned().map(Given)),
            other => other.serialize(serializer),
        }
    }
}

pub fn given(value: Option<&Value>) -> Given {
    Given(value.cloned().unwrap_or(Value::Null))
}

/// Replace long texts by their length and digest.
pub fn shortened(value: Value) -> Value {
    match value {
        Value::String(text) if text.len() > TEXT_MAX => {
            let digest = Sha256::digest(text.as_bytes());
            let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
            json!({"$text": text.chars().count(), "sha256": hex})
        }
        Value::Object(members) => {
            members.into_iter().map(|(k, v)| (k, shortened(v))).collect::<Map<_, _>>().into()
        }
        Value::Array(items) => items.into_iter().map(shortened).collect(),
        other => other,
    }
}

pub fn failure(failure: Option<&Failure>) -> Value {
    failure.map_or(
        Value::Null,
        |found| json!({"class": found.class, "message": found.message, "node": found.node}),
    )
}

pub fn values(values: &HashMap<String, Stored>) -> Value {
    let read = |value: &Stored| value.decode().unwrap_or_else(|error| json!(error.to_string()));
    values.iter().map(|(name, value)| (name.clone(), read(value))).collect::<Map<_, _>>().into()
}

pub fn execution(found: &Execution) -> Value {
    let nodes: Map<String, Value> = found
        .nodes
        .iter()
        .map(|node| {
            let about = json!({
                "status": node.status.to_string(), "attempts": node.attempts,
                "taskType": node.task_type, "failure": failure(node.failure.as_ref()),
                "held": node.held,
            });
            (node.id.clone(), about)
        })
        .collect();
    json!({
        "id": found.id, "workflow": found.workflow_id, "version": found.version,
        "status": found.status.to_string(), "lastSequence": found.last_sequence,
        "failure": failure(found.failure.as_ref()), "variables": values(&found.variables),
        "nodes": nodes,
    })
}

/// Read a stream of events to its end.
pub async fn events(
    mut events: Stream<Event>,
    types: &[String],
    delay: std::time::Duration,
) -> Result<Value, Wrong> {
    let mut found = Vec::new();
    while let Some(event) = events.next().await {
        let event = event?;
        let kind = if event.kind == "Unknown" { "" } else { &event.kind };
        if types.is_empty() || event.last() || types.contains(&event.kind) {
            found.push(json!({"type": kind, "sequence": event.sequence, "node": event.node}));
        }
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
    }
    Ok(json!({"events": found}))
}

pub fn error(wrong: &Wrong) -> Value {
    let error = match wrong {
        Wrong::Usage(message) => {
            return json!({"kind": "Usage", "reason": "", "message": message});
        }
        Wrong::Call(error) => error,
    };
    let mut found = json!({
        "kind": error.kind().to_string(), "reason": error.reason(), "message": error.to_string(),
    });
    match error {
        Error::ExecutionFailed { status, failure: cause, .. } => {
            found["status"] = json!(status.to_string());
            found["failure"] = failure(cause.as_deref());
        }
        Error::Refused(refusal) => {
            found["message"] = json!(refusal.message);
            if let Some(delay) = refusal.retry_after.filter(|_| refusal.kind != Kind::Timeout) {
                found["retryAfterMs"] = json!(delay.as_millis() as u64);
            }
            let violations = refusal.violations.iter().map(|each| {
                json!({
                    "field": each.field, "code": each.code,
                    "line": each.line, "column": each.column,
                })
            });
            found["violations"] = violations.collect();
        }
        _ => {}
    }
    found
}
