//! Any bytes are commands or refusals that say something and repeat nothing long; what is accepted can be
//! encoded both ways.
#![no_main]

use fanfare_core::RoomPattern;
use fanfare_protocol::{Command, json};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    json::decode(bytes, &mut |outcome| match outcome {
        Ok(request) => {
            if let Command::Publish(publish) = request.command {
                fanfare_fuzz::encode(&publish.body);
            }
        }
        Err(refusal) => assert!(!refusal.message.is_empty() && refusal.message.len() < 512),
    });
    json::decode_publishes(bytes, &mut |_| ());
    if let Ok(text) = str::from_utf8(bytes)
        && let Some(pattern) = RoomPattern::new(&text[..text.floor_char_boundary(128)])
    {
        assert!(pattern.matches(pattern.as_str()) || pattern.as_str().contains('*'));
    }
});
