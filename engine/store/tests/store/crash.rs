//! The power fails at any operation: what was acknowledged is there, and nothing is there by halves.

use fanfare_core::Write;
use fanfare_store::{Check, Problem, Store};

use crate::disk::Disk;
use crate::model::{Model, Op, assert_holds};
use crate::open;
use crate::random::Random;

const TRANSACTIONS: usize = 12;

/// Transactions of random sizes, with what is there after each.
fn workload(random: &mut Random, mut model: Model) -> Vec<(Vec<Write>, Model)> {
    let transaction = |_| {
        let size = 1 + random.below(12);
        let writes = (0..size).map(|_| model.step(Op::random(random))).collect();
        (writes, model.clone())
    };
    (0..TRANSACTIONS).map(transaction).collect()
}

/// Applies until the disk fails; how many were acknowledged.
fn run(store: &mut Store, workload: &[(Vec<Write>, Model)]) -> usize {
    workload.iter().take_while(|(writes, _)| store.apply(writes.iter()).is_ok()).count()
}

/// What the store holds must be what was there after the acknowledged transactions, or after the one in flight.
fn find(store: &Store, before: &Model, workload: &[(Vec<Write>, Model)], acknowledged: usize) -> usize {
    let states: Vec<&Model> =
        std::iter::once(before).chain(workload.iter().map(|(_, after)| after)).collect();
    let (found, loaded) = before.load(store);
    assert_eq!(loaded.damage, []);
    let may_be = acknowledged..=(acknowledged + 1).min(workload.len());
    let is = |at: &usize| {
        let state = states[*at];
        (&found.rooms, &found.dead, &found.ids) == (&state.rooms, &state.dead, &state.ids)
    };
    may_be
        .clone()
        .find(is)
        .unwrap_or_else(|| panic!("neither of {may_be:?} of {} transactions", workload.len()))
}

/// A disk with an empty store, all of it synced.
fn empty_store() -> Vec<u8> {
    let disk = Disk::new(0);
    drop(open(&disk));
    disk.shown()
}

/// Runs the workload on the image with the power failing at a random operation; the image after it, and how many
/// transactions were acknowledged.
fn cut(image: &[u8], workload: &[(Vec<Write>, Model)], seed: u64) -> (Vec<u8>, usize) {
    let whole = Disk::of(image.to_vec(), seed);
    let mut store = open(&whole);
    assert_eq!(run(&mut store, workload), workload.len());
    drop(store);

    let disk = Disk::of(image.to_vec(), seed);
    disk.state().cut_at = Some(Random::new(seed).below(whole.state().operations + 1));
    let Ok(mut store) = Store::open_with(disk.clone(), Check::Pages) else { return (disk.power_cut(), 0) };
    let acknowledged = run(&mut store, workload);
    drop(store);
    (disk.power_cut(), acknowledged)
}

#[test]
fn after_a_power_cut_all_that_was_acknowledged_is_there() {
    let empty = empty_store();
    for seed in 0..400 {
        let mut random = Random::new(seed);
        let first = workload(&mut random, Model::default());
        let (image, acknowledged) = cut(&empty, &first, seed);

        // The next life goes on from there, and the power fails again, perhaps while it recovers.
        let store = open(&Disk::of(image.clone(), seed));
        let at = find(&store, &Model::default(), &first, acknowledged);
        let survived = if at == 0 { Model::default() } else { first[at - 1].1.clone() };
        let second = workload(&mut random, survived.clone());
        let (image, acknowledged) = cut(&image, &second, seed + 1_000_000);
        let store = open(&Disk::of(image, seed));
        find(&store, &survived, &second, acknowledged);
    }
}

#[test]
fn a_killed_process_leaves_what_was_acknowledged() {
    let mut model = Model::default();
    let disk = Disk::new(3);
    let mut store = open(&disk);
    let mut random = Random::new(3);
    for _ in 0..30 {
        let writes: Vec<Write> = (0..5).map(|_| model.step(Op::random(&mut random))).collect();
        store.apply(writes.iter()).unwrap();
        assert_holds(&open(&Disk::of(disk.shown(), 4)), &model);
    }
}

#[test]
fn after_a_failed_sync_nothing_is_built_on_what_the_disk_forgot() {
    let empty = empty_store();
    let mut failed = 0;
    for seed in 0..400 {
        let mut random = Random::new(seed);
        let first = workload(&mut random, Model::default());
        let disk = Disk::of(empty.clone(), seed);
        let mut store = open(&disk);
        let fail_sync = disk.state().syncs + 1 + random.below(2 * TRANSACTIONS as u64);
        disk.state().fail_sync = Some(fail_sync);
        let acknowledged = run(&mut store, &first);
        if acknowledged == first.len() {
            continue;
        }
        failed += 1;
        let refused = store.apply(first[acknowledged].0.iter()).unwrap_err();
        assert!(matches!(refused.problem, Problem::NeedsHealing), "{refused}");

        store.heal().unwrap();
        let at = find(&store, &Model::default(), &first, acknowledged);
        let survived = if at == 0 { Model::default() } else { first[at - 1].1.clone() };
        let second = workload(&mut random, survived.clone());
        let begun = 1 + random.below(TRANSACTIONS as u64 - 1) as usize;
        assert_eq!(run(&mut store, &second[..begun]), begun);
        let store = open(&Disk::of(disk.power_cut(), seed));
        find(&store, &survived, &second[..begun], begun);
    }
    assert!(failed > 200, "{failed}");
}
