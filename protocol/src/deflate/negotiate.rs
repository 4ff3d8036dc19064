//! Agreeing on permessage-deflate in the opening handshake (RFC 7692 §5, §7.1).

use std::fmt::Write;

use super::{WINDOW_BITS_MAX, WINDOW_BITS_MIN};

/// What a server wants.
#[derive(Clone, Copy, Debug)]
pub struct Policy {
    /// Whether to agree at all.
    pub enabled: bool,
}

/// What both ends agreed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Agreed {
    /// Logarithm of the largest window that the server may compress with: 9 to 15.
    pub server_max_window_bits: u8,
    /// The server compresses each message on its own.
    pub server_no_context_takeover: bool,
    /// The client compresses each message on its own.
    pub client_no_context_takeover: bool,
    /// Logarithm of the largest window that the client may compress with, where the server said so.
    pub client_max_window_bits: Option<u8>,
}

const NAME: &str = "permessage-deflate";

/// Picks the first offer that can be taken from the values of a request's `Sec-WebSocket-Extensions` headers,
/// and gives the value for the answer's.
///
/// An offer with a parameter that is unknown, twice there or of a wrong value is declined (§7.1), and so is a
/// window of 8 bits for the server, which zlib cannot make. The answer always holds
/// `client_no_context_takeover`: the server keeps no window for a client.
pub fn negotiate<'a>(offers: impl IntoIterator<Item = &'a str>, policy: &Policy) -> Option<(Agreed, String)> {
    if !policy.enabled {
        return None;
    }
    let offer = offers.into_iter().flat_map(|value| split(value, ',')).find_map(|offer| read(offer, true))?;
    let bits = offer.server_max_window_bits.unwrap_or(WINDOW_BITS_MAX);
    if bits < WINDOW_BITS_MIN {
        return None;
    }
    let mut answer = format!("{NAME}; client_no_context_takeover");
    if offer.server_no_context_takeover {
        answer.push_str("; server_no_context_takeover");
    }
    if offer.server_max_window_bits.is_some() {
        // Writing to a String cannot fail.
        let _ = write!(answer, "; server_max_window_bits={bits}");
    }
    let agreed = Agreed {
        server_max_window_bits: bits,
        server_no_context_takeover: offer.server_no_context_takeover,
        client_no_context_takeover: true,
        client_max_window_bits: None,
    };
    Some((agreed, answer))
}

/// What a client lets the server do from one message to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServerContext {
    /// A message may refer to those before it, as browsers allow.
    TakenOver,
    /// Each message stands on its own.
    Fresh,
}

/// A client's offer; the client itself never takes its context over.
pub const fn offer(server: ServerContext) -> &'static str {
    match server {
        ServerContext::TakenOver => "permessage-deflate; client_no_context_takeover",
        ServerContext::Fresh => "permessage-deflate; client_no_context_takeover; server_no_context_takeover",
    }
}

/// Reads a server's answer to [`offer`].
///
/// # Errors
/// Another extension than the one offered, a parameter that is unknown or wrong, or a server that would take
/// its context over where it must not.
pub fn accept(answer: &str, server: ServerContext) -> Result<Agreed, &'static str> {
    let params = read(answer, false).ok_or("an extension that was not offered, or a wrong parameter")?;
    if server == ServerContext::Fresh && !params.server_no_context_takeover {
        return Err("a server that takes its compression context over, against the offer");
    }
    Ok(Agreed {
        server_max_window_bits: params.server_max_window_bits.unwrap_or(WINDOW_BITS_MAX),
        server_no_context_takeover: params.server_no_context_takeover,
        client_no_context_takeover: true,
        client_max_window_bits: params.client_max_window_bits.flatten(),
    })
}

#[derive(Debug, Default)]
struct Params {
    server_no_context_takeover: bool,
    client_no_context_takeover: bool,
    server_max_window_bits: Option<u8>,
    client_max_window_bits: Option<Option<u8>>,
}

/// Reads one extension; `None` if it is another one or must be declined.
fn read(extension: &str, from_client: bool) -> Option<Params> {
    let mut parts = split(extension, ';').map(str::trim);
    if !parts.next()?.eq_ignore_ascii_case(NAME) {
        return None;
    }
    let mut params = Params::default();
    for part in parts {
        let (name, value) = match part.split_once('=') {
            Some((name, value)) => (name.trim_end(), Some(unquoted(value.trim_start()))),
            None => (part, None),
        };
        // Each `replace` tells whether the parameter was there before.
        let twice = match (name, value) {
            ("server_no_context_takeover", None) => {
                std::mem::replace(&mut params.server_no_context_takeover, true)
            }
            ("client_no_context_takeover", None) => {
                std::mem::replace(&mut params.client_no_context_takeover, true)
            }
            ("server_max_window_bits", Some(bits)) => {
                params.server_max_window_bits.replace(window_bits(bits)?).is_some()
            }
            ("client_max_window_bits", Some(bits)) => {
                params.client_max_window_bits.replace(Some(window_bits(bits)?)).is_some()
            }
            // A client may say only that it understands the parameter (§7.1.2.2).
            ("client_max_window_bits", None) if from_client => {
                params.client_max_window_bits.replace(None).is_some()
            }
            _ => return None,
        };
        if twice {
            return None;
        }
    }
    let unmakable = params.server_max_window_bits.is_some_and(|bits| bits < WINDOW_BITS_MIN);
    (!(from_client && unmakable)).then_some(params)
}

/// 8 to 15, without leading zeros (§7.1.2).
fn window_bits(value: &str) -> Option<u8> {
    let bits = value.parse().ok().filter(|bits| (8..=WINDOW_BITS_MAX).contains(bits))?;
    (!value.starts_with(['0', '+'])).then_some(bits)
}

/// The inside of a quoted string. No legal value has an escape in it, so none is undone.
fn unquoted(value: &str) -> &str {
    value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap_or(value)
}

/// The parts of `text` between separators that are not inside quotes.
fn split(text: &str, separator: char) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    text.split(move |character| {
        quoted ^= character == '"';
        character == separator && !quoted
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(offers: &[&str]) -> Option<String> {
        negotiate(offers.iter().copied(), &Policy { enabled: true }).map(|(_, answer)| answer)
    }

    #[test]
    fn what_is_offered_is_honoured() {
        let plain = "permessage-deflate; client_no_context_takeover";
        assert_eq!(answer(&["permessage-deflate"]).unwrap(), plain);
        assert_eq!(answer(&["permessage-deflate; client_max_window_bits"]).unwrap(), plain);
        assert_eq!(answer(&["permessage-deflate;client_max_window_bits=\"9\""]).unwrap(), plain);
        assert_eq!(
            answer(&["permessage-deflate; server_no_context_takeover; server_max_window_bits=10"]).unwrap(),
            "permessage-deflate; client_no_context_takeover; server_no_context_takeover; server_max_window_bits=10"
        );
        let agreed = negotiate(["permessage-deflate; server_max_window_bits=9"], &Policy { enabled: true });
        assert_eq!(agreed.unwrap().0.server_max_window_bits, 9);
    }

    #[test]
    fn the_first_offer_that_can_be_taken_is() {
        let fallback =
            "permessage-deflate; server_max_window_bits=8, permessage-deflate; server_max_window_bits=12";
        assert!(answer(&[fallback]).unwrap().ends_with("server_max_window_bits=12"));
        assert!(
            answer(&["x-webkit-deflate-frame", "foo; bar=\"a,b;permessage-deflate\"", "permessage-deflate"])
                .is_some()
        );
    }

    #[test]
    fn wrong_offers_are_declined() {
        for wrong in [
            "",
            "foo",
            "permessage-deflate; foo",
            "permessage-deflate; server_no_context_takeover=1",
            "permessage-deflate; server_max_window_bits",
            "permessage-deflate; server_max_window_bits=8",
            "permessage-deflate; server_max_window_bits=16",
            "permessage-deflate; server_max_window_bits=010",
            "permessage-deflate; server_max_window_bits=+10",
            "permessage-deflate; server_max_window_bits=",
            "permessage-deflate; client_max_window_bits=7",
            "permessage-deflate; client_max_window_bits; client_max_window_bits",
            "permessage-deflate; server_no_context_takeover; server_no_context_takeover",
            "permessage-deflate; foo=\"permessage-deflate, permessage-deflate\"",
        ] {
            assert_eq!(answer(&[wrong]), None, "{wrong}");
        }
        assert!(negotiate(["permessage-deflate"], &Policy { enabled: false }).is_none());
    }

    #[test]
    fn a_client_understands_what_a_server_answers() {
        for server in [ServerContext::TakenOver, ServerContext::Fresh] {
            let (agreed, answer) = negotiate([offer(server)], &Policy { enabled: true }).unwrap();
            assert_eq!(accept(&answer, server), Ok(agreed));
            assert_eq!(agreed.server_no_context_takeover, server == ServerContext::Fresh);
            let valueless = "permessage-deflate; server_no_context_takeover; client_max_window_bits";
            assert!(accept(valueless, server).is_err());
            assert!(accept("foo", server).is_err());
        }
    }

    #[test]
    fn a_client_that_wants_fresh_contexts_takes_no_other_and_one_that_does_not_takes_both() {
        let (fresh, taken_over) = ("permessage-deflate; server_no_context_takeover", "permessage-deflate");
        assert!(accept(fresh, ServerContext::Fresh).is_ok());
        assert!(accept(taken_over, ServerContext::Fresh).is_err());
        let agreed = |answer| accept(answer, ServerContext::TakenOver).unwrap().server_no_context_takeover;
        assert!(agreed(fresh) && !agreed(taken_over));
    }
}
