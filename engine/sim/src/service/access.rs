//! Bans and revocations: what was confirmed stays, what is over is forgotten, and connections that are ended for it come back.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::service::{Part, Stage};

/// Client ids that nobody has, so that nobody is missing at the end.
const LASTING: [&str; 2] = ["lost-1", "lost-2"];
/// One that is banned for a few seconds only.
const BRIEF: &str = "brief";

/// Whether each may be banned, as far as can be told.
#[derive(Debug, Default)]
pub(crate) struct Bans {
    clients: BTreeMap<String, Known>,
}

#[derive(Debug, Default)]
struct Known {
    may_be: BTreeSet<bool>,
    /// Commands that were not answered: they may be done at any time, or never.
    asked: u32,
}

impl Known {
    fn not_yet() -> Self {
        Self { may_be: [false].into(), asked: 0 }
    }
}

impl Part for Bans {
    fn act(&mut self, stage: &mut Stage, who: usize) {
        let user = ["ada", "ben"][stage.world.random.below(2)];
        let command = match stage.world.random.below(8) {
            0 => json!({"type": "access.revoke_user", "data": {"user_id": user}}),
            1 => json!({"type": "access.restore_user", "data": {"user_id": user}}),
            2 => json!({"type": "access.ban_client", "data": {"client_id": BRIEF, "seconds": 5}}),
            number => {
                let client_id = LASTING[stage.world.random.below(2)];
                let (word, banned) = if number < 6 { ("ban", true) } else { ("unban", false) };
                if who == 0 {
                    let known = self.clients.entry(client_id.to_owned()).or_insert_with(Known::not_yet);
                    known.may_be.insert(banned);
                    known.asked += 1;
                }
                json!({"type": format!("access.{word}_client"), "data": {"client_id": client_id}})
            }
        };
        stage.ask(who, command);
    }

    fn hear(&mut self, _stage: &mut Stage, who: usize, message: &Value, asked: Option<&Value>) {
        let Some(asked) = asked else { return };
        assert_eq!(who != 0, message["code"] == 4_013, "only an operator may: {message}");
        let client_id = asked["data"]["client_id"].as_str().filter(|id| LASTING.contains(id) && who == 0);
        let Some(known) = client_id.and_then(|id| self.clients.get_mut(id)) else { return };
        known.asked -= 1;
        if message["type"] == "ok" && known.asked == 0 {
            known.may_be = [asked["type"] == "access.ban_client"].into();
        }
    }

    fn restarted(&mut self, stage: &mut Stage) {
        if !stage.stores() {
            self.clients.clear();
        }
        self.clients.values_mut().for_each(|known| known.asked = 0);
    }

    fn rest(&mut self, stage: &mut Stage) {
        stage.pass(self, 10_000);
        let mut unban = |client_id: &str| {
            let answer =
                stage.answer(0, json!({"type": "access.unban_client", "data": {"client_id": client_id}}));
            answer["data"]["removed"].as_bool().unwrap_or_else(|| panic!("{answer}"))
        };
        assert!(!unban(BRIEF), "its time is over");
        for client_id in LASTING {
            let is_banned = unban(client_id);
            let known = self.clients.remove(client_id).unwrap_or_else(Known::not_yet);
            assert!(
                known.may_be.contains(&is_banned),
                "{client_id}: banned is {is_banned}, and not one of {known:?}"
            );
        }
    }
}
