//! From a play that fails to a shorter one that fails as well.

use crate::{Deed, Script};

/// Makes a failing script as short as it easily gets: fewer kinds of deeds, fewer steps. `fails` plays one.
pub fn shrink(script: &Script, mut fails: impl FnMut(&Script) -> bool) -> Script {
    let mut best = script.clone();
    for (deed, _, _) in Deed::ALL {
        let mut without = best.clone();
        without.without.push(deed);
        if !best.without.contains(&deed) && fails(&without) {
            best = without;
        }
    }
    // A play is the same up to any step, but the check at its end may fail earlier or later: so halve what is left.
    let mut cut = best.steps / 2;
    while cut > 0 {
        let shorter = Script { steps: best.steps - cut, ..best.clone() };
        if fails(&shorter) {
            best = shorter;
            cut = cut.min(best.steps / 2);
        } else {
            cut /= 2;
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_needed_stays() {
        let script = Script { seed: 1, steps: 5_000, people: None, without: vec![Deed::Restart] };
        let needs = |script: &Script| script.steps >= 137 && !script.without.contains(&Deed::Lose);
        let short = shrink(&script, needs);
        assert_eq!(short.steps, 137);
        assert_eq!(short.without.len(), Deed::ALL.len() - 1);
    }
}
