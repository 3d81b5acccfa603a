use std::time::Duration;

use super::*;

fn object(name: &str, data: Value) -> DynamicObject {
    let mut object = DynamicObject::new(name, &Kind::ClusterImagePolicy.resource()).data(data);
    object.metadata.resource_version = Some("7".into());
    object
}

fn policy(name: &str, glob: &str) -> DynamicObject {
    object(name, json!({"spec": {"images": [{"glob": glob}]}, "status": {"images": 9}}))
}

fn texts(held: &Held) -> Vec<String> {
    held.documents().into_iter().map(|(origin, text)| format!("{origin} {text}")).collect()
}

const CIP: Kind = Kind::ClusterImagePolicy;

#[test]
fn an_object_is_read_as_its_author_wrote_it() {
    let mut held = Held::default();
    assert_eq!(held.list(CIP, vec![policy("a", "x/**")]), Ok(true));
    let document: Value = serde_json::from_str(&held.documents()[0].1).unwrap();
    let wanted = json!({
        "apiVersion": "policy.sigstore.dev/v1alpha1", "kind": "ClusterImagePolicy", "metadata": {"name": "a"},
        "spec": {"images": [{"glob": "x/**"}]},
    });
    assert_eq!(document, wanted);
    assert_eq!(held.documents()[0].0, "ClusterImagePolicy/a");
    let mut own = policy("b", "y/**");
    own.metadata.namespace = Some("shop".into());
    assert_eq!(held.put(Kind::ImagePolicy, own), Ok(true));
    assert!(texts(&held)[1].starts_with("ImagePolicy/shop/b "), "{:?}", texts(&held));
    assert!(texts(&held)[1].contains("\"namespace\":\"shop\""), "{:?}", texts(&held));
}

#[test]
fn only_what_is_read_is_a_change() {
    let mut held = Held::default();
    assert_eq!(held.list(CIP, vec![policy("a", "x/**"), policy("b", "x/**")]), Ok(true));
    assert_eq!(held.list(CIP, vec![policy("a", "x/**"), policy("b", "x/**")]), Ok(false));
    // Its status alone.
    let mut told = policy("a", "x/**");
    told.data["status"] = json!({"images": 1});
    assert_eq!(held.put(CIP, told), Ok(false));
    assert_eq!(*held.with_status().next().unwrap().1.status, json!({"images": 1}));
    assert_eq!(held.put(CIP, policy("a", "y/**")), Ok(true));
    assert_eq!(held.list(CIP, vec![policy("a", "y/**")]), Ok(true));
    assert!(held.remove(CIP, &policy("a", "")));
    assert!(!held.remove(CIP, &policy("a", "")));
    assert_eq!(texts(&held), Vec::<String>::new());
    assert_eq!(held.size, 0);
}

#[test]
fn of_secrets_only_what_is_named_and_can_be_used_is_kept() {
    let mut held = Held::default();
    let secret =
        |name: &str, data: Value| object(name, json!({"data": data, "type": "Opaque", "immutable": true}));
    assert!(!held.wants(Kind::Secret));
    assert!(held.want(Kind::Secret, ["one".to_owned(), "two".to_owned()].into()));
    assert!(held.wants(Kind::Secret));
    let listed = vec![
        secret("one", json!({"a": "UFVC"})),
        secret("other", json!({"a": "U0VDUkVU"})),
        secret("two", json!({"cosign.key": "U0VDUkVU", "cosign.pub": "UFVC"})),
    ];
    assert_eq!(held.list(Kind::Secret, listed), Ok(true));
    let kept = texts(&held);
    assert_eq!(kept.len(), 2);
    assert!(kept[0].contains("\"data\":{\"a\":\"UFVC\"}"), "{kept:?}");
    assert!(kept[1].contains("\"cosign.key\":\"\""), "{kept:?}");
    assert!(!kept.concat().contains("U0VDUkVU") && !kept.concat().contains("immutable"), "{kept:?}");
    assert_eq!(held.put(Kind::Secret, secret("other", json!({"a": "U0VDUkVU"}))), Ok(false));
    // A name more is listed anew; a name less is forgotten.
    assert!(held.want(Kind::Secret, ["one".to_owned(), "other".to_owned()].into()));
    assert_eq!(held.unheard(), Some(Kind::ClusterImagePolicy));
    assert!(!held.want(Kind::Secret, ["one".to_owned()].into()));
    assert_eq!(held.documents().len(), 1);
}

#[test]
fn there_is_trouble_until_each_kind_is_heard_and_all_is_as_old_as_the_oldest() {
    let mut held = Held::default();
    let then = SystemTime::UNIX_EPOCH + Duration::from_secs(100);
    assert_eq!(held.heard(), None);
    for (index, kind) in Kind::POLICIES.into_iter().filter(|kind| !kind.is_named()).enumerate() {
        assert_eq!(held.unheard(), Some(kind));
        assert_eq!(held.list(kind, Vec::new()), Ok(true));
        held.hear(kind, then + Duration::from_secs(index as u64));
    }
    assert_eq!((held.unheard(), held.trouble_of(), held.heard()), (None, None, Some(then)));
    assert!(held.trouble(Kind::TrustRoot, "away".into()));
    assert!(!held.trouble(Kind::TrustRoot, "still away".into()));
    // Nobody asks for Secrets.
    held.trouble(Kind::Secret, "forbidden".into());
    assert_eq!(held.trouble_of().as_deref(), Some("still away"));
    assert!(held.hear(Kind::TrustRoot, then));
    assert_eq!(held.trouble_of(), None);
}

#[test]
fn more_than_may_be_held_is_not_taken() {
    let mut held = Held::default();
    let large = |name: &str| policy(name, &"x".repeat(SIZE_LIMIT / 2));
    assert_eq!(held.put(CIP, large("a")), Ok(true));
    assert_eq!(held.put(CIP, large("b")), Err(TooMuch::Size));
    assert_eq!(held.list(CIP, vec![large("a"), large("b")]), Err(TooMuch::Size));
    assert_eq!(held.documents().len(), 1);
    let many = (0..=COUNT_LIMIT).map(|index| policy(&format!("p{index}"), "x")).collect();
    assert_eq!(held.list(CIP, many), Err(TooMuch::Count(CIP)));
}
