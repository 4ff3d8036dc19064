//! Whatever a client of another system says is commands or refusals that say something; and whatever the engine says to it is
//! made into something, or nothing.
#![no_main]

use std::collections::BTreeMap;
use std::sync::LazyLock;

use fanfare_profile::{BUILT_IN, Profile, Profiles};
use fanfare_protocol::ws::{self, OpCode};
use fanfare_protocol::{Dialects, Listener};
use libfuzzer_sys::fuzz_target;
use serde_json::{Value, json};

static ALL: LazyLock<(Profiles, Dialects, Value)> = LazyLock::new(|| {
    let parse = |(_, text)| Profile::parse(text, &BTreeMap::new(), &|_| None).expect("built in");
    let profiles = Profiles::new(BUILT_IN.into_iter().map(parse).collect()).expect("they go together");
    let dialects = profiles.dialects();
    (profiles, dialects, json!({ "query": { "session_id": "s" }, "path": {}, "claims": {} }))
});

fuzz_target!(|bytes: &[u8]| {
    let [which, rest @ ..] = bytes else { return };
    let (profiles, dialects, given) = &*ALL;
    let number = usize::from(*which) % dialects.len();
    let listener = Listener { client_id: "c", user_id: "u", role: "user", given, now_unix_ms: 0, own_id: "" };
    for opcode in [OpCode::Text, OpCode::Binary] {
        profiles.hear(number as u8 + 1, &listener, opcode, rest, 65_536, &mut |outcome| {
            if let Err(refusal) = outcome {
                assert!(!refusal.message.is_empty());
            }
        });
    }
    let mut said = 0;
    dialects[number].message(rest, "", &mut |_, bytes| said += bytes.len());
    dialects[number].answer(&listener, rest, &mut |_, bytes| said += bytes.len());
    let (code, reason) = dialects[number].close(4_001, &String::from_utf8_lossy(rest));
    assert!((1_000..5_000).contains(&code));
    let mut frame = Vec::new();
    ws::encode_close(&mut frame, code, &reason);
    assert!(frame.len() <= 127);
});
