//! Memory: what was found, verified and fetched, and for how long.
//!
//! Small things are remembered in a [`Memo`]: in [`Memory`], over an [`Index`] on disk, over what the fleet shares in
//! Redis ([`Shared`]), sealed by [`Seals`]. [`Links`] say which manifests name a child, [`Blobs`] keep content by
//! digest, shared in a [`Bucket`], and [`Flights`] let many callers wait for one piece of work, and with a [`Lease`] a whole fleet. The crate
//! speaks to no registry and does not know what the things that it remembers mean.

mod beginning;
mod blob;
mod blobs;
mod blocking;
mod bucket;
mod count;
mod domain;
mod fill_error;
mod filling;
mod flights;
mod holdings;
mod index;
mod key;
mod lease;
mod links;
mod lock;
mod memo;
mod memory;
mod open_error;
mod passing;
mod random;
mod seal;
mod shared;
mod stats;

pub use beginning::Beginning;
pub use blob::{Blob, ReadError};
pub use blobs::{Audit, Audited, Blobs, Finding, Part, audit};
pub use bucket::Bucket;
pub use domain::{Domain, InvalidDomain, Share};
pub use fill_error::{BoxError, FillError};
pub use filling::{Filling, HOLD_BACK, Origin};
pub use flights::{Flights, Lost};
pub use holdings::Holdings;
pub use index::Index;
pub use key::{Key, KeyBytes, Scope};
pub use lease::{Lease, LeaseTimes};
pub use links::{Link, Links, PARENTS};
pub use memo::{Limits, Look, Memo, Presence, Sharing, What};
pub use memory::{Memory, Since};
pub use open_error::OpenError;
pub use passing::pass_through;
pub use seal::{Broken, InvalidSecrets, Label, Opened, Seals};
pub use shared::{
    BUDGET, BreakerState, ConnectError, Forgets, InvalidUrl, MAX_VALUE, Settings, Shared, Trust,
};
pub use stats::{
    BlobStats, BucketStats, FlightStats, Latency, LeaseStats, MemoStats, MemoryStats, PartStats, SharedStats,
};
