//! One flipped bit: it makes no difference, or it is told; never a wrong message, never a panic.

use std::path::Path;

use fanfare_core::Write;
use fanfare_store::{Check, Store, salvage, verify};

use crate::disk::Disk;
use crate::files::Folder;
use crate::model::{Model, Op, assert_holds};
use crate::open;
use crate::random::Random;

const PAGE_BYTES: usize = 4096;
/// The bit in redb's header which says which of two commits counts.
const PRIMARY_BIT: usize = 9 * 8;

/// A store that was used for a while, and what is in it; closed, or as a kill leaves it.
fn image(is_closed: bool) -> (Vec<u8>, Model, Model) {
    let (disk, mut model) = (Disk::new(7), Model::default());
    let (mut store, mut random) = (open(&disk), Random::new(7));
    let mut before = model.clone();
    for _ in 0..40 {
        before = model.clone();
        let writes: Vec<Write> = (0..12).map(|_| model.step(Op::random(&mut random))).collect();
        store.apply(writes.iter()).unwrap();
    }
    assert!(model.rooms.len() > 3 && model.rooms.values().any(|room| room.entries.len() > 10));
    let killed = disk.shown();
    drop(store);
    (if is_closed { disk.shown() } else { killed }, model, before)
}

fn flip(image: &[u8], bit: usize) -> Vec<u8> {
    let mut image = image.to_vec();
    image[bit / 8] ^= 1 << (bit % 8);
    image
}

/// Some bits of every page that is not empty, half of them where a page says what it is and where its parts begin.
fn bits(image: &[u8], each: usize) -> Vec<usize> {
    let mut random = Random::new(9);
    let pages = image.chunks(PAGE_BYTES).enumerate().filter(|(_, page)| page.iter().any(|byte| *byte != 0));
    let mut bits = Vec::new();
    for (page, _) in pages {
        for round in 0..each {
            let within = if round % 2 == 0 { PAGE_BYTES * 8 } else { 64 * 8 };
            bits.push(page * PAGE_BYTES * 8 + random.below(within as u64) as usize);
        }
    }
    bits
}

fn holds(found: &Model, model: &Model) -> bool {
    (&found.rooms, &found.dead, &found.ids) == (&model.rooms, &model.dead, &model.ids)
}

/// Everything that was found was there.
fn is_part(found: &Model, model: &Model) -> bool {
    found.rooms.iter().all(|(name, room)| model.rooms.get(name) == Some(room))
        && found.dead.iter().all(|(key, letter)| model.dead.get(key) == Some(letter))
        && found.ids.iter().all(|(key, id)| model.ids.get(key) == Some(id))
}

fn flip_in_each_page(is_closed: bool) {
    let (image, model, _) = image(is_closed);
    let (mut unaffected, mut refused) = (0, 0);
    for bit in bits(&image, 6) {
        match Store::open_with(Disk::of(flip(&image, bit), 8), Check::Pages) {
            Ok(store) => {
                let (found, loaded) = model.load(&store);
                assert!(loaded.damage.is_empty() && holds(&found, &model), "bit {bit}");
                unaffected += 1;
            }
            Err(_) => refused += 1,
        }
    }
    assert!(unaffected > 20 && refused > 20, "{unaffected} {refused}");
}

#[test]
fn a_flipped_bit_in_any_page_of_a_closed_file_is_harmless_or_refused() {
    flip_in_each_page(true);
}

#[test]
fn a_flipped_bit_in_any_page_of_a_killed_file_is_harmless_or_refused() {
    flip_in_each_page(false);
}

/// One bit of the file has no checksum: which of the last two commits counts. It looks like a power cut between the
/// two phases of a commit, so the last transaction is taken back.
#[test]
fn a_flipped_bit_in_the_header_is_harmless_or_refused_but_one_that_takes_a_commit_back() {
    let (image, model, before) = image(false);
    for bit in 0..320 * 8 {
        let Ok(store) = Store::open_with(Disk::of(flip(&image, bit), 8), Check::Pages) else { continue };
        let (found, loaded) = model.load(&store);
        let expected = if bit == PRIMARY_BIT { &before } else { &model };
        assert!(loaded.damage.is_empty() && holds(&found, expected), "bit {bit}");
    }
}

#[test]
fn of_a_damaged_file_everything_else_is_saved_and_what_is_not_is_named() {
    let folder = Folder::new("salvage");
    let path = folder.path();
    let (image, model, _) = image(false);
    let (mut saved, mut lost, mut hopeless) = (0, 0, 0);
    for bit in bits(&image, 3).into_iter().filter(|bit| *bit >= PAGE_BYTES * 8) {
        let damaged = flip(&image, bit);
        std::fs::write(path, &damaged).unwrap();
        let verified = verify(path, &mut |_| {});
        assert_eq!(std::fs::read(path).unwrap(), damaged, "looking changed the file");
        let opened = Store::open(path, Check::Pages);
        let is_sound = opened.is_ok();
        drop(opened);
        assert!(!is_sound || verified.is_ok_and(|verified| verified.is_sound()), "bit {bit}");
        if is_sound {
            continue;
        }
        std::fs::write(path, &damaged).unwrap();
        let Ok(salvaged) = salvage(path, &mut |_| {}) else {
            hopeless += 1;
            assert_eq!(std::fs::read(path).unwrap(), damaged, "what cannot be saved was changed");
            continue;
        };
        assert_eq!(std::fs::read(&salvaged.damaged_path).unwrap(), damaged);
        std::fs::remove_file(&salvaged.damaged_path).unwrap();
        lost += usize::from(!holds_on_disk(path, &model, salvaged.records.damage.is_empty()));
        saved += 1;
    }
    println!("{saved} saved, {lost} of them with losses, {hopeless} hopeless");
    assert!(
        saved > 5 * hopeless && lost > 0,
        "{saved} saved, {lost} of them with losses, {hopeless} hopeless"
    );
}

/// Whether the saved file holds all; if not, what it holds must be right, and the loss told.
fn holds_on_disk(path: &Path, model: &Model, is_whole: bool) -> bool {
    let store = Store::open(path, Check::Pages).unwrap();
    let (found, loaded) = model.load(&store);
    assert_eq!(loaded.damage, []);
    assert!(is_part(&found, model));
    let holds = holds(&found, model);
    assert!(holds || !is_whole, "something is missing and nothing is told");
    holds
}

#[test]
fn a_record_in_anothers_place_is_not_taken_for_it() {
    let (image, model, _) = image(true);
    assert_holds(&open(&Disk::of(image.clone(), 8)), &model);
    // The same bytes in a file with another room's name must not pass: the name is under the checksum.
    let from = b"chat:12";
    let places: Vec<usize> =
        (0..image.len() - from.len()).filter(|at| image[*at..].starts_with(from)).collect();
    let mut changed = image;
    places.iter().for_each(|at| changed[at + 6] = b'3');
    let store = Store::open_with(Disk::of(changed, 8), Check::Nothing).unwrap();
    let (found, loaded) = model.load(&store);
    assert!(!found.rooms.contains_key("chat:13") && !loaded.damage.is_empty());
    assert!(found.rooms.len() + 2 > model.rooms.len() && is_part(&found, &model));
}
