//! Credentials of calls: fixed ones, and sources that renew them.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use serde::Deserialize;

use super::limits::{CREDENTIAL_BYTES_MAX, TOKEN_MARGIN, TOKEN_REJECTED, TOKEN_RENEWAL_MIN};
use super::locked;
use crate::{Error, Kind};

type Cause = Box<dyn std::error::Error + Send + Sync>;
type Renewal = Pin<Box<dyn Future<Output = Result<String, Cause>> + Send>>;

/// A function that returns an access token.
pub(crate) type TokenSource = Arc<dyn Fn() -> Renewal + Send + Sync>;

/// A credential, sent as `authorization: Bearer …` with every call.
pub(crate) struct Credential {
    /// The name of the credential in errors.
    pub(crate) source: String,
    renew: Option<TokenSource>,
    state: Mutex<State>,
    /// Held by the one renewal that runs.
    renewing: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct State {
    text: String,
    renew_at: Option<Instant>,
    rejected_at: Option<Instant>,
}

fn malformed(message: String) -> Error {
    Error::invalid("CREDENTIAL_MALFORMED", message)
}

fn check(text: &str, source: &str) -> Result<(), Error> {
    if text.len() > CREDENTIAL_BYTES_MAX {
        let limit = format!("has more than {CREDENTIAL_BYTES_MAX} bytes");
        return Err(malformed(format!("the credential of {source} {limit}")));
    }
    if text.is_empty() || text.bytes().any(|byte| !(0x21..=0x7e).contains(&byte)) {
        let message = format!("the credential of {source} is empty or holds spaces or line breaks");
        return Err(malformed(message));
    }
    Ok(())
}

impl Credential {
    /// Return a credential that stays as it is.
    pub(crate) fn fixed(text: &str, source: &str) -> Result<Self, Error> {
        let text = text.trim().to_owned();
        check(&text, source)?;
        let state = State { text, ..State::default() };
        Ok(Self {
            source: source.to_owned(),
            renew: None,
            state: Mutex::new(state),
            renewing: tokio::sync::Mutex::default(),
        })
    }

    /// Return a credential that a source renews.
    pub(crate) fn renewed_by(source: TokenSource) -> Self {
        Self {
            source: "the token source".to_owned(),
            renew: Some(source),
            state: Mutex::default(),
            renewing: tokio::sync::Mutex::default(),
        }
    }

    /// Return the credential of the environment.
    pub(crate) fn of_environment() -> Result<Option<Self>, Error> {
        for variable in ["FLOWMESH_TOKEN", "FLOWMESH_API_KEY"] {
            match std::env::var(variable) {
                Ok(text) if !text.trim().is_empty() => {
                    return Self::fixed(&text, variable).map(Some)
                }
                _ => {}
            }
        }
        Ok(None)
    }

    /// Return the value of the metadata, after a renewal if one is due.
    pub(crate) async fn header(&self) -> Result<String, Error> {
        let (mut text, due) = {
            let state = locked(&self.state);
            (state.text.clone(), state.renew_at.is_none_or(|at| Instant::now() >= at))
        };
        if let (Some(renew), true) = (&self.renew, due) {
            text = self.renewal(renew, &text).await?;
        }
        Ok(format!("Bearer {text}"))
    }

    /// Renew a token that a server refused; false if that cannot help.
    pub(crate) async fn rejected(&self, used: &str) -> bool {
        let Some(renew) = &self.renew else {
            return false;
        };
        let former = used.strip_prefix("Bearer ").unwrap_or(used);
        {
            let mut state = locked(&self.state);
            if state.text != former {
                return true;
            }
            if state.rejected_at.is_some_and(|at| at.elapsed() <= TOKEN_REJECTED) {
                return false;
            }
            state.rejected_at = Some(Instant::now());
        }
        self.renewal(renew, former).await.is_ok_and(|text| text != former)
    }

    /// Ask the source for a token, unless another call has just done so.
    async fn renewal(&self, renew: &TokenSource, former: &str) -> Result<String, Error> {
        let _one = self.renewing.lock().await;
        {
            let state = locked(&self.state);
            if !state.text.is_empty() && state.text != former {
                return Ok(state.text.clone());
            }
        }
        let text = renew().await.map_err(|cause| {
            let message = format!("the token source failed: {cause}");
            Error::new(Kind::Unauthenticated, "UNAUTHENTICATED", message)
        })?;
        let text = text.trim().to_owned();
        check(&text, &self.source)?;
        let lifetime = lifetime(&text).saturating_sub(TOKEN_MARGIN).max(TOKEN_RENEWAL_MIN);
        let mut state = locked(&self.state);
        state.text.clone_from(&text);
        state.renew_at = Some(Instant::now() + lifetime);
        Ok(text)
    }
}

/// Read the time until `exp` of a JWT, unverified; a year if it has none.
fn lifetime(token: &str) -> Duration {
    #[derive(Deserialize)]
    struct Claims {
        exp: f64,
    }
    let year = Duration::from_secs(365 * 24 * 3600);
    let mut parts = token.split('.');
    let payload = match (parts.next(), parts.next(), parts.next(), parts.next()) {
        (Some(_), Some(payload), Some(_), None) => base64url(payload),
        _ => None,
    };
    let claims = payload.and_then(|data| serde_json::from_slice::<Claims>(&data).ok());
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    match claims {
        Some(claims) if claims.exp > 0.0 => {
            Duration::from_secs_f64((claims.exp - now.as_secs_f64()).clamp(0.0, year.as_secs_f64()))
        }
        _ => year,
    }
}

fn base64url(text: &str) -> Option<Vec<u8>> {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let (mut bits, mut count, mut found) = (0_u32, 0, Vec::new());
    for byte in text.trim_end_matches('=').bytes() {
        let value = ALPHABET.iter().position(|each| *each == byte)?;
        bits = (bits << 6) | value as u32;
        count += 6;
        if count >= 8 {
            count -= 8;
            found.push((bits >> count) as u8);
        }
    }
    Some(found)
}
