//! Other systems' wires as tables: a profile maps paths, parameters, greetings, message names, close codes and HTTP endpoints of an
//! application onto the engine, so that its clients connect as they are.
//!
//! | module | what it is |
//! | --- | --- |
//! | `table`, `setting`, `tables` | the table as it is written, what may be set about it, and the same compiled |
//! | `expression`, `named`, `template` | values that follow from what is said |
//! | `endpoint`, `path`, `pattern` | where clients connect, and who may |
//! | `hearing`, `field`, `doing`, `tag` | what they say, in the engine's commands |
//! | `speech`, `packing` | what they are sent |
//! | `http` | endpoints over HTTP, in terms of the engine's own |
//! | `profile`, `profiles`, `built_in` | one, all of a server, and those that come with it |
//!
//! The language is described in docs/profiles/README.md. There is no I/O and no clock here.
#![forbid(unsafe_code)]

mod built_in;
mod doing;
mod endpoint;
mod expression;
mod field;
mod fields_of;
mod hearing;
mod http;
mod lasting;
mod named;
mod packing;
mod path;
mod pattern;
mod problem;
mod profile;
mod profiles;
mod setting;
mod speech;
mod table;
mod tables;
mod tag;
mod template;

pub use built_in::BUILT_IN;
pub use endpoint::{Admission, Denial, Endpoint, Place};
pub use hearing::Understood;
pub use http::{Call, Route, Visit, Work};
pub use problem::Problem;
pub use profile::Profile;
pub use profiles::Profiles;
pub use setting::Setting;
pub use table::{Cors, Health, TokenPlaces};
