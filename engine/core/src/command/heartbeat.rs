//! `heartbeat`: the client shows that it is alive and learns the server's time.

use fanfare_protocol::wire::CommandId;
use fanfare_protocol::{Body, Reply};

use crate::id::ConnectionId;
use crate::local::Local;
use crate::time::Now;

pub(crate) fn heartbeat(
    local: &mut Local,
    now: Now,
    id: ConnectionId,
    command: Option<&CommandId>,
    data: Option<&Body>,
) {
    local.reply(id, command, &Reply::HeartbeatAck { server_time_unix_ms: now.unix_ms, data });
}
