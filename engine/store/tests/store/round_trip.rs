//! Whatever is written comes back, however it is split into transactions.

use fanfare_core::Write;
use proptest::collection::vec;
use proptest::prelude::*;

use crate::disk::Disk;
use crate::model::{Model, Op, assert_holds};
use crate::open;

fn ops() -> impl Strategy<Value = Vec<(Op, bool)>> {
    let op = (any::<u8>(), 0..6_u8, 0..9_u8, any::<u16>());
    let op = op.prop_map(|(kind, room, who, number)| Op { kind, room, who, number });
    vec((op, prop::bool::weighted(0.15)), 0..120)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_writes_in_any_transactions_come_back_as_the_model_says(ops in ops(), reopens in any::<bool>()) {
        let disk = Disk::new(1);
        let mut store = open(&disk);
        let mut model = Model::default();
        let mut batch = Vec::new();
        for (op, ends) in ops {
            batch.push(model.step(op));
            if ends {
                store.apply(std::mem::take(&mut batch).iter()).unwrap();
                if reopens {
                    drop(store);
                    store = open(&disk);
                }
                assert_holds(&store, &model);
            }
        }
        store.apply(batch.iter()).unwrap();
        assert_holds(&store, &model);
    }
}

#[test]
fn old_ids_go_with_the_next_transaction_and_no_others() {
    let mut store = open(&Disk::new(1));
    let mut model = Model::default();
    let op = |number| Op { kind: 0, room: 2, who: 0, number };
    let writes: Vec<Write> = (0..50).map(|number| model.step(op(number * 2))).collect();
    store.apply(writes.iter()).unwrap();
    let times: Vec<u64> = model.ids.keys().map(|key| key.0).collect();
    let middle = times[times.len() / 2];

    store.forget_ids_before(middle);
    assert_holds(&store, &model);
    let write = model.step(op(1));
    store.apply([&write].into_iter()).unwrap();
    model.ids.retain(|(at_ms, ..), _| *at_ms >= middle);
    assert!(!model.ids.is_empty() && model.ids.len() < times.len());
    assert_holds(&store, &model);
}

#[test]
fn a_transaction_says_what_it_did() {
    let mut store = open(&Disk::new(1));
    let mut model = Model::default();
    let writes: Vec<Write> =
        (0..10).map(|number| model.step(Op { kind: 0, room: 2 + number % 2, who: 1, number: 7 })).collect();
    let applied = store.apply(writes.iter()).unwrap();
    assert_eq!((applied.rooms, applied.messages), (2, 10));
    assert!(applied.bytes > 100);
}
