//! End-to-end encryption: values that are sealed and opened by clients and workers only.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use base64::prelude::{Engine, BASE64_STANDARD};
use ring::{aead, hmac};
use serde_json::{json, Value};

use crate::{Error, Result};

/// The last step before values leave a client or a worker, and the first after they arrive. Both
/// methods take and return JSON.
pub trait Codec: Send + Sync {
    /// Change a value that leaves.
    fn encode(&self, data: Vec<u8>) -> Result<Vec<u8>>;
    /// Change a value that arrives.
    fn decode(&self, data: Vec<u8>) -> Result<Vec<u8>>;
}

const SEALED: &str = "$sealed";
const MARK: &[u8] = b"\"$sealed\"";
const KEY_BYTES: usize = 32;
const KEY_ID_MAX: usize = 64;

/// A codec that seals values by AES-256-GCM: see docs/sealed-values.md. The first key seals, all of
/// them open.
pub struct SealingKeys {
    first: String,
    keys: HashMap<String, Key>,
    only: HashSet<String>,
}

struct Key {
    nonces: hmac::Key,
    aead: aead::LessSafeKey,
}

impl SealingKeys {
    /// Read a file with a line per key: its id, and the base64 of its 32 bytes.
    pub fn read(path: impl AsRef<Path>) -> Result<Self> {
        let text = std::fs::read_to_string(path)
            .map_err(|cause| invalid_key(format!("the keys cannot be read: {cause}")))?;
        Self::new(&text)
    }

    /// Take the text of such a file.
    pub fn new(text: &str) -> Result<Self> {
        let mut first = None;
        let mut keys = HashMap::new();
        for (index, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
            let found = key_of(line).filter(|(id, _)| !keys.contains_key(id));
            let (id, key) = found.ok_or_else(|| {
                let number = index + 1;
                invalid_key(format!(
                    "line {number} of the keys is not a new key id and base64 of {KEY_BYTES} bytes"
                ))
            })?;
            first.get_or_insert_with(|| id.clone());
            keys.insert(id, key);
        }
        let first = first.ok_or_else(|| invalid_key("there is no key to seal with".to_owned()))?;
        Ok(Self { first, keys, only: HashSet::new() })
    }

    /// Seal the members of these names only, at any depth, in place of whole values.
    pub fn only<T: Into<String>>(mut self, names: impl IntoIterator<Item = T>) -> Self {
        self.only = names.into_iter().map(Into::into).collect();
        self
    }

    fn seal(&self, data: &[u8]) -> Value {
        let id = &self.first;
        let key = &self.keys[id];
        let mut nonce = [0; aead::NONCE_LEN];
        nonce.copy_from_slice(&hmac::sign(&key.nonces, data).as_ref()[..aead::NONCE_LEN]);
        let mut sealed = data.to_vec();
        let nonced = aead::Nonce::assume_unique_for_key(nonce);
        // Fails above 64 GiB only.
        let done = key.aead.seal_in_place_append_tag(nonced, aead::Aad::from(id), &mut sealed);
        debug_assert!(done.is_ok());
        let text = BASE64_STANDARD.encode([&nonce[..], &sealed[..]].concat());
        json!({SEALED: {"kid": id, "data": text}})
    }

    fn sealed(&self, name: &str, value: Value) -> Result<Value> {
        if self.only.contains(name) && parts_of(&value).is_none() {
            return Ok(self.seal(&written(&value)?));
        }
        mapped(value, &|name, each| self.sealed(name, each))
    }

    fn opened(&self, value: Value) -> Result<Value> {
        let Some((id, text)) = parts_of(&value) else {
            return mapped(value, &|_, each| self.opened(each));
        };
        let key = self.keys.get(id).ok_or_else(|| {
            let cause = format!("sealed by the key {id:?}, which is not among the keys here");
            Error::invalid("SEALED_UNREADABLE", format!("the value is {cause}"))
        })?;
        let data = key.open(id, text).ok_or_else(|| {
            let cause = format!("sealed by the key {id:?} was changed, or the key is another");
            Error::invalid("SEALED_UNREADABLE", format!("the value {cause}"))
        })?;
        // A sealed value may hold sealed members.
        self.opened(super::payload::decode(&data)?)
    }
}

impl Codec for SealingKeys {
    fn encode(&self, data: Vec<u8>) -> Result<Vec<u8>> {
        match self.only.is_empty() {
            true => written(&self.seal(&data)),
            false => written(&self.sealed("", super::payload::decode(&data)?)?),
        }
    }

    fn decode(&self, data: Vec<u8>) -> Result<Vec<u8>> {
        match data.windows(MARK.len()).any(|part| part == MARK) {
            true => written(&self.opened(super::payload::decode(&data)?)?),
            false => Ok(data),
        }
    }
}

impl Key {
    fn new(bytes: &[u8]) -> Option<Self> {
        let derived =
            hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, bytes), b"flowmesh sealed nonce");
        let unbound = aead::UnboundKey::new(&aead::AES_256_GCM, bytes).ok()?;
        let nonces = hmac::Key::new(hmac::HMAC_SHA256, derived.as_ref());
        Some(Self { nonces, aead: aead::LessSafeKey::new(unbound) })
    }

    fn open(&self, id: &str, text: &str) -> Option<Vec<u8>> {
        let data = BASE64_STANDARD.decode(text).ok()?;
        let (nonce, sealed) = data.split_at_checked(aead::NONCE_LEN)?;
        let nonce = aead::Nonce::try_assume_unique_for_key(nonce).ok()?;
        let mut sealed = sealed.to_vec();
        let opened = self.aead.open_in_place(nonce, aead::Aad::from(id), &mut sealed).ok()?;
        Some(opened.to_vec())
    }
}

fn invalid_key(message: String) -> Error {
    Error::invalid("SEALING_KEY_INVALID", message)
}

fn key_of(line: &str) -> Option<(String, Key)> {
    let (id, text) = line.trim().split_once(char::is_whitespace)?;
    let is_part = |each: char| each.is_ascii_alphanumeric() || "_.-".contains(each);
    let is_id = id.len() <= KEY_ID_MAX && id.chars().all(is_part);
    let bytes = BASE64_STANDARD.decode(text.trim()).ok()?;
    (is_id && bytes.len() == KEY_BYTES).then(|| Some((id.to_owned(), Key::new(&bytes)?)))?
}

/// Return the key id and the data of a sealed value.
fn parts_of(value: &Value) -> Option<(&str, &str)> {
    let outer = value.as_object().filter(|outer| outer.len() == 1)?;
    let inner = outer.get(SEALED)?;
    Some((inner.get("kid")?.as_str()?, inner.get("data")?.as_str()?))
}

/// Return a value whose members or items are replaced.
fn mapped(value: Value, by: &dyn Fn(&str, Value) -> Result<Value>) -> Result<Value> {
    Ok(match value {
        Value::Array(items) => {
            Value::Array(items.into_iter().map(|each| by("", each)).collect::<Result<_>>()?)
        }
        Value::Object(members) => {
            let changed = members.into_iter().map(|(name, each)| {
                let each = by(&name, each)?;
                Ok((name, each))
            });
            Value::Object(changed.collect::<Result<_>>()?)
        }
        other => other,
    })
}

fn written(value: &Value) -> Result<Vec<u8>> {
    super::payload::encode(value)
}
