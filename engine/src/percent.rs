//! Percent-encoding of queries and paths (RFC 3986 §2.1).

/// Decodes a part of a query, where `+` is a space as forms have it; what is not valid stays as it is. Of a request that came, no bytes are
/// replaced: see [`is_text`].
pub(crate) fn decode(text: &str) -> String {
    decode_with(text, b' ')
}

/// Decodes a part of a path, where `+` is itself.
pub(crate) fn decode_path(text: &str) -> String {
    decode_with(text, b'+')
}

/// The pairs of a query string (`application/x-www-form-urlencoded`).
pub(crate) fn pairs(query: &str) -> impl Iterator<Item = (String, String)> {
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    pairs.map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        (decode(name), decode(value))
    })
}

/// The decoded parts of a path, without the slash before the first.
pub(crate) fn segments(path: &str) -> Vec<String> {
    path.strip_prefix('/').unwrap_or(path).split('/').map(decode_path).collect()
}

/// Whether the decoded bytes are UTF-8. What is not is refused before anything is decoded.
pub(crate) fn is_text(text: &str) -> bool {
    String::from_utf8(bytes_with(text, b'+')).is_ok()
}

fn decode_with(text: &str, plus: u8) -> String {
    let decoded = bytes_with(text, plus);
    String::from_utf8(decoded).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

fn bytes_with(text: &str, plus: u8) -> Vec<u8> {
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let hex = bytes.get(at + 1..at + 3).and_then(|pair| std::str::from_utf8(pair).ok());
        let byte = hex.filter(|pair| pair.bytes().all(|b| b.is_ascii_hexdigit()));
        let byte = byte.and_then(|pair| u8::from_str_radix(pair, 16).ok());
        match (bytes[at], byte) {
            (b'%', Some(byte)) => {
                decoded.push(byte);
                at += 3;
            }
            (b'+', _) => {
                decoded.push(plus);
                at += 1;
            }
            (other, _) => {
                decoded.push(other);
                at += 1;
            }
        }
    }
    decoded
}

#[cfg(test)]
mod tests {
    use super::{decode, decode_path, is_text};

    #[test]
    fn valid_escapes_are_decoded_and_others_stay() {
        assert_eq!(decode("a%3Ab+c"), "a:b c");
        assert_eq!(decode("%7B%22x%22%7d"), "{\"x\"}");
        assert_eq!(decode("100%"), "100%");
        assert_eq!(decode("%zz%+1"), "%zz% 1");
        assert_eq!(decode("%e2%82%ac"), "€");
        assert!(is_text("%e2%82%ac%") && !is_text("%ff") && !is_text("a%e2%82"));
        assert_eq!(decode_path("a+b%2b"), "a+b+");
    }
}
