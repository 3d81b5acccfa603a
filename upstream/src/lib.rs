//! Outbound: the only crate that opens a connection to a registry.
//!
//! An [`Upstream`] fetches manifests and blobs from one registry. It hands credentials to nobody but the origins it
//! was configured with, follows redirects no further than they are safe, and tells absence from failure. What it
//! fetches is checked against its digest here ([`Fetched`], [`oci::Verified`]) or marked as unchecked ([`Body`]).

mod address;
mod body;
mod challenge;
mod client;
mod credentials;
mod endpoint;
mod error;
mod fetch;
mod grant;
mod images;
mod origin;
mod page;
mod redirect;
mod referrers;
mod referrers_page;
mod retry_after;
mod settings;
mod status;
mod tags;
mod tls;
mod upstream;

pub use body::Body;
pub use credentials::Credentials;
pub use endpoint::Endpoint;
pub use error::{Awaited, BuildError, FetchError, Outage};
pub use fetch::{Fetcher, Url};
pub use images::Images;
pub use origin::{InvalidOrigin, Origin, Realm, Scheme};
pub use page::{InvalidPageQuery, PageQuery};
pub use referrers::{NextPage, Referrers};
pub use referrers_page::ReferrersPage;
pub use settings::{Settings, Timeouts};
pub use tags::TagsPage;
pub use upstream::{Fetched, Upstream};
