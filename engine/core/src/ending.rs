//! Connections that are ended because somebody says so: an operator, a ban, a key that is trusted no longer.

use std::sync::Arc;

use crate::close::Close;
use crate::id::{RequestId, ShardId};
use crate::network::Network;

/// Which connections are ended, and how.
#[derive(Clone, Debug, PartialEq)]
pub struct Ending {
    /// Whose.
    pub who: Who,
    /// What they are told.
    pub close: Close,
    /// They are counted, and not ended.
    pub count_only: bool,
}

/// Whose connections.
#[derive(Clone, Debug, PartialEq)]
pub enum Who {
    /// Everybody's.
    All,
    /// Those of a user.
    User(Box<str>),
    /// Those with a client id.
    Client(Box<str>),
    /// Those whose token was signed with one of these keys, by their numbers.
    Keys(Arc<[u16]>),
    /// Those from these addresses. Only the shell knows addresses: it is asked by [`Search`].
    Network(Network),
}

/// The shell is to find the connections from some addresses, and to answer with [`crate::Input::Found`].
#[derive(Clone, Debug)]
pub struct Search {
    /// Which addresses.
    pub network: Network,
    /// What is to be done.
    pub ending: Arc<Ending>,
    /// Who wants to know how many there were.
    pub asker: Option<(ShardId, RequestId)>,
}
