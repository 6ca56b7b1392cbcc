//! Values as JSON, and large ones by reference.

use base64::prelude::{Engine, BASE64_STANDARD};
use serde::de::DeserializeOwned;
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::api::common::v1::Payload;
use super::api::execution::v1::{self as message, GetPayloadRequest, PutPayloadRequest};
use super::caller::{Attempt, Caller, Limits};
use super::limits::{CHUNK_BYTES, INLINE_BYTES_MAX, RETRY_TOTAL, STORED_BYTES_MAX};
use crate::{Error, Execution, Kind};

/// Return a value as JSON; refuse what JSON cannot hold.
pub(crate) fn encode<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>, Error> {
    let wrong = |cause: &dyn std::fmt::Display| {
        Error::invalid("JSON_INVALID", format!("the value cannot be written as JSON: {cause}"))
    };
    super::finite::check(value).map_err(|cause| wrong(&cause))?;
    serde_json::to_vec(value).map_err(|cause| wrong(&cause))
}

/// Read a JSON value. Numbers of a `serde_json::Value` stay exact.
pub(crate) fn decode<T: DeserializeOwned>(data: &[u8]) -> Result<T, Error> {
    let data = if data.is_empty() { b"null" } else { data };
    serde_json::from_slice(data).map_err(|cause| {
        let name = std::any::type_name::<T>();
        Error::invalid("JSON_INVALID", format!("the value does not fit {name}: {cause}"))
    })
}

/// Return a value of another encoding as JSON: a text, or base64.
pub(crate) fn as_json(data: Vec<u8>, encoding: &str) -> Vec<u8> {
    if encoding.is_empty() || encoding.contains("json") || data.is_empty() {
        return data;
    }
    let text = match encoding.starts_with("text/") || encoding.ends_with("xml") {
        true => String::from_utf8_lossy(&data).into_owned(),
        false => BASE64_STANDARD.encode(&data),
    };
    serde_json::Value::String(text).to_string().into_bytes()
}

impl Caller {
    /// Return JSON as it leaves this process.
    pub(crate) fn sealed(&self, data: Vec<u8>) -> Result<Vec<u8>, Error> {
        match &self.codec {
            Some(codec) => codec.encode(data),
            None => Ok(data),
        }
    }

    fn opened(&self, data: Vec<u8>) -> Result<Vec<u8>, Error> {
        match &self.codec {
            Some(codec) => codec.decode(data),
            None => Ok(data),
        }
    }

    /// Return an execution with its inline values opened; those that cannot be opened stay as they
    /// are.
    pub(crate) fn execution(&self, mut found: message::Execution) -> Execution {
        let nodes = found.nodes.iter_mut().map(|node| &mut node.output);
        let own = [&mut found.input, &mut found.output];
        let payloads = nodes.chain(own).filter_map(Option::as_mut);
        for payload in payloads.chain(found.variables.values_mut()) {
            if let Ok(data) = self.opened(payload.data.clone()) {
                payload.data = data;
            }
        }
        Execution::of(found)
    }

    /// Return the payload of a value; a large one is stored first.
    pub(crate) async fn pack(&self, data: Vec<u8>) -> Result<Payload, Error> {
        let data = self.sealed(data)?;
        if data.len() <= INLINE_BYTES_MAX {
            return Ok(Payload { data, ..Payload::default() });
        }
        self.put(data).await
    }

    /// Return the JSON of a payload; that of a reference is fetched.
    pub(crate) async fn unpack(&self, payload: Option<Payload>) -> Result<Vec<u8>, Error> {
        let payload = payload.unwrap_or_default();
        match payload.reference {
            Some(reference) => self.get(&reference.digest).await,
            None => self.opened(as_json(payload.data, &payload.encoding)),
        }
    }

    /// Store bytes and return their payload.
    pub(crate) async fn put(&self, data: Vec<u8>) -> Result<Payload, Error> {
        if data.len() > STORED_BYTES_MAX {
            let message = format!(
                "the value has {} bytes; stored values are limited to {STORED_BYTES_MAX}",
                data.len()
            );
            return Err(Error::new(Kind::TooLarge, "PAYLOAD_TOO_LARGE", message));
        }
        let data = std::sync::Arc::new(data);
        let limits = Limits { each: RETRY_TOTAL, until: None };
        let payload = self.retried(limits, |attempt: Attempt| {
            let (data, namespace) = (data.clone(), self.namespace.clone());
            let chunks = (0..data.len().max(1)).step_by(CHUNK_BYTES).map(move |start| {
                let end = data.len().min(start + CHUNK_BYTES);
                let namespace = if start == 0 { namespace.clone() } else { String::new() };
                let chunk = data[start..end].to_vec();
                PutPayloadRequest { namespace, chunk, ..PutPayloadRequest::default() }
            });
            let request = attempt.request(tokio_stream::iter(chunks));
            async move {
                let answer = super::payloads(attempt.channel()).put_payload(request).await;
                let response = answer.map_err(|status| Error::from_status(&status))?;
                Ok(response.into_inner().payload.unwrap_or_default())
            }
        });
        let payload = payload.await?;
        check_digest(&data, payload.reference.as_ref().map_or("", |found| &found.digest))?;
        Ok(payload)
    }

    /// Return the JSON of a stored value, after a check of its digest.
    pub(crate) async fn get(&self, digest: &str) -> Result<Vec<u8>, Error> {
        let limits = Limits { each: RETRY_TOTAL, until: None };
        let fetched = self.retried(limits, |attempt: Attempt| {
            let request = attempt.request(GetPayloadRequest {
                namespace: self.namespace.clone(),
                digest: digest.to_owned(),
                ..GetPayloadRequest::default()
            });
            async move {
                let answer = super::payloads(attempt.channel()).get_payload(request).await;
                let mut stream = answer.map_err(|s| Error::from_status(&s))?.into_inner();
                let (mut data, mut encoding) = (Vec::new(), String::new());
                while let Some(part) = stream.message().await.map_err(|s| Error::from_status(&s))? {
                    if encoding.is_empty() {
                        encoding = part.encoding;
                    }
                    if data.len() + part.chunk.len() > STORED_BYTES_MAX {
                        let message =
                            format!("the server sends more than {STORED_BYTES_MAX} bytes");
                        return Err(Error::new(Kind::TooLarge, "PAYLOAD_TOO_LARGE", message));
                    }
                    data.extend_from_slice(&part.chunk);
                }
                Ok((data, encoding))
            }
        });
        let (data, encoding) = fetched.await?;
        check_digest(&data, digest)?;
        self.opened(as_json(data, &encoding))
    }
}

fn check_digest(data: &[u8], digest: &str) -> Result<(), Error> {
    let sum: String = Sha256::digest(data).iter().map(|byte| format!("{byte:02x}")).collect();
    if sum == digest {
        return Ok(());
    }
    let message = format!(
        "the bytes of the payload {digest} have another digest; they were changed on the way or \
         in the store"
    );
    Err(Error::new(Kind::Internal, "PAYLOAD_CORRUPT", message))
}
