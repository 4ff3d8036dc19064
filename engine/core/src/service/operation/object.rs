//! Metadata and results: objects of the application's own, bounded, that grow by merging.

use fanfare_protocol::{Code, Refusal};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::service::Args;

/// See the module's own text.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Object {
    members: Map<String, Value>,
    bytes: usize,
}

impl Object {
    /// This with what a command gives under `field`: members of the same name are replaced, null takes one away. Nothing
    /// where the command gives nothing.
    ///
    /// # Errors
    /// It would be more than `max` bytes as JSON.
    pub(super) fn merged(
        &self,
        args: &Args,
        field: &'static str,
        max: usize,
    ) -> Result<Option<Self>, Refusal> {
        let Some(Value::Object(given)) = args.value(field) else { return Ok(None) };
        let mut members = self.members.clone();
        for (name, value) in given {
            match value {
                Value::Null => drop(members.remove(name)),
                value => drop(members.insert(name.clone(), value.clone())),
            }
        }
        let bytes = serde_json::to_vec(&members).map_or(usize::MAX, |json| json.len());
        if bytes > max {
            let message = format!("`{field}` would be {bytes} bytes with what is there; it may be {max}");
            return Err(Refusal::new(Code::RateLimitExceeded, message).at(field));
        }
        Ok(Some(Self { members, bytes }))
    }

    /// Whether a command gives under `field` something else for a member that is there.
    pub(super) fn contradicts(&self, args: &Args, field: &str) -> bool {
        let given = args.value(field).and_then(Value::as_object).into_iter().flatten();
        given.into_iter().any(|(name, value)| self.members.get(name).is_some_and(|there| there != value))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Bytes as JSON.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn value(&self) -> Value {
        Value::Object(self.members.clone())
    }
}
