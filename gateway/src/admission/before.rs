//! What an update found there, so that it is seen what the update itself brings.

use super::images::{Image, Workload};
use super::review::{AdmissionRequest, Operation};

/// The images of an object before an update: none where it was made, or was nothing that can be read.
#[derive(Debug, Default)]
pub(super) struct Before(Vec<Image>);

impl Before {
    pub(super) fn of(request: &AdmissionRequest<'_>, workload: &Workload) -> Self {
        let old = request.old_object.filter(|_| request.operation == Operation::Update);
        Self(old.and_then(|old| workload.images(old.get()).ok()).map(|old| old.images).unwrap_or_default())
    }

    /// Whether this very image stood in this very place.
    pub(super) fn had(&self, image: &Image) -> bool {
        self.0.contains(image)
    }
}
