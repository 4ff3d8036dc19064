//! What the server says of itself when it is asked: members, readers, dead letters.

use std::collections::{BTreeMap, HashMap, HashSet};

use fanfare_core::{Answer, HomeQuestion, Input, Question, ReaderRow, RequestId, Rows};
use fanfare_protocol::RoomName;

use crate::acks::reader_of;
use crate::options::ROOMS;
use crate::person::{Kind, Person, kind};
use crate::{Ledger, World};

/// At rest.
#[derive(Debug, Default)]
pub(crate) struct Survey {
    /// By user, epoch and place.
    pub(crate) dead: HashSet<(String, String, u64)>,
    /// How far readers have come, by room, epoch and reader.
    pub(crate) cursors: HashMap<(String, String, String), u64>,
    /// Where users' own rooms stand.
    pub(crate) inboxes: HashMap<String, (String, u64)>,
    /// Whether messages had to go because all together took too much.
    pub(crate) evicted: bool,
}

/// Asks everything.
///
/// # Panics
/// The answers are wrong.
pub(crate) fn survey(world: &mut World, people: &[Person], ledger: &mut Ledger) -> Survey {
    let mut survey = Survey { evicted: world.has_evicted(), ..Survey::default() };
    for room in ROOMS {
        if !matches!(kind(world, room), Kind::Acknowledged(_)) {
            continue;
        }
        let name = RoomName::parse(room).expect("rooms are named well");
        let question = HomeQuestion::Readers { room: name, limit: u32::MAX, caller: None };
        if let (Some((epoch, _)), readers) = readers(world, question) {
            survey.cursors.extend(readers.into_iter().map(|row| {
                let key = (room.to_owned(), epoch.clone(), reader_of(&row.reader));
                (key, row.offset)
            }));
        }
    }
    for person in people {
        let user = RoomName::of_user(&person.who.user);
        let question = HomeQuestion::DeadLetters { user: user.clone(), limit: u32::MAX };
        let Rows::DeadLetters(letters) = ask_home(world, question) else { panic!("other rows") };
        for letter in letters {
            let (epoch, offset) = (letter.epoch.to_string(), letter.entry.offset);
            survey.dead.insert((person.who.user.clone(), epoch, offset));
        }
        if let (Some((epoch, stands)), _) =
            readers(world, HomeQuestion::Readers { room: user, limit: 0, caller: None })
        {
            ledger.hear_of(&format!("@user:{}", person.who.user), &epoch, stands);
            survey.inboxes.insert(person.who.user.clone(), (epoch, stands));
        }
    }
    members(world, people);
    survey
}

/// Where a room stands, and its readers.
fn readers(world: &mut World, question: HomeQuestion) -> (Option<(String, u64)>, Vec<ReaderRow>) {
    let Rows::Readers(stands, rows) = ask_home(world, question) else { panic!("other rows") };
    let stands = stands.map(|(epoch, offset)| (epoch.to_string(), offset));
    (stands, rows)
}

/// As many members at each room's home as there are people in it, and each connection is in the rooms that its owner
/// thinks it is in.
fn members(world: &mut World, people: &[Person]) {
    let mut expected: BTreeMap<String, u32> = BTreeMap::new();
    let mut connections: Vec<(String, Vec<String>)> = Vec::new();
    for person in people.iter().filter(|person| person.client.is_some()) {
        let rooms = person.rooms.iter().filter(|(_, of)| of.joined);
        let rooms: Vec<String> = rooms.map(|(room, _)| room.clone()).collect();
        for room in &rooms {
            *expected.entry(room.clone()).or_default() += 1;
        }
        connections.push((person.who.user.clone(), rooms));
    }
    let mut found: BTreeMap<String, u32> = BTreeMap::new();
    for rows in ask_all(world, Question::Rooms { limit: u32::MAX }) {
        let Rows::Rooms(rows) = rows else { panic!("other rows") };
        for row in rows.into_iter().filter(|row| row.members > 0) {
            let former = found.insert(row.room, row.members);
            assert!(former.is_none(), "two shards order a room");
        }
    }
    assert_eq!(found, expected, "members at the rooms' homes, and people in them");
    let question = Question::Connections { user_id: None, client_id: None, state: None, limit: u32::MAX };
    let mut open: Vec<(String, Vec<String>)> = Vec::new();
    for rows in ask_all(world, question) {
        let Rows::Connections(rows) = rows else { panic!("other rows") };
        open.extend(rows.into_iter().map(|mut row| {
            row.rooms.sort_unstable();
            (row.user_id, row.rooms)
        }));
    }
    connections.sort_unstable();
    open.sort_unstable();
    assert_eq!(open, connections, "connections, and what they are in");
}

fn ask_home(world: &mut World, question: HomeQuestion) -> Rows {
    world.answers.clear();
    world.input(0, Input::AskHome(RequestId(1), question));
    while world.answers.is_empty() {
        assert!(world.deliver_one(), "a question is not answered");
    }
    match world.answers.pop() {
        Some((_, Answer::Rows(rows))) => rows,
        other => panic!("{other:?}"),
    }
}

fn ask_all(world: &mut World, question: Question) -> Vec<Rows> {
    world.answers.clear();
    world.input(0, Input::Ask(RequestId(1), question));
    while world.answers.len() < world.cores.len() {
        assert!(world.deliver_one(), "a question is not answered");
    }
    let rows = |(_, answer)| match answer {
        Answer::Rows(rows) => rows,
        other => panic!("{other:?}"),
    };
    world.answers.drain(..).map(rows).collect()
}
