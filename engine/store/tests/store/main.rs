//! The store against a model of itself, and against a disk that loses power, runs full, fails and forgets.

mod crash;
mod disk;
mod faults;
mod files;
mod flips;
mod model;
mod random;
mod round_trip;

/// Opens a store on a disk that works.
fn open(disk: &disk::Disk) -> fanfare_store::Store {
    fanfare_store::Store::open_with(disk.clone(), fanfare_store::Check::Nothing).expect("opens")
}
