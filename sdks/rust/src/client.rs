//! The client of one address, in one namespace.

use std::future::Future;
use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use crate::core::budget::RetryBudget;
use crate::core::caller::Caller;
use crate::core::credential::{Credential, TokenSource};
use crate::core::endpoint::{located, Endpoint, Tls};
use crate::core::payload::{decode, encode};
use crate::core::pool::Pool;
use crate::core::sealing::Codec;
use crate::{Error, Result, Value};

/// A client of one address, in one namespace. It opens connections as its calls need them. Clones
/// share them; the drop of the last one closes them.
#[derive(Clone)]
pub struct Client {
    pub(crate) caller: Arc<Caller>,
    end: Arc<End>,
}

/// The end of the client with its last clone.
struct End(Arc<Caller>);

impl Drop for End {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl Caller {
    fn close(&self) {
        self.ended.cancel();
        self.pool.close();
    }
}

/// The settings of a client.
#[derive(Default)]
#[must_use]
pub struct Builder {
    address: String,
    namespace: String,
    actor: String,
    api_key: String,
    token: String,
    source: Option<TokenSource>,
    anonymous: bool,
    tls: Option<Tls>,
    plain: bool,
    codec: Option<Arc<dyn Codec>>,
}

impl Builder {
    /// Set the namespace; the default is `FLOWMESH_NAMESPACE`, the only one of the
    /// credential, or `default`.
    pub fn namespace(mut self, name: impl Into<String>) -> Self {
        self.namespace = name.into();
        self
    }

    /// Set the identity that is recorded with changes; the default is `FLOWMESH_ACTOR`.
    pub fn actor(mut self, name: impl Into<String>) -> Self {
        self.actor = name.into();
        self
    }

    /// Set an API key; the default is `FLOWMESH_API_KEY`.
    pub fn api_key(mut self, key: impl Into<String>) -> Self {
        self.api_key = key.into();
        self
    }

    /// Set an access token; the default is `FLOWMESH_TOKEN`.
    pub fn token(mut self, token: impl Into<String>) -> Self {
        self.token = token.into();
        self
    }

    /// Set the source of access tokens. It is called again shortly before a token expires, and
    /// once if a server refuses it.
    pub fn token_source<F, Fut, E>(mut self, source: F) -> Self
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<String, E>> + Send + 'static,
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        self.source = Some(Arc::new(move || {
            let token = source();
            Box::pin(async move { token.await.map_err(Into::into) })
        }));
        self
    }

    /// Send no credential, even if the environment has one.
    pub fn without_credential(mut self) -> Self {
        self.anonymous = true;
        self
    }

    /// Use TLS with these files; the default are those of `FLOWMESH_CA`, `FLOWMESH_CLIENT_CERT`
    /// and `FLOWMESH_CLIENT_KEY`. An address `grpcs://` uses TLS without them too.
    pub fn tls(mut self, files: Tls) -> Self {
        self.tls = Some(files);
        self
    }

    /// Use plain text, and permit to send a credential in it.
    pub fn without_tls(mut self) -> Self {
        self.plain = true;
        self
    }

    /// Set the codec of the values of the client and its workers, such as
    /// [`SealingKeys`](crate::SealingKeys).
    pub fn codec(mut self, codec: impl Codec + 'static) -> Self {
        self.codec = Some(Arc::new(codec));
        self
    }

    /// Return a client that connects at its first call.
    pub fn build(self) -> Result<Client> {
        let (address, mut files) = located(&self.address, self.tls.clone());
        if self.plain {
            files = None;
        }
        let endpoint = Endpoint::new(&address, files, self.plain)?;
        let credential = self.credential()?;
        if let Some(credential) = &credential {
            endpoint.check_credential(&credential.source)?;
        }
        let or_variable = |text: String, name: &str| match text.is_empty() {
            true => std::env::var(name).unwrap_or_default(),
            false => text,
        };
        let namespace = or_variable(self.namespace, "FLOWMESH_NAMESPACE");
        // The server takes the only namespace of a credential.
        let last = if credential.is_some() { "" } else { "default" };
        let caller = Arc::new(Caller {
            pool: Pool::new(endpoint),
            credential,
            namespace: if namespace.is_empty() { last.to_owned() } else { namespace },
            actor: or_variable(self.actor, "FLOWMESH_ACTOR"),
            budget: RetryBudget::default(),
            codec: self.codec,
            ended: CancellationToken::new(),
        });
        Ok(Client { end: Arc::new(End(caller.clone())), caller })
    }

    /// Return a client once its server responds; wait for 5 s at most.
    pub async fn connect(self) -> Result<Client> {
        let client = self.build()?;
        client.caller.ready().await?;
        Ok(client)
    }

    fn credential(&self) -> Result<Option<Credential>> {
        let given = [!self.api_key.is_empty(), !self.token.is_empty(), self.source.is_some()];
        let count = given.iter().filter(|set| **set).count();
        if count > 1 {
            let message = format!("a client takes one credential, not {count}");
            return Err(Error::invalid("CREDENTIAL_MALFORMED", message));
        }
        match &self.source {
            _ if given[0] => Credential::fixed(&self.api_key, "the API key").map(Some),
            _ if given[1] => Credential::fixed(&self.token, "the token").map(Some),
            Some(source) => Ok(Some(Credential::renewed_by(source.clone()))),
            None if self.anonymous => Ok(None),
            None => Credential::of_environment(),
        }
    }
}

impl Client {
    /// Return the settings of a client. An empty address stands for `FLOWMESH_ADDRESS`, a suite of
    /// `flowmesh dev` in this folder or a parent, or 127.0.0.1:7450. `grpcs://host:port` uses TLS.
    pub fn builder(address: impl Into<String>) -> Builder {
        Builder { address: address.into(), ..Builder::default() }
    }

    /// Return a client with the default settings once its server responds.
    pub async fn connect(address: impl Into<String>) -> Result<Self> {
        Self::builder(address).connect().await
    }

    /// Return the namespace of the client.
    pub fn namespace(&self) -> &str {
        &self.caller.namespace
    }

    /// Close the connections. Open calls end with [`Error::Closed`], as later ones do. Closing
    /// again has no effect.
    pub fn close(&self) {
        self.end.0.close();
    }

    /// Store a value of up to 64 MiB and return its reference. Starts, signals and handlers do so
    /// themselves with values above 256 KiB.
    pub async fn store<T: Serialize + ?Sized>(&self, value: &T) -> Result<Value> {
        let data = self.caller.sealed(encode(value)?)?;
        Ok(Value::of(Some(self.caller.put(data).await?)))
    }

    /// Read a value; a stored one is fetched, and its digest checked.
    pub async fn fetch<T: DeserializeOwned>(&self, value: &Value) -> Result<T> {
        match value.digest() {
            Some(digest) => decode(&self.caller.get(digest).await?),
            None => value.decode(),
        }
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut shown = formatter.debug_struct("Client");
        shown.field("address", &self.caller.address());
        shown.field("namespace", &self.caller.namespace).finish()
    }
}
