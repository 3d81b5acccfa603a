use http_body_util::BodyExt as _;
use serde_json::json;

use super::*;

fn look() -> Look {
    let image = json!({
        "asked": "registry.example/acme/app:v1", "image": "registry.example/acme/app", "digest": "sha256:00",
        "verdict": "deny", "reason": "unsigned", "microseconds": 1500,
        "policies": [{"name": "acme", "pattern": "**", "mode": "enforce", "outcome": "failed",
            "authorities": [{"name": "authority-0", "reason": "wrong-identity", "expected": ["<script>alert(1)</script>"],
                "found": [{"issuer": "https://issuer", "subjects": ["mallory"]}]}]}],
        "signatures": [{"material": "sha256:11", "signer": {"key": "sha256:22"}}],
    });
    let review = json!({"operation": "CREATE", "kind": "Pod", "namespace": "shop", "generateName": "web-"});
    let denied = json!({"decision": "00000001-1", "time": "2026-01-01T00:00:00.5Z", "outcome": "denied", "reason": "unsigned",
        "microseconds": 2000, "message": "no <b>signatures</b> found", "review": review, "images": [image]});
    let mut warned = denied.clone();
    warned["decision"] = "00000001-2".into();
    warned["outcome"] = "allowed".into();
    warned["images"][0]["policies"][0]["mode"] = "warn".into();
    Look {
        ready: Ok(String::new()),
        decisions: vec![warned, denied],
        policies: vec![("acme".into(), None), ("broken".into(), Some("its key is no key".into()))],
        counted: "countersign_cache_lookups_total{table=\"facts\",tier=\"memory\"} 7\n".into(),
    }
}

async fn read(part: Part, about: Option<&str>) -> (u16, String) {
    let response = part.render(&look(), about);
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

#[tokio::test]
async fn what_is_denied_and_what_would_be_is_on_the_first_page() {
    let (status, page) = read(Part::Overview, None).await;
    assert_eq!(status, 200);
    let (denied, would_be) = page.split_once("Would be denied").unwrap();
    assert!(denied.contains("/why?about=00000001-1") && !denied.contains("00000001-2"), "{page}");
    assert!(would_be.contains("/why?about=00000001-2") && !would_be.contains("00000001-1"), "{page}");
    assert!(page.contains("CREATE Pod shop/web-"), "{page}");
}

#[tokio::test]
async fn a_decision_says_who_signed_and_nothing_of_it_is_markup() {
    let (status, page) = read(Part::Decision, Some("00000001-1")).await;
    assert_eq!(status, 200);
    assert!(page.contains("mallory by https://issuer"), "{page}");
    assert!(page.contains("&lt;script&gt;") && !page.contains("<script"), "{page}");
    assert!(page.contains("no &lt;b&gt;signatures&lt;/b&gt; found"), "{page}");
    let (status, page) = read(Part::Decision, Some("\"><i>")).await;
    assert_eq!(status, 404);
    assert!(!page.contains("<i>"), "{page}");
}

#[tokio::test]
async fn policies_images_and_health_are_counted() {
    let (_, page) = read(Part::Policies, None).await;
    assert!(page.contains("its key is no key"), "{page}");
    let (_, page) = read(Part::Images, None).await;
    assert_eq!(
        page.matches("registry.example/acme/app@sha256:00").count(),
        2,
        "its link and its name, once: {page}"
    );
    let (_, page) = read(Part::Health, None).await;
    assert!(page.contains(">facts<") && page.contains(">7<"), "{page}");
}

#[test]
fn the_style_that_is_in_the_page_is_the_one_that_may_be() {
    let response = Part::Health.render(&look(), None);
    let policy = response.headers()["content-security-policy"].to_str().unwrap();
    assert!(policy.starts_with("default-src 'none'; style-src 'sha256-"), "{policy}");
}
