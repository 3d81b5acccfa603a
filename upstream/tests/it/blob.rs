//! Blobs.

use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _};
use oci::Digest;
use testkit::registry::{Fault, Registry, Seen};
use upstream::{Awaited, Body, FetchError, Outage, Settings, Upstream};

use crate::{impatient, repository, settings, upstream};

async fn all(body: Body) -> Result<Bytes, FetchError> {
    let pieces: Vec<_> = body.stream.try_collect().await?;
    Ok(pieces.concat().into())
}

#[tokio::test]
async fn a_blob_is_streamed_with_its_size_where_that_is_known() {
    let registry = Registry::start().await;
    let bytes = vec![7; 1_000_000];
    let digest = registry.put_blob("acme/app", bytes.clone());
    let upstream = upstream(&registry);
    let body = upstream.blob(&repository(), &digest).await.unwrap();
    assert_eq!(body.size, Some(1_000_000));
    assert_eq!(all(body).await.unwrap(), bytes);

    registry.fault(Seen::is_blob, Fault::Chunked);
    let body = upstream.blob(&repository(), &digest).await.unwrap();
    assert_eq!(body.size, None);
    assert_eq!(all(body).await.unwrap(), bytes);
}

fn is_outage(outcome: &Result<Bytes, FetchError>, like: impl Fn(&Outage) -> bool) -> bool {
    matches!(outcome, Err(FetchError::Unavailable(outage)) if like(outage))
}

#[tokio::test]
async fn a_blob_that_is_cut_off_goes_on_where_it_was() {
    let registry = Registry::start().await;
    let digest = registry.put_blob("acme/app", "content");
    let upstream = Upstream::new(impatient(settings(&registry.url()))).unwrap();
    for fault in [Fault::Truncate(3), Fault::Stall(3)] {
        registry.clear_requests();
        registry.fault_times(1, Seen::is_blob, fault);
        let body = upstream.blob(&repository(), &digest).await.unwrap();
        assert_eq!(all(body).await.unwrap(), "content");
        let ranges: Vec<_> =
            registry.requests().iter().map(|seen| seen.header("range").map(str::to_owned)).collect();
        assert_eq!(ranges, [None, Some("bytes=3-".to_owned())]);
    }
}

#[tokio::test]
async fn a_registry_without_ranges_begins_anew_and_what_is_there_already_is_left_out() {
    let registry = Registry::start().await;
    let digest = registry.put_blob("acme/app", "content");
    registry.fault_times(1, Seen::is_blob, Fault::Truncate(3));
    registry.fault(Seen::is_blob, Fault::Whole);
    let body = upstream(&registry).blob(&repository(), &digest).await.unwrap();
    assert_eq!(all(body).await.unwrap(), "content");
    assert_eq!(registry.count(Seen::is_blob), 2);
}

#[tokio::test]
async fn a_blob_that_breaks_off_again_and_again_ends_in_an_error() {
    let registry = Registry::start().await;
    let digest = registry.put_blob("acme/app", "content");
    registry.fault(Seen::is_blob, Fault::Truncate(0));
    let outcome = all(upstream(&registry).blob(&repository(), &digest).await.unwrap()).await;
    assert!(is_outage(&outcome, |outage| matches!(outage, Outage::Broken(_))), "{outcome:?}");
    assert_eq!(registry.count(Seen::is_blob), 5);

    let upstream = Upstream::new(impatient(settings(&registry.url()))).unwrap();
    registry.clear_faults();
    registry.fault(Seen::is_blob, Fault::Stall(0));
    let outcome = all(upstream.blob(&repository(), &digest).await.unwrap()).await;
    assert!(is_outage(&outcome, |outage| matches!(outage, Outage::TimedOut(Awaited::Body))), "{outcome:?}");
}

#[tokio::test]
async fn nothing_comes_after_an_error() {
    let registry = Registry::start().await;
    let digest = registry.put_blob("acme/app", "content");
    registry.fault_times(1, Seen::is_blob, Fault::Truncate(3));
    registry.fault(Seen::is_blob, Fault::Status(404));
    let mut body = upstream(&registry).blob(&repository(), &digest).await.unwrap();
    assert_eq!(body.stream.next().await.unwrap().unwrap(), "con");
    let outcome = body.stream.next().await.unwrap();
    assert!(matches!(outcome, Err(FetchError::NotFound)), "{outcome:?}");
    assert!(body.stream.next().await.is_none());
}

#[tokio::test]
async fn a_server_that_sends_a_byte_now_and_then_is_not_waited_for() {
    let registry = Registry::start().await;
    let digest = registry.put_blob("acme/app", vec![7; 10_000]);
    registry.fault(Seen::is_blob, Fault::Drip(std::time::Duration::from_millis(10)));
    let upstream = Upstream::new(impatient(settings(&registry.url()))).unwrap();
    let outcome = all(upstream.blob(&repository(), &digest).await.unwrap()).await;
    assert!(is_outage(&outcome, |outage| matches!(outage, Outage::TimedOut(Awaited::Body))), "{outcome:?}");
}

#[tokio::test]
async fn the_rest_is_asked_for_at_the_registry_and_not_where_it_once_redirected_to() {
    let storage = Registry::start().await;
    let registry = Registry::start().await;
    let digest = storage.put_blob("acme/app", "content");
    for signature in ["first", "second"] {
        let location = format!("{}/v2/acme/app/blobs/{digest}?signature={signature}", storage.url());
        registry.fault_times(1, Seen::is_blob, Fault::StatusWith(307, vec![("location", location)]));
    }
    let first = |seen: &Seen| seen.query.as_deref() == Some("signature=first");
    storage.fault_times(1, first, Fault::Truncate(3));
    storage.fault(first, Fault::Status(403));
    let body = upstream(&registry).blob(&repository(), &digest).await.unwrap();
    assert_eq!(all(body).await.unwrap(), "content");
    assert_eq!((registry.count(Seen::is_blob), storage.count(first)), (2, 1));
}

#[tokio::test]
async fn content_that_changed_in_between_is_refused() {
    for after in [
        Fault::Header("content-range", "bytes 3-8/9".to_owned()),
        Fault::Header("content-range", "bytes 2-6/7".to_owned()),
        Fault::Without("content-range"),
        Fault::Header("etag", "\"other\"".to_owned()),
    ] {
        let registry = Registry::start().await;
        let digest = registry.put_blob("acme/app", "content");
        registry.fault_times(1, Seen::is_blob, Fault::Truncate(3));
        registry.fault(Seen::is_blob, after.clone());
        let outcome = all(upstream(&registry).blob(&repository(), &digest).await.unwrap()).await;
        assert!(matches!(outcome, Err(FetchError::Refused(_))), "{after:?}: {outcome:?}");
    }
}

#[tokio::test]
async fn a_body_takes_up_room_until_it_ends_and_resuming_takes_no_more() {
    let registry = Registry::start().await;
    let digest = registry.put_blob("acme/app", "content");
    let upstream =
        Upstream::new(Settings { concurrency: 1, ..impatient(settings(&registry.url())) }).unwrap();
    registry.fault_times(2, Seen::is_blob, Fault::Truncate(3));
    let first = upstream.blob(&repository(), &digest).await.unwrap();
    let crowded = upstream.blob(&repository(), &digest).await.map(drop);
    assert!(
        matches!(&crowded, Err(FetchError::Unavailable(outage)) if matches!(**outage, Outage::Crowded)),
        "{crowded:?}"
    );
    assert_eq!(all(first).await.unwrap(), "content");
    assert_eq!(all(upstream.blob(&repository(), &digest).await.unwrap()).await.unwrap(), "content");
}

#[tokio::test]
async fn a_small_blob_is_checked_and_stays_small() {
    let registry = Registry::start().await;
    let digest = registry.put_blob("acme/app", "content");
    let upstream = upstream(&registry);
    let small = |limit| {
        let upstream = &upstream;
        async move { upstream.small_blob(&repository(), &digest, limit).await }
    };
    assert_eq!(small(7).await.unwrap().bytes(), "content");
    assert!(matches!(small(6).await, Err(FetchError::TooLarge { limit: 6 })));

    registry.fault_times(1, Seen::is_blob, Fault::Chunked);
    assert!(matches!(small(6).await, Err(FetchError::TooLarge { limit: 6 })));
    registry.fault_times(1, Seen::is_blob, Fault::Endless);
    assert!(matches!(small(1 << 20).await, Err(FetchError::TooLarge { .. })));
    registry.fault_times(1, Seen::is_blob, Fault::Corrupt);
    assert!(matches!(small(7).await, Err(FetchError::WrongContent(wrong)) if wrong.want == digest));
    registry.remove("acme/app", &digest);
    assert!(matches!(small(7).await, Err(FetchError::NotFound)));
}

#[tokio::test]
async fn a_dropped_transfer_costs_the_next_one_nothing() {
    let registry = Registry::start().await;
    let digest = Digest::of(b"content");
    registry.put_blob("acme/app", "content");
    let upstream = upstream(&registry);
    registry.fault_times(1, Seen::is_blob, Fault::Endless);
    drop(upstream.blob(&repository(), &digest).await.unwrap());
    let whole = upstream.small_blob(&repository(), &digest, 7).await;
    assert!(whole.is_ok(), "{whole:?}");
}
