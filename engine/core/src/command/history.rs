//! `history`: kept messages of a room.

use fanfare_protocol::wire::{CommandId, History};
use fanfare_protocol::{Code, Command, Refusal, Request};

use crate::effect::Effects;
use crate::fact::FactKind;
use crate::hook::About;
use crate::id::{Address, ConnectionId};
use crate::local::Local;
use crate::mesh::{Asker, Lookup, Mesh, ToHome};
use crate::time::Now;

/// Who may read a room's history may over HTTP as well; of the engine's rooms everybody reads its own. Where a backend is asked about joins,
/// it is asked about readers who are not in.
pub(crate) fn history(
    local: &mut Local,
    now: Now,
    id: ConnectionId,
    command: Option<CommandId>,
    history: History,
    asked: bool,
    out: &mut Effects,
) {
    let connection = local.connections.get(id).expect("invariant: the caller holds it");
    let bearer = connection.bearer(local.roles.name(connection.role));
    let may = !history.room.is_engine_room() && local.options.may_read(bearer, &history.room);
    if history.room != connection.user && !may {
        let message = "the token does not allow to read this `room`";
        let refusal = Refusal::new(Code::Forbidden, message).at("room").of(command);
        local.deny(id, FactKind::HistoryDenied, history.room, &refusal, out);
        return;
    }
    if !asked && local.asks_outsider(id, &history.room) {
        let about = About::Join(history.room.clone());
        let request = Request { id: command, command: Command::History(history) };
        local.inquire_command(now, id, about, request, out);
        return;
    }
    if local.options.watch.history {
        local.note(id, FactKind::HistoryRead, history.room.clone(), out);
    }
    let encoding = connection.class.encoding();
    let role = Some(local.roles.name(connection.role).into());
    let caller = Some(Box::new(local.caller(id)));
    let asker = Asker::Connection(Address { shard: local.shard, connection: id }, encoding, command);
    let to = local.home_of(&history.room);
    out.send(to, Mesh::Home(ToHome::History(Box::new(Lookup { history, role, caller, asker }))));
}
