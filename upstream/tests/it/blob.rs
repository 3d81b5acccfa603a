//! Blobs.

use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _};
use oci::Digest;
use testkit::registry::{Fault, Registry, Seen};
use upstream::{Awaited, Body, FetchError, Outage, Upstream};

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

#[tokio::test]
async fn a_blob_that_is_cut_off_ends_in_an_error() {
    let registry = Registry::start().await;
    let digest = registry.put_blob("acme/app", "content");
    let upstream = upstream(&registry);
    registry.fault_times(1, Seen::is_blob, Fault::Truncate(3));
    let outcome = all(upstream.blob(&repository(), &digest).await.unwrap()).await;
    assert!(
        matches!(&outcome, Err(FetchError::Unavailable(outage)) if matches!(**outage, Outage::Broken(_))),
        "{outcome:?}"
    );

    let upstream = Upstream::new(impatient(settings(&registry.url()))).unwrap();
    registry.fault_times(1, Seen::is_blob, Fault::Stall(3));
    let mut body = upstream.blob(&repository(), &digest).await.unwrap();
    assert_eq!(body.stream.next().await.unwrap().unwrap(), "con");
    let outcome = body.stream.next().await.unwrap();
    assert!(
        matches!(
            &outcome,
            Err(FetchError::Unavailable(outage)) if matches!(**outage, Outage::TimedOut(Awaited::Body))
        ),
        "{outcome:?}"
    );
    assert!(body.stream.next().await.is_none());
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
