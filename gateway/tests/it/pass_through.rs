//! Registries that are asked by the right of whoever pulls: nobody is given, or told, what the registry does not give them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::Method;
use oci::Digest;
use testkit::authority::SignatureManifest;
use testkit::registry::{Fault, Registry};

use crate::stage::{Gateway, HOST, Reply, Stage};
use crate::tenants::{Two, files, of, user_of};

/// Two who have rights of their own at the origin, a registry that they have nothing to do with, and a private image of `a`.
pub(crate) struct World {
    pub(crate) two: Two,
    other: Registry,
    pub(crate) digest: Digest,
    layer: Digest,
}

/// What somebody logs in with: their own password, unless it is another.
fn login(user: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
}

fn own(user: &str) -> String {
    login(user, &format!("password-of-{user}"))
}

impl World {
    pub(crate) async fn new() -> Self {
        let two = Two::new().await;
        two.stage.policy("all.yaml", crate::stage::POLICY);
        let image = two.stage.signed(1, "acme/private-a", "v1");
        let (digest, layer) = (image.digest(), Digest::of(image.blobs().next().unwrap()));
        Self { two, other: Registry::start().await, digest, layer }
    }

    /// A gateway that passes on what is shown for the origin, under these keys of `registry` and of that upstream.
    pub(crate) async fn gateway(&self, registry: &str, upstream: &str, more: &str) -> Gateway {
        let stage = &self.two.stage;
        let directory = stage.directory.path().display();
        let keys = format!(
            "registry: {{listen: '127.0.0.1:0'{registry}}}\nadmission: {{listen: '127.0.0.1:0'}}\n\
             policies: {{directory: {directory}/policies}}\n{more}"
        );
        let path = stage.configuration(&keys);
        let text = std::fs::read_to_string(&path).unwrap();
        let of_origin = format!("{{host: {HOST}, ");
        let of_other = format!("{{host: docker.io, endpoint: '{}'}}", stage.origin.url());
        assert!(text.contains(&of_origin) && text.contains(&of_other), "{text}");
        let text = text
            .replace(&of_origin, &format!("{of_origin}access: passThrough{upstream}, "))
            .replace(&of_other, &format!("{{host: docker.io, endpoint: '{}'}}", self.other.url()));
        std::fs::write(&path, text).unwrap();
        Gateway::start(&path).await
    }

    fn questions(&self) -> Vec<(Method, String)> {
        questions(&self.digest, &self.layer, "v1")
    }

    /// Pulls the image as a client does.
    async fn is_pulled(&self, gateway: &Gateway, by: &str) {
        for what in ["manifests/v1".to_owned(), format!("blobs/{}", self.layer)] {
            let reply = ask(gateway, &Method::GET, &of("acme/private-a", &what), Some(by)).await;
            assert_eq!(reply.status, 200, "{what}: {reply:?}");
        }
    }

    /// That whoever shows this gets nothing, nor is told more than that.
    async fn is_nothing_to(&self, gateway: &Gateway, by: Option<&str>, statuses: &[u16]) {
        for (method, path) in self.questions() {
            let reply = ask(gateway, &method, &path, by).await;
            assert!(statuses.contains(&reply.status.as_u16()), "{by:?} {method} {path}: {reply:?}");
            assert!(reply.headers.get("docker-content-digest").is_none(), "{method} {path}: {reply:?}");
        }
    }
}

/// Everything that could be asked about an image of `a`.
fn questions(digest: &Digest, layer: &Digest, tag: &str) -> Vec<(Method, String)> {
    let signature = SignatureManifest::tag_for(digest);
    let content = [
        format!("manifests/{tag}"),
        format!("manifests/{digest}"),
        format!("manifests/{signature}"),
        format!("blobs/{layer}"),
    ];
    let lists = [format!("referrers/{digest}"), "tags/list".to_owned()];
    let mut all = Vec::new();
    for what in &content {
        all.extend([Method::GET, Method::HEAD].map(|method| (method, of("acme/private-a", what))));
    }
    all.extend(lists.map(|what| (Method::GET, of("acme/private-a", &what))));
    all
}

async fn ask(gateway: &Gateway, method: &Method, path: &str, by: Option<&str>) -> Reply {
    let headers: Vec<_> = by.map(|by| ("authorization", by)).into_iter().collect();
    gateway.request(method.clone(), path, &headers).await
}

#[tokio::test]
async fn whoever_pulls_is_given_what_the_registry_gives_them_and_no_more_for_what_others_pulled() {
    let world = World::new().await;
    let gateway = world.gateway("", "", "").await;
    let (a, b, wrong) = (own("a"), own("b"), login("a", "password-of-x"));
    world.is_nothing_to(&gateway, Some(&b), &[403, 404]).await;
    world.is_pulled(&gateway, &a).await;
    for (method, path) in world.questions() {
        let reply = ask(&gateway, &method, &path, Some(&a)).await;
        assert_eq!(reply.status, 200, "{method} {path}: {reply:?}");
    }
    world.is_nothing_to(&gateway, Some(&b), &[403, 404]).await;
    world.is_nothing_to(&gateway, Some(&wrong), &[403, 404]).await;
    world.is_nothing_to(&gateway, None, &[401]).await;
    for by in ["Bearer password-of-a", "Basic ?", &login("a", "")] {
        world.is_nothing_to(&gateway, Some(by), &[401]).await;
    }
    // With the registry away there is nobody who could prove anything anew; what was proven is believed for a while.
    world.two.stage.origin.clear_faults();
    world.two.stage.origin.fault(|_| true, Fault::Reset);
    let path = of("acme/private-a", &format!("manifests/{}", world.digest));
    assert_eq!(ask(&gateway, &Method::GET, &path, Some(&a)).await.status, 200);
    for by in [&b, &wrong] {
        let reply = ask(&gateway, &Method::GET, &path, Some(by)).await;
        assert!(matches!(reply.status.as_u16(), 502 | 503), "{reply:?}");
    }
}

#[tokio::test]
async fn a_stranger_is_answered_after_the_same_question_to_the_registry_whether_or_not_it_is_known_here() {
    let world = World::new().await;
    let stage = &world.two.stage;
    let unknown = stage.signed(2, "acme/private-a", "v2");
    let (digest, layer) = (unknown.digest(), Digest::of(unknown.blobs().next().unwrap()));
    let gateway = world.gateway("", "", "").await;
    world.is_pulled(&gateway, &own("a")).await;
    let b = own("b");
    let known = world.questions();
    let unknown = questions(&digest, &layer, "v2");
    for ((method, known), (_, unknown)) in known.iter().zip(&unknown) {
        let mut came = Vec::new();
        for path in [known, unknown] {
            stage.origin.clear_requests();
            let reply = ask(&gateway, method, path, Some(&b)).await;
            let mut headers: Vec<_> = reply
                .headers
                .iter()
                .filter(|(name, _)| !matches!(name.as_str(), "date" | "countersign-decision"))
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect();
            headers.sort_by(|one, other| one.0.as_str().cmp(other.0.as_str()));
            let seen = stage.origin.requests();
            let seen: Vec<_> = seen.iter().map(|seen| (seen.method.clone(), user_of(seen))).collect();
            came.push((reply.status, headers, reply.body, seen));
        }
        assert_eq!(came[0], came[1], "{method} {known}");
    }
}

#[tokio::test]
async fn what_a_caller_shows_is_shown_to_that_registry_alone_and_kept_nowhere() {
    let world = World::new().await;
    let stage = &world.two.stage;
    // Signatures are looked for in another registry too.
    let elsewhere = crate::stage::POLICY
        .replace("acme-is-signed", "elsewhere")
        .replace("- keyless:", "- source: [{oci: docker.io/acme/signatures}]\n      keyless:");
    assert!(elsewhere.contains("acme/signatures"), "{elsewhere}");
    stage.policy("elsewhere.yaml", &elsewhere);
    let image = testkit::image::Image::random(9);
    image.push_to(&world.other, "library/app", Some("v1"));
    let gateway = world.gateway("", "", "").await;
    let a = own("a");
    for path in [of("acme/private-a", "manifests/v1"), "/v2/docker.io/library/app/manifests/v1".to_owned()] {
        drop(ask(&gateway, &Method::GET, &path, Some(&a)).await);
    }
    let seen = world.other.requests();
    assert!(seen.iter().any(|seen| seen.path.contains("acme/signatures")), "{seen:?}");
    assert!(seen.iter().any(|seen| seen.path.contains("library/app")), "{seen:?}");
    assert!(seen.iter().all(|seen| seen.authorization().is_none()), "{seen:?}");
    let seen = stage.origin.requests();
    assert!(seen.iter().any(|seen| user_of(seen).as_deref() == Some("a")), "{seen:?}");
    gateway.stop().await;
    let secrets = ["password-of-a".to_owned(), a.trim_start_matches("Basic ").to_owned()];
    for file in files(&stage.directory.path().join("storage")) {
        let bytes = std::fs::read(&file).unwrap();
        for secret in &secrets {
            let is_there = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
            assert!(!is_there, "{}: has a secret", file.display());
        }
    }
}

#[tokio::test]
async fn what_the_registry_takes_from_one_it_takes_from_nobody_else() {
    let world = World::new().await;
    let gateway = world.gateway(", accessFreshness: 0s", "", "").await;
    let (a, b) = (own("a"), own("b"));
    world.two.rights.give("b", "acme/private-a");
    world.is_pulled(&gateway, &a).await;
    world.is_pulled(&gateway, &b).await;
    world.two.rights.take("a", "acme/private-a");
    world.is_nothing_to(&gateway, Some(&a), &[403, 404]).await;
    world.two.stage.origin.clear_requests();
    world.is_pulled(&gateway, &b).await;
    // It is asked whether it still gives this, and for nothing that is here.
    let seen = world.two.stage.origin.requests();
    assert!(seen.iter().all(|seen| seen.method == Method::HEAD), "{seen:?}");
}

#[tokio::test]
async fn a_login_by_which_somebody_is_a_tenant_is_no_registrys_to_see() {
    let world = World::new().await;
    let stage = &world.two.stage;
    let directory = stage.directory.path().display();
    let tenants = format!(
        "tenants: [{{name: a, callers: [{{credentials: [{{usernameFile: {directory}/a.user, passwordFile: {directory}/a.password}}]}}]}}]\n"
    );
    let gateway = world.gateway("", "", &tenants).await;
    stage.origin.clear_requests();
    let reply = ask(&gateway, &Method::GET, &of("acme/private-a", "manifests/v1"), Some(&own("a"))).await;
    assert_eq!((reply.status.as_u16(), reply.header("countersign-reason")), (401, "login-required"));
    assert_eq!(stage.origin.requests().len(), 0);
}

#[tokio::test]
async fn admission_asks_by_the_gateways_own_right_where_it_has_one_and_never_by_what_others_pulled() {
    let world = World::new().await;
    let image = format!("{HOST}/acme/private-a@{}", world.digest);
    let gateway = world.gateway("", "", "").await;
    world.is_pulled(&gateway, &own("a")).await;
    let denial = gateway.denial(&image).await;
    assert!(
        denial.contains("with the credentials of whoever pulls, of which there are none here"),
        "{denial}"
    );
    gateway.stop().await;

    let directory = world.two.stage.directory.path().display();
    let of_ours =
        format!(", credentials: {{usernameFile: {directory}/a.user, passwordFile: {directory}/a.password}}");
    let gateway = world.gateway("", &of_ours, "").await;
    assert_eq!(gateway.denial(&image).await, "");
    // It is for admission alone.
    world.two.stage.origin.clear_requests();
    world.is_nothing_to(&gateway, Some(&own("b")), &[403, 404]).await;
    world.is_nothing_to(&gateway, None, &[401]).await;
    let users: Vec<_> = world.two.stage.origin.requests().iter().filter_map(user_of).collect();
    assert!(!users.is_empty() && users.iter().all(|user| user == "b"), "{users:?}");
}

#[tokio::test]
async fn clients_that_ask_before_they_pull_are_told_that_they_may_have_to_log_in() {
    let world = World::new().await;
    let gateway = world.gateway("", "", "").await;
    let reply = ask(&gateway, &Method::GET, "/v2/", None).await;
    assert_eq!(
        (reply.status.as_u16(), reply.header("www-authenticate"), &*reply.code()),
        (401, "Basic realm=\"countersign\"", "UNAUTHORIZED")
    );
    assert_eq!(ask(&gateway, &Method::GET, "/v2/", Some(&own("a"))).await.status, 200);
    let plain = Stage::new().await.gateway().await;
    assert_eq!(ask(&plain, &Method::GET, "/v2/", None).await.status, 200);
}
