//! Doing over HTTP what a table says: the engine's commands and requests of its own API, with the caller's rights.

use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use fanfare_core::service::{self as services, Path};
use fanfare_protocol::{Refusal, RoomName};
use http::{HeaderMap, Method, StatusCode, Uri, Version, header};
use serde_json::Value;

use crate::http::api::access::Caller;
use crate::http::api::publish;
use crate::http::api::service;
use crate::http::connection::{BodyLength, Connection};
use crate::http::head::Head;
use crate::http::respond::Response;
use crate::http::route::{self, Next};
use crate::process::Process;
use crate::shard::Handle;

/// Who does it, and for which request.
pub(super) struct Doer<'d> {
    pub(super) handle: &'d Handle,
    pub(super) process: &'d Arc<Process>,
    pub(super) head: &'d Head,
    pub(super) caller: &'d Caller,
    /// What is asked is answered whoever asks.
    pub(super) public: bool,
}

impl Doer<'_> {
    /// Makes a request of the engine's own API.
    ///
    /// # Errors
    /// Its answer, where it is a failure.
    pub(super) async fn call(
        &self,
        connection: &mut Connection,
        method: &str,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Value, Response> {
        let wrong = |what: &str| {
            Response::error(StatusCode::BAD_REQUEST, &format!("the request has made {what} that is none"))
        };
        // Of a path that something was put into, only what is no plain text needs escapes.
        let escaped: String = path.chars().map(escape).collect();
        let uri: Uri = escaped.parse().map_err(|_| wrong("a path"))?;
        if !uri.path().starts_with("/v1/") {
            return Err(wrong("a path of the engine's API"));
        }
        let mut headers = HeaderMap::new();
        if let Some(authorization) = self.head.headers.get(header::AUTHORIZATION) {
            headers.insert(header::AUTHORIZATION, authorization.clone());
        }
        let head = Head {
            method: Method::from_bytes(method.as_bytes()).map_err(|_| wrong("a method"))?,
            uri,
            version: Version::HTTP_11,
            headers,
            body: BodyLength::None,
            keep_alive: true,
            peer: self.head.peer,
            given: Some(body.map_or_else(Bytes::new, |body| body.to_string().into())),
            trusted: self.public && method == "GET",
        };
        let answered: Pin<Box<dyn Future<Output = Next> + '_>> =
            Box::pin(route::route(self.handle, self.process, connection, head));
        match answered.await {
            Next::Respond(response) if response.status().is_success() => Ok(response.value()),
            Next::Respond(response) => Err(response),
            Next::Upgrade(_) | Next::End => Err(wrong("a request")),
        }
    }

    /// Does one of the engine's commands.
    ///
    /// # Errors
    /// Why it was refused.
    pub(super) async fn command(&self, mut command: Value) -> Result<Value, Response> {
        let invalid = |message: String| service::refused(&Refusal::invalid(None, Some("type"), message));
        let members =
            command.as_object_mut().ok_or_else(|| invalid("a command must be an object".to_owned()))?;
        let Some(Value::String(kind)) = members.remove("type") else {
            return Err(invalid("a command has no `type`".to_owned()));
        };
        let behalf = members.remove("as");
        if kind == "publish" {
            let (named, body) = (behalf != Some(Value::Bool(false)), command.to_string());
            let (handle, process) = (self.handle, self.process);
            let response =
                publish::perform(handle, process, self.head, self.caller, named, body.as_bytes()).await;
            return finished(response);
        }
        let behalf =
            behalf.as_ref().and_then(Value::as_str).filter(|_| matches!(self.caller, Caller::Key(_)));
        let behalf = behalf.map(RoomName::of_user);
        let Some((_, spec)) = services::find(&kind) else {
            return Err(invalid(format!("`{kind}` is nothing that a backend can do")));
        };
        let text = |name: &str| members.get(name).and_then(Value::as_str).map(str::to_owned);
        let path = Path { spec, room: text("room"), args: Vec::new() };
        let body = members.get("data").map_or_else(Bytes::new, |data| data.to_string().into());
        let response =
            service::commanded(self.handle, self.process, self.caller, behalf, self.head, path, body).await;
        finished(response)
    }
}

fn finished(response: Response) -> Result<Value, Response> {
    if response.status().is_success() { Ok(response.value()) } else { Err(response) }
}

/// Characters that a path may not have as they are.
fn escape(next: char) -> String {
    if next.is_ascii_graphic() && !matches!(next, '"' | '<' | '>' | '\\' | '^' | '`' | '{' | '|' | '}') {
        return next.to_string();
    }
    let mut bytes = [0; 4];
    next.encode_utf8(&mut bytes).bytes().map(|byte| format!("%{byte:02X}")).collect()
}
