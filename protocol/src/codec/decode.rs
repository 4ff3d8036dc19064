//! From one message to its commands: one object, or an array of them.
//!
//! A message that is malformed anywhere does nothing at all, so an array's outcomes wait until its end was
//! seen.

use crate::codec::check::{self, Fault};
use crate::codec::command::command;
use crate::codec::fields::Fields;
use crate::codec::source::{Shape, Source};
use crate::limits::COMMANDS_MAX;
use crate::malformed::Malformed;
use crate::wire::{CommandId, Refusal, Request};

/// Where outcomes go.
pub(crate) type Sink<'s, T> = &'s mut dyn FnMut(Result<T, Refusal>);

/// Reads a message of commands.
pub(crate) fn requests<'a, S: Source<'a>>(source: S, sink: Sink<'_, Request>) {
    let accept = |id: Option<&CommandId>, fields: &Fields<'a>| {
        Ok(Request { command: command(fields)?, id: id.cloned() })
    };
    message(source, accept, sink);
}

/// Reads a message; `accept` turns the members of each object into a `T`.
pub(crate) fn message<'a, S: Source<'a>, T>(
    mut source: S,
    accept: impl Fn(Option<&CommandId>, &Fields<'a>) -> Result<T, Fault>,
    sink: Sink<'_, T>,
) {
    let shape = match source.shape() {
        Ok(shape) => shape,
        Err(malformed) => return sink(Err(refuse(None, None, malformed))),
    };
    match shape {
        Shape::Object => {
            let mut fields = Fields::default();
            let read =
                fields.read(&mut source).and_then(|()| source.end().map_err(|malformed| (None, malformed)));
            sink(match read {
                Ok(()) => finish(&fields, &accept),
                Err((field, malformed)) => {
                    // The id helps the client even if what follows it is broken.
                    let id = check::command_id(&fields.id).unwrap_or(None);
                    Err(refuse(id, field, malformed))
                }
            });
        }
        Shape::Array => match array(&mut source, &accept) {
            Ok(outcomes) => outcomes.into_iter().for_each(sink),
            Err((field, malformed)) => sink(Err(refuse(None, field, malformed))),
        },
        Shape::Scalar => {
            // Whether it is any value at all makes the better answer.
            let malformed = source.raw().and_then(|_| source.end()).err();
            let rule = "a message must be an object or an array of objects";
            sink(Err(refuse(None, None, malformed.unwrap_or(Malformed::new(0, rule)))));
        }
    }
}

type Outcomes<T> = Vec<Result<T, Refusal>>;

fn array<'a, S: Source<'a>, T>(
    source: &mut S,
    accept: &impl Fn(Option<&CommandId>, &Fields<'a>) -> Result<T, Fault>,
) -> Result<Outcomes<T>, (Option<&'static str>, Malformed)> {
    let unnamed = |malformed| (None, malformed);
    let mut outcomes = Vec::new();
    let mut inside = source.open().map_err(unnamed)?;
    while source.next(&mut inside).map_err(unnamed)? {
        if outcomes.len() >= COMMANDS_MAX {
            if outcomes.len() == COMMANDS_MAX {
                let message =
                    format!("one message may hold at most {COMMANDS_MAX} objects; the rest was not done");
                outcomes.push(Err(Refusal::invalid(None, None, message)));
            }
            source.raw().map_err(unnamed)?;
            continue;
        }
        if source.shape().map_err(unnamed)? == Shape::Object {
            let mut fields = Fields::default();
            fields.read(source)?;
            outcomes.push(finish(&fields, accept));
        } else {
            source.raw().map_err(unnamed)?;
            let message = "every element of the array must be an object";
            outcomes.push(Err(Refusal::invalid(None, None, message)));
        }
    }
    source.end().map_err(unnamed)?;
    Ok(outcomes)
}

fn finish<'a, T>(
    fields: &Fields<'a>,
    accept: &impl Fn(Option<&CommandId>, &Fields<'a>) -> Result<T, Fault>,
) -> Result<T, Refusal> {
    let id = check::command_id(&fields.id).map_err(|fault| fault.refusal(None))?;
    if let Some(field) = fields.twice {
        return Err(Fault::new(field, format!("`{field}` is given twice")).refusal(id));
    }
    accept(id.as_ref(), fields).map_err(|fault| fault.refusal(id))
}

pub(crate) fn refuse(id: Option<CommandId>, field: Option<&'static str>, malformed: Malformed) -> Refusal {
    let message = match field {
        Some(field) => format!("`{field}`: {malformed}"),
        None => format!("the message is malformed: {malformed}"),
    };
    Refusal::invalid(id, field, message)
}
