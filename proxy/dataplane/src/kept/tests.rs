use std::convert::Infallible;

use futures::{FutureExt, StreamExt};
use http_body_util::{BodyExt, StreamBody};

use super::*;

type Never = std::convert::Infallible;

/// A body that has these frames; an empty one is trailers.
fn kept(frames: &[&'static str]) -> (Keeper<Never>, Kept<Never>) {
    let frames: Vec<_> = frames
        .iter()
        .map(|f| match *f {
            "" => Frame::trailers(HeaderMap::from_iter([(http::header::ETAG, "t".parse().unwrap())])),
            data => Frame::data(Bytes::from_static(data.as_bytes())),
        })
        .map(Ok::<_, Infallible>)
        .collect();
    let body = StreamBody::new(futures::stream::iter(frames)).map_err(|never| match never {});
    let keeper = Keeper::new(body);
    let first = keeper.body();
    (keeper, first)
}

/// Up to `frames` of what it gives at once; `.` stands for the end.
fn read(body: &mut Kept<Never>, frames: usize) -> String {
    let next = futures::stream::poll_fn(|cx| body.poll_frame(cx)).take(frames);
    let show = |f: Result<Frame<Bytes>, Never>| match f.unwrap().into_data() {
        Ok(data) => String::from_utf8(data.to_vec()).unwrap(),
        Err(_) => "+trailers".to_owned(),
    };
    let mut got = String::new();
    let mut next = std::pin::pin!(next);
    for _ in 0..frames {
        match next.next().now_or_never() {
            Some(Some(frame)) => got.push_str(&show(frame)),
            Some(None) => return got + ".",
            None => return got + "…",
        }
    }
    got
}

#[test]
fn the_next_attempt_sends_what_was_read_and_goes_on() {
    let (keeper, mut first) = kept(&["a", "b", "c", ""]);
    assert_eq!(read(&mut first, 2), "ab");
    let mut second = keeper.again().unwrap();
    assert_eq!(read(&mut first, 9), "…", "the older one gets nothing more, not even an end");
    assert_eq!(read(&mut second, 1), "a");
    let mut third = keeper.again().unwrap();
    assert_eq!(read(&mut third, 9), "abc+trailers.");
    assert_eq!(read(&mut keeper.again().unwrap(), 9), "abc+trailers.");
}

#[test]
fn a_long_body_passes_but_cannot_be_sent_again() {
    let long: &'static str = "x".repeat(40 << 10).leak();
    let (keeper, mut first) = kept(&[long, long, "y"]);
    assert_eq!(read(&mut first, 1).len(), 40 << 10);
    assert!(keeper.again().is_some());
    let mut second = keeper.again().unwrap();
    assert_eq!(read(&mut second, 9).len(), (80 << 10) + 2, "all of it and the end");
    assert!(keeper.again().is_none());
    assert!(keeper.heard().is_some());
}

#[test]
fn many_small_frames_are_not_remembered_for_ever() {
    let (keeper, mut first) = kept(&["x"; 10_000]);
    assert_eq!(read(&mut first, 20_000).len(), 10_001);
    assert!(keeper.again().is_none());
}

#[test]
fn nothing_is_remembered_once_there_is_no_use_for_it() {
    let (keeper, mut first) = kept(&["a", "b", "c"]);
    assert_eq!(read(&mut first, 1), "a");
    drop(keeper);
    assert_eq!(read(&mut first, 9), "bc.");
    assert!(first.source.lock().read.is_empty());
}

#[test]
fn lengths_are_told() {
    let (keeper, mut first) = kept(&["abc", "de"]);
    read(&mut first, 9);
    assert!(first.is_end_stream());
    let mut second = keeper.again().unwrap();
    assert_eq!((second.size_hint().exact(), second.is_end_stream()), (Some(5), false));
    read(&mut second, 1);
    assert_eq!((second.size_hint().exact(), second.is_end_stream()), (Some(2), false));
    read(&mut second, 1);
    assert_eq!((second.size_hint().exact(), second.is_end_stream()), (Some(0), true));
}
