//! Walking through bytes of one encoding, without building a tree.

use std::borrow::Cow;

use crate::Encoding;
use crate::malformed::Malformed;

/// What a value is, as far as it decides how to read it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    Object,
    Array,
    Scalar,
}

/// One member's value, as far as commands need it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) enum Value<'a> {
    /// The member is not there.
    #[default]
    Absent,
    /// Written, but empty: counts as not given.
    Null,
    Bool(bool),
    /// A whole number that is not negative.
    Unsigned(u64),
    /// A whole number below zero.
    Negative(i64),
    Text(Cow<'a, str>),
    /// Well-formed, but nothing that any command takes here.
    Other,
}

impl<'a> Value<'a> {
    pub(crate) const fn is_given(&self) -> bool {
        !matches!(self, Self::Absent | Self::Null)
    }

    /// A float counts as the whole number it stands for, as far as floats are exact: some encoders of
    /// MessagePack write every large number so, and some of JSON write `7.0`.
    pub(crate) fn from_float(number: f64) -> Self {
        if number.fract() != 0.0 || number.abs() > crate::limits::FLOAT_WHOLE_MAX {
            return Value::Other;
        }
        // Exact: both are whole and within 2^53.
        if number < 0.0 { Value::Negative(number as i64) } else { Value::Unsigned(number as u64) }
    }
}

/// A place in bytes of one encoding that moves forward value by value.
pub(crate) trait Source<'a> {
    /// How far the walk through one object or array has come.
    type Inside;
    /// The encoding.
    const ENCODING: Encoding;

    /// What the next value is; does not consume it.
    fn shape(&mut self) -> Result<Shape, Malformed>;
    /// Steps into an object or array, which [`Source::shape`] found here.
    fn open(&mut self) -> Result<Self::Inside, Malformed>;
    /// Steps to the next member or element; false (and past the end) when there is none.
    fn next(&mut self, inside: &mut Self::Inside) -> Result<bool, Malformed>;
    /// Reads a member's name.
    fn key(&mut self) -> Result<Cow<'a, str>, Malformed>;
    /// Reads any value; what is not a scalar is skipped and [`Value::Other`].
    fn scalar(&mut self) -> Result<Value<'a>, Malformed>;
    /// Checks any value and gives exactly its bytes.
    fn raw(&mut self) -> Result<&'a [u8], Malformed>;
    /// Checks that nothing follows.
    fn end(&mut self) -> Result<(), Malformed>;
}
