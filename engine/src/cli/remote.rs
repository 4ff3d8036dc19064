//! A running server, asked over HTTP/1.1 and WebSockets, without TLS: its own port speaks none.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use clap::Args;
use http::{HeaderValue, StatusCode, Uri, header};
use serde_json::Value;
use tungstenite::WebSocket;
use tungstenite::client::IntoClientRequest as _;

use crate::cli::token;

/// For an answer; a live tail waits for as long as it takes.
const PATIENCE: Duration = Duration::from_secs(30);
/// Largest answer that is read.
const ANSWER_BYTES_MAX: u64 = 1 << 30;
/// The token of development mode is good for so long, in seconds.
const DEVELOPMENT_TTL_S: u64 = 86_400;

/// Which server, and what lets us in.
#[derive(Args, Clone, Debug)]
pub(super) struct Remote {
    /// The server.
    #[arg(long, value_name = "URL", env = "FANFARE_URL", default_value = "http://127.0.0.1:8080")]
    url: Uri,
    /// An API key, or a token of a role that may use the HTTP API; without one, a token that development mode takes.
    #[arg(
        long,
        visible_alias = "api-key",
        value_name = "TOKEN",
        env = "FANFARE_TOKEN",
        hide_env_values = true
    )]
    token: Option<String>,
}

/// What a server said instead of doing it.
#[derive(Debug)]
pub(super) struct Refused {
    pub(super) message: String,
    /// The member `details` of what it said; null where it said nothing.
    pub(super) details: Value,
}

impl From<String> for Refused {
    fn from(message: String) -> Self {
        Self { message, details: Value::Null }
    }
}

impl Remote {
    /// The body of `GET path`.
    pub(super) fn get(&self, path: &str) -> Result<Vec<u8>, String> {
        match self.request("GET", path, None)? {
            (StatusCode::OK, body) => Ok(body),
            (status, body) => Err(self.refusal(status, &body)),
        }
    }

    /// What a call with a JSON body, or with none, is answered. The error is what the server said.
    pub(super) fn call(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Value, Refused> {
        let text = body.map(Value::to_string);
        let (status, body) = self.request(method, path, text.as_deref())?;
        let answer: Option<Value> = serde_json::from_slice(&body).ok();
        match answer {
            Some(answer) if status.is_success() => Ok(answer),
            answer => {
                let message = self.refusal(status, &body);
                Err(Refused { message, details: answer.map_or(Value::Null, |of| of["details"].clone()) })
            }
        }
    }

    fn request(&self, method: &str, path: &str, body: Option<&str>) -> Result<(StatusCode, Vec<u8>), String> {
        let (mut stream, authority) = self.connect()?;
        let lost = |error: std::io::Error| format!("{authority}: {error}");
        stream.set_read_timeout(Some(PATIENCE)).map_err(lost)?;
        // HTTP/1.0: the answer is never sent in chunks and ends where the connection does.
        let request = format!(
            "{method} {path} HTTP/1.0\r\nHost: {authority}\r\nAuthorization: Bearer {}\r\n{}\r\n{}",
            self.token()?,
            body.map_or_else(String::new, |body| {
                format!("Content-Type: application/json\r\nContent-Length: {}\r\n", body.len())
            }),
            body.unwrap_or_default(),
        );
        stream.write_all(request.as_bytes()).map_err(lost)?;
        let mut answer = Vec::new();
        stream.take(ANSWER_BYTES_MAX).read_to_end(&mut answer).map_err(lost)?;
        let end = answer.windows(4).position(|window| window == b"\r\n\r\n");
        let end = end.ok_or_else(|| format!("{authority}: this is no HTTP"))?;
        let body = answer.split_off(end + 4);
        let head = String::from_utf8_lossy(&answer);
        let status = head.split(' ').nth(1).and_then(|status| StatusCode::from_bytes(status.as_bytes()).ok());
        match status {
            Some(status) if length(&head).is_none_or(|length| length == body.len()) => Ok((status, body)),
            Some(_) => Err(format!("{authority}: the answer ended too early")),
            None => Err(format!("{authority}: this is no HTTP")),
        }
    }

    /// A WebSocket at this path.
    pub(super) fn open(&self, path: &str) -> Result<WebSocket<TcpStream>, String> {
        let (stream, authority) = self.connect()?;
        let request = format!("ws://{authority}{path}").into_client_request();
        let mut request = request.map_err(|error| format!("{authority}: {error}"))?;
        let bearer = HeaderValue::from_str(&format!("Bearer {}", self.token()?));
        let mut bearer = bearer.map_err(|_| "the token holds what no token can".to_owned())?;
        bearer.set_sensitive(true);
        request.headers_mut().insert(header::AUTHORIZATION, bearer);
        let refused = |error| match error {
            tungstenite::HandshakeError::Failure(tungstenite::Error::Http(response)) => {
                self.refusal(response.status(), response.body().as_deref().unwrap_or_default())
            }
            other => format!("{authority}: {other}"),
        };
        tungstenite::client(request, stream).map(|(socket, _)| socket).map_err(refused)
    }

    fn connect(&self) -> Result<(TcpStream, String), String> {
        if self.url.scheme_str() != Some("http") || !matches!(self.url.path(), "" | "/") {
            return Err("--url must be http://host:port, the server's own port (it speaks no TLS)".to_owned());
        }
        let authority = self.url.authority().ok_or("--url has no host")?;
        let port = self.url.port_u16().unwrap_or(80);
        let host = authority.host();
        let stream = TcpStream::connect((host.trim_matches(['[', ']']), port));
        let stream = stream.map_err(|error| format!("cannot connect to {host}:{port}: {error}"))?;
        Ok((stream, format!("{host}:{port}")))
    }

    fn token(&self) -> Result<String, String> {
        match &self.token {
            Some(token) => Ok(token.trim().to_owned()),
            None => token::development("fanfare-cli", "admin", DEVELOPMENT_TTL_S),
        }
    }

    /// What the server said, and what helps.
    fn refusal(&self, status: StatusCode, body: &[u8]) -> String {
        let told = serde_json::from_slice::<Value>(body).ok();
        let told = told.and_then(|body| Some(body["message"].as_str()?.to_owned()));
        let told = told.unwrap_or_else(|| status.to_string());
        if status == StatusCode::UNAUTHORIZED && self.token.is_none() {
            return format!(
                "{told}; give --token (without one, only a server in development mode lets you in)"
            );
        }
        told
    }
}

fn length(head: &str) -> Option<usize> {
    let mut fields = head.lines().filter_map(|line| line.split_once(':'));
    let (_, value) = fields.find(|(name, _)| name.eq_ignore_ascii_case("content-length"))?;
    value.trim().parse().ok()
}
