//! A value published in JSON, for members who speak MessagePack.

use rmp::encode::write_str;

/// Appends a JSON value, checked when it was published, as MessagePack.
///
/// Members keep their order and numbers their kind: whole numbers of 64 bits stay whole, all others become 64-bit
/// floats. A value that MessagePack cannot hold (a number beyond those, half of a surrogate pair) becomes the
/// text of its JSON, so that nothing is lost.
pub fn from_json(value: &[u8], out: &mut Vec<u8>) {
    let start = out.len();
    let mut from = serde_json::Deserializer::from_slice(value);
    let mut to = rmp_serde::Serializer::new(&mut *out);
    if serde_transcode::transcode(&mut from, &mut to).is_err() {
        out.truncate(start);
        write_str(out, &String::from_utf8_lossy(value)).expect("invariant: a Vec takes every byte");
    }
}
