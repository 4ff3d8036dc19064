//! A dialect that may fail. The core asks it in the middle of a decision, and a panic there would end the process; what a table makes
//! of strangers' words is worth no more than the message that it is about.

use std::borrow::Cow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use fanfare_protocol::{Dialect, Dialects, Emit, Listener, Pace};

static UNSAID: AtomicU64 = AtomicU64::new(0);

/// How often nothing was said because a table failed, since the start.
pub(crate) fn unsaid() -> u64 {
    UNSAID.load(Ordering::Relaxed)
}

/// The same dialects. Where one panics, nothing is said, and it is counted.
pub(crate) fn guarded(dialects: &Dialects) -> Dialects {
    dialects.iter().map(|of| Arc::new(Guarded(Arc::clone(of))) as Arc<dyn Dialect>).collect()
}

#[derive(Debug)]
struct Guarded(Arc<dyn Dialect>);

fn guard<T>(make: impl FnOnce() -> T) -> Option<T> {
    let made = catch_unwind(AssertUnwindSafe(make)).ok();
    UNSAID.fetch_add(u64::from(made.is_none()), Ordering::Relaxed);
    made
}

impl Dialect for Guarded {
    fn message(&self, native: &[u8], own_id: &str, emit: &mut Emit<'_>) {
        guard(|| self.0.message(native, own_id, emit));
    }

    fn answer(&self, listener: &Listener<'_>, native: &[u8], emit: &mut Emit<'_>) {
        guard(|| self.0.answer(listener, native, emit));
    }

    fn close(&self, number: u16, reason: &str) -> (u16, Cow<'static, str>) {
        guard(|| self.0.close(number, reason)).unwrap_or_else(|| (number, reason.to_owned().into()))
    }

    fn is_tied(&self) -> bool {
        self.0.is_tied()
    }

    fn needs_rooms(&self) -> bool {
        self.0.needs_rooms()
    }

    fn connections_per_user(&self) -> u32 {
        self.0.connections_per_user()
    }

    fn family(&self) -> u8 {
        self.0.family()
    }

    fn pace(&self) -> Pace {
        self.0.pace()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Broken;

    impl Dialect for Broken {
        fn message(&self, _: &[u8], _: &str, _: &mut Emit<'_>) {
            panic!("asked for by a test");
        }

        fn answer(&self, _: &Listener<'_>, _: &[u8], _: &mut Emit<'_>) {
            panic!("asked for by a test");
        }

        fn close(&self, _: u16, _: &str) -> (u16, Cow<'static, str>) {
            panic!("asked for by a test");
        }

        fn is_tied(&self) -> bool {
            true
        }

        fn needs_rooms(&self) -> bool {
            false
        }

        fn connections_per_user(&self) -> u32 {
            7
        }

        fn family(&self) -> u8 {
            3
        }

        fn pace(&self) -> Pace {
            Pace::default()
        }
    }

    #[test]
    fn what_fails_is_not_said_and_counted() {
        let all: Dialects = [Arc::new(Broken) as Arc<dyn Dialect>].into_iter().collect();
        let (dialect, before) = (&guarded(&all)[0], unsaid());
        let mut said = 0;
        dialect.message(b"{}", "", &mut |_, _| said += 1);
        let given = serde_json::Value::Null;
        let listener =
            Listener { client_id: "", user_id: "", role: "", given: &given, now_unix_ms: 0, own_id: "" };
        dialect.answer(&listener, b"{}", &mut |_, _| said += 1);
        assert_eq!(dialect.close(4_003, "why"), (4_003, "why".into()));
        assert_eq!((said, unsaid() - before), (0, 3));
        assert_eq!((dialect.is_tied(), dialect.connections_per_user(), dialect.family()), (true, 7, 3));
    }
}
