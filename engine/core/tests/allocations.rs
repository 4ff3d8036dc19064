//! A broadcast costs the same number of allocations, the same bytes and one encoding, for ten members and for ten
//! thousand.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use fanfare_core::{ConnectionId, Core, Effects, Identity, Input, Now, Opening, Options, ShardId, Window};
use fanfare_protocol::wire::Join;
use fanfare_protocol::{Body, Command, Encoding, EventName, Publish, Request, RoomName, Target};

/// Counts what is asked of the system's allocator.
struct Counting;

static COUNT: AtomicUsize = AtomicUsize::new(0);
static BYTES: AtomicUsize = AtomicUsize::new(0);

// SAFETY: hands everything to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        COUNT.fetch_add(1, Ordering::Relaxed);
        BYTES.fetch_add(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller keeps the rules of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the rules of `dealloc`, and the pointer came from `System`.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

struct Shard {
    core: Core,
    effects: Effects,
    now: Now,
}

impl Shard {
    fn new() -> Self {
        let mut options = Options::default();
        options.limits.commands_per_minute = 0;
        let now = Now { mono_us: 1_000_000, unix_ms: 1_700_000_000_000 };
        let id = ShardId(0);
        Self { core: Core::new(id, Arc::new(options), now), effects: Effects::new(id), now }
    }

    /// A welcomed member of the room.
    fn member(&mut self, encoding: Encoding, window: Option<Window>) -> ConnectionId {
        let identity = Identity {
            user_id: "ada".into(),
            role: "user".into(),
            rooms: None,
            key: 0,
            expires_at_unix_ms: u64::MAX,
        };
        let opening = Opening { window, identity: Some(identity), ..Opening::new(encoding) };
        let id = self.core.open(self.now, opening, &mut self.effects);
        let join = Join { room: room(), recover: None, last: None };
        self.command(id, Command::Join(join));
        id
    }

    fn command(&mut self, id: ConnectionId, command: Command) {
        let request = Request { id: None, command };
        self.core.handle(self.now, Input::Command(id, request), &mut self.effects);
    }

    /// Sends everything to sockets that take everything; gives how many sends that were.
    fn flush(&mut self) -> usize {
        let mut sends = 0;
        self.core.begin_flush(self.now, &mut self.effects);
        sends += self.core.direct().count();
        while let Some(batch) = self.core.next_batch(512) {
            sends += batch.slots.len();
        }
        self.core.finish_flush(self.now, &mut self.effects);
        self.effects.facts.clear();
        sends
    }
}

fn room() -> RoomName {
    RoomName::parse("room:1").unwrap()
}

fn publish() -> Command {
    Command::Publish(Box::new(Publish {
        target: Target::Room(room()),
        event: EventName::parse("say").unwrap(),
        body: Body::Json(format!("\"{}\"", "x".repeat(2_000)).into_bytes().into()),
        user_id: None,
        exclude_self: false,
        exclude_client: None,
        roles: Vec::new(),
        key: None,
        ttl: None,
        priority: None,
        message_id: None,
        receipts: false,
    }))
}

/// Allocations, allocated bytes, encodings and compressions of one broadcast in the steady state.
fn cost(members: usize, kinds: &[(Encoding, Option<Window>)]) -> (usize, usize, u64, u64) {
    let mut shard = Shard::new();
    let ids: Vec<ConnectionId> = (0..members)
        .map(|number| {
            let (encoding, window) = kinds[number % kinds.len()];
            shard.member(encoding, window)
        })
        .collect();
    shard.flush();
    // Buffers grow to what a tick needs and are kept.
    for _ in 0..12 {
        shard.command(ids[0], publish());
        shard.flush();
    }
    let command = publish();
    let before = (COUNT.load(Ordering::Relaxed), BYTES.load(Ordering::Relaxed), shard.core.stats());
    shard.command(ids[0], command);
    let sends = shard.flush();
    let after = shard.core.stats();
    assert_eq!(sends, members);
    assert_eq!(after.delivered - before.2.delivered, members as u64);
    (
        COUNT.load(Ordering::Relaxed) - before.0,
        BYTES.load(Ordering::Relaxed) - before.1,
        after.encoded - before.2.encoded,
        after.compressed - before.2.compressed,
    )
}

// One test: the counters are the whole process's.
#[test]
fn the_cost_of_a_broadcast_does_not_depend_on_the_number_of_members() {
    let json = [(Encoding::Json, None)];
    let (few, many) = (cost(10, &json), cost(10_000, &json));
    eprintln!("allocations, bytes, encodings, compressions: {few:?} for 10 members, {many:?} for 10,000");
    assert_eq!(few, many);
    assert_eq!((many.2, many.3), (1, 0));

    let alone = |bits| Some(Window { bits, takeover: false });
    let mixed = [
        (Encoding::Json, None),
        (Encoding::MessagePack, None),
        (Encoding::Json, alone(15)),
        (Encoding::Json, alone(9)),
        (Encoding::MessagePack, alone(15)),
    ];
    let (few, many) = (cost(10, &mixed), cost(10_000, &mixed));
    eprintln!("mixed: {few:?} for 10 members, {many:?} for 10,000");
    assert_eq!((few.0, few.2, few.3), (many.0, many.2, many.3));
    // The messages have ids of their own, random ones, and do not compress to the very same length.
    assert!(few.1.abs_diff(many.1) < 64, "bytes: {few:?}, {many:?}");
    assert_eq!((many.2, many.3), (2, 3), "once for each encoding, once for each encoding and window");

    // Everybody is in step by now: one more form for each encoding, and nobody needs it compressed alone.
    let follows = Some(Window { bits: 15, takeover: true });
    let shared = [(Encoding::Json, follows), (Encoding::MessagePack, follows)];
    let (few, many) = (cost(10, &shared), cost(10_000, &shared));
    eprintln!("shared: {few:?} for 10 members, {many:?} for 10,000");
    assert_eq!((few.0, few.2, few.3), (many.0, many.2, many.3));
    assert_eq!((many.2, many.3), (2, 2), "once for each encoding, once for each context");
}
