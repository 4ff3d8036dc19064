//! Rates by the type of a command, of a connection or a user: refused with a time to wait, and closed only when it is too much.

use fanfare_core::{Answer, Input, Options, Rate, RatePer, RateRule, RequestId, RoomPattern};
use fanfare_protocol::{Encoding, RoomName, json as wire};
use fanfare_sim::World;
use proptest::prelude::*;
use serde_json::{Value, json};

fn rule(command: &str, event: Option<&str>, per: RatePer, per_minute: u32, burst: u32) -> RateRule {
    let pattern = |text: &str| RoomPattern::new(text).unwrap();
    let rate = Rate { per_minute, burst };
    RateRule { command: pattern(command), event: event.map(pattern), per, rate, roles: Vec::new() }
}

fn options(rates: Vec<RateRule>) -> Options {
    let mut options = Options { rates, ..Options::default() };
    options.heartbeat.interval_ms = 1 << 40;
    options
}

fn open(world: &mut World, shard: usize, user: &str) -> usize {
    let client = world.open(shard, user, "user", Encoding::Json);
    world.settle();
    world.take_messages(client);
    client
}

fn ask(world: &mut World, client: usize, mut command: Value) -> Value {
    command["id"] = json!("asked");
    world.command(client, &command);
    world.settle();
    let answers = world.take_messages(client);
    answers.into_iter().find(|of| of["id"] == "asked").expect("it is answered")
}

fn publish(event: &str) -> Value {
    json!({ "type": "publish", "room": "a:1", "event": event, "data": 1 })
}

#[test]
fn each_type_has_its_own_bucket_and_the_answer_says_when() {
    let rates = vec![
        rule("publish", Some("technique_*"), RatePer::Connection, 60, 2),
        rule("join", None, RatePer::Connection, 6, 1),
    ];
    let mut world = World::new(2, 1, options(rates));
    let (ada, ben) = (open(&mut world, 0, "ada"), open(&mut world, 0, "ben"));
    for _ in 0..2 {
        assert_eq!(ask(&mut world, ada, publish("technique_a"))["type"], "published");
    }
    let refused = ask(&mut world, ada, publish("technique_b"));
    assert_eq!((&refused["code"], &refused["name"]), (&json!(4004), &json!("RATE_LIMIT_EXCEEDED")));
    assert_eq!(refused["details"], json!({ "retry_after_ms": 1_000 }));
    assert_eq!(ask(&mut world, ada, publish("say"))["type"], "published", "another event");
    assert_eq!(ask(&mut world, ben, publish("technique_b"))["type"], "published", "another connection");
    assert_eq!(ask(&mut world, ada, json!({ "type": "join", "room": "a:1" }))["type"], "joined");
    let refused = ask(&mut world, ada, json!({ "type": "join", "room": "a:2" }));
    assert_eq!(refused["details"]["retry_after_ms"], 10_000);
    world.pass(999);
    assert_eq!(ask(&mut world, ada, publish("technique_b"))["details"]["retry_after_ms"], 1);
    world.pass(1);
    assert_eq!(ask(&mut world, ada, publish("technique_b"))["type"], "published");
    assert_eq!(world.cores[0].stats().rate_limited, 3);
}

#[test]
fn a_rule_for_a_role_leaves_others_alone_and_a_star_is_for_everything() {
    let mut all = rule("*", None, RatePer::Connection, 60, 1);
    all.roles = vec!["visitor".to_owned()];
    let mut world = World::new(1, 1, options(vec![all]));
    let ada = open(&mut world, 0, "ada");
    let visitor = world.open(0, "eve", "visitor", Encoding::Json);
    world.settle();
    for _ in 0..5 {
        assert_eq!(ask(&mut world, ada, publish("say"))["type"], "published");
    }
    assert_eq!(ask(&mut world, visitor, json!({ "type": "heartbeat" }))["type"], "heartbeat_ack");
    assert_eq!(ask(&mut world, visitor, publish("say"))["code"], 4004);
    assert_eq!(ask(&mut world, visitor, json!({ "type": "poll.list", "room": "a:1" }))["code"], 4004);
}

#[test]
fn a_user_has_one_bucket_over_all_shards() {
    let rates = vec![rule("publish", None, RatePer::User, 60, 6)];
    let mut world = World::new(4, 5, options(rates));
    let clients: Vec<usize> = (0..4).map(|shard| open(&mut world, shard, "ada")).collect();
    let other = open(&mut world, 1, "ben");
    let mut published = 0;
    for round in 0..4 {
        for client in &clients {
            let answer = ask(&mut world, *client, publish("say"));
            published += u32::from(answer["type"] == "published");
            assert_eq!(answer["type"] == "published", published <= 6 && answer["code"].is_null(), "{round}");
        }
    }
    assert_eq!(published, 6);
    assert_eq!(ask(&mut world, other, publish("say"))["type"], "published");
    world.pass(1_000);
    assert_eq!(ask(&mut world, clients[3], publish("say"))["type"], "published");
    assert_eq!(ask(&mut world, clients[0], publish("say"))["code"], 4004);
    assert!(world.cores.iter().map(|core| core.stats().rate_users).sum::<u64>() >= 4);
    // Who owes nothing is forgotten.
    for _ in 0..3 {
        world.pass(61_000);
        world.settle();
    }
    assert_eq!(world.cores.iter().map(|core| core.stats().rate_users).sum::<u64>(), 0);
}

#[test]
fn what_came_over_http_counts_for_the_user() {
    let rates = vec![rule("publish", None, RatePer::User, 60, 2)];
    let mut world = World::new(2, 5, options(rates));
    let ada = open(&mut world, 0, "ada");
    let over_http = |world: &mut World, user: Option<&str>| {
        let mut items = Vec::new();
        wire::decode_publishes(br#"{"room":"a:1","event":"say"}"#, &mut |item| items.push(item.unwrap()));
        let user = user.map(|user| (RoomName::of_user(user), "user".into()));
        let publish = Box::new(items.remove(0));
        world.answers.clear();
        world.input(1, Input::Publish { request: RequestId(1), index: 0, publish, user });
        world.settle();
        match world.answers.pop() {
            Some((_, Answer::Published(0, outcome))) => outcome.map(|_| 0).unwrap(),
            Some((_, Answer::Limited(0, _, retry_after_ms))) => retry_after_ms,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(over_http(&mut world, Some("ada")), 0);
    assert_eq!(ask(&mut world, ada, publish("say"))["type"], "published");
    assert_eq!(ask(&mut world, ada, publish("say"))["code"], 4004);
    assert_eq!(over_http(&mut world, Some("ada")), 0, "this shard does not hold its connection");
    assert!((1..=1_000).contains(&over_http(&mut world, Some("ada"))));
    for _ in 0..5 {
        assert_eq!(over_http(&mut world, None), 0, "a key has no user");
    }
}

#[test]
fn who_goes_on_far_beyond_it_is_closed() {
    let rates = vec![rule("publish", None, RatePer::Connection, 1, 3)];
    let mut world = World::new(1, 1, options(rates));
    let ada = open(&mut world, 0, "ada");
    for _ in 0..3 {
        assert_eq!(ask(&mut world, ada, publish("say"))["type"], "published");
    }
    for _ in 0..29 {
        assert_eq!(ask(&mut world, ada, publish("say"))["code"], 4004);
    }
    assert!(world.is_open(ada));
    world.command(ada, &publish("say"));
    world.settle();
    assert!(!world.is_open(ada), "ten times its burst was refused");
    // Over more than a minute it is not.
    let ben = open(&mut world, 0, "ben");
    for _ in 0..200 {
        world.command(ben, &publish("say"));
        world.settle();
        world.pass(2_500);
    }
    assert!(world.is_open(ben));
}

#[test]
fn beyond_the_table_users_are_not_counted_and_nothing_grows() {
    let mut options = options(vec![rule("*", None, RatePer::User, 1, 1)]);
    options.limits.rate_users = 3;
    let mut world = World::new(1, 1, options);
    let clients: Vec<usize> = (0..5).map(|user| open(&mut world, 0, &format!("u{user}"))).collect();
    for (at, client) in clients.iter().enumerate() {
        assert_eq!(ask(&mut world, *client, publish("say"))["type"], "published");
        assert_eq!(ask(&mut world, *client, publish("say"))["code"].is_null(), at >= 3, "{at}");
    }
    assert_eq!(world.cores[0].stats().rate_users, 3);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    /// Whatever comes from whichever shard in whichever order: never more than the burst and what was earned, but for what shards
    /// let pass at the same moment; and once all is told, exactly that.
    #[test]
    fn a_user_never_gets_more_than_it_may(
        seed: u64,
        steps in proptest::collection::vec((0_usize..3, 0_u64..400), 1..80),
    ) {
        let rate = Rate { per_minute: 300, burst: 5 };
        let rates = vec![rule("publish", None, RatePer::User, rate.per_minute, rate.burst)];
        let mut world = World::new(3, seed, options(rates));
        let clients: Vec<usize> = (0..3).map(|shard| open(&mut world, shard, "ada")).collect();
        let (mut passed, mut elapsed_ms) = (0_u64, 0);
        for (shard, ms) in steps {
            world.pass(ms);
            elapsed_ms += ms;
            passed += u64::from(ask(&mut world, clients[shard], publish("say"))["type"] == "published");
            let most = u64::from(rate.burst) + elapsed_ms * u64::from(rate.per_minute) / 60_000;
            prop_assert!(passed <= most, "{passed} of {most}");
        }
    }
}
