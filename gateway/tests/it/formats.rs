//! Every way to sign, through the registry and both doors: where it is kept, in which form, by whom.

use oci::{Descriptor, Digest, MediaType};
use testkit::authority::{
    BundleVersion, IndexedAs, KeyKind, ManagedKey, Recipe, Record, SignatureManifest, Statement,
    attestation_manifest, referrer, referrers_index, referrers_tag,
};
use testkit::image::Image;
use testkit::registry::{Options, Referrers, Registry};

use super::stage::{HOST, Stage, release};

const REPOSITORY: &str = "acme/app";

/// A policy over the stage's images with this authority, in YAML flow style.
fn policy(authority: &str) -> String {
    format!(
        "apiVersion: policy.sigstore.dev/v1beta1\nkind: ClusterImagePolicy\nmetadata: {{name: acme-is-signed}}\nspec:\n  \
         images: [{{glob: '{HOST}/acme/**'}}]\n  authorities: [{{{authority}}}]\n"
    )
}

fn keyless(more: &str) -> String {
    policy(&format!(
        "keyless: {{identities: [{{issuer: 'https://token.actions.githubusercontent.com', subject: \
         'https://github.com/acme/app/.github/workflows/release.yaml@refs/heads/main'}}]}}{more}"
    ))
}

async fn stage(referrers: Referrers) -> Stage {
    Stage::with_origin(Registry::start_with(Options { referrers, ..Options::default() }).await)
}

/// The image is allowed at both doors, or denied at both.
async fn both_doors(stage: &Stage, image: &Image, allowed: bool, what: &str) {
    let gateway = stage.gateway().await;
    let denial = gateway.denial(&format!("{HOST}/{REPOSITORY}@{}", image.digest())).await;
    assert_eq!(denial.is_empty(), allowed, "{what}: {denial}");
    let pulled = gateway.get(&format!("/v2/{HOST}/{REPOSITORY}/manifests/{}", image.digest())).await;
    assert_eq!(pulled.status, if allowed { 200 } else { 403 }, "{what}");
    gateway.stop().await;
    // The next one starts from nothing.
    std::fs::remove_dir_all(stage.directory.path().join("storage")).unwrap();
}

fn descriptor(image: &Image) -> Descriptor {
    Descriptor {
        media_type: MediaType::new(MediaType::OCI_MANIFEST),
        digest: image.digest(),
        size: image.manifest.len() as u64,
        annotations: std::collections::BTreeMap::new(),
    }
}

/// What cosign 3 makes by default: a statement of its own type, in a bundle.
fn signed_bundle(stage: &Stage, digest: &Digest) -> serde_json::Value {
    let statement = Statement::image_signature(digest);
    let recipe = Recipe::statement(statement).by(&release()).recorded(Record::DsseV001);
    stage.authority.mint(&recipe).bundle(BundleVersion::V03)
}

#[tokio::test(flavor = "multi_thread")]
async fn bundles_are_found_as_referrers_and_under_the_fallback_tag() {
    for kept in [Referrers::Api, Referrers::FallbackTag] {
        let stage = stage(kept).await;
        let image = stage.unsigned(1, REPOSITORY, "v1");
        both_doors(&stage, &image, false, "before it is signed").await;
        let bundle = signed_bundle(&stage, &image.digest());
        let referrer = referrer(&descriptor(&image), &bundle);
        for blob in [&referrer.config, &referrer.bundle] {
            stage.origin.put_blob(REPOSITORY, blob.clone());
        }
        stage.origin.put_manifest(REPOSITORY, None, MediaType::OCI_MANIFEST, referrer.manifest.clone());
        both_doors(&stage, &image, true, "signed by a referrer").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_mislabels_its_entries_is_looked_through_all_the_same() {
    let stage = stage(Referrers::None).await;
    let image = stage.unsigned(1, REPOSITORY, "v1");
    let referrer = referrer(&descriptor(&image), &signed_bundle(&stage, &image.digest()));
    for blob in [&referrer.config, &referrer.bundle] {
        stage.origin.put_blob(REPOSITORY, blob.clone());
    }
    stage.origin.put_manifest(REPOSITORY, None, MediaType::OCI_MANIFEST, referrer.manifest.clone());
    let list = referrers_index(&[referrer], IndexedAs::EmptyConfigurations);
    stage.origin.put_manifest(REPOSITORY, Some(&referrers_tag(&image.digest())), MediaType::OCI_INDEX, list);
    both_doors(&stage, &image, true, "mislabelled").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attestation_is_what_its_policy_asks_for_and_no_signature() {
    let stage = Stage::new().await;
    let image = stage.unsigned(1, REPOSITORY, "v1");
    let statement = Statement::new(
        &image.digest(),
        "https://slsa.dev/provenance/v1",
        serde_json::json!({"builder": "ci"}),
    );
    let recipe = Recipe::statement(statement).by(&release()).recorded(Record::DsseV001);
    let manifest = attestation_manifest(&[stage.authority.mint(&recipe).layer()]);
    stage.origin.put_blob(REPOSITORY, manifest.config.clone());
    for payload in &manifest.payloads {
        stage.origin.put_blob(REPOSITORY, payload.clone());
    }
    let tag = SignatureManifest::attestation_tag_for(&image.digest());
    stage.origin.put_manifest(
        REPOSITORY,
        Some(&tag),
        manifest.media_type.as_str(),
        manifest.manifest.clone(),
    );

    both_doors(&stage, &image, false, "as a signature").await;
    let wants = |predicate_type: &str| {
        keyless(&format!(", attestations: [{{name: provenance, predicateType: '{predicate_type}'}}]"))
    };
    stage.policy("acme.yaml", &wants("https://slsa.dev/provenance/v1"));
    both_doors(&stage, &image, true, "as provenance").await;
    stage.policy("acme.yaml", &wants("https://spdx.dev/Document"));
    both_doors(&stage, &image, false, "as a bill of materials").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_counts_with_a_log_entry_where_the_policy_wants_one() {
    let stage = Stage::new().await;
    let (ours, other) = (ManagedKey::seeded("ours"), ManagedKey::generate(KeyKind::ALL[0]));
    let authority = |key: &ManagedKey, log: &str| {
        let pem = key.public_pem().replace('\n', "\\n");
        policy(&format!("key: {{data: \"{pem}\"}}{log}"))
    };
    for (seed, record, logged) in [(1, Record::Nowhere, false), (2, Record::HashedRekordV001, true)] {
        let image = stage.unsigned(seed, REPOSITORY, "v1");
        let recipe =
            Recipe::image(&image.digest(), &format!("{HOST}/{REPOSITORY}")).by_key(&ours).recorded(record);
        stage.attach(REPOSITORY, &image.digest(), &[stage.authority.mint(&recipe).layer()]);
        stage.policy("acme.yaml", &authority(&ours, ""));
        both_doors(&stage, &image, true, "without a log").await;
        stage.policy("acme.yaml", &authority(&ours, ", ctlog: {url: 'https://rekor.sigstore.dev'}"));
        both_doors(&stage, &image, logged, "with a log").await;
        stage.policy("acme.yaml", &authority(&other, ""));
        both_doors(&stage, &image, false, "another key").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_bricks_an_image_by_adding_signatures() {
    let stage = Stage::new().await;
    let image = stage.unsigned(1, REPOSITORY, "v1");
    let name = format!("{HOST}/{REPOSITORY}");
    let stranger = testkit::authority::Identity::email("https://accounts.example", "eve@example.com");
    let mut layers: Vec<_> =
        (0..70).map(|_| stage.authority.sign(&image.digest(), &name, &stranger)).collect();
    stage.attach(REPOSITORY, &image.digest(), &layers);
    let gateway = stage.gateway().await;
    let path = format!("/v2/{HOST}/{REPOSITORY}/manifests/{}", image.digest());
    let reply = gateway.get(&path).await;
    let told = (reply.status.as_u16(), reply.header("countersign-reason"));
    assert_eq!(told, (503, "signatures-beyond-limits"), "none is enough, and not all were looked at");
    gateway.stop().await;
    std::fs::remove_dir_all(stage.directory.path().join("storage")).unwrap();

    layers.insert(0, stage.authority.sign(&image.digest(), &name, &release()));
    stage.attach(REPOSITORY, &image.digest(), &layers);
    both_doors(&stage, &image, true, "one that is looked at is enough").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_referrer_that_is_not_what_it_says_takes_nothing_from_a_signature() {
    let stage = Stage::new().await;
    let image = stage.signed(1, REPOSITORY, "v1");
    let layer = serde_json::json!({
        "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
        "digest": Digest::of(b"a bundle"),
        "size": 3,
    });
    let manifest = serde_json::json!({
        "schemaVersion": 2,
        "mediaType": MediaType::OCI_MANIFEST,
        "config": {"mediaType": "application/vnd.oci.empty.v1+json", "digest": Digest::of(b"{}"), "size": 2},
        "layers": [layer],
        "subject": descriptor(&image),
    });
    stage.origin.put_blob(REPOSITORY, b"a bundle".as_slice());
    stage.origin.put_blob(REPOSITORY, b"{}".as_slice());
    stage.origin.put_manifest(
        REPOSITORY,
        None,
        MediaType::OCI_MANIFEST,
        bytes::Bytes::from(manifest.to_string()),
    );
    both_doors(&stage, &image, true, "beside a bundle of another size").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_and_logs_may_rest_on_trust_roots_of_their_own() {
    let stage = Stage::new().await;
    let image = stage.signed(1, REPOSITORY, "v1");
    let directory = stage.directory.path();
    let stranger = testkit::authority::Authority::new("stranger");
    std::fs::write(directory.join("stranger.json"), stranger.trusted_root()).unwrap();
    let roots = format!(
        "trust: {{root: {{file: {0}/stranger.json}}, roots: {{ours: {{file: {0}/trusted_root.json}}, \
         theirs: {{file: {0}/stranger.json}}}}}}",
        directory.display()
    );
    // The roots of certificates and of logs, and whether both are ours. `theirs` is also what nobody names means.
    for (certificates, log, allowed) in
        [("", "", false), ("ours", "ours", true), ("ours", "theirs", false), ("theirs", "ours", false)]
    {
        let naming =
            |root: &str| if root.is_empty() { String::new() } else { format!("trustRootRef: {root}") };
        let authority = keyless(&format!(", ctlog: {{{}}}", naming(log)));
        let authority = match certificates {
            "" => authority,
            root => authority.replace("keyless: {", &format!("keyless: {{{}, ", naming(root))),
        };
        stage.policy("acme.yaml", &authority);
        let gateway = stage.gateway_under(&roots).await;
        let denial = gateway.denial(&format!("{HOST}/{REPOSITORY}@{}", image.digest())).await;
        assert_eq!(denial.is_empty(), allowed, "{certificates} {log}: {denial}");
        gateway.stop().await;
    }
}
