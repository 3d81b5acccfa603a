//! Memory: what was found, verified and fetched, and for how long.
//!
//! Small things are remembered in a [`Memo`]: in memory, over an [`Index`] on disk. [`Links`] say which manifests
//! name a child, [`Blobs`] keep content by digest, and [`Flights`] let many callers wait for one piece of work. The
//! crate speaks to no registry and does not know what the things that it remembers mean.

mod blob;
mod blobs;
mod blocking;
mod fill_error;
mod filling;
mod flights;
mod index;
mod key;
mod links;
mod lock;
mod memo;
mod open_error;

pub use blob::{Blob, ReadError};
pub use blobs::Blobs;
pub use fill_error::{BoxError, FillError};
pub use filling::{Filling, HOLD_BACK, Origin};
pub use flights::{Flights, Lost};
pub use index::Index;
pub use key::{Key, KeyBytes, Scope};
pub use links::{Link, Links, PARENTS};
pub use memo::{Limits, Memo};
pub use open_error::OpenError;
