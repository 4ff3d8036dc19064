//! How many connections a ban of addresses or the revocation of a key ends. Those of a user or a client its own room knows; these are on
//! any shard.

use fanfare_core::service::{Args, Spec};
use fanfare_core::{Close, Ending, Who};
use fanfare_protocol::Code;

use crate::http::api::query::end;
use crate::process::Process;
use crate::shard::Handle;

/// Nothing where the command is another one, or a shard did not answer in time.
pub(in crate::http::api) async fn reached(
    handle: &Handle,
    process: &Process,
    spec: &Spec,
    args: &Args,
) -> Option<u32> {
    let who = match spec.name {
        "access.ban_network" => Who::Network(args.text("network")?.parse().ok()?),
        "access.revoke_key" => Who::Keys(process.live().verifier.numbers(args.text("key_id")?).into()),
        _ => return None,
    };
    let close = Close::code(Code::DisconnectedByAdmin, "");
    end(handle, process, Ending { who, close, count_only: true }).await
}
