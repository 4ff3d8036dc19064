//! Answers, as bytes.

use fanfare_protocol::Code;
use http::StatusCode;
use serde_json::{Value, json};

/// One response. Every one forbids caching and content sniffing.
#[derive(Debug)]
pub(crate) struct Response {
    status: StatusCode,
    content_type: &'static str,
    body: Vec<u8>,
    extra: Vec<(&'static str, String)>,
    close: bool,
}

impl Response {
    pub(crate) fn new(status: StatusCode, content_type: &'static str, body: impl Into<Vec<u8>>) -> Self {
        Self { status, content_type, body: body.into(), extra: Vec::new(), close: false }
    }

    pub(crate) fn json(status: StatusCode, body: &Value) -> Self {
        Self::new(status, "application/json", body.to_string())
    }

    /// A refusal with the code that belongs to the status.
    pub(crate) fn error(status: StatusCode, message: &str) -> Self {
        let code = match status.as_u16() {
            401 => Code::AuthenticationFailed,
            403 => Code::Forbidden,
            404 => Code::RoomNotFound,
            429 => Code::RateLimitExceeded,
            500..=599 => Code::ServerError,
            _ => Code::InvalidMessage,
        };
        Self::refused(status, code, message, None)
    }

    /// A refusal of something that breaks a rule, by its name.
    pub(crate) fn invalid(field: &str, message: &str) -> Self {
        Self::refused(StatusCode::BAD_REQUEST, Code::InvalidMessage, message, Some(field))
    }

    /// A refusal.
    pub(crate) fn refused(status: StatusCode, code: Code, message: &str, field: Option<&str>) -> Self {
        Self::json(status, &refusal(code, message, field))
    }

    /// It came too soon.
    pub(crate) fn limited(message: &str, retry_after_ms: u64) -> Self {
        Self::json(StatusCode::TOO_MANY_REQUESTS, &limited(message, retry_after_ms))
            .with("retry-after", retry_after_ms.div_ceil(1_000).max(1).to_string())
    }

    pub(crate) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.extra.push((name, value.into()));
        self
    }

    /// Names more methods, where it says which would do.
    pub(crate) fn allowing(mut self, methods: &[&str]) -> Self {
        if let Some((_, allowed)) = self.extra.iter_mut().find(|(name, _)| *name == "allow") {
            methods.iter().for_each(|method| allowed.extend([", ", method]));
        }
        self
    }

    /// The connection ends after it.
    pub(crate) fn closing(mut self) -> Self {
        self.close = true;
        self
    }

    pub(crate) fn status(&self) -> StatusCode {
        self.status
    }

    /// The body as JSON; null where it is none.
    pub(crate) fn value(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// The names of headers that only such an answer has.
    pub(crate) fn names(&self) -> impl Iterator<Item = &'static str> {
        self.extra.iter().map(|(name, _)| *name)
    }

    /// The same with a change of its body.
    pub(crate) fn changed(self, change: impl FnOnce(&mut Value)) -> Self {
        let mut value = self.value();
        change(&mut value);
        Self { body: value.to_string().into_bytes(), ..self }
    }

    pub(crate) fn closes(&self) -> bool {
        self.close
    }

    /// The bytes on the wire; without the body for HEAD.
    pub(crate) fn bytes(&self, no_body: bool) -> Vec<u8> {
        use std::io::Write as _;
        let mut bytes = Vec::with_capacity(256 + self.body.len());
        let reason = self.status.canonical_reason().unwrap_or("");
        let _ = write!(
            bytes,
            "HTTP/1.1 {} {reason}\r\ncontent-type: {}\r\ncontent-length: {}\r\ncache-control: no-store\r\n\
             x-content-type-options: nosniff\r\n",
            self.status.as_u16(),
            self.content_type,
            self.body.len(),
        );
        for (name, value) in &self.extra {
            let _ = write!(bytes, "{name}: {value}\r\n");
        }
        if self.close {
            bytes.extend_from_slice(b"connection: close\r\n");
        }
        bytes.extend_from_slice(b"\r\n");
        if !no_body {
            bytes.extend_from_slice(&self.body);
        }
        bytes
    }
}

/// A refusal of what came too soon, as an object.
pub(crate) fn limited(message: &str, retry_after_ms: u64) -> Value {
    let mut refusal = refusal(Code::RateLimitExceeded, message, None);
    refusal["details"]["retry_after_ms"] = retry_after_ms.into();
    refusal
}

/// A refusal as an object.
pub(crate) fn refusal(code: Code, message: &str, field: Option<&str>) -> Value {
    let details = field.map_or_else(|| json!({}), |field| json!({ "field": field }));
    json!({ "code": code.number(), "name": code.name(), "message": message, "details": details })
}
