//! What is remembered beside a plain inflater for each connection.

use fanfare_protocol::deflate::Deflater;
use proptest::prelude::*;

use super::*;

const BYTES_MAX: usize = 40_000;

fn compressed(deflate: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut out = Vec::new();
    deflate(&mut out);
    out
}

fn alone(message: &[u8]) -> Vec<u8> {
    compressed(|out| Deflater::new(6, 15).compress(message, out))
}

/// One connection, and the plain inflater that it is compared with.
#[derive(Default)]
struct Connection {
    context: Context,
    inflater: Inflater,
    in_step: bool,
}

impl Connection {
    fn reads(&mut self, memo: &mut Memo, compressed: &[u8], message: &[u8]) {
        let mut out = Vec::new();
        self.inflater.inflate_next(compressed, BYTES_MAX, &mut out).unwrap();
        assert_eq!(out, message, "the reference");
        let said = memo.read(Some(&mut self.context), compressed, BYTES_MAX).unwrap();
        assert_eq!(said.plain, message);
    }
}

#[test]
fn only_equal_bytes_are_recalled() {
    let mut memo = Memo::new();
    let delivery = Delivery { room: 1, offset: 2, stamp: None };
    let hello = alone(b"Hello, and hello again");
    memo.read(None, &hello, BYTES_MAX).unwrap().delivery = Some(delivery);
    assert_eq!(memo.read(None, &hello, BYTES_MAX).unwrap().delivery, Some(delivery));
    assert_eq!(memo.inflated, 1);
    let other = alone(b"Hello, and hello once more");
    assert_eq!(memo.read(None, &other, BYTES_MAX).unwrap().delivery, None);
    assert_eq!(memo.read(None, &[0x06], BYTES_MAX).err(), Some(InflateError::Broken));
    assert_eq!(memo.read(None, &alone(&[0; 101]), 100).err(), Some(InflateError::TooLarge));
}

#[test]
fn a_thousand_members_in_step_cost_what_one_costs_however_they_came() {
    let mut memo = Memo::new();
    let mut members: Vec<_> = (0..1_000).map(|_| Connection::default()).collect();
    for (number, member) in members.iter_mut().enumerate() {
        // Each has something else behind it.
        let welcome = format!("welcome, member {number}, and {}", "more ".repeat(number % 7));
        member.reads(&mut memo, &alone(welcome.as_bytes()), welcome.as_bytes());
    }
    memo.inflated = 0;
    let mut deflater = Deflater::new(6, 15);
    for number in 0..100 {
        if number % 40 == 0 {
            deflater.begin_anew();
        }
        let message = format!("message {number} of a room, much like those before it");
        let bytes = compressed(|out| deflater.compress_next(message.as_bytes(), out));
        members.iter_mut().for_each(|member| member.reads(&mut memo, &bytes, message.as_bytes()));
    }
    assert_eq!(memo.inflated, 100);
}

#[test]
fn a_message_that_refers_to_what_was_never_sent_is_an_error() {
    let mut deflater = Deflater::new(6, 15);
    let _ = compressed(|out| deflater.compress_next(b"something long enough to refer to", out));
    let bytes = compressed(|out| deflater.compress_next(b"something long enough to refer to", out));
    let mut context = Context::default();
    let mut memo = Memo::new();
    assert!(memo.read(Some(&mut context), &bytes, BYTES_MAX).is_err());
    memo.read(Some(&mut context), &alone(b"anything else"), BYTES_MAX).unwrap();
    assert!(memo.read(Some(&mut context), &bytes, BYTES_MAX).is_err());
}

#[test]
fn only_whole_single_compressed_frames_are_taken() {
    assert_eq!(compressed_frame(b"\xc1\x02ab"), Some((2, 4)));
    assert_eq!(compressed_frame(b"\xc2\x00rest"), Some((2, 2)));
    let mut long = vec![0xc1, 126, 1, 0];
    assert_eq!(compressed_frame(&long), None);
    long.resize(4 + 256, 0);
    assert_eq!(compressed_frame(&long), Some((4, 260)));
    for other in
        [&b""[..], b"\xc1", b"\xc1\x03ab", b"\x81\x01a", b"\x41\x01a", b"\xc0\x01a", b"\xc1\x81abcde"]
    {
        assert_eq!(compressed_frame(other), None, "{other:?}");
    }
    assert_eq!(compressed_frame(&[0xc1, 127, 255, 255, 255, 255, 255, 255, 255, 255, 1]), None);
}

/// What happens in a room.
#[derive(Clone, Debug)]
enum Step {
    /// A message to all: through the context for those in step, alone or plain for the others.
    Message { text: String, plain: bool },
    /// The context begins anew, and all follow it.
    Anew,
    /// Somebody gets something of their own, and falls out of step.
    Own { who: usize, text: String },
    /// Somebody comes (again), out of step.
    Joins { who: usize },
}

fn step() -> impl Strategy<Value = Step> {
    // From what stands alone by chance to more than half a window.
    let text = || prop_oneof![4 => "[abc]{0,6}", 4 => "[abc ]{20,400}", 1 => "[a-z]{9000,20000}"];
    prop_oneof![
        12 => (text(), any::<bool>()).prop_map(|(text, plain)| Step::Message { text, plain }),
        1 => Just(Step::Anew),
        2 => (0..5_usize, text()).prop_map(|(who, text)| Step::Own { who, text }),
        1 => (0..5_usize).prop_map(|who| Step::Joins { who }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_member_reads_what_a_plain_inflater_reads(
        steps in prop::collection::vec(step(), 1..120), sets in 1..3_usize,
    ) {
        // So few places that most is forgotten.
        let mut memo = Memo::with_sets(sets);
        let mut members: Vec<_> = (0..5).map(|_| Connection::default()).collect();
        let mut deflater = Deflater::new(6, 15);
        for step in &steps {
            match step {
                Step::Anew => {
                    deflater.begin_anew();
                    members.iter_mut().for_each(|member| member.in_step = true);
                }
                Step::Own { who, text } => {
                    members[*who].reads(&mut memo, &alone(text.as_bytes()), text.as_bytes());
                    members[*who].in_step = false;
                }
                Step::Joins { who } => members[*who] = Connection::default(),
                Step::Message { text, plain } => {
                    let shared = compressed(|out| deflater.compress_next(text.as_bytes(), out));
                    let alone = alone(text.as_bytes());
                    for member in &mut members {
                        match (member.in_step, plain) {
                            (true, _) => member.reads(&mut memo, &shared, text.as_bytes()),
                            (false, false) => member.reads(&mut memo, &alone, text.as_bytes()),
                            // It does not touch the window.
                            (false, true) => {}
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn servers_with_a_context_for_each_connection_are_understood(
        messages in prop::collection::vec(
            prop_oneof![4 => "[ab]{0,4}", 4 => "[abc ]{10,300}", 1 => "[a-z]{9000,20000}"], 1..80),
        resets in any::<[u8; 3]>(), sets in 1..3_usize,
    ) {
        let mut memo = Memo::with_sets(sets);
        let mut members: Vec<_> = (0..3).map(|_| (Connection::default(), Deflater::new(6, 15))).collect();
        for (number, message) in messages.iter().enumerate() {
            for ((member, deflater), reset) in members.iter_mut().zip(resets) {
                if number % (1 + usize::from(reset)) == 0 {
                    deflater.begin_anew();
                }
                let bytes = compressed(|out| deflater.compress_next(message.as_bytes(), out));
                member.reads(&mut memo, &bytes, message.as_bytes());
            }
        }
    }
}
