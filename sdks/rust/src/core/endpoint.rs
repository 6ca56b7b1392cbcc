//! Addresses of servers, and the security of their connections.

use std::fs::{self, Metadata};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use hyper_util::rt::TokioIo;
use serde::Deserialize;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::rustls::pki_types::{pem::PemObject, CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{crypto, ClientConfig, RootCertStore};
use tokio_rustls::TlsConnector;
use tonic::transport::{Channel, Uri};
use tower::service_fn;

use super::limits::{CONNECT_TIMEOUT, KEEPALIVE, KEEPALIVE_TIMEOUT};
use crate::Error;

const DEFAULT_ADDRESS: &str = "127.0.0.1:7450";

/// The files of TLS, in PEM. Without `ca` the public authorities are trusted. Changed files are
/// read again at the next connection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tls {
    /// The certificates of trusted authorities.
    pub ca: Option<PathBuf>,
    /// The certificate of the client.
    pub certificate: Option<PathBuf>,
    /// The private key of the client.
    pub key: Option<PathBuf>,
}

/// A server, with the security of its connections.
#[derive(Clone)]
pub(crate) struct Endpoint {
    /// The text that names the server.
    pub(crate) address: String,
    host: String,
    port: u16,
    tls: Option<Arc<TlsLoader>>,
    plaintext_allowed: bool,
}

fn invalid(message: String) -> Error {
    Error::invalid("ENDPOINT_INVALID", message)
}

/// The byte streams of connections.
trait Io: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

impl Endpoint {
    /// Parse `grpcs://host:port`, `grpc://host:port` or `host:port`; `plain` decides for plain
    /// text, even with a credential.
    pub(crate) fn new(address: &str, files: Option<Tls>, plain: bool) -> Result<Self, Error> {
        let (scheme, host, port) = split(address)?;
        let mut secure = matches!(scheme.as_str(), "grpcs" | "https");
        if secure && plain {
            return Err(invalid(format!("{address} asks for TLS, and without_tls is given")));
        }
        if !scheme.is_empty() && !secure && files.is_some() {
            return Err(invalid(format!("{address} has no TLS; use grpcs:// with TLS files")));
        }
        let files = files.or_else(|| if plain { None } else { tls_of_environment() });
        secure = secure || (scheme.is_empty() && files.is_some());
        let tls = match secure {
            true => Some(Arc::new(TlsLoader::new(files.unwrap_or_default())?)),
            false => None,
        };
        let plaintext_allowed = plain || plaintext_allowed();
        Ok(Self { address: address.to_owned(), host, port, tls, plaintext_allowed })
    }

    /// Return the endpoint of another cell; calls that are encrypted stay so.
    pub(crate) fn elsewhere(&self, address: &str) -> Result<Self, Error> {
        let (scheme, host, port) = split(address)?;
        let secure = matches!(scheme.as_str(), "grpcs" | "https");
        if secure && self.tls.is_none() {
            return Self::new(address, None, false);
        }
        if !scheme.is_empty() && !secure && self.tls.is_some() {
            return Err(invalid(format!("the server names the cell {address}, which has no TLS")));
        }
        Ok(Self { address: address.to_owned(), host, port, ..self.clone() })
    }

    /// Refuse to send a credential in plain text to another host.
    pub(crate) fn check_credential(&self, source: &str) -> Result<(), Error> {
        if self.tls.is_some() || is_local(&self.host) || self.plaintext_allowed {
            return Ok(());
        }
        let message = format!(
            "{source} would be sent to {}:{} without TLS; use grpcs://, or allow it with \
             without_tls or FLOWMESH_ALLOW_PLAINTEXT=true",
            self.host, self.port
        );
        Err(Error::invalid("PLAINTEXT_REFUSED", message))
    }

    /// Return a channel that connects at its first call, and again after a break.
    pub(crate) fn channel(&self) -> Result<Channel, Error> {
        let host =
            if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        let target = |scheme: &str| format!("{scheme}://{host}:{}", self.port);
        let wrong =
            |error: &dyn std::fmt::Display| invalid(format!("{host:?} is not a host: {error}"));
        let mut endpoint = Channel::from_shared(target("http")).map_err(|e| wrong(&e))?;
        if self.tls.is_some() {
            endpoint = endpoint.origin(target("https").parse().map_err(|e| wrong(&e))?);
        }
        let endpoint = endpoint
            .connect_timeout(CONNECT_TIMEOUT)
            .http2_keep_alive_interval(KEEPALIVE)
            .keep_alive_timeout(KEEPALIVE_TIMEOUT)
            .initial_connection_window_size(16 * 1024 * 1024)
            .initial_stream_window_size(4 * 1024 * 1024);
        let opened = self.clone();
        let connector = service_fn(move |_: Uri| {
            let opened = opened.clone();
            async move { opened.connect().await.map(TokioIo::new) }
        });
        Ok(endpoint.connect_with_connector_lazy(connector))
    }

    async fn connect(&self) -> std::io::Result<Box<dyn Io>> {
        let socket = TcpStream::connect((self.host.as_str(), self.port)).await?;
        socket.set_nodelay(true)?;
        let Some(loader) = &self.tls else {
            return Ok(Box::new(socket));
        };
        let failed = |cause: &dyn std::fmt::Display| {
            std::io::Error::other(format!("the TLS handshake failed: {cause}"))
        };
        let config = loader.current().map_err(|e| failed(&e))?;
        let name = ServerName::try_from(self.host.clone()).map_err(|e| failed(&e))?;
        let secured = TlsConnector::from(config).connect(name, socket);
        Ok(Box::new(secured.await.map_err(|e| failed(&e))?))
    }
}

fn split(address: &str) -> Result<(String, String, u16), Error> {
    let (scheme, rest) = address.split_once("://").unwrap_or(("", address));
    let scheme = scheme.to_lowercase();
    if !matches!(scheme.as_str(), "" | "grpc" | "grpcs" | "http" | "https") {
        let shown: String = scheme.chars().take(20).collect();
        return Err(invalid(format!(
            "the scheme {shown}:// is unknown; expected grpc:// or grpcs://"
        )));
    }
    let target = rest.strip_suffix('/').unwrap_or(rest);
    let wrong = |c: char| "/?#@".contains(c) || c.is_whitespace() || c.is_control();
    if target.is_empty() || target.contains(wrong) {
        let message =
            format!("{address:?} is not an address; expected host:port, without path or user");
        return Err(invalid(message));
    }
    let secure = matches!(scheme.as_str(), "grpcs" | "https");
    let (host, port) = match target.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') || host.ends_with(']') => (host, port),
        _ if secure => (target, "443"),
        _ => return Err(invalid(format!("{address:?} has no port; expected host:port"))),
    };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    match port.parse() {
        Ok(number) if number > 0 && !host.is_empty() => Ok((scheme, host.to_owned(), number)),
        _ => Err(invalid(format!("{address:?} is not an address; expected host:port"))),
    }
}

fn is_local(host: &str) -> bool {
    let name = host.trim_end_matches('.');
    name.eq_ignore_ascii_case("localhost")
        || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|text| !text.trim().is_empty())
}

fn plaintext_allowed() -> bool {
    let text = variable("FLOWMESH_ALLOW_PLAINTEXT").unwrap_or_default().to_lowercase();
    matches!(text.as_str(), "1" | "true" | "yes" | "on")
}

fn tls_of_environment() -> Option<Tls> {
    let path = |name| variable(name).map(PathBuf::from);
    let found = Tls {
        ca: path("FLOWMESH_CA"),
        certificate: path("FLOWMESH_CLIENT_CERT"),
        key: path("FLOWMESH_CLIENT_KEY"),
    };
    (found != Tls::default()).then_some(found)
}

type Stamp = [Option<(SystemTime, u64)>; 3];

/// The files of TLS; they are read again once one of them has changed.
struct TlsLoader {
    files: Tls,
    loaded: Mutex<(Stamp, Arc<ClientConfig>)>,
}

impl TlsLoader {
    fn new(files: Tls) -> Result<Self, Error> {
        let loaded = (files.stamp(), files.config()?);
        Ok(Self { files, loaded: Mutex::new(loaded) })
    }

    fn current(&self) -> Result<Arc<ClientConfig>, Error> {
        let stamp = self.files.stamp();
        let mut loaded = super::locked(&self.loaded);
        if loaded.0 != stamp {
            // Half-written files: the former ones stay in use.
            if let Ok(config) = self.files.config() {
                *loaded = (stamp, config);
            }
        }
        Ok(loaded.1.clone())
    }
}

impl Tls {
    fn stamp(&self) -> Stamp {
        [&self.ca, &self.certificate, &self.key].map(|path| {
            let about = fs::metadata(path.as_ref()?).ok()?;
            Some((about.modified().ok()?, about.len()))
        })
    }

    fn config(&self) -> Result<Arc<ClientConfig>, Error> {
        let mut roots = RootCertStore::empty();
        match &self.ca {
            Some(path) => {
                for each in certificates(path)? {
                    let added = roots.add(each);
                    added.map_err(|e| invalid(format!("cannot use {}: {e}", path.display())))?;
                }
            }
            None => {
                roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            }
        }
        let provider = Arc::new(crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|e| invalid(format!("cannot use TLS: {e}")))?
            .with_root_certificates(roots);
        let mut config = match (&self.certificate, &self.key) {
            (None, None) => builder.with_no_client_auth(),
            (Some(certificate), Some(key)) => {
                let unusable =
                    |e: String| invalid(format!("cannot use the client certificate: {e}"));
                let key = PrivateKeyDer::from_pem_slice(&content(key)?);
                let key = key.map_err(|e| unusable(e.to_string()))?;
                let made = builder.with_client_auth_cert(certificates(certificate)?, key);
                made.map_err(|e| unusable(e.to_string()))?
            }
            _ => {
                let message = "a client certificate needs both its certificate and its key file";
                return Err(invalid(message.to_owned()));
            }
        };
        config.alpn_protocols = vec![b"h2".to_vec()];
        Ok(Arc::new(config))
    }
}

fn content(path: &Path) -> Result<Vec<u8>, Error> {
    fs::read(path).map_err(|e| invalid(format!("cannot read the TLS file {}: {e}", path.display())))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    let data = content(path)?;
    let found: Vec<_> = CertificateDer::pem_slice_iter(&data).filter_map(Result::ok).collect();
    if found.is_empty() {
        return Err(invalid(format!("{} holds no certificate in PEM", path.display())));
    }
    Ok(found)
}

/// Return the address and the TLS files of a server: those given, `FLOWMESH_ADDRESS`, those of a
/// suite that runs in this folder or a parent, or the default.
pub(crate) fn located(address: &str, files: Option<Tls>) -> (String, Option<Tls>) {
    if !address.is_empty() {
        return (address.to_owned(), files);
    }
    if let Some(address) = variable("FLOWMESH_ADDRESS") {
        return (address, files);
    }
    let Some(suite) = running_suite() else {
        return (DEFAULT_ADDRESS.to_owned(), files);
    };
    let local = split(&suite.grpc).is_ok_and(|(_, host, _)| is_local(&host));
    let known = files.is_some() || tls_of_environment().is_some();
    let authority = suite.ca.filter(|ca| local && !known && !ca.is_empty());
    let of_suite = authority.map(|ca| Tls { ca: Some(ca.into()), ..Tls::default() });
    (suite.grpc, files.or(of_suite))
}

/// The file that `flowmesh dev` writes.
#[derive(Deserialize)]
struct Suite {
    pid: u32,
    grpc: String,
    #[serde(default)]
    ca: Option<String>,
}

/// Read `.flowmesh/dev.json` of the working folder or a parent. The file of another user or of an
/// ended process is ignored.
fn running_suite() -> Option<Suite> {
    let folder = std::env::current_dir().ok()?;
    folder.ancestors().find_map(|parent| {
        let file = parent.join(".flowmesh").join("dev.json");
        if !own(&fs::metadata(&file).ok()?) {
            return None;
        }
        let suite: Suite = serde_json::from_slice(&fs::read(&file).ok()?).ok()?;
        let runs = Path::new("/proc").join(suite.pid.to_string()).exists();
        (runs && !suite.grpc.contains("://")).then_some(suite)
    })
}

/// Report whether a file belongs to the user of this process; false where that is not known.
#[cfg(target_os = "linux")]
fn own(about: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    fs::metadata("/proc/self").is_ok_and(|process| process.uid() == about.uid())
}

#[cfg(not(target_os = "linux"))]
fn own(_about: &Metadata) -> bool {
    false
}
