//! Who takes part in a play.

use fanfare_protocol::Encoding;

use crate::options::ROLES;
use crate::{Person, Random, Who};

/// So many people. In some plays two of them are one user, and in some they read in every form there is. Where `each` device
/// acknowledges for itself, everybody has one.
pub(crate) fn company(random: &mut Random, people: usize, each: bool) -> Vec<Person> {
    let shares = people > 1 && random.chance(25);
    let mixed = random.chance(30);
    (0..people)
        .map(|number| {
            // The second one goes by the first one's name.
            let is_shared = shares && number < 2;
            let of = if is_shared { 0 } else { number };
            let mut who = Who::new(&format!("user-{of}"), ROLES[of % 2]);
            who.shares = is_shared;
            who.reads_alone = each;
            who.device = each.then(|| format!("device-{number}"));
            if mixed {
                who.encoding = [Encoding::Json, Encoding::MessagePack][random.below(2)];
                who.window_bits = [None, None, Some(9), Some(15)][random.below(4)];
            }
            Person::new(who)
        })
        .collect()
}
