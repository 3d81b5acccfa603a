//! Outbound: the only crate that opens a connection to a registry.
//!
//! An [`Upstream`] fetches manifests and blobs from one registry. It hands credentials to nobody but the origins it
//! was configured with, follows redirects no further than they are safe, and tells absence from failure. What it
//! fetches is checked against its digest here ([`Fetched`], [`oci::Verified`]) or marked as unchecked ([`Body`]).

mod address;
mod body;
mod breaker;
mod challenge;
mod client;
mod courier;
mod credentials;
mod endpoint;
mod error;
mod fetch;
mod figures;
mod grant;
mod images;
mod keyring;
mod login;
mod origin;
mod pace;
mod page;
mod proxy;
mod rate_limit;
mod realm;
mod redirect;
mod referrers;
mod referrers_page;
mod resume;
mod retry_after;
mod settings;
mod site;
mod sites;
mod status;
mod tags;
mod tls;
mod upstream;

pub use body::Body;
pub use courier::Courier;
pub use credentials::Credentials;
pub use endpoint::Endpoint;
pub use error::{Awaited, BuildError, FetchError, Outage};
pub use fetch::{Fetcher, Url};
pub use images::Images;
pub use login::{
    Acr, Cloud, CloudLogin, DockerLogin, Ecr, GOOGLE_METADATA, Gar, InvalidPullSecret, Login, LoginError,
    PullSecret,
};
pub use origin::{InvalidOrigin, Origin, Scheme};
pub use page::{InvalidPageQuery, PageQuery};
pub use proxy::{InvalidProxy, Proxy};
pub use realm::Realm;
pub use referrers::{NextPage, Referrers};
pub use referrers_page::ReferrersPage;
pub use settings::{CONCURRENCY, Settings, Timeouts};
pub use tags::TagsPage;
pub use tls::{Identity, config as tls_config};
pub use upstream::{Fetched, Upstream};
