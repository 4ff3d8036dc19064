//! What the two encodings have in common: everything but the bytes.
//!
//! Reading: a [`source::Source`] walks one encoding; [`decode`] takes messages apart into commands,
//! [`fields`] gathers a command's members, [`command`] and [`publish`] check them with [`check`].
//! Writing: an [`object::Object`] writes one encoding; `reply` and `message` say which members, in which order.
//! So both encodings accept, refuse and answer the same.

pub(crate) mod check;
pub(crate) mod command;
pub(crate) mod decode;
pub(crate) mod fields;
pub(crate) mod object;
pub(crate) mod publish;
pub(crate) mod reply;
pub(crate) mod source;
pub(crate) mod suggest;
