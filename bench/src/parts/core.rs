//! The core's share of a broadcast, sockets left out.

use std::hint::black_box;
use std::sync::Arc;

use fanfare_core::{ConnectionId, Core, Effects, Identity, Input, Now, Opening, Options, ShardId};
use fanfare_protocol::wire::Join;
use fanfare_protocol::{Body, Command, Encoding, EventName, Publish, Request, RoomName, Target};

use super::{Make, Part};

pub(super) const PARTS: &[Make] = &[fanout_10, fanout_1_000, fanout_100_000, join_and_leave];

/// One shard with members in one room.
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

    fn member(&mut self) -> ConnectionId {
        let identity = Identity {
            user_id: "u-42".into(),
            role: "user".into(),
            rooms: None,
            key: 0,
            expires_at_unix_ms: u64::MAX,
        };
        let opening = Opening { identity: Some(identity), ..Opening::new(Encoding::Json) };
        let id = self.core.open(self.now, opening, &mut self.effects);
        self.command(id, Command::Join(Join { room: room("room:1"), recover: None, last: None }));
        self.effects.facts.clear();
        id
    }

    fn command(&mut self, id: ConnectionId, command: Command) {
        self.core.handle(self.now, Input::Command(id, Request { id: None, command }), &mut self.effects);
    }

    /// Hands everything to sockets that take everything.
    fn flush(&mut self) {
        self.core.begin_flush(self.now, &mut self.effects);
        black_box(self.core.direct().count());
        while let Some(batch) = self.core.next_batch(512) {
            black_box(batch.slots);
        }
        self.core.finish_flush(self.now, &mut self.effects);
        self.effects.facts.clear();
    }
}

fn room(name: &str) -> RoomName {
    RoomName::parse(name).expect("the name is right")
}

fn fanout(name: &'static str, members: usize) -> Part {
    let mut shard = Shard::new();
    let ids: Vec<ConnectionId> = (0..members).map(|_| shard.member()).collect();
    shard.flush();
    let publish = Publish {
        target: Target::Room(room("room:1")),
        event: EventName::parse("say").expect("the name is right"),
        body: Body::Json(r#"{"text":"hello, everyone"}"#.into()),
        user_id: None,
        exclude_self: false,
        exclude_client: None,
        roles: Vec::new(),
        key: None,
        ttl: None,
        priority: None,
        message_id: None,
        receipts: false,
    };
    Part::new(name, None, move || {
        shard.command(ids[0], Command::Publish(Box::new(publish.clone())));
        shard.flush();
    })
}

fn fanout_10() -> Part {
    fanout("core/broadcast_to_10", 10)
}

fn fanout_1_000() -> Part {
    fanout("core/broadcast_to_1000", 1_000)
}

fn fanout_100_000() -> Part {
    fanout("core/broadcast_to_100000", 100_000)
}

fn join_and_leave() -> Part {
    let mut shard = Shard::new();
    let id = shard.member();
    let name = room("room:2");
    Part::new("core/join_and_leave", None, move || {
        shard.command(id, Command::Join(Join { room: name.clone(), recover: None, last: None }));
        shard.command(id, Command::Leave { room: name.clone() });
        shard.flush();
    })
}
