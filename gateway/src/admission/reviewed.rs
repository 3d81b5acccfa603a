//! What a review came to: the answer, and what there is to keep of how it came about.

use super::passing::Passing;
use super::review::Answer;
use crate::records;

/// An answer, and what led to it.
pub(super) struct Reviewed<'a> {
    /// What the API server is told.
    pub(super) answer: Answer<'a>,
    /// What came of each image that was judged.
    pub(super) images: Vec<records::Image>,
    /// Why it was not judged, if it passes without.
    pub(super) passing: Option<Passing>,
    /// What the object's name will be made of, where it has none yet.
    pub(super) generate_name: Option<String>,
}

impl<'a> Reviewed<'a> {
    /// An answer for which no image had to be judged.
    pub(super) fn of(answer: Answer<'a>) -> Self {
        Self { answer, images: Vec::new(), passing: None, generate_name: None }
    }
}
