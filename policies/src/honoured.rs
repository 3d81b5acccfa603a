//! What of a policy is honoured beyond this crate.
//!
//! A field that is judged here and that nobody finds facts for would deny everything without saying why, so it is
//! refused when it is loaded.

/// Which evidence the rest of the product finds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Honoured {
    /// Signatures by a key.
    pub(crate) keys: bool,
    /// Attestations.
    pub(crate) attestations: bool,
    /// Trust roots put together of several.
    pub(crate) several_roots: bool,
    /// Sigstore bundles.
    pub(crate) bundles: bool,
}

impl Honoured {
    /// What this build finds.
    pub(crate) const NOW: Self = Self { keys: true, attestations: true, several_roots: false, bundles: true };

    /// All that is judged here.
    #[cfg(test)]
    pub(crate) const ALL: Self = Self { keys: true, attestations: true, several_roots: true, bundles: true };
}
