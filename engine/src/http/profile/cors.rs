//! Which pages of other origins may read what a profile answers (the Fetch standard's CORS protocol).

use fanfare_profile::Cors;
use http::{StatusCode, header};

use crate::http::head::Head;
use crate::http::respond::Response;

/// Answers a browser's question before a request.
pub(super) fn preflight(cors: Option<&Cors>, head: &Head) -> Response {
    let response = allowing(cors, head, Response::new(StatusCode::NO_CONTENT, "text/plain", ""));
    let Some(cors) = cors.filter(|cors| origin(cors, head).is_some()) else {
        return Response::error(StatusCode::FORBIDDEN, "pages of this `origin` may not ask here").closing();
    };
    let asked = head.headers.get("access-control-request-headers").and_then(|asked| asked.to_str().ok());
    // With credentials a star would be the name of a header: what was asked for is named instead.
    let headers = match asked {
        Some(asked) if cors.headers.iter().any(|header| header == "*") => asked.to_owned(),
        _ => cors.headers.join(", "),
    };
    response
        .with("access-control-allow-methods", cors.methods.join(", "))
        .with("access-control-allow-headers", headers)
        .with("access-control-max-age", "600")
}

/// Says on an answer that the asking page may read it, if it may.
pub(super) fn allowing(cors: Option<&Cors>, head: &Head, response: Response) -> Response {
    let Some(cors) = cors else { return response };
    let response = response.with("vary", "origin");
    let Some(origin) = origin(cors, head) else { return response };
    let response = response.with("access-control-allow-origin", origin);
    let exposed = exposed(cors, &response);
    let response =
        if exposed.is_empty() { response } else { response.with("access-control-expose-headers", exposed) };
    if cors.credentials { response.with("access-control-allow-credentials", "true") } else { response }
}

/// Headers of an answer that the page may read.
fn exposed(cors: &Cors, response: &Response) -> String {
    // With credentials a star would be the name of a header: what there is is named instead.
    if cors.credentials && cors.expose.iter().any(|header| header == "*") {
        return response
            .names()
            .filter(|name| !name.starts_with("access-") && *name != "vary")
            .collect::<Vec<_>>()
            .join(", ");
    }
    cors.expose.join(", ")
}

/// The asking page's origin, if it is listed: exactly so.
fn origin<'h>(cors: &Cors, head: &'h Head) -> Option<&'h str> {
    let origin = head.headers.get(header::ORIGIN)?.to_str().ok()?;
    cors.origins.iter().any(|listed| listed == origin).then_some(origin)
}
