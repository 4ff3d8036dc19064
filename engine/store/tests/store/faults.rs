//! A disk that runs full, or fails: nothing acknowledged is lost, and writing goes on when it can.

use fanfare_core::Write;
use fanfare_store::{Problem, Store};

use crate::disk::Disk;
use crate::model::{Model, Op, assert_holds};
use crate::open;

/// Appends until the disk is full. The model holds what was acknowledged.
fn fill(store: &mut Store, model: &mut Model) -> Problem {
    for number in 0..100_000_u64 {
        let mut next = model.clone();
        let op =
            |part: u64| Op { kind: 0, room: (number % 5) as u8, who: 1, number: 8_992 + (part % 2) as u16 };
        let writes: Vec<Write> = (0..4).map(|part| next.step(op(part))).collect();
        match store.apply(writes.iter()) {
            Ok(_) => *model = next,
            Err(error) => return error.problem,
        }
    }
    panic!("the disk never was full")
}

fn append(store: &mut Store, model: &mut Model) -> Result<(), Problem> {
    let mut next = model.clone();
    let write = next.step(Op { kind: 0, room: 1, who: 1, number: 3 });
    store.apply([&write].into_iter()).map_err(|error| error.problem)?;
    *model = next;
    Ok(())
}

fn runs_full(limit: impl Fn(&Disk), free: impl Fn(&Disk)) {
    let disk = Disk::new(5);
    let (mut store, mut model) = (open(&disk), Model::default());
    append(&mut store, &mut model).unwrap();
    limit(&disk);
    let problem = fill(&mut store, &mut model);
    assert!(matches!(problem, Problem::DiskFull(_)), "{problem:?}");
    assert!(store.needs_healing());
    assert!(matches!(append(&mut store, &mut model), Err(Problem::NeedsHealing)));

    // A file that is killed while full opens as soon as there is room.
    let killed = disk.shown();
    free(&disk);
    store.heal().unwrap();
    assert!(!store.needs_healing());
    assert_holds(&store, &model);
    assert_holds(&open(&Disk::of(killed, 6)), &model);
    append(&mut store, &mut model).unwrap();
    drop(store);
    assert_holds(&open(&disk), &model);
}

#[test]
fn a_disk_without_space_for_blocks_is_told_and_healed() {
    runs_full(|disk| disk.state().blocks_max = Some(600), |disk| disk.state().blocks_max = None);
}

#[test]
fn a_file_that_may_not_grow_is_told_and_healed() {
    runs_full(|disk| disk.state().len_max = Some(3 << 20), |disk| disk.state().len_max = None);
}

#[test]
fn healing_fails_as_long_as_the_disk_does() {
    let disk = Disk::new(5);
    let (mut store, mut model) = (open(&disk), Model::default());
    append(&mut store, &mut model).unwrap();
    let next = disk.state().syncs + 1;
    disk.state().fail_sync = Some(next);
    let problem = append(&mut store, &mut model).unwrap_err();
    assert!(matches!(problem, Problem::Io(_)), "{problem:?}");
    disk.state().fail_sync = Some(next + 1);
    assert!(matches!(store.heal().unwrap_err().problem, Problem::Io(_)));
    assert!(matches!(append(&mut store, &mut model), Err(Problem::NeedsHealing)));
    assert!(store.load(&mut |_| {}).is_err());
    store.heal().unwrap();
    assert_holds(&store, &model);
    append(&mut store, &mut model).unwrap();
    assert_holds(&store, &model);
}
