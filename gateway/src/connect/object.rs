//! From configuration to an object store: whose client asks through our connections, so that there is one TLS.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cache::Bucket;
use http_body_util::BodyExt as _;
use object_store::aws::AmazonS3Builder;
use object_store::azure::MicrosoftAzureBuilder;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpResponseBody,
    HttpService,
};
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::path::Path;
use object_store::{ClientOptions, ObjectStore, RetryConfig};
use upstream::{Courier, FetchError, Outage};

use crate::config::{self, Cloud, Objects};

/// How often a request is made again, and for how long at most: whoever waits has a registry to ask.
fn retries() -> RetryConfig {
    RetryConfig { max_retries: 2, retry_timeout: Duration::from_secs(5), ..RetryConfig::default() }
}

/// The object store that is configured. No connection is opened.
///
/// # Errors
/// What is wrong with it. No secret is in it.
pub(crate) fn bucket(objects: &Objects) -> anyhow::Result<Arc<Bucket>> {
    let authorities = objects.ca.as_deref().map(config::authorities).transpose()?.unwrap_or_default();
    let connector = Connector(Courier::new(&authorities)?);
    let store: Arc<dyn ObjectStore> = match objects.cloud {
        Cloud::S3 => Arc::new(s3(objects, connector)?),
        Cloud::Google => {
            let builder = GoogleCloudStorageBuilder::from_env().with_bucket_name(&objects.bucket);
            Arc::new(builder.with_retry(retries()).with_http_connector(connector).build()?)
        }
        Cloud::Azure => Arc::new(azure(objects, connector)?),
    };
    Ok(Bucket::new(store, Path::parse(&objects.prefix)?))
}

fn s3(objects: &Objects, connector: Connector) -> anyhow::Result<object_store::aws::AmazonS3> {
    let mut builder = AmazonS3Builder::from_env().with_bucket_name(&objects.bucket);
    if let Some(region) = &objects.region {
        builder = builder.with_region(region);
    }
    if let Some(endpoint) = &objects.endpoint {
        builder = builder.with_endpoint(endpoint).with_allow_http(objects.is_plain());
    }
    Ok(builder.with_retry(retries()).with_http_connector(connector).build()?)
}

fn azure(objects: &Objects, connector: Connector) -> anyhow::Result<object_store::azure::MicrosoftAzure> {
    let mut builder = MicrosoftAzureBuilder::from_env().with_container_name(&objects.bucket);
    if let Some(endpoint) = &objects.endpoint {
        builder = builder.with_endpoint(endpoint.clone()).with_allow_http(objects.is_plain());
    }
    Ok(builder.with_retry(retries()).with_http_connector(connector).build()?)
}

/// Connects the client of an object store by a courier.
struct Connector(Courier);

/// The same, for requests.
struct Carrier(Courier);

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Connector")
    }
}

impl fmt::Debug for Carrier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Carrier")
    }
}

impl HttpConnector for Connector {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(Carrier(self.0.clone())))
    }
}

#[async_trait::async_trait]
impl HttpService for Carrier {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let (parts, body) = request.into_parts();
        let body: Bytes = body.collect().await?.to_bytes();
        let answer = self.0.carry(http::Request::from_parts(parts, body)).await;
        let (parts, body) = answer.map_err(|error| HttpError::new(kind(&error), error))?.into_parts();
        let body = body.map_err(|error| HttpError::new(HttpErrorKind::Interrupted, error));
        Ok(http::Response::from_parts(parts, HttpResponseBody::new(body)))
    }
}

fn kind(error: &FetchError) -> HttpErrorKind {
    let FetchError::Unavailable(outage) = error else {
        return HttpErrorKind::Unknown;
    };
    match &**outage {
        Outage::Connect(_) => HttpErrorKind::Connect,
        Outage::TimedOut(_) => HttpErrorKind::Timeout,
        Outage::Broken(_) => HttpErrorKind::Request,
        Outage::Short | Outage::Status(_) | Outage::SetAside | Outage::Crowded | Outage::Credentials(_) => {
            HttpErrorKind::Unknown
        }
    }
}
