//! Policies as Kubernetes keeps them: checked, filled in and converted before they are stored.

mod convert;
mod default;
mod validate;

pub(super) use convert::convert;
pub(super) use default::default;
pub(super) use validate::validate;

use super::review::AdmissionRequest;

/// Deletions make no policy; nor do writes to its status.
fn makes_no_policy(request: &AdmissionRequest<'_>) -> bool {
    !request.operation.writes() || request.sub_resource.as_deref() == Some("status")
}
