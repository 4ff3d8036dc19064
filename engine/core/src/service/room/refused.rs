//! Why a room does not do what it was asked for.

use fanfare_protocol::{Code, Refusal};

/// What a private room says to who may not be in it, and also one that is not there.
pub(crate) fn uninvited() -> Refusal {
    forbidden("this `room` is for its creator and who was invited")
}

/// The same to who says something in it.
pub(crate) fn unheard() -> Refusal {
    forbidden("this `room` takes no messages of this user")
}

pub(super) fn forbidden(message: &str) -> Refusal {
    Refusal::new(Code::Forbidden, message).at("room")
}

pub(super) fn conflict(message: &str) -> Refusal {
    Refusal::new(Code::Conflict, message).at("room")
}

pub(super) fn not_found() -> Refusal {
    Refusal::new(Code::RoomNotFound, "there is no such `room`").at("room")
}

pub(super) fn not_created() -> Refusal {
    Refusal::new(Code::RoomNotFound, "`room` was not created by anybody").at("room")
}
