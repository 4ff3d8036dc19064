//! A backend that webhooks are posted to: records, checks signatures with an HMAC of its own, answers as it is told.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::{PATIENCE, eventually};

/// What requests are signed with, and what a configuration says for it.
pub(crate) const SECRET: &str = "a-secret-of-tests-that-nobody-else-knows";

/// One request.
#[derive(Clone, Debug)]
pub(crate) struct Post {
    pub(crate) path: String,
    pub(crate) id: String,
    /// Whether the signature is right and not old.
    pub(crate) is_signed: bool,
    pub(crate) text: String,
    pub(crate) body: Value,
}

/// How to answer.
#[derive(Clone, Debug)]
pub(crate) enum Said {
    Status(u16),
    /// With `retry-after`, in seconds.
    Later(u16, u32),
    Json(Value),
    /// 200 with this, whatever it is.
    Text(String),
    /// Nothing, until the other side has had enough.
    Nothing,
}

/// A server in this process. It lives as long as the process, its port does too.
#[derive(Clone)]
pub(crate) struct Backend {
    pub(crate) address: String,
    posts: Arc<Mutex<Vec<Post>>>,
    answer: Arc<Mutex<Answer>>,
}

type Answer = Box<dyn FnMut(&Post) -> Said + Send>;

impl Backend {
    /// Answers 204 to everything.
    pub(crate) fn start() -> Self {
        Self::answering(|_| Said::Status(204))
    }

    pub(crate) fn answering(answer: impl FnMut(&Post) -> Said + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let backend = Self {
            address: listener.local_addr().unwrap().to_string(),
            posts: Arc::default(),
            answer: Arc::new(Mutex::new(Box::new(answer))),
        };
        let of_thread = backend.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let backend = of_thread.clone();
                std::thread::spawn(move || backend.serve(&stream));
            }
        });
        backend
    }

    /// From now on it answers so.
    pub(crate) fn answers(&self, answer: impl FnMut(&Post) -> Said + Send + 'static) {
        *self.answer.lock().unwrap() = Box::new(answer);
    }

    /// Everything so far.
    pub(crate) fn posts(&self) -> Vec<Post> {
        self.posts.lock().unwrap().clone()
    }

    /// All events of all requests so far.
    pub(crate) fn events(&self) -> Vec<Value> {
        let events = |post: Post| post.body["events"].as_array().cloned().unwrap_or_default();
        self.posts().into_iter().flat_map(events).collect()
    }

    /// Waits for so many requests.
    pub(crate) fn expect(&self, count: usize) -> Vec<Post> {
        eventually(&format!("{count} requests"), || Some(self.posts()).filter(|posts| posts.len() >= count))
    }

    /// Waits for so many events.
    pub(crate) fn expect_events(&self, count: usize) -> Vec<Value> {
        eventually(&format!("{count} events"), || Some(self.events()).filter(|events| events.len() >= count))
    }

    fn serve(&self, stream: &TcpStream) {
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        while let Some(post) = read(&mut reader) {
            self.posts.lock().unwrap().push(post.clone());
            let said = (self.answer.lock().unwrap())(&post);
            let (status, more, body) = match said {
                Said::Status(status) => (status, String::new(), String::new()),
                Said::Later(status, seconds) => {
                    (status, format!("Retry-After: {seconds}\r\n"), String::new())
                }
                Said::Json(body) => (200, String::new(), body.to_string()),
                Said::Text(body) => (200, String::new(), body),
                Said::Nothing => {
                    std::thread::sleep(PATIENCE);
                    return;
                }
            };
            let length = body.len();
            let text = format!("HTTP/1.1 {status} X\r\n{more}Content-Length: {length}\r\n\r\n{body}");
            let head = if status == 204 { "HTTP/1.1 204 X\r\n\r\n".to_owned() } else { text };
            if (&mut &*stream).write_all(head.as_bytes()).is_err() {
                return;
            }
        }
    }
}

fn read(reader: &mut impl BufRead) -> Option<Post> {
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|len| *len > 0)?;
    let path = line.split(' ').nth(1)?.to_owned();
    assert!(line.starts_with("POST "), "{line}");
    let (mut length, mut id, mut timestamp, mut signature) = (0, String::new(), String::new(), String::new());
    loop {
        line.clear();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        let value = value.trim().to_owned();
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.parse().unwrap(),
            "webhook-id" => id = value,
            "webhook-timestamp" => timestamp = value,
            "webhook-signature" => signature = value,
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let text = String::from_utf8(body).unwrap();
    let signed = hmac(SECRET.as_bytes(), format!("{id}.{timestamp}.{text}").as_bytes());
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let is_fresh = timestamp.parse().is_ok_and(|at| now.abs_diff(Duration::from_secs(at)) < PATIENCE);
    let is_signed = is_fresh && signature == format!("v1,{}", STANDARD.encode(signed));
    let body = serde_json::from_str(&text).unwrap();
    Some(Post { path, id, is_signed, text, body })
}

/// RFC 2104, with SHA-256.
fn hmac(key: &[u8], message: &[u8]) -> [u8; 32] {
    assert!(key.len() <= 64, "longer keys are hashed first");
    let padded = |with: u8| {
        let mut block = [with; 64];
        block.iter_mut().zip(key).for_each(|(byte, key)| *byte ^= key);
        block
    };
    let inner = Sha256::new().chain_update(padded(0x36)).chain_update(message).finalize();
    Sha256::new().chain_update(padded(0x5c)).chain_update(inner).finalize().into()
}
