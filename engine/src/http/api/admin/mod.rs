//! `/v1/admin/…`: what an operator does to the whole server. One kind of thing a file; bans and revocations are a service's commands.
//!
//! Every call is audited with one line: who, what, about whom or what, and how it ended.

mod apart;
mod commands;
mod denials;
mod disconnect;
mod drain;
mod mode;
mod reached;
mod reload;

use std::sync::Arc;

use bytes::Bytes;
use fanfare_core::service::{Args, Spec};
use fanfare_protocol::Refusal;
use http::{Method, StatusCode};

use crate::http::api::access::{self, Caller};
use crate::http::api::{json_body, service};
use crate::http::connection::Connection;
use crate::http::head::Head;
use crate::http::respond::Response;
use crate::http::route::{Next, not_allowed};
use crate::process::Process;
use crate::shard::Handle;

pub(crate) use commands::COMMANDS;
pub(in crate::http::api) use reached::reached;

/// What was asked for, for the audit, and what is answered.
struct Done {
    /// About whom or what, by name: `user_id`, `client_id` and whatever else tells what was meant; never a secret.
    about: Vec<(&'static str, String)>,
    response: Response,
}

impl Done {
    fn new(response: Response) -> Self {
        Self { about: Vec::new(), response }
    }

    fn about(mut self, name: &'static str, what: impl Into<String>) -> Self {
        self.about.push((name, what.into()));
        self
    }
}

/// Answers one request of an operator.
pub(crate) async fn call(
    handle: &Handle,
    process: &Arc<Process>,
    connection: &mut Connection,
    head: &Head,
) -> Next {
    let caller = access::operator(process, head);
    let (caller, body) = match json_body::of_caller(caller, process, connection, head).await {
        Ok(of_caller) => of_caller,
        Err(next) => return next,
    };
    Next::Respond(answer(handle, process, head, caller, body).await)
}

async fn answer(
    handle: &Handle,
    process: &Arc<Process>,
    head: &Head,
    caller: Caller,
    body: Bytes,
) -> Response {
    let method = if head.method == Method::HEAD { Method::GET } else { head.method.clone() };
    let is_here = |spec: &&Spec| spec.path == head.uri.path();
    let of_path: Vec<&'static Spec> = COMMANDS.iter().filter(is_here).collect();
    let name = caller.name().to_owned();
    let (action, done) = match of_path.iter().find(|spec| spec.method.name() == method.as_str()) {
        Some(spec) => (spec.name, perform(handle, process, head, spec, body).await),
        None => match service::route(head) {
            Ok(path) => {
                let (action, about) = (path.spec.name, path.args.clone());
                let response = service::perform(handle, process, caller, head, path, body).await;
                (action, Done { about, response })
            }
            Err(others) => {
                let methods = of_path.iter().map(|spec| spec.method.name()).chain(others);
                let methods: Vec<&str> = methods.collect();
                return match methods.is_empty() {
                    true => Response::error(StatusCode::NOT_FOUND, "there is nothing at this path"),
                    false => not_allowed(&methods.join(", ")),
                };
            }
        },
    };
    let Done { about, response } = done;
    process.audit.operated(head, &name, response.status(), action, &about);
    response
}

async fn perform(
    handle: &Handle,
    process: &Arc<Process>,
    head: &Head,
    spec: &'static Spec,
    body: Bytes,
) -> Done {
    let args = match read(spec, head, body) {
        Ok(args) => args,
        Err(refusal) => return Done::new(service::refused(&refusal)),
    };
    match spec.name {
        "admin.disconnect" => disconnect::disconnect(handle, process, &args).await,
        "admin.bans" => denials::bans(process, &args),
        "admin.revocations" => denials::revocations(process, &args),
        "admin.reload" => reload::reload(process, &args).await,
        "admin.drain" => drain::begin(process, &args),
        "admin.undrain" => drain::end(process),
        "admin.draining" => drain::show(process),
        "admin.set_mode" => mode::set(process, &args).await,
        "admin.mode" => mode::show(process),
        _ => unreachable!("invariant: every command has an arm"),
    }
}

/// The arguments: of the query, and of the body.
fn read(spec: &'static Spec, head: &Head, body: Bytes) -> Result<Args, Refusal> {
    let given = service::of_query(spec, head.uri.query())?;
    Args::read(spec, service::object(body)?.as_ref(), &given)
}
