//! A room without its shard, to try services in.

use fanfare_protocol::{Body, Code, EventName, Refusal, RoomName};
use serde_json::Value;

use super::{Args, Caller, Context, SERVICES, Saying, Service, To, find, undeclared};
use crate::entry::Entry;
use crate::home::{Kept, Log};
use crate::id::{Address, ConnectionId, Epoch, Random, ShardId};
use crate::options::Options;
use crate::time::Now;

/// The room, and what its services have said.
#[derive(Debug)]
pub(crate) struct Desk {
    pub(crate) room: RoomName,
    pub(crate) epoch: Epoch,
    pub(crate) offset: u64,
    pub(crate) members: u32,
    pub(crate) log: Log,
    pub(crate) options: Options,
    pub(crate) now: Now,
    pub(crate) says: Vec<Saying>,
    /// Whether the last one who did something had something to save.
    pub(crate) changed: bool,
    random: Random,
}

impl Desk {
    pub(crate) fn new() -> Self {
        Self {
            room: RoomName::parse("demo:1").unwrap(),
            epoch: Epoch(7),
            offset: 0,
            members: 3,
            log: Log::default(),
            options: Options { store: true, ..Options::default() },
            now: Now { mono_us: 1_000_000_000, unix_ms: 1_795_170_600_000 },
            says: Vec::new(),
            changed: false,
            random: Random::new(1),
        }
    }

    pub(crate) fn pass(&mut self, ms: u64) {
        self.now.mono_us += ms * 1_000;
        self.now.unix_ms += ms;
    }

    /// A user's connection; the same number is the same connection.
    pub(crate) fn caller(&self, user: &str, role: &str, connection: u32) -> Caller {
        Caller {
            user: Some(RoomName::of_user(user)),
            role: role.into(),
            is_backend: false,
            is_member: true,
            permissions: self.options.permissions_of(role),
            address: Some(Address {
                shard: ShardId(0),
                connection: ConnectionId { slot: connection, generation: 0 },
            }),
            key: None,
        }
    }

    /// Lets a service do something, and puts the messages among what it says where they belong.
    pub(crate) fn with<T>(
        &mut self,
        service: &mut dyn Service,
        caller: Option<&Caller>,
        act: impl FnOnce(&mut dyn Service, &mut Context<'_>) -> T,
    ) -> T {
        let from = self.says.len();
        let mut deeds = Vec::new();
        let mut context = Context {
            now: self.now,
            room: &self.room,
            epoch: self.epoch,
            offset: self.offset,
            next_offset: self.offset + 1,
            members: self.members,
            log: Some(&self.log),
            drafts: None,
            caller,
            options: &self.options,
            random: &mut self.random,
            used_s: 0,
            says: &mut self.says,
            deeds: &mut deeds,
            changed: false,
            dropped: 0,
        };
        let result = act(service, &mut context);
        self.changed = context.changed;
        for at in from..self.says.len() {
            let saying = self.says[at].clone();
            let of_any = SERVICES.iter().map(|kind| undeclared(kind.messages, &saying, &self.options));
            assert!(of_any.clone().any(|fault| fault.is_none()), "{:?}", of_any.collect::<Vec<_>>());
            self.keep(&saying);
        }
        result
    }

    fn keep(&mut self, saying: &Saying) {
        let (event, body) = (EventName::of_engine(&saying.event), Body::Json(saying.data.to_string().into()));
        match saying.to {
            To::Room => {
                self.offset += 1;
                let entry = Entry {
                    offset: self.offset,
                    at_ms: self.now.mono_ms(),
                    expires_ms: u64::MAX,
                    timestamp_unix_ms: self.now.unix_ms,
                    event,
                    user: saying.user.clone(),
                    body,
                    is_publishers_id: false,
                    message_id: "m".into(),
                    roles: Vec::new(),
                    not_for_publisher: false,
                    priority: saying.priority,
                };
                self.log.push(Kept::new(entry, None));
            }
            To::Kept(offset) => drop(self.log.replace(offset, event, body)),
            To::Here | To::There(_) | To::One(_) | To::Other(_) => {}
        }
    }

    /// A command of a user's connection 1 with a role.
    pub(crate) fn ask(
        &mut self,
        service: &mut dyn Service,
        who: &Caller,
        name: &str,
        data: Value,
    ) -> Result<Value, Refusal> {
        let (_, spec) = find(name).unwrap();
        let args = Args::read(spec, Some(&Body::Json(data.to_string().into())), &[])?;
        self.with(service, Some(who), |service, context| service.call(spec, &args, context))
    }

    /// Time passes to when the service wants to be looked at; that it does within a minute.
    pub(crate) fn tick(&mut self, service: &mut dyn Service) {
        let due_ms = service.due_ms().expect("nothing is awaited");
        let now_ms = self.now.mono_ms();
        self.pass(due_ms.saturating_sub(now_ms));
        self.with(service, None, |service, context| service.tick(context));
    }

    /// What was said since this was asked last: events and data.
    pub(crate) fn heard(&mut self) -> Vec<(String, Value)> {
        let said = std::mem::take(&mut self.says).into_iter();
        said.filter(|saying| !matches!(saying.to, To::Kept(_)))
            .map(|saying| (saying.event.into_owned(), saying.data))
            .collect()
    }
}

/// The code and the field of a refusal.
pub(crate) fn refused(outcome: Result<Value, Refusal>) -> (Code, Option<&'static str>) {
    let refusal = outcome.expect_err("it must be refused");
    (refusal.code, refusal.field)
}
