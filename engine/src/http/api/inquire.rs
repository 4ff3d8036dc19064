//! Asking a backend about the items of a publish over HTTP, before they are done.

use std::time::Duration;

use fanfare_core::{About, Answer, Inquirer, Inquiry, Verdict};
use fanfare_protocol::{Publish, Refusal, Target};

use crate::http::api::access::Caller;
use crate::http::api::wait;
use crate::http::head::Head;
use crate::process::Process;
use crate::shard::Handle;

/// What the threads that ask may be late by: they keep the time themselves.
const LATE: Duration = Duration::from_secs(1);

/// In the audit.
const DENIED: &str = "the backend that is asked does not allow it, or could not be asked";

/// Asks about every item that somebody is to be asked about, all at once, and applies the answers.
pub(super) async fn inquire(
    handle: &Handle,
    process: &Process,
    head: &Head,
    caller: &Caller,
    mut items: Vec<Result<Publish, Refusal>>,
) -> Vec<Result<Publish, Refusal>> {
    let (Some(hooks), Some(asker)) = (&process.options.hooks, &process.hooks) else { return items };
    let is_asked = |item: &Result<Publish, Refusal>| item.as_ref().is_ok_and(|of| hooks.asks_publish(of));
    let asked: Vec<usize> = (0..items.len()).filter(|index| is_asked(&items[*index])).collect();
    if asked.is_empty() {
        return items;
    }
    let request = {
        let mut state = handle.borrow_mut();
        let request = state.request(asked.len());
        for index in &asked {
            let inquirer = Inquirer::Http(request, *index as u32);
            let Ok(publish) = &items[*index] else { continue };
            if asker.ask(state.shard, inquiry(inquirer, caller, publish)).is_err() {
                state.effects.answers.push((request, Answer::Verdict(*index as u32, Verdict::Unanswered)));
            }
        }
        state.port.rouse();
        request
    };
    let answers = wait::answers_within(asker.timeout + LATE, handle, request).await.unwrap_or_default();
    let mut verdicts = vec![Verdict::Unanswered; asked.len()];
    for answer in answers {
        let Answer::Verdict(index, verdict) = answer else { continue };
        if let Ok(at) = asked.binary_search(&(index as usize)) {
            verdicts[at] = verdict;
        }
    }
    let mut denied = Vec::new();
    for (index, verdict) in asked.into_iter().zip(verdicts) {
        let item = &mut items[index];
        let Ok(publish) = item else { continue };
        match hooks.decide(verdict) {
            Ok(changes) => changes.rewrite(publish),
            Err((code, message)) => {
                denied.push(room(publish));
                *item = Err(Refusal::new(code, message));
            }
        }
    }
    if let [first, ..] = &denied[..] {
        process.audit.publishes_denied(head, caller.name(), DENIED, first.as_deref(), denied.len());
    }
    items
}

fn room(publish: &Publish) -> Option<String> {
    if let Target::Room(room) = &publish.target { Some(room.to_string()) } else { None }
}

fn inquiry(inquirer: Inquirer, caller: &Caller, publish: &Publish) -> Inquiry {
    let (user_id, role) = match caller {
        Caller::User(identity) => (identity.user_id.to_string(), identity.role.to_string()),
        Caller::Key(_) => (publish.user_id.as_deref().unwrap_or_default().to_owned(), String::new()),
    };
    let about = About::Publish(Box::new(publish.clone()));
    Inquiry { inquirer, client_id: String::new(), user_id, role, about }
}
