//! Credentials of clouds, against stand-ins that answer in the shapes that the clouds document.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use testkit::image::Image;
use testkit::registry::{Auth, Registry};
use tokio::net::TcpListener;
use upstream::{Acr, Cloud, CloudLogin, Ecr, FetchError, Gar, Proxy, Settings, Upstream};

use crate::{all_words, by_tag, guarded, repository, settings};

/// A service of a cloud: it answers by path, and remembers what it was asked.
struct Service {
    url: String,
    asked: Arc<Mutex<Vec<(http::request::Parts, String)>>>,
}

impl Service {
    async fn start(answers: &'static [(&'static str, &'static str)]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked: Arc<Mutex<Vec<_>>> = Arc::default();
        let log = asked.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let log = log.clone();
                let answer = service_fn(move |request: Request<Incoming>| {
                    let log = log.clone();
                    async move {
                        let (parts, body) = request.into_parts();
                        let body = body.collect().await?.to_bytes();
                        let known = answers.iter().find(|(path, _)| *path == parts.uri.path());
                        let mut answer =
                            Response::new(Full::new(known.map_or("", |(_, answer)| *answer).into()));
                        if known.is_none() {
                            *answer.status_mut() = http::StatusCode::FORBIDDEN;
                        }
                        log.lock().unwrap().push((parts, String::from_utf8_lossy(&body).into_owned()));
                        Ok::<Response<Full<Bytes>>, hyper::Error>(answer)
                    }
                });
                tokio::spawn(async move {
                    Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), answer).await
                });
            }
        });
        Self { url, asked }
    }

    /// What it was asked for at this path: headers and body.
    fn asked(&self, path: &str) -> (http::HeaderMap, String) {
        let asked = self.asked.lock().unwrap();
        let (parts, body) = asked.iter().find(|(parts, _)| parts.uri.path() == path).unwrap();
        (parts.headers.clone(), body.clone())
    }

    fn count(&self) -> usize {
        self.asked.lock().unwrap().len()
    }
}

async fn registry(auth: Auth) -> Registry {
    let registry = guarded(auth).await;
    Image::random(1).push_to(&registry, "acme/app", Some("v1"));
    registry
}

/// A token as Kubernetes mounts one.
fn mounted() -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "mounted.token\n").unwrap();
    file
}

async fn fetch(registry: &Registry, cloud: Cloud) -> Result<(), FetchError> {
    let login = CloudLogin::new(cloud, Proxy::none()).unwrap();
    let settings = Settings { credentials: Some(upstream::Login::Cloud(login)), ..settings(&registry.url()) };
    let upstream = Upstream::new(settings).unwrap();
    upstream.manifest(&repository(), &by_tag()).await?;
    upstream.manifest(&repository(), &by_tag()).await.map(drop)
}

#[tokio::test]
async fn a_role_is_taken_on_and_a_password_asked_for_with_its_keys() {
    const ANSWERS: &[(&str, &str)] = &[
        ("/sts/", include_str!("../data/assume-role-with-web-identity.xml")),
        (
            "/",
            r#"{"authorizationData":[{"authorizationToken":"QVdTOnNlY3JldA==","expiresAt":4102444800.5,"proxyEndpoint":"https://012345678910.dkr.ecr.us-east-1.amazonaws.com"}]}"#,
        ),
    ];
    let (service, token) = (Service::start(ANSWERS).await, mounted());
    let registry = registry(Auth::basic("AWS", "secret")).await;
    let ecr = Ecr {
        region: "us-east-1".to_owned(),
        role: "arn:aws:iam::123456789012:role/pull".to_owned(),
        token: token.path().to_owned(),
        sts: format!("{}/sts/", service.url).parse().unwrap(),
        api: format!("{}/", service.url).parse().unwrap(),
    };
    fetch(&registry, Cloud::Ecr(ecr)).await.unwrap();
    let (_, form) = service.asked("/sts/");
    assert!(
        form.starts_with("Action=AssumeRoleWithWebIdentity&Version=2011-06-15&RoleArn=arn%3Aaws%3A"),
        "{form}"
    );
    assert!(form.ends_with("&WebIdentityToken=mounted.token"), "{form}");
    let (headers, body) = service.asked("/");
    assert_eq!(
        (body.as_str(), &headers["content-type"]),
        ("{}", &http::HeaderValue::from_static("application/x-amz-json-1.1"))
    );
    assert!(headers["authorization"].to_str().unwrap().contains("Credential=ASgeIAIOSFODNN7EXAMPLE/"));
    assert_eq!(headers["x-amz-security-token"], "AQoDYXdzEE0a8ANXXXXXXXXNO1ewxE5TijQyp+IEXAMPLE");
    // The password lasts for hours, and is not asked for again.
    assert_eq!(service.count(), 2);
}

#[tokio::test]
async fn a_metadata_service_or_an_exchange_gives_a_token_for_google() {
    const ANSWERS: &[(&str, &str)] = &[
        (
            "/computeMetadata/v1/instance/service-accounts/default/token",
            r#"{"access_token":"ya29.c","expires_in":3599,"token_type":"Bearer"}"#,
        ),
        (
            "/v1/token",
            r#"{"access_token":"federated","issued_token_type":"urn:ietf:params:oauth:token-type:access_token","token_type":"Bearer","expires_in":3600}"#,
        ),
        ("/impersonate", r#"{"accessToken":"ya29.c","expireTime":"2100-01-01T00:00:00Z"}"#),
    ];
    let (service, token) = (Service::start(ANSWERS).await, mounted());
    let registry = registry(Auth::bearer("oauth2accesstoken", "ya29.c")).await;
    fetch(&registry, Cloud::Gar(Gar::Metadata(service.url.parse().unwrap()))).await.unwrap();
    let (headers, _) = service.asked(ANSWERS[0].0);
    assert_eq!(headers["metadata-flavor"], "Google");

    let account = tempfile::NamedTempFile::new().unwrap();
    let configuration = serde_json::json!({
        "type": "external_account",
        "audience": "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/k",
        "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
        "token_url": format!("{}/v1/token", service.url),
        "service_account_impersonation_url": format!("{}/impersonate", service.url),
        "credential_source": {"file": token.path()},
    });
    std::fs::write(account.path(), configuration.to_string()).unwrap();
    fetch(&registry, Cloud::Gar(Gar::ExternalAccount(account.path().to_owned()))).await.unwrap();
    let (_, form) = service.asked("/v1/token");
    assert!(form.contains("grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange&"), "{form}");
    assert!(form.ends_with("&subject_token=mounted.token"), "{form}");
    let (headers, body) = service.asked("/impersonate");
    assert_eq!(headers["authorization"], "Bearer federated");
    assert!(body.contains("devstorage.read_only"), "{body}");
}

#[tokio::test]
async fn a_token_of_entra_becomes_a_refresh_token_of_azure_s_registry() {
    // The registry's own exchange is played by a stand-in before the registry, at the same origin in life.
    const ANSWERS: &[(&str, &str)] = &[
        (
            "/tenant-id/oauth2/v2.0/token",
            r#"{"token_type":"Bearer","expires_in":3599,"ext_expires_in":3599,"access_token":"entra"}"#,
        ),
        ("/oauth2/exchange", r#"{"refresh_token":"e30.eyJleHAiOjQxMDI0NDQ4MDB9.x"}"#),
    ];
    let (service, token) = (Service::start(ANSWERS).await, mounted());
    let registry = registry(Auth::bearer("", "e30.eyJleHAiOjQxMDI0NDQ4MDB9.x")).await;
    let acr = Acr {
        registry: service.url.parse().unwrap(),
        authority: service.url.parse().unwrap(),
        tenant: "tenant-id".to_owned(),
        client: "client-id".to_owned(),
        token: token.path().to_owned(),
    };
    fetch(&registry, Cloud::Acr(acr)).await.unwrap();
    let (_, form) = service.asked("/tenant-id/oauth2/v2.0/token");
    assert!(
        form.contains("client_id=client-id&client_assertion_type=urn%3Aietf")
            && form.contains("&client_assertion=mounted.token&"),
        "{form}"
    );
    let (_, form) = service.asked("/oauth2/exchange");
    assert_eq!(form, "grant_type=access_token&service=127.0.0.1&tenant=tenant-id&access_token=entra");
    assert_eq!(
        registry.count(|seen| seen.authorization().is_some_and(|shown| shown.starts_with("Basic"))),
        0
    );
}

#[tokio::test]
async fn a_cloud_that_gives_nothing_is_an_outage_and_not_repeated() {
    const ANSWERS: &[(&str, &str)] = &[("/sts/", "<AccessKeyId>hunter2</AccessKeyId>")];
    let (service, token) = (Service::start(ANSWERS).await, mounted());
    let registry = registry(Auth::anonymous()).await;
    let ecr = |sts: &str| {
        Cloud::Ecr(Ecr {
            region: "us-east-1".to_owned(),
            role: "role".to_owned(),
            token: token.path().to_owned(),
            sts: format!("{}{sts}", service.url).parse().unwrap(),
            api: service.url.parse().unwrap(),
        })
    };
    for sts in ["/sts/", "/elsewhere"] {
        let error = fetch(&registry, ecr(sts)).await.unwrap_err();
        assert!(matches!(error, FetchError::Unavailable(_)), "{error:?}");
        let words = all_words(&error);
        assert!(!words.contains("hunter2") && !words.contains("mounted.token"), "{words}");
    }
    assert_eq!(registry.count(|seen| seen.path == "/token"), 0);
}
