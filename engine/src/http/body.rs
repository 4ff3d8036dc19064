//! Reading the body of a request, up to a bound.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use monoio_codec::{Decoded, Decoder};
use monoio_http::h1::codec::decoder::ChunkedBodyDecoder;

use crate::http::connection::{BodyLength, Connection, End};

/// Why there is no body.
pub(crate) enum Failure {
    TooLarge,
    Malformed,
    Gone,
    /// The peer took too long.
    Late,
}

impl From<End> for Failure {
    fn from(end: End) -> Self {
        match end {
            End::Gone => Self::Gone,
            End::Late => Self::Late,
        }
    }
}

/// Reads the whole body.
pub(crate) async fn read(
    connection: &mut Connection,
    length: BodyLength,
    bytes_max: usize,
    patience: Duration,
) -> Result<Bytes, Failure> {
    let deadline = monoio::time::Instant::now() + patience;
    let left = || deadline.saturating_duration_since(monoio::time::Instant::now());
    match length {
        BodyLength::None => Ok(Bytes::new()),
        BodyLength::Fixed(length) if length > bytes_max => Err(Failure::TooLarge),
        BodyLength::Fixed(length) => {
            while connection.buffer.len() < length {
                connection.read(left()).await?;
            }
            Ok(connection.buffer.split_to(length).freeze())
        }
        BodyLength::Chunked => {
            let mut decoder = ChunkedBodyDecoder::default();
            let mut body = BytesMut::new();
            loop {
                match decoder.decode(&mut connection.buffer) {
                    Ok(Decoded::Some(Some(chunk))) => body.extend_from_slice(&chunk),
                    Ok(Decoded::Some(None)) => return Ok(body.freeze()),
                    Ok(_) => connection.read(left()).await?,
                    Err(_) => return Err(Failure::Malformed),
                }
                // A chunk is buffered whole before it is decoded: both count.
                if body.len() + connection.buffer.len() > bytes_max + 1_024 {
                    return Err(Failure::TooLarge);
                }
            }
        }
    }
}
