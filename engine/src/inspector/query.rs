//! What somebody wants to see: filters, and from where on.

use fanfare_core::RoomPattern;
use fanfare_protocol::name::EVENT_NAME_BYTES_MAX;
use fanfare_protocol::name::check_id;

use super::record::{Kind, Record};

/// Records of an answer when the query names no limit, and at most.
const LIMIT: usize = 100;
const LIMIT_MAX: usize = 1_000;
/// Longest name of a parameter that an error repeats.
const NAME_BYTES_MAX: usize = 64;

/// Which records: those that fit everything that is given.
#[derive(Clone, Debug, Default)]
pub(crate) struct Filter {
    pub(crate) room: Option<RoomPattern>,
    pub(crate) what: Option<Box<str>>,
    pub(crate) user_id: Option<Box<str>>,
    pub(crate) client_id: Option<Box<str>>,
    pub(crate) code: Option<u16>,
}

impl Filter {
    pub(crate) fn fits(&self, record: &Record) -> bool {
        let same = |wanted: &Option<Box<str>>, found: Option<&str>| {
            wanted.as_deref().is_none_or(|wanted| found == Some(wanted))
        };
        let room = record.room.as_deref();
        self.room.as_ref().is_none_or(|pattern| room.is_some_and(|room| pattern.matches(room)))
            && same(&self.what, Some(&record.what))
            && same(&self.user_id, record.user_id.as_deref())
            && same(&self.client_id, record.client_id.as_deref())
            && self.code.is_none_or(|code| record.code == Some(code))
    }
}

/// Which endpoint is asked, and so which parameters there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// Held records of one kind.
    Page(Kind),
    /// A live tail. It may bring its token in the query as well.
    Tail,
    /// Counts of rooms.
    Rooms,
    /// Something without parameters.
    Nothing,
}

impl Asked {
    const fn parameters(self) -> &'static [&'static str] {
        match self {
            Self::Page(Kind::Message) => &["room", "type", "user", "since", "limit"],
            Self::Page(_) => &["room", "type", "user", "client", "code", "since", "limit"],
            Self::Tail => &["kind", "room", "type", "user", "client", "code", "token"],
            Self::Rooms => &["limit"],
            Self::Nothing => &[],
        }
    }
}

/// A query that was understood.
#[derive(Clone, Debug)]
pub(crate) struct Query {
    pub(crate) filter: Filter,
    /// For a tail: kinds that are wanted.
    pub(crate) kinds: Vec<Kind>,
    /// Only records after this number.
    pub(crate) since: Option<u64>,
    pub(crate) limit: usize,
}

/// What is wrong with a query; never repeats a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wrong {
    pub(crate) field: String,
    pub(crate) message: String,
}

impl Query {
    /// Reads a query string.
    ///
    /// # Errors
    /// The first parameter that is unknown here, given twice, or whose value breaks its rule.
    pub(crate) fn read(query: &str, asked: Asked) -> Result<Self, Wrong> {
        let mut read = Self { filter: Filter::default(), kinds: Kind::ALL.into(), since: None, limit: LIMIT };
        let mut seen: Vec<&str> = Vec::new();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let Some(known) = asked.parameters().iter().find(|known| **known == name) else {
                let name = name[..name.floor_char_boundary(NAME_BYTES_MAX)].to_owned();
                let message = match asked.parameters() {
                    [] => format!("`{name}` is unknown: this takes no parameters"),
                    known => format!("`{name}` is unknown: this takes {}", known.join(", ")),
                };
                return Err(Wrong { field: name, message });
            };
            let wrong = |message: String| Wrong { field: (*known).to_owned(), message };
            if seen.contains(known) {
                return Err(wrong(format!("`{known}` is given twice")));
            }
            seen.push(known);
            read.set(known, &crate::percent::decode(value)).map_err(wrong)?;
        }
        Ok(read)
    }

    fn set(&mut self, name: &str, value: &str) -> Result<(), String> {
        let Self { filter, kinds, since, limit } = self;
        let id = |of: &str| {
            check_id(of, value).map_err(|error| error.to_string())?;
            Ok::<_, String>(Some(value.into()))
        };
        match name {
            "room" => {
                let pattern = RoomPattern::new(value).filter(|_| check_id("room", value).is_ok());
                filter.room = Some(
                    pattern.ok_or("`room` must be a room or a pattern like chat:*, 1 to 128 characters")?,
                );
            }
            "type" if value.is_empty() || value.chars().count() > EVENT_NAME_BYTES_MAX => {
                return Err(format!("`type` must be 1 to {EVENT_NAME_BYTES_MAX} characters long"));
            }
            "type" => filter.what = Some(value.into()),
            "user" => filter.user_id = id("user")?,
            "client" => filter.client_id = id("client")?,
            "code" => match value.parse() {
                Ok(code @ 1_000..=4_999) => filter.code = Some(code),
                _ => return Err("`code` must be 1000 to 4999".to_owned()),
            },
            "since" => {
                let seq = value.parse();
                *since =
                    Some(seq.map_err(|_| "`since` must be a record's number: a whole number from 0 on")?);
            }
            "limit" => match value.parse() {
                Ok(count @ 1..=LIMIT_MAX) => *limit = count,
                _ => return Err(format!("`limit` must be 1 to {LIMIT_MAX}")),
            },
            "kind" => {
                let named: Option<Vec<Kind>> = value.split(',').map(Kind::of_plural).collect();
                let named =
                    named.ok_or("`kind` must be some of messages, events, errors, with commas between")?;
                kinds.retain(|kind| named.contains(kind));
            }
            // The token is for who checks it.
            _ => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(query: &str) -> Result<Query, Wrong> {
        Query::read(query, Asked::Page(Kind::Event))
    }

    #[test]
    fn what_is_wrong_is_named_and_never_repeated() {
        for (query, field) in [
            ("room=", "room"),
            ("room=a%00b", "room"),
            ("room=a&room=b", "room"),
            ("type=", "type"),
            ("user=", "user"),
            ("client=MARKER%22", "client"),
            ("code=99", "code"),
            ("code=MARKER", "code"),
            ("since=-1", "since"),
            ("limit=0", "limit"),
            ("limit=1001", "limit"),
            ("rom=MARKER", "rom"),
            ("kind=messages", "kind"),
            ("token=MARKER", "token"),
        ] {
            let wrong = page(query).unwrap_err();
            assert_eq!(wrong.field, field, "{query}");
            assert!(wrong.message.contains(&format!("`{field}`")), "{wrong:?}");
            assert!(!wrong.message.contains("MARKER"), "{wrong:?}");
        }
        assert_eq!(page(&"ü".repeat(100)).unwrap_err().field, "ü".repeat(32));
        assert!(Query::read("client=c", Asked::Page(Kind::Message)).is_err(), "messages have no client");
        assert!(Query::read("room=a", Asked::Rooms).is_err());
        assert!(Query::read("limit=5", Asked::Nothing).unwrap_err().message.contains("no parameters"));
        assert!(Query::read("kind=messages,colours", Asked::Tail).is_err());
        assert!(Query::read("since=5", Asked::Tail).is_err());
    }

    #[test]
    fn what_is_right_is_taken() {
        let query = page("room=chat%3A*&type=join&user=a%40b&client=c&code=4013&since=7&limit=5").unwrap();
        assert_eq!((query.since, query.limit, query.filter.code), (Some(7), 5, Some(4_013)));
        assert_eq!(query.filter.user_id.as_deref(), Some("a@b"));
        let tail = Query::read("kind=errors,messages&token=x", Asked::Tail).unwrap();
        assert_eq!(tail.kinds, [Kind::Message, Kind::Error]);
    }

    #[test]
    fn a_record_must_fit_all_that_is_given() {
        let record = Record {
            user_id: Some("ada".into()),
            code: Some(4_013),
            ..Record::plain(Kind::Event, "join_denied", "chat:1", 0)
        };
        for (query, fits) in [
            ("", true),
            ("room=chat:1", true),
            ("room=chat:*", true),
            ("room=chat", false),
            ("type=join_denied&user=ada&code=4013", true),
            ("type=join", false),
            ("user=ad", false),
            ("client=c", false),
            ("code=4001", false),
        ] {
            assert_eq!(page(query).unwrap().filter.fits(&record), fits, "{query}");
        }
        assert!(!page("room=*").unwrap().filter.fits(&Record::plain(Kind::Event, "connect", "", 0)));
    }
}
