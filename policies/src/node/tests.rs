use oci::Algorithm;
use proptest::prelude::*;

use super::*;

fn digest(text: &str) -> oci::Digest {
    let mut hasher = Hasher::new(Algorithm::Sha256);
    documents(text).unwrap().iter().for_each(|node| node.digest_into(&mut hasher));
    hasher.finish()
}

#[test]
fn empty_documents_are_skipped() {
    assert_eq!(documents("---\n# nothing\n---\na: b\n---\nnull\n---\n").unwrap().len(), 1);
    assert_eq!(documents("").unwrap(), []);
}

#[test]
fn what_is_quoted_is_text_and_what_is_not_is_what_kubernetes_takes_it_for() {
    let kinds = documents("[5, '5', 1.5, no, 'no', v1, ~, '', 2026-01-01]").unwrap();
    let [Node::List(items)] = &kinds[..] else { panic!("a list") };
    let kinds: Vec<_> = items.iter().map(Node::kind).collect();
    let (text, number, boolean) = ("text", "a number", "a boolean");
    assert_eq!(kinds, [number, text, number, boolean, text, text, "nothing", text, text]);
}

#[test]
fn what_hides_the_policy_in_force_from_its_reader_is_refused() {
    for text in [
        "a: 1\na: 2",
        "a: {b: 1, \"b\": 2}",
        "base: &base {a: b}\nc:\n  <<: *base\n",
        "a: !secret b",
        "a: [",
        "a: *nowhere",
    ] {
        assert!(documents(text).is_err(), "{text}");
    }
}

/// A tree in JSON, which YAML includes.
fn render(node: &Node) -> String {
    let text = |text: &str| serde_json::to_string(text).unwrap();
    match node {
        Node::Null => "null".into(),
        Node::Boolean(value) => value.to_string(),
        Node::Integer(value) => value.to_string(),
        Node::Number => "1.5".into(),
        Node::Text(value) => text(value),
        Node::List(list) => format!("[{}]", list.iter().map(render).collect::<Vec<_>>().join(", ")),
        Node::Map(map) => {
            let entries = map.iter().map(|(key, value)| format!("{}: {}", text(key), render(value)));
            format!("{{{}}}", entries.collect::<Vec<_>>().join(", "))
        }
    }
}

fn tree() -> impl Strategy<Value = Node> {
    let leaf = prop_oneof![
        Just(Node::Null),
        any::<bool>().prop_map(Node::Boolean),
        any::<i64>().prop_map(|value| Node::Integer(value.into())),
        Just(Node::Number),
        "[ -~é€\n\t\"\\\\'#:~-]{0,8}".prop_map(Node::Text),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Node::List),
            proptest::collection::btree_map("[ -~é]{1,6}", inner, 0..4).prop_map(Node::Map),
        ]
    })
}

proptest! {
    #[test]
    fn what_is_rendered_is_read_as_it_was(tree in tree().prop_filter("empty documents are skipped", |tree| *tree != Node::Null)) {
        prop_assert_eq!(documents(&render(&tree)).unwrap(), [tree]);
    }
}

#[test]
fn bombs_are_refused() {
    let mut bomb = String::from("a0: &a0 [x,x,x,x,x,x,x,x,x]\n");
    for level in 1..10 {
        let aliases = vec![format!("*a{}", level - 1); 9].join(",");
        bomb.push_str(&format!("a{level}: &a{level} [{aliases}]\n"));
    }
    assert!(documents(&bomb).is_err());
    assert!(documents(&format!("{}{}", "[".repeat(40), "]".repeat(40))).is_err());
    assert!(documents(&format!("{}a", "- ".repeat(40))).is_err());
}

#[test]
fn only_meaning_is_hashed() {
    assert_eq!(digest("a: b\nc: [d]"), digest("# text\nc:\n- 'd'\ne: null\na: \"b\""));
    for other in ["a: b", "a: b\nc: [d, '']", "a: b\nc: d", "a: bc\n'': [d]", "a: b\nc: [e]"] {
        assert_ne!(digest("a: b\nc: [d]"), digest(other), "{other}");
    }
}
