//! What an operator does to connections and to the rules, as far as shards decide it.

use std::sync::Arc;

use fanfare_core::{Close, Ending, Input, Mesh, Mode, Options, Permissions, Receive, RoleRule, ToLocal, Who};
use fanfare_protocol::{Code, Encoding};
use fanfare_sim::World;
use serde_json::{Value, json};

fn world(shards: u8) -> World {
    World::new(shards, 7, Options::default())
}

fn ending(who: Who) -> Ending {
    Ending { who, close: Close::code(Code::DisconnectedByAdmin, "away"), count_only: false }
}

fn is_open(world: &World, client: usize) -> bool {
    let of = &world.clients[client];
    world.cores[of.shard].is_open(of.id)
}

#[test]
fn those_who_are_about_to_be_welcomed_are_ended_as_well() {
    let mut world = world(3);
    // No message between shards has arrived yet, so that nobody was welcomed.
    let of_ada: Vec<usize> = (0..3).map(|shard| world.open(shard, "ada", "user", Encoding::Json)).collect();
    let ben = world.open(0, "ben", "user", Encoding::Json);
    world.input(1, Input::End(ending(Who::User("ada".into()))));
    world.settle();
    assert!(of_ada.iter().all(|client| !is_open(&world, *client)));
    assert!(is_open(&world, ben));
    for client in of_ada {
        let messages = world.take_messages(client);
        assert_eq!(messages.last(), Some(&json!(4_011)), "{messages:?}");
    }
}

#[test]
fn a_key_that_is_trusted_no_longer_ends_those_it_let_in_and_no_others() {
    let mut world = world(2);
    let mut open = |shard: usize, key: u16| {
        world.open_with(shard, "ada", "user", |opening| {
            opening.identity.as_mut().expect("a good token").key = key;
        })
    };
    let clients = [open(0, 1), open(1, 2), open(1, 1), open(0, 0)];
    world.settle();
    world.input(0, Input::End(ending(Who::Keys([1, 0].into()))));
    world.settle();
    // 0 stands for no key at all.
    assert_eq!(clients.map(|client| is_open(&world, client)), [false, true, false, true]);
}

#[test]
fn other_options_count_from_the_next_command_on() {
    let mut world = world(2);
    let client = world.open(1, "ada", "user", Encoding::Json);
    world.settle();
    let ask = |world: &mut World, command: Value| {
        world.command(client, &command);
        world.settle();
        world.take_messages(client).pop().unwrap()
    };
    let publish = json!({"type": "publish", "id": 1, "room": "a", "event": "say"});
    assert_eq!(ask(&mut world, publish.clone())["type"], "published");
    let set = |world: &mut World, options: Options| {
        let options = Arc::new(options);
        for shard in 0..2 {
            let message = ToLocal::Options(Arc::clone(&options));
            world.input(shard, Input::Mesh(Mesh::Local(message)));
        }
    };
    let usual = Options::clone(&world.options);
    let mode = Mode { read_only: true, ..Mode::default() };
    set(&mut world, Options { mode, ..usual.clone() });
    assert_eq!(ask(&mut world, publish.clone())["code"], 4_006);
    let roles =
        vec![RoleRule { name: "user".into(), permissions: Permissions::NONE, receive: Receive::default() }];
    set(&mut world, Options { roles, ..usual.clone() });
    assert_eq!(ask(&mut world, publish.clone())["code"], 4_013);
    set(&mut world, usual);
    assert_eq!(ask(&mut world, publish)["type"], "published");
}
