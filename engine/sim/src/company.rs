//! Who takes part in a play.

use fanfare_core::Window;
use fanfare_protocol::Encoding;

use crate::options::ROLES;
use crate::{Person, Random, Who};

/// So many people. In some plays two of them are one user, in some they read in every form there is, and in some all
/// could follow a shared context. Where `each` device
/// acknowledges for itself, everybody has one.
pub(crate) fn company(random: &mut Random, people: usize, each: bool) -> Vec<Person> {
    let shares = people > 1 && random.chance(25);
    let mixed = random.chance(30);
    let follows = random.chance(50);
    let window = |bits, takeover| Some(Window { bits, takeover });
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
                who.window = [None, window(9, true), window(15, false), window(15, true)][random.below(4)];
            } else if follows {
                who.window = window(15, true);
            }
            Person::new(who)
        })
        .collect()
}
