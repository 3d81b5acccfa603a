//! What failures are taken for, and which requests are made again.

use std::time::Duration;

use testkit::image::Image;
use testkit::registry::{Fault, Registry, Seen};
use upstream::{Awaited, FetchError, Outage, Settings, Upstream};

use crate::{by_tag, impatient, repository, settings, upstream};

/// What comes of a fault that persists, and how many requests were made of it.
async fn outcome(fault: Fault) -> (FetchError, usize) {
    outcome_within(fault, |settings| settings).await
}

async fn outcome_within(fault: Fault, limits: impl FnOnce(Settings) -> Settings) -> (FetchError, usize) {
    let registry = Registry::start().await;
    Image::random(1).push_to(&registry, "acme/app", Some("v1"));
    registry.fault(Seen::is_manifest, fault);
    let upstream = Upstream::new(limits(settings(&registry.url()))).unwrap();
    let error = upstream.manifest(&repository(), &by_tag()).await.unwrap_err();
    (error, registry.requests().len())
}

#[tokio::test]
async fn only_the_registry_s_own_404_means_absence() {
    let (error, tries) = outcome(Fault::Status(404)).await;
    assert!(matches!(error, FetchError::NotFound), "{error:?}");
    assert_eq!(tries, 1);

    let page = vec![("content-type", "text/html; charset=utf-8".to_owned())];
    let (error, _) = outcome(Fault::StatusWith(404, page)).await;
    assert!(matches!(error, FetchError::Unavailable(_)), "{error:?}");
    for status in [401, 403] {
        let (error, tries) = outcome(Fault::Status(status)).await;
        assert!(matches!(error, FetchError::Unauthorized), "{status}: {error:?}");
        assert_eq!(tries, 1);
    }
}

#[tokio::test]
async fn an_overloaded_registry_is_left_alone() {
    let (error, tries) = outcome(Fault::StatusWith(429, vec![("retry-after", "7".to_owned())])).await;
    let seven = Some(Duration::from_secs(7));
    assert!(matches!(error, FetchError::TooManyRequests { retry_after } if retry_after == seven));
    assert!(error.is_transient());
    assert_eq!(tries, 1);

    let (error, _) = outcome(Fault::Status(429)).await;
    assert!(matches!(error, FetchError::TooManyRequests { retry_after: None }));

    let (error, tries) = outcome(Fault::StatusWith(503, vec![("retry-after", "7".to_owned())])).await;
    assert!(matches!(error, FetchError::Unavailable(_)));
    assert_eq!(tries, 1);
}

#[tokio::test]
async fn failures_that_may_pass_are_tried_again_and_others_are_not() {
    for (status, expected) in [(500, 1), (502, 3), (503, 3), (504, 3), (408, 1)] {
        let (error, tries) = outcome(Fault::Status(status)).await;
        assert!(
            matches!(&error, FetchError::Unavailable(outage) if matches!(**outage, Outage::Status(is) if is == status)),
            "{error:?}"
        );
        assert_eq!(tries, expected, "{status}");
    }
    let (error, tries) = outcome(Fault::Reset).await;
    assert!(
        matches!(&error, FetchError::Unavailable(outage) if matches!(**outage, Outage::Broken(_))),
        "{error:?}"
    );
    assert_eq!(tries, 3);
}

#[tokio::test]
async fn a_failure_that_passes_goes_unnoticed() {
    for fault in [Fault::Status(503), Fault::Reset] {
        let registry = Registry::start().await;
        Image::random(1).push_to(&registry, "acme/app", Some("v1"));
        registry.fault_times(2, Seen::is_manifest, fault.clone());
        let outcome = upstream(&registry).manifest(&repository(), &by_tag()).await;
        assert!(outcome.is_ok(), "{fault:?}: {outcome:?}");
    }
}

#[tokio::test]
async fn silence_is_an_outage_and_not_waited_for_twice() {
    for (fault, awaited) in [(Fault::Hang, Awaited::Headers), (Fault::Stall(3), Awaited::Body)] {
        let (error, tries) = outcome_within(fault, impatient).await;
        assert!(
            matches!(&error, FetchError::Unavailable(outage) if matches!(**outage, Outage::TimedOut(what) if what == awaited)),
            "{error:?}"
        );
        assert_eq!(tries, 1);
    }
}

#[tokio::test]
async fn an_absent_registry_is_an_outage() {
    let registry = Registry::start().await;
    let settings = settings(&registry.url());
    drop(registry);
    let upstream = Upstream::new(settings).unwrap();
    let mut outcome = upstream.manifest(&repository(), &by_tag()).await;
    // The listener closes some time after its last handle is dropped.
    while !matches!(&outcome, Err(FetchError::Unavailable(outage)) if matches!(**outage, Outage::Connect(_)))
    {
        outcome = upstream.manifest(&repository(), &by_tag()).await;
    }
    assert!(outcome.unwrap_err().is_transient());
}

#[tokio::test]
async fn an_answer_that_makes_no_sense_is_refused() {
    for status in [204, 206, 304, 400, 410, 418] {
        let (error, tries) = outcome(Fault::Status(status)).await;
        assert!(matches!(error, FetchError::Refused(_)), "{status}: {error:?}");
        assert!(!error.is_transient());
        assert_eq!(tries, 1);
    }
}
