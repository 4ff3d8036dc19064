//! One signed POST request and its answer.

use std::io::Read as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::header;
use ureq::tls::{Certificate, RootCerts, TlsConfig};

use super::signature::sign;
use crate::config::{Endpoint, Secret};

/// What a backend said.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    /// `retry-after`, where it is a number of seconds.
    pub(crate) retry_after: Option<Duration>,
    pub(crate) body: Vec<u8>,
}

/// Posts to one backend. Connections are kept and used again.
pub(crate) struct Client {
    agent: ureq::Agent,
    url: String,
    secret: Secret,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").finish_non_exhaustive()
    }
}

impl Client {
    pub(crate) fn new(endpoint: &Endpoint) -> Self {
        let provider = rustls::crypto::ring::default_provider();
        let is_tls = endpoint.url.starts_with("https:");
        let roots = if is_tls { system_roots() } else { Arc::default() };
        let tls = TlsConfig::builder()
            .root_certs(RootCerts::Specific(roots))
            .unversioned_rustls_crypto_provider(Arc::new(provider));
        let agent = ureq::Agent::config_builder()
            .tls_config(tls.build())
            .http_status_as_error(false)
            // A signature is for who was configured, not for whoever that names.
            .max_redirects(0)
            .max_redirects_will_error(false)
            .proxy(None)
            .user_agent(concat!("fanfare/", env!("CARGO_PKG_VERSION")))
            .build()
            .new_agent();
        Self { agent, url: endpoint.url.clone(), secret: endpoint.secret.clone() }
    }

    /// Posts a JSON body under this id. Of the answer, at most so many bytes are read.
    ///
    /// # Errors
    /// There was no answer; the text names no address, no secret and nothing of the body.
    pub(crate) fn post(
        &self,
        id: &str,
        body: &[u8],
        timeout: Duration,
        answer_bytes_max: u64,
    ) -> Result<Reply, String> {
        let ask = AssertUnwindSafe(|| self.ask(id, body, timeout, answer_bytes_max));
        catch_unwind(ask).unwrap_or_else(|_| Err("the client panicked".to_owned()))
    }

    fn ask(&self, id: &str, body: &[u8], timeout: Duration, answer_bytes_max: u64) -> Result<Reply, String> {
        // Of each attempt: receivers refuse what was signed too long ago.
        let unix_s = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let request = self
            .agent
            .post(&self.url)
            .config()
            .timeout_global(Some(timeout))
            .build()
            .header(header::CONTENT_TYPE, "application/json")
            .header("webhook-id", id)
            .header("webhook-timestamp", unix_s.to_string())
            .header("webhook-signature", sign(&self.secret, id, unix_s, body));
        let mut answer = request.send(body).map_err(|error| text(&error))?;
        let retry_after = answer.headers().get(header::RETRY_AFTER).and_then(|value| value.to_str().ok());
        let retry_after = retry_after.and_then(|value| value.parse().ok()).map(Duration::from_secs);
        let mut read = Vec::new();
        let mut rest = answer.body_mut().as_reader().take(answer_bytes_max + 1);
        rest.read_to_end(&mut read).map_err(|error| format!("the answer: {}", error.kind()))?;
        if read.len() as u64 > answer_bytes_max {
            return Err("the answer is too large".to_owned());
        }
        Ok(Reply { status: answer.status().as_u16(), retry_after, body: read })
    }
}

/// What the system trusts, and `SSL_CERT_FILE` if that is set. Read once.
fn system_roots() -> Arc<Vec<Certificate<'static>>> {
    static ROOTS: OnceLock<Arc<Vec<Certificate<'static>>>> = OnceLock::new();
    let read = || {
        let found = rustls_native_certs::load_native_certs();
        if found.certs.is_empty() {
            tracing::warn!("the system has no certificates to trust: no https address can be posted to");
        }
        Arc::new(found.certs.iter().map(|of| Certificate::from_der(of).to_owned()).collect())
    };
    Arc::clone(ROOTS.get_or_init(read))
}

/// An error without the address, which may hold a secret.
fn text(error: &ureq::Error) -> String {
    match error {
        ureq::Error::Io(error) => {
            match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
                Some(error) => format!("tls: {error}"),
                None => error.kind().to_string(),
            }
        }
        ureq::Error::Timeout(_) => "no answer in time".to_owned(),
        ureq::Error::HostNotFound => "the host's name is not known".to_owned(),
        ureq::Error::Tls(what) => format!("tls: {what}"),
        ureq::Error::Rustls(error) => format!("tls: {error}"),
        _ => "the request failed".to_owned(),
    }
}
