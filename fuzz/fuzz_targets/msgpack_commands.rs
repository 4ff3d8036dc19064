//! Any bytes are commands or refusals that say something and repeat nothing long; what is accepted can be
//! encoded both ways.
#![no_main]

use fanfare_protocol::{Command, msgpack};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    msgpack::decode(bytes, &mut |outcome| match outcome {
        Ok(request) => {
            if let Command::Publish(publish) = request.command {
                fanfare_fuzz::encode(&publish.body);
            }
        }
        Err(refusal) => assert!(!refusal.message.is_empty() && refusal.message.len() < 512),
    });
});
