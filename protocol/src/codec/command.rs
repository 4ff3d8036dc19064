//! From the members of a command to a checked [`Command`].

use crate::codec::check::{self, Fault};
use crate::codec::fields::Fields;
use crate::codec::publish::{body, publish};
use crate::codec::suggest;
use crate::limits::{EPOCH_BYTES_MAX, TOKEN_BYTES_MAX};
use crate::wire::{Ack, Call, Command, History, Join};

/// Checks a command.
///
/// # Errors
/// The first rule that a member breaks.
pub(crate) fn command(fields: &Fields<'_>) -> Result<Command, Fault> {
    Ok(match check::name("type", &fields.kind)? {
        "publish" => Command::Publish(Box::new(publish(fields)?)),
        "heartbeat" => Command::Heartbeat { data: body(fields) },
        "heartbeat_pong" => {
            let number = check::number("sequence_number", &fields.sequence_number, (0, u64::MAX))?;
            Command::HeartbeatPong {
                sequence_number: number.ok_or_else(|| Fault::missing("sequence_number"))?,
            }
        }
        "ack" => {
            let room = check::room_or_inbox(&fields.room)?;
            let offset = check::number("offset", &fields.offset, (0, u64::MAX))?;
            let epoch = check::text("epoch", &fields.epoch, EPOCH_BYTES_MAX)?.map(Into::into);
            Command::Ack(Ack { room, offset: offset.ok_or_else(|| Fault::missing("offset"))?, epoch })
        }
        "join" => Command::Join(Join {
            room: check::room(&fields.room)?,
            recover: check::position("recover", &fields.recover)?,
            last: check::count("last", &fields.last)?,
        }),
        "leave" => Command::Leave { room: check::room(&fields.room)? },
        "history" => Command::History(History {
            room: check::room_or_inbox(&fields.room)?,
            since: check::position("since", &fields.since)?,
            limit: check::count("limit", &fields.limit)?,
            reverse: check::flag("reverse", &fields.reverse)?,
        }),
        "presence" => Command::Presence { room: check::room(&fields.room)? },
        "auth" => Command::Auth { token: token(fields)? },
        "refresh" => Command::Refresh { token: token(fields)? },
        name if name.contains('.') => Command::Call(Box::new(call(name, fields)?)),
        unknown => return Err(Fault::new("type", suggest::unknown_command(unknown))),
    })
}

/// Longest name of a service's command, in bytes.
const CALL_NAME_BYTES_MAX: usize = 64;

fn call(name: &str, fields: &Fields<'_>) -> Result<Call, Fault> {
    if name.len() > CALL_NAME_BYTES_MAX {
        let message = format!("`type` has {CALL_NAME_BYTES_MAX} bytes at most");
        return Err(Fault::new("type", message));
    }
    let room = fields.room.is_given().then(|| check::room(&fields.room)).transpose()?;
    Ok(Call { name: name.into(), room, body: body(fields) })
}

fn token(fields: &Fields<'_>) -> Result<Box<str>, Fault> {
    let token = check::text("token", &fields.token, TOKEN_BYTES_MAX)?;
    Ok(token.ok_or_else(|| Fault::missing("token"))?.into())
}
