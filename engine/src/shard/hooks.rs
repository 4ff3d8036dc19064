//! A shard's questions to the backend that is asked before something is done.

use fanfare_core::{Input, Mesh, Now, Verdict};

use crate::shard::state::State;

impl State {
    /// Hands over what is to be asked. What cannot be asked is decided without, as if nobody had answered.
    pub(super) fn ask_hooks(&mut self, now: Now) {
        let inquiries = std::mem::take(&mut self.effects.inquiries);
        let Some(hooks) = &self.process.hooks else { return };
        for inquirer in inquiries.into_iter().filter_map(|inquiry| hooks.ask(self.shard, inquiry).err()) {
            let unanswered = Mesh::Verdict(inquirer, Verdict::Unanswered);
            self.core.handle(now, Input::Mesh(unanswered), &mut self.effects);
        }
    }
}
