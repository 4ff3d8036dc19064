//! The live page, which is in `../console`, and, in development only, the token it connects with.

use std::time::{SystemTime, UNIX_EPOCH};

use http::StatusCode;
use serde_json::json;

use crate::cli;
use crate::http::respond::Response;
use crate::process::Process;

const PAGE: &str = include_str!("../console/page.html");
/// Nothing inline and nothing from elsewhere; what the page sets on an element's `style` by script is allowed.
const POLICY: &str = "default-src 'self'; connect-src 'self' ws: wss:; img-src 'self' data:; base-uri 'none'; \
                      form-action 'none'; frame-ancestors 'none'";
const TOKEN_SECONDS: u64 = 3_600;

const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";

/// Each file's path, content type and text, embedded.
macro_rules! files {
    ($($content_type:ident $name:literal)+) => {
        &[$((concat!("/console/", $name), $content_type, include_str!(concat!("../console/", $name)))),+]
    };
}

/// What the page asks for. A new file of the page needs a line here.
#[rustfmt::skip]
const FILES: &[(&str, &str, &str)] = files! {
    STYLE  "panels.css"
    STYLE  "style.css"
    SCRIPT "access.js"
    SCRIPT "chart.js"
    SCRIPT "clocks.js"
    SCRIPT "codes.js"
    SCRIPT "colour.js"
    SCRIPT "confirm.js"
    SCRIPT "connection.js"
    SCRIPT "dom.js"
    SCRIPT "engine.js"
    SCRIPT "format.js"
    SCRIPT "header.js"
    SCRIPT "http.js"
    SCRIPT "latency.js"
    SCRIPT "main.js"
    SCRIPT "messages.js"
    SCRIPT "notices.js"
    SCRIPT "page.js"
    SCRIPT "publish.js"
    SCRIPT "rates.js"
    SCRIPT "rooms.js"
    SCRIPT "shards.js"
    SCRIPT "signal.js"
    SCRIPT "streams.js"
    SCRIPT "table.js"
    SCRIPT "tabs.js"
    SCRIPT "terminal.js"
    SCRIPT "traffic.js"
    SCRIPT "visible.js"
    SCRIPT "panels/index.js"
    SCRIPT "panels/connections.js"
    SCRIPT "panels/inspector.js"
    SCRIPT "panels/notifications.js"
    SCRIPT "panels/presence.js"
    SCRIPT "panels/operations.js"
    SCRIPT "panels/chat.js"
    SCRIPT "panels/monitors.js"
    SCRIPT "panels/polls.js"
};

/// `/`: its markup.
pub(crate) fn page() -> Response {
    embedded("text/html; charset=utf-8", PAGE)
}

/// `/console/…`: its styles and scripts.
pub(crate) fn file(path: &str) -> Response {
    match FILES.iter().find(|(known, ..)| *known == path) {
        Some((_, content_type, text)) => embedded(content_type, text),
        None => Response::error(StatusCode::NOT_FOUND, "there is nothing at this path"),
    }
}

fn embedded(content_type: &'static str, text: &'static str) -> Response {
    Response::new(StatusCode::OK, content_type, text)
        .with("content-security-policy", POLICY)
        .with("referrer-policy", "no-referrer")
}

/// `/dev/token`: a token for the page; there is none outside development.
pub(crate) fn token(process: &Process) -> Response {
    if !process.live().config.development {
        return Response::error(StatusCode::NOT_FOUND, "there is nothing at this path");
    }
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let user_id = format!("demo-{:04x}", since.subsec_micros() & 0xFFFF);
    match cli::token::development(&user_id, "admin", TOKEN_SECONDS) {
        Ok(token) => {
            let body = json!({ "token": token, "user_id": user_id, "expires_in": TOKEN_SECONDS });
            Response::json(StatusCode::OK, &body)
        }
        Err(_) => Response::error(StatusCode::INTERNAL_SERVER_ERROR, "the token could not be made"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::path::Path;

    fn names(folder: &Path, prefix: &str, found: &mut Vec<String>) {
        for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
            let name = format!("{prefix}{}", entry.file_name().into_string().unwrap());
            if entry.path().is_dir() {
                names(&entry.path(), &format!("{name}/"), found);
            } else {
                found.push(name);
            }
        }
    }

    #[test]
    fn every_file_of_the_folder_is_embedded_once() {
        let mut found = Vec::new();
        names(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src/http/console"), "/console/", &mut found);
        found.retain(|name| name != "/console/page.html");
        found.sort();
        let mut embedded: Vec<&str> = FILES.iter().map(|(path, ..)| *path).collect();
        embedded.sort_unstable();
        assert_eq!(embedded, found);
    }
}
