//! Messages compressed as Thanos' replicas send them to each other by default (`--receive.grpc-compression`,
//! `pkg/extgrpc/snappy`): gRPC's own framing around snappy's stream format, which tonic does not know.

use std::io::Read;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes, BytesMut};
use http::{HeaderValue, Request};
use http_body::Frame;
use tonic::Status;
use tonic::body::Body;

use crate::peers::MESSAGE_BYTES_MAX;

/// `compressed:u8 │ length:u32be` before each message.
const PREFIX_BYTES: usize = 5;
const ENCODING: &str = "grpc-encoding";

/// Makes a snappy request one that is not compressed; others pass.
pub(super) fn decompress(mut request: Request<Body>) -> Request<Body> {
    if request.headers().get(ENCODING) != Some(&HeaderValue::from_static("snappy")) {
        return request;
    }
    request.headers_mut().remove(ENCODING);
    request.map(|inner| {
        Body::new(Decompressed { inner, pending: BytesMut::new(), bytes_max: MESSAGE_BYTES_MAX })
    })
}

struct Decompressed<B> {
    inner: B,
    /// What has come of the next message.
    pending: BytesMut,
    bytes_max: usize,
}

impl<B> Decompressed<B> {
    /// The next message with its prefix, once it is whole.
    fn message(&mut self) -> Result<Option<Bytes>, Status> {
        let Some(&[compressed, l0, l1, l2, l3]) = self.pending.first_chunk::<PREFIX_BYTES>() else {
            return Ok(None);
        };
        let length = u32::from_be_bytes([l0, l1, l2, l3]) as usize;
        if length > self.bytes_max {
            return Err(too_large(self.bytes_max));
        }
        if self.pending.len() < PREFIX_BYTES + length {
            return Ok(None);
        }
        self.pending.advance(PREFIX_BYTES);
        let body = self.pending.split_to(length);
        let mut out = vec![0; PREFIX_BYTES];
        if compressed == 0 {
            out.extend(&body);
        } else {
            // One more than allowed tells "exactly as much" from "more".
            let mut plain = snap::read::FrameDecoder::new(&body[..]).take(self.bytes_max as u64 + 1);
            plain
                .read_to_end(&mut out)
                .map_err(|e| Status::invalid_argument(format!("the message is not a snappy stream: {e}")))?;
        }
        let length = out.len() - PREFIX_BYTES;
        if length > self.bytes_max {
            return Err(too_large(self.bytes_max));
        }
        out[1..PREFIX_BYTES].copy_from_slice(&(length as u32).to_be_bytes());
        Ok(Some(out.into()))
    }
}

fn too_large(bytes_max: usize) -> Status {
    Status::out_of_range(format!("the message is larger than {bytes_max} bytes"))
}

impl<B: http_body::Body<Data = Bytes, Error = Status> + Unpin> http_body::Body for Decompressed<B> {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        loop {
            if let Some(message) = self.message()? {
                return Poll::Ready(Some(Ok(Frame::data(message))));
            }
            match ready!(Pin::new(&mut self.inner).poll_frame(cx)?) {
                Some(frame) => match frame.into_data() {
                    Ok(data) => self.pending.extend_from_slice(&data),
                    Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
                },
                None if self.pending.is_empty() => return Poll::Ready(None),
                None => {
                    self.pending.clear();
                    return Poll::Ready(Some(Err(Status::invalid_argument("the message broke off"))));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use http_body_util::BodyExt;
    use proptest::prelude::*;

    use super::*;

    fn framed(compressed: u8, body: &[u8]) -> Vec<u8> {
        [&[compressed][..], &(body.len() as u32).to_be_bytes(), body].concat()
    }

    fn snappy(plain: &[u8]) -> Vec<u8> {
        let mut w = snap::write::FrameEncoder::new(Vec::new());
        w.write_all(plain).unwrap();
        w.into_inner().unwrap()
    }

    /// Runs a body that arrives in pieces.
    fn run(wire: &[u8], piece: usize, bytes_max: usize) -> Result<Vec<u8>, Status> {
        let pieces: Vec<_> =
            wire.chunks(piece).map(|p| Ok::<_, Status>(Frame::data(Bytes::copy_from_slice(p)))).collect();
        let inner = http_body_util::StreamBody::new(futures::stream::iter(pieces));
        let body = Decompressed { inner, pending: BytesMut::new(), bytes_max };
        futures::executor::block_on(body.collect()).map(|b| b.to_bytes().to_vec())
    }

    proptest! {
        #[test]
        fn messages_come_out_plain_however_they_are_cut(
            messages in prop::collection::vec((prop::collection::vec(any::<u8>(), 0..200), any::<bool>()), 0..5),
            piece in 1usize..50,
        ) {
            let wire: Vec<u8> = messages
                .iter()
                .flat_map(|(m, z)| if *z { framed(1, &snappy(m)) } else { framed(0, m) })
                .collect();
            let want: Vec<u8> = messages.iter().flat_map(|(m, _)| framed(0, m)).collect();
            prop_assert_eq!(run(&wire, piece, 1000).unwrap(), want);
        }

        #[test]
        fn garbage_is_an_error_or_nothing(wire in prop::collection::vec(any::<u8>(), 0..100)) {
            let _ = run(&wire, 7, 1000);
        }
    }

    #[test]
    fn what_is_too_large_or_broken_off_is_refused() {
        let bomb = framed(1, &snappy(&vec![0; 100_000]));
        assert_eq!(run(&bomb, 1000, 50_000).unwrap_err().code(), tonic::Code::OutOfRange);
        assert_eq!(
            run(&bomb[..bomb.len() - 1], 1000, 200_000).unwrap_err().message(),
            "the message broke off"
        );
        assert_eq!(
            run(&framed(1, b"not snappy"), 1000, 50_000).unwrap_err().code(),
            tonic::Code::InvalidArgument
        );
    }
}
