//! The endpoints of one registry, and which of them is asked.

use std::sync::Arc;

use crate::error::{FetchError, Outage};
use crate::site::Site;

/// The endpoints of one registry, in the order that they are asked in. There is at least one.
pub(crate) struct Sites(Vec<Arc<Site>>);

impl Sites {
    pub(crate) fn new(first: Site, others: Vec<Site>) -> Self {
        Self(std::iter::once(first).chain(others).map(Arc::new).collect())
    }

    /// Whether there is a choice.
    pub(crate) fn are_several(&self) -> bool {
        self.0.len() > 1
    }

    /// The first endpoint, whether or not it answers.
    #[expect(clippy::indexing_slicing, reason = "there is at least one")]
    pub(crate) fn first(&self) -> &Arc<Site> {
        &self.0[0]
    }

    /// The endpoint that is at an origin.
    pub(crate) fn at(&self, origin: &crate::Origin) -> Option<&Arc<Site>> {
        self.0.iter().find(|site| site.origin == *origin)
    }

    /// Asks one endpoint after another until one has it, or says with authority that there is no such thing.
    ///
    /// A registry's own "not found", and its refusal of our credentials, are final. A mirror's are not: it may have less
    /// than the registry and other credentials. Nor is anything else that went wrong, bytes that are not what was asked
    /// for included: what one endpoint gets wrong another one may not.
    ///
    /// # Errors
    /// What the last one said; but "not found" only if nobody failed who might have it, and that access is refused only if
    /// nobody failed otherwise: what is known of a repository is forgotten for that.
    pub(crate) async fn ask<T, Asking>(&self, ask: impl Fn(Arc<Site>) -> Asking) -> Result<T, FetchError>
    where
        Asking: Future<Output = Result<T, FetchError>>,
    {
        let sites = self.in_order().await;
        // Who is not asked might have it.
        let mut failure = (sites.len() < self.0.len()).then(|| Outage::SetAside.into());
        for site in sites {
            // A question takes kilobytes of state. They are on the heap, and not in whatever answers from memory alone as a
            // rule and is moved about with them.
            let error = match Box::pin(ask(site.clone())).await {
                Ok(found) => return Ok(found),
                Err(error) => error,
            };
            let is_final = match error {
                FetchError::NotFound | FetchError::Unauthorized => !site.mirror,
                FetchError::TooManyRequests { .. }
                | FetchError::WrongContent(_)
                | FetchError::TooLarge { .. }
                | FetchError::Unavailable(_)
                | FetchError::Refused(_) => false,
            };
            if is_final {
                return Err(error);
            }
            failure = Some(match failure {
                Some(earlier) if weight(&earlier) > weight(&error) => earlier,
                Some(_) | None => error,
            });
        }
        Err(failure.unwrap_or_else(|| Outage::SetAside.into()))
    }

    /// The endpoints to ask now. Those that are set aside are left out, and somebody finds out in the background whether they
    /// are back, so that nobody waits for them; where there is nobody else, whoever comes first waits for that.
    async fn in_order(&self) -> Vec<Arc<Site>> {
        let (healthy, others): (Vec<_>, Vec<_>) = self.0.iter().cloned().partition(|site| site.is_healthy());
        if healthy.is_empty() {
            let Some(site) = others.into_iter().find(|site| site.wants_probe()) else { return Vec::new() };
            // Not a part of what waits for it: several questions of one search end together when one of them is turned away,
            // and that would end what finds out that there is no reason for it any more.
            let probed = site.clone();
            drop(tokio::spawn(async move { probed.probe().await }).await);
            return if site.is_healthy() { vec![site] } else { Vec::new() };
        }
        for site in others.into_iter().filter(|site| site.wants_probe()) {
            // Detached on purpose: it ends by its own time limits.
            tokio::spawn(async move { site.probe().await });
        }
        healthy
    }
}

/// Of what several endpoints said, what weighs most is what they say together.
fn weight(error: &FetchError) -> u8 {
    match error {
        FetchError::NotFound => 0,
        FetchError::Unauthorized => 1,
        FetchError::TooManyRequests { .. }
        | FetchError::WrongContent(_)
        | FetchError::TooLarge { .. }
        | FetchError::Unavailable(_)
        | FetchError::Refused(_) => 2,
    }
}
