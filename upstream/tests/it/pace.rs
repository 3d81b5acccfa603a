//! How fast a registry is asked.

use std::time::Duration;

use futures_util::future::join_all;
use oci::{Digest, TagOrDigest};
use testkit::image::Image;
use testkit::registry::{Fault, Registry, Seen};
use upstream::{FetchError, Settings, Upstream};

use crate::{by_tag, repository, settings, tag, upstream};

#[tokio::test]
async fn who_asks_for_time_is_not_asked_before_it_is_over() {
    let registry = Registry::start().await;
    let image = Image::random(1);
    image.push_to(&registry, "acme/app", Some("v1"));
    let is_get = |seen: &Seen| seen.is_manifest() && seen.method == "GET";
    registry.fault_times(1, is_get, Fault::StatusWith(429, vec![("retry-after", "600".to_owned())]));
    let upstream = upstream(&registry);
    for _ in 0..5 {
        let outcome = upstream.manifest(&repository(), &by_tag()).await;
        assert!(
            matches!(&outcome, Err(FetchError::TooManyRequests { retry_after: Some(wait) })
                if *wait <= Duration::from_secs(600) && *wait > Duration::from_secs(500)),
            "{outcome:?}"
        );
    }
    assert_eq!(registry.requests().len(), 1);

    // What the registry counts apart is not held back.
    assert!(upstream.resolve(&repository(), &tag()).await.is_ok());
    assert!(upstream.blob(&repository(), &Digest::of(&image.layers[0])).await.is_ok());
}

#[tokio::test]
async fn a_mirror_that_asks_for_time_is_passed_over() {
    let (mirror, origin) = (Registry::start().await, Registry::start().await);
    Image::random(1).push_to(&origin, "acme/app", Some("v1"));
    mirror.fault(|_| true, Fault::StatusWith(429, vec![("retry-after", "600".to_owned())]));
    let first = Settings { mirror: true, ..settings(&mirror.url()) };
    let upstream = Upstream::with_endpoints(first, vec![settings(&origin.url())]).unwrap();
    for _ in 0..3 {
        upstream.manifest(&repository(), &by_tag()).await.unwrap();
    }
    assert_eq!(mirror.requests().len(), 1);
}

#[tokio::test]
async fn no_more_requests_are_under_way_than_may_be() {
    let registry = Registry::start().await;
    Image::random(1).push_to(&registry, "acme/app", Some("v1"));
    registry.fault(Seen::is_manifest, Fault::Hang);
    let upstream = Upstream::new(Settings { concurrency: 2, ..settings(&registry.url()) }).unwrap();
    let upstream = std::sync::Arc::new(upstream);
    let asking: Vec<_> = (0..6)
        .map(|_| {
            let upstream = upstream.clone();
            tokio::spawn(async move { upstream.manifest(&repository(), &by_tag()).await.map(drop) })
        })
        .collect();
    while registry.requests().len() < 2 {
        tokio::task::yield_now().await;
    }
    // Whatever else could be sent would have been by the time that another endpoint has answered thrice.
    let other = Registry::start().await;
    Image::random(1).push_to(&other, "acme/app", Some("v1"));
    for _ in 0..3 {
        crate::upstream(&other).manifest(&repository(), &by_tag()).await.unwrap();
    }
    assert_eq!(registry.requests().len(), 2);
    registry.clear_faults();
    registry.release();
    for outcome in join_all(asking).await {
        outcome.unwrap().unwrap();
    }
}

#[tokio::test]
async fn second_tries_are_a_small_part_of_all_requests() {
    let registry = Registry::start().await;
    let digest = Image::random(1).push_to(&registry, "acme/app", None);
    let upstream = upstream(&registry);
    let mut requests = 0;
    // Every other request is answered, so that the registry is not set aside.
    registry.fault(|seen| seen.path.contains("sha256:"), Fault::Status(502));
    for _ in 0..40 {
        drop(upstream.manifest(&repository(), &TagOrDigest::Digest(digest)).await);
        drop(upstream.manifest(&repository(), &by_tag()).await);
        requests += 2;
    }
    let made = registry.requests().len();
    assert!(made > requests && made <= requests + 10 + requests / 10, "{made} for {requests}");
}

#[tokio::test]
async fn a_registry_that_has_few_answers_left_still_gives_them() {
    let registry = Registry::start().await;
    Image::random(1).push_to(&registry, "acme/app", Some("v1"));
    registry.fault(Seen::is_manifest, Fault::Header("ratelimit-remaining", "0;w=21600".to_owned()));
    let upstream = upstream(&registry);
    for _ in 0..2 {
        upstream.manifest(&repository(), &by_tag()).await.unwrap();
    }
}
