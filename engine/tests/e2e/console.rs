//! The live page: its files, what they may do, and what a browser makes of them.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::json;

use crate::support::{Answer, Client, Options, Server, api, chromium, eventually_within, request, token};

/// Everything the page's files name, by path, beginning with `/`.
fn all(server: &Server) -> BTreeMap<String, Answer> {
    let mut files = BTreeMap::new();
    let mut wanted = vec!["/".to_owned()];
    while let Some(path) = wanted.pop() {
        if files.contains_key(&path) {
            continue;
        }
        let answer = request(server, "GET", &path, &[], "");
        assert_eq!(answer.status, 200, "{path}");
        wanted.extend(named(&path, &answer.body));
        files.insert(path, answer);
    }
    files
}

/// The paths that a page loads and a script imports.
fn named(path: &str, text: &str) -> Vec<String> {
    let quoted = |rest: &str| rest.split('"').nth(1).unwrap().to_owned();
    if path == "/" {
        let loads = [" src=", "rel=\"stylesheet\" href="];
        return loads.iter().flat_map(|load| text.split(load).skip(1).map(quoted)).collect();
    }
    let imports = text.lines().filter(|line| line.starts_with("import ") || line.starts_with("} from"));
    imports.map(|line| resolved(path, &quoted(line))).collect()
}

/// Where `./name` and `../name` lead from `path`.
fn resolved(path: &str, name: &str) -> String {
    let folder = Path::new(path).parent().unwrap();
    let folder = match name.strip_prefix("../") {
        Some(_) => folder.parent().unwrap(),
        None => folder,
    };
    folder.join(name.trim_start_matches("../").trim_start_matches("./")).to_str().unwrap().to_owned()
}

fn header<'a>(answer: &'a Answer, name: &str) -> &'a str {
    let line = answer.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    line.unwrap_or_else(|| panic!("no {name} in {}", answer.head))
}

#[test]
fn every_file_that_the_page_names_is_served_as_what_it_is() {
    let server = Server::start(Options::default());
    let files = all(&server);
    assert!(files.contains_key("/console/panels/connections.js") && files.len() > 20, "{:?}", files.keys());
    for (path, answer) in &files {
        let content_type = match Path::new(path).extension().and_then(|kind| kind.to_str()) {
            None => "text/html; charset=utf-8",
            Some("css") => "text/css; charset=utf-8",
            Some("js") => "text/javascript; charset=utf-8",
            Some(other) => panic!("what is {other}?"),
        };
        assert_eq!(header(answer, "content-type"), content_type, "{path}");
        assert_eq!(header(answer, "x-content-type-options"), "nosniff", "{path}");
        assert_eq!(header(answer, "cache-control"), "no-store", "{path}");
        let policy = header(answer, "content-security-policy");
        assert!(policy.contains("default-src 'self'") && !policy.contains("unsafe"), "{path}: {policy}");
    }
    for path in ["/console", "/console/", "/console/nothing.js", "/console/page.html", "/console/panels"] {
        assert_eq!(request(&server, "GET", path, &[], "").status, 404, "{path}");
    }
    assert_eq!(request(&server, "GET", "/console/../console/main.js", &[], "").status, 404);
    assert_eq!(request(&server, "PUT", "/console/main.js", &[], "").status, 405);
}

#[test]
fn nothing_received_can_become_markup() {
    let server = Server::start(Options::default());
    for (path, answer) in all(&server) {
        let ways: &[&str] = match path.as_str() {
            "/" => &[" style=", "<style", "<script>", " onclick=", " onload=", "javascript:", "src=\"http"],
            _ => &[
                "innerHTML",
                "outerHTML",
                "insertAdjacent",
                "document.write",
                "eval(",
                "DOMParser",
                "\"style\"",
            ],
        };
        for way in ways {
            assert!(!answer.body.contains(way), "{way} in {path}");
        }
    }
}

/// What stands in place of a panel that does not work, or of a list that could not be had.
const FAILURES: &[&str] = &[
    "This panel could not be started.",
    "The engine does not answer.",
    "This token may not read",
    "(HTTP ",
    "class=\"toast\"",
];

/// What the page has become after eight seconds of its own time.
fn seen(binary: &Path, url: &str, profile: &Path) -> String {
    let output = Command::new("timeout")
        .arg("60")
        .arg(binary)
        .args(["--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run"])
        .args(["--virtual-time-budget=8000", "--dump-dom"])
        .arg(format!("--user-data-dir={}", profile.display()))
        .arg(url)
        .output()
        .unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The markup of the element with this id, to the end of the page.
fn part<'a>(page: &'a str, id: &str) -> &'a str {
    page.split_once(&format!("id=\"{id}\"")).map_or("", |(_, rest)| rest)
}

#[test]
fn a_browser_connects_and_shows_messages_as_text_and_who_is_connected() {
    let Some(binary) = chromium() else { return };
    let server = Server::start(Options::default());
    let bearer = format!("Bearer {}", token("ada", "admin", json!({})));
    let mut ada =
        Client::welcomed(&server, "/v1/ws?client_id=seen-in-the-panel", &[("authorization", &bearer)]);
    ada.join("chat:7");
    ada.publish("chat:7", json!("<i id=planted>hello</i>"));
    let profile = std::env::temp_dir().join(format!("fanfare-console-{}", std::process::id()));
    let url = format!("http://{}/?panel=connections#chat:7", server.address);
    // The page's time goes faster than the server's: on a busy machine one look may be too short.
    eventually_within(Duration::from_secs(120), "a page that shows the message and the connection", || {
        let page = seen(&binary, &url, &profile);
        let (list, panel) = (part(&page, "list"), part(&page, "panels"));
        assert!(!page.contains("id=\"planted\""), "a message became markup");
        let is_shown = page.contains("data-phase=\"open\"")
            && list.contains("&lt;i id=planted&gt;hello&lt;/i&gt;")
            && panel.contains("seen-in-the-panel")
            && panel.contains("(this tab)");
        is_shown.then_some(())
    });
    let _ = std::fs::remove_dir_all(&profile);
}

#[test]
fn a_browser_follows_an_operation() {
    let Some(binary) = chromium() else { return };
    let server = Server::start(Options::default());
    let steps = json!([{"name": "<b>Reading</b>"}, {"name": "Writing"}]);
    let start =
        json!({"operation_id": "job-7", "title": "The <i>import</i>", "kind": "upload", "steps": steps});
    assert_eq!(api(&server, "POST", "/v1/operations", Some(&start)).0, 200);
    let step = json!({"progress": 50, "errors": ["page 7 is torn"]});
    assert_eq!(api(&server, "PATCH", "/v1/operations/job-7/steps/step-1", Some(&step)).0, 200);
    let profile = std::env::temp_dir().join(format!("fanfare-console-operation-{}", std::process::id()));
    let url = format!("http://{}/?panel=operations#operation:job-7", server.address);
    eventually_within(Duration::from_secs(120), "a page that shows the operation", || {
        let page = seen(&binary, &url, &profile);
        let panel = part(&page, "panels");
        let is_shown = panel.contains("The &lt;i&gt;import&lt;/i&gt;")
            && panel.contains("&lt;b&gt;Reading&lt;/b&gt;")
            && panel.contains("aria-valuenow=\"25\"");
        is_shown.then_some(())
    });
    let _ = std::fs::remove_dir_all(&profile);
}

/// The id of each panel and the sentence above it, as its file says them.
fn panels(server: &Server) -> Vec<(String, String)> {
    let files = all(server);
    let said = |body: &str, name: &str| {
        let line = body.lines().find_map(|line| line.strip_prefix(&format!("export const {name} = \"")));
        line.and_then(|line| line.strip_suffix("\";")).map(str::to_owned)
    };
    let scripts = files.iter().filter(|(path, _)| path.starts_with("/console/panels/"));
    let scripts = scripts.filter(|(path, _)| !path.ends_with("/index.js"));
    scripts
        .map(|(path, script)| {
            let said = |name| said(&script.body, name).unwrap_or_else(|| panic!("no {name} in {path}"));
            (said("id"), said("about"))
        })
        .collect()
}

/// The markup of a panel, if it is the one that is shown.
fn shown<'a>(page: &'a str, id: &str) -> Option<&'a str> {
    let panel = part(page, &format!("panel-{id}"));
    let (own, rest) = panel.split_once('>')?;
    let rest = rest.split_once("id=\"panel-").map_or(rest, |(rest, _)| rest);
    (!own.contains("hidden")).then_some(rest)
}

#[test]
fn each_panel_opens_by_its_address_and_works() {
    let Some(binary) = chromium() else { return };
    let server =
        Server::start(Options { config: "[inspector]\nenabled = true\n".to_owned(), ..Options::default() });
    let bearer = format!("Bearer {}", token("ada", "admin", json!({})));
    let mut ada = Client::welcomed(&server, "/v1/ws?client_id=ended", &[("authorization", &bearer)]);
    ada.join("chat:7");
    ada.publish("chat:7", json!("hello"));
    drop(ada);
    let profile = std::env::temp_dir().join(format!("fanfare-console-panels-{}", std::process::id()));
    let panels = panels(&server);
    assert!(panels.len() >= 8, "{panels:?}");
    for (id, about) in &panels {
        let about = about.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
        let url = format!("http://{}/?panel={id}#chat:7", server.address);
        eventually_within(Duration::from_secs(120), &format!("the panel {id}"), || {
            let page = seen(&binary, &url, &profile);
            for failure in FAILURES {
                assert!(!page.contains(failure), "{id}: {failure}");
            }
            let panel = shown(&page, id)?;
            let is_fed = id != "inspector" || (panel.contains("chat:7") && panel.contains(">ended<"));
            (page.contains("data-phase=\"open\"") && panel.contains(&about) && is_fed).then_some(())
        });
    }
    let _ = std::fs::remove_dir_all(&profile);
}
