//! Writing one object of one encoding, member by member.

use crate::wire::Body;

/// An object that is being written; its first member is `type`.
pub(crate) trait Object {
    /// A member that is text.
    fn text(&mut self, name: &'static str, text: &str);
    /// A member that is a number.
    fn unsigned(&mut self, name: &'static str, number: u64);
    /// A member that is a number below zero too.
    fn signed(&mut self, name: &'static str, number: i64);
    /// A member that is true or false.
    fn flag(&mut self, name: &'static str, flag: bool);
    /// A member that is a published value, in this encoding or the other.
    fn body(&mut self, name: &'static str, body: &Body);
    /// A member that is a list of objects already written in this encoding.
    fn objects(&mut self, name: &'static str, objects: &[&[u8]]);
    /// A member that is an object of at most one text.
    fn object(&mut self, name: &'static str, member: Option<(&'static str, &str)>);
    /// A member that is an object of one number.
    fn counts(&mut self, name: &'static str, member: &'static str, number: u64);
    /// A member that is a number of milliseconds with a fraction, from microseconds.
    fn milliseconds(&mut self, name: &'static str, us: u64);
    /// A member that is a time, as RFC 3339 text.
    fn time(&mut self, name: &'static str, unix_ms: u64);
    /// Ends the object.
    fn end(self);
}
