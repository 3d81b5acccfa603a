use futures_util::future::join_all;

use super::*;
use crate::index::Table;

fn digest(name: &str) -> Digest {
    Digest::of(name.as_bytes())
}

fn scope(repository: &str) -> Scope {
    Scope::new(&[b"tenant", repository.as_bytes()])
}

async fn parents(links: &Links, scope: &Scope, child: &str) -> Vec<Digest> {
    links.parents(scope, &digest(child)).await.iter().map(|link| link.parent).collect()
}

#[tokio::test]
async fn a_child_knows_its_parents_the_last_first() {
    for index in [None, Some(Index::in_memory())] {
        let (links, here) = (Links::new(index), scope("here"));
        links.add(&here, digest("one"), &[(digest("base"), 10), (digest("top"), 20)]).await;
        links.add(&here, digest("two"), &[(digest("base"), 11)]).await;
        let base = links.parents(&here, &digest("base")).await;
        let expected = [("two", 11), ("one", 10)].map(|(parent, size)| Link { parent: digest(parent), size });
        assert_eq!(base, expected);
        assert_eq!(parents(&links, &here, "top").await, [digest("one")]);
        assert_eq!(parents(&links, &here, "one").await, []);
    }
}

#[tokio::test]
async fn links_hold_in_their_scope_alone() {
    let links = Links::new(Some(Index::in_memory()));
    links.add(&scope("here"), digest("one"), &[(digest("base"), 10)]).await;
    assert_eq!(parents(&links, &scope("there"), "base").await, []);
}

#[tokio::test]
async fn a_restart_remembers_links() {
    let directory = tempfile::tempdir().unwrap();
    let links = Links::new(Some(Index::open(directory.path()).unwrap()));
    links.add(&scope("here"), digest("one"), &[(digest("base"), 10)]).await;
    drop(links);
    let links = Links::new(Some(Index::open(directory.path()).unwrap()));
    assert_eq!(parents(&links, &scope("here"), "base").await, [digest("one")]);
}

#[tokio::test]
async fn adding_again_writes_nothing() {
    let index = Index::in_memory();
    let (links, here) = (Links::new(Some(index.clone())), scope("here"));
    links.add(&here, digest("one"), &[(digest("base"), 10)]).await;
    let written = index.put(Table { name: "others", entries: 1 }, b"", None);
    links.add(&here, digest("one"), &[(digest("base"), 10)]).await;
    // Another process's memory, which does not know that it has been added.
    Links::new(Some(index.clone())).add(&here, digest("one"), &[(digest("base"), 10)]).await;
    let next = index.put(Table { name: "others", entries: 1 }, b"", None);
    assert_eq!(next, written.next());
    assert_eq!(parents(&links, &here, "base").await, [digest("one")]);
}

#[tokio::test]
async fn the_parent_that_was_added_first_goes_first_and_can_come_back() {
    let (links, here) = (Links::new(Some(Index::in_memory())), scope("here"));
    for number in 0..=PARENTS {
        links.add(&here, digest(&number.to_string()), &[(digest("base"), 10)]).await;
    }
    let base = parents(&links, &here, "base").await;
    assert_eq!(base.len(), PARENTS);
    assert_eq!(base.first(), Some(&digest(&PARENTS.to_string())));
    assert!(!base.contains(&digest("0")));

    links.add(&here, digest("0"), &[(digest("base"), 10)]).await;
    let base = parents(&links, &here, "base").await;
    assert_eq!((base.len(), base.first()), (PARENTS, Some(&digest("0"))));
    assert!(!base.contains(&digest("1")));
}

#[tokio::test(flavor = "multi_thread")]
async fn parents_that_are_added_at_once_are_all_there() {
    let (links, here) = (Links::new(Some(Index::in_memory())), scope("here"));
    let children = [(digest("base"), 1), (digest("top"), 2), (digest("base"), 3)];
    join_all((0..100).map(|number| {
        let parent = digest(&number.to_string());
        links.add(&here, parent, &children)
    }))
    .await;
    assert_eq!(parents(&links, &here, "top").await.len(), 100);
    let base = links.parents(&here, &digest("base")).await;
    assert_eq!(base.len(), 100);
    assert!(base.iter().all(|link| link.size == 1), "the first size that a manifest gives counts");
}

#[tokio::test]
async fn a_scope_is_forgotten_alone_and_whole() {
    let directory = tempfile::tempdir().unwrap();
    let (here, there) = (scope("here"), scope("here/too"));
    let links = Links::new(Some(Index::open(directory.path()).unwrap()));
    links.add(&here, digest("cold"), &[(digest("base"), 10)]).await;
    links.add(&there, digest("cold"), &[(digest("base"), 10)]).await;
    drop(links);
    let links = Links::new(Some(Index::open(directory.path()).unwrap()));
    links.add(&here, digest("warm"), &[(digest("top"), 10)]).await;

    links.forget_scope(&here).await;
    assert_eq!(parents(&links, &here, "base").await, []);
    assert_eq!(parents(&links, &here, "top").await, []);
    assert_eq!(parents(&links, &there, "base").await, [digest("cold")]);
    links.add(&here, digest("warm"), &[(digest("top"), 10)]).await;
    assert_eq!(parents(&links, &here, "top").await, [digest("warm")], "it can be added again");
}
