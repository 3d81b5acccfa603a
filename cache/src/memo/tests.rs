use std::collections::HashMap;

use futures_util::FutureExt;
use futures_util::future::join_all;
use serde::Deserialize;

use super::*;

const LIMITS: Limits = Limits { bytes: 1024 * 1024, entries: 100 };
const HALF_A_MINUTE: Duration = Duration::from_secs(30);

fn memo<V: Value>(index: &Arc<Index>) -> Memo<String, V> {
    Memo::new("things", LIMITS, Some(index.clone()))
}

fn key(text: &str) -> String {
    text.to_owned()
}

#[tokio::test]
async fn what_is_kept_is_found_and_what_is_forgotten_is_not() {
    for index in [None, Some(Index::in_memory())] {
        let memo = Memo::new("things", LIMITS, index);
        assert_eq!(memo.find(&key("a")).await, None);
        memo.keep(key("a"), 1).await;
        memo.keep(key("b"), 2).await;
        memo.keep(key("a"), 3).await;
        assert_eq!((memo.find(&key("a")).await, memo.find_in_memory(&key("b"))), (Some(3), Some(2)));
        memo.forget(&key("a")).await;
        assert_eq!((memo.find(&key("a")).await, memo.find(&key("b")).await), (None, Some(2)));
    }
}

#[tokio::test]
async fn a_restart_remembers() {
    let directory = tempfile::tempdir().unwrap();
    let memo_ = memo(&Index::open(directory.path()).unwrap());
    memo_.keep(key("a"), vec![1, 2]).await;
    memo_.keep(key("b"), vec![3]).await;
    memo_.forget(&key("b")).await;
    memo_.keep_for(key("c"), vec![4], HALF_A_MINUTE).await;
    drop(memo_);

    let memo = memo::<Vec<u32>>(&Index::open(directory.path()).unwrap());
    assert_eq!(memo.find_in_memory(&key("a")), None);
    assert_eq!(memo.find(&key("a")).await, Some(vec![1, 2]));
    assert_eq!(memo.find_in_memory(&key("a")), Some(vec![1, 2]), "what was found on disk is warm");
    assert_eq!((memo.find(&key("b")).await, memo.find(&key("c")).await), (None, None));
}

#[tokio::test(start_paused = true)]
async fn what_is_kept_for_a_while_is_gone_after_it_and_not_long_before() {
    for index in [None, Some(Index::in_memory())] {
        let memo = Memo::new("things", LIMITS, index);
        for number in 0..50_u32 {
            memo.keep_for(number.to_string(), number, HALF_A_MINUTE).await;
        }
        tokio::time::advance(Duration::from_millis(26_999)).await;
        for number in 0..50_u32 {
            assert_eq!(memo.find_in_memory(&number.to_string()), Some(number));
        }
        tokio::time::advance(Duration::from_millis(1_500)).await;
        let left = (0..50_u32).filter(|number| memo.find_in_memory(&number.to_string()).is_some());
        assert!((1..50).contains(&left.count()), "they go one after another");
        tokio::time::advance(Duration::from_millis(1_501)).await;
        for number in 0..50_u32 {
            assert_eq!(memo.find(&number.to_string()).await, None);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_older_value_does_not_come_back_when_a_newer_expires() {
    let index = Index::in_memory();
    let things = memo(&index);
    things.keep(key("a"), "signed".to_owned()).await;
    things.keep_for(key("a"), "not signed".to_owned(), HALF_A_MINUTE).await;
    assert_eq!(things.find(&key("a")).await.as_deref(), Some("not signed"));
    tokio::time::advance(HALF_A_MINUTE).await;
    assert_eq!(things.find(&key("a")).await, None);

    things.keep(key("a"), "signed".to_owned()).await;
    assert_eq!(
        things.find(&key("a")).await.as_deref(),
        Some("signed"),
        "nor does an expiry outlive its value"
    );
    tokio::time::advance(HALF_A_MINUTE).await;
    assert_eq!(memo::<String>(&index).find(&key("a")).await.as_deref(), Some("signed"));
}

#[tokio::test]
async fn a_value_of_another_schema_is_a_miss_and_is_replaced() {
    #[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
    struct Later {
        name: String,
        size: u64,
    }
    let index = Index::in_memory();
    memo(&index).keep(key("a"), HashMap::from([("name".to_owned(), "a".to_owned())])).await;
    let later = memo::<Later>(&index);
    assert_eq!(later.find(&key("a")).await, None);
    let value = Later { name: "a".into(), size: 1 };
    later.keep(key("a"), value.clone()).await;
    assert_eq!(memo::<Later>(&index).find(&key("a")).await, Some(value));
}

#[tokio::test]
async fn memos_of_other_names_share_nothing() {
    let index = Index::in_memory();
    let other = Memo::<String, u32>::new("others", LIMITS, Some(index.clone()));
    memo(&index).keep(key("a"), 1).await;
    assert_eq!(other.find(&key("a")).await, None);
}

#[tokio::test]
async fn what_memory_has_no_room_for_is_found_on_disk() {
    let index = Index::in_memory();
    let memo = Memo::new("things", Limits { bytes: 4096, entries: 1000 }, Some(index));
    join_all((0..500_u32).map(|number| memo.keep(number.to_string(), number))).await;
    memo.store.memory.settle();
    assert!((1..16).contains(&memo.held().entries), "{:?}", memo.held());
    assert!(memo.held().bytes <= 4096 && memo.held().evictions > 400, "{:?}", memo.held());
    for number in 0..500_u32 {
        assert_eq!(memo.find(&number.to_string()).await, Some(number));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_of_one_key_do_not_overlap() {
    let index = Index::in_memory();
    let count = memo(&index);
    let one_more = |_: &String, before: Option<u32>| Some(before.unwrap_or(0) + 1);
    join_all((0..200).map(|_| count.change(vec![key("a"), key("b")], one_more))).await;
    assert_eq!(memo::<u32>(&index).find(&key("a")).await, Some(200));
    assert_eq!(count.find(&key("b")).await, Some(200));
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_and_disk_agree_however_it_is_used() {
    let index = Index::in_memory();
    let things = memo(&index);
    for round in 0..20_u32 {
        let a = key("a");
        let uses = (0..8).map(|user| {
            let (things, a) = (&things, a.clone());
            async move {
                match user % 4 {
                    0 => things.keep(a, round * 10 + user).await,
                    1 => things.forget(&a).await,
                    2 => drop(things.find(&a).await),
                    _ => things.store.memory.forget(&a),
                }
            }
        });
        join_all(uses).await;
        let remembered = things.find(&a).await;
        assert_eq!(memo::<u32>(&index).find(&a).await, remembered, "round {round}");
    }
}

#[tokio::test]
async fn whoever_leaves_while_something_is_kept_stops_nothing() {
    let index = Index::in_memory();
    let things = memo(&index);
    // While another has the turn, it cannot be done at once.
    let turn = things.store.turns.take(&KeyBytes::of(&key("a")));
    assert_eq!(things.keep(key("a"), 1).now_or_never(), None);
    drop(turn);
    let fresh = memo::<u32>(&index);
    while fresh.find(&key("a")).await.is_none() {
        tokio::task::yield_now().await;
    }
    assert_eq!(things.find(&key("a")).await, Some(1));
}

#[tokio::test]
async fn what_the_fleet_had_does_not_replace_what_was_changed_since_it_was_asked() {
    for index in [None, Some(Index::in_memory())] {
        let memo = Memo::new("things", LIMITS, index.clone());
        let (a, bytes) = (key("a"), KeyBytes::of(&key("a")));
        let fill = |value, asked| {
            memo.store.fill(index.as_deref(), &a, &bytes, Remembered::new(value, None), asked);
        };
        let before = memo.store.asked(&bytes);
        memo.keep(a.clone(), 2).await;
        fill(1, before);
        assert_eq!(memo.find(&a).await, Some(2), "it was kept");

        let before = memo.store.asked(&bytes);
        memo.forget(&a).await;
        fill(1, before);
        assert_eq!(memo.find(&a).await, None, "it was forgotten");

        let before = memo.store.asked(&bytes);
        memo.purge(Beginning::of_all()).await;
        fill(1, before);
        assert_eq!(memo.find(&a).await, None, "all was forgotten");

        fill(1, memo.store.asked(&bytes));
        assert_eq!(memo.find(&a).await, Some(1));
    }
}

#[tokio::test]
async fn what_was_asked_for_before_a_purge_is_not_kept_after_it() {
    for index in [None, Some(Index::in_memory())] {
        let memo = Memo::new("things", LIMITS, index);
        let (one, other) = (memo.since(&key("a")), memo.since(&key("b")));
        memo.keep_since(one, key("a"), 1).await;
        assert_eq!(memo.find(&key("a")).await, Some(1));
        memo.purge(Beginning::of(&key("a"))).await;
        memo.keep_since(one, key("a"), 1).await;
        memo.keep_for_since(other, key("b"), 2, HALF_A_MINUTE).await;
        assert_eq!((memo.find(&key("a")).await, memo.find(&key("b")).await), (None, None));
        memo.keep_since(memo.since(&key("a")), key("a"), 3).await;
        assert_eq!(memo.find(&key("a")).await, Some(3));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn however_a_purge_and_others_meet_nothing_from_before_it_is_left() {
    let index = Index::in_memory();
    let things = memo::<u32>(&index);
    for round in 0..200_u32 {
        let a = key("a");
        things.keep(a.clone(), round).await;
        // On disk alone, so that a look would bring it back.
        things.store.memory.forget(&a);
        let since = things.since(&a);
        let looks = join_all((0..4).map(|_| things.find(&a)));
        let keeps = join_all((0..4).map(|_| things.keep_since(since, a.clone(), round)));
        tokio::join!(looks, keeps, things.purge(Beginning::of(&a)));
        assert_eq!(things.find_in_memory(&a), None, "round {round}");
        assert_eq!(memo::<u32>(&index).find(&a).await, None, "round {round}");
    }
}

#[tokio::test]
async fn keys_are_listed_and_looked_at_without_being_brought_nearer() {
    let index = Index::in_memory();
    let memo: Memo<(String, String), u32> = Memo::new("things", LIMITS, Some(index.clone()));
    let at = |one: &str, other: &str| (key(one), key(other));
    for (value, (one, other)) in [("x", "a"), ("x", "b"), ("y", "a")].into_iter().enumerate() {
        memo.keep(at(one, other), value as u32).await;
    }
    memo.keep_for(at("z", "a"), 9, HALF_A_MINUTE).await;
    memo.store.memory.forget(&at("x", "a"));
    memo.forget(&at("x", "b")).await;
    let under = async |beginning| {
        let keys = memo.keys_under(beginning).await;
        let text = |key: &KeyBytes| key.fields().map(String::from_utf8_lossy).collect::<Vec<_>>().join("/");
        let mut keys: Vec<_> = keys.iter().map(text).collect();
        keys.sort();
        keys.join(" ")
    };
    assert_eq!(under(Beginning::of(&key("x"))).await, "x/a");
    assert_eq!(under(Beginning::of_all().then_any().then(&key("a"))).await, "x/a y/a z/a");
    let look = memo.look(&at("x", "a")).await;
    assert_eq!(look, Look { memory: None, disk: Some(0), shared: None });
    assert_eq!(memo.find_in_memory(&at("x", "a")), None);
    assert_eq!(memo.look(&at("z", "a")).await, Look { memory: Some(9), disk: None, shared: None });
}
