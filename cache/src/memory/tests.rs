use super::*;
use crate::Scope;

type InRepository = (Scope, u64);

/// How many fresh keys a flood has. A million take a minute where nothing is optimised.
const FLOOD: u64 = if cfg!(feature = "e2e") { 1_000_000 } else { 20_000 };

/// How many entries there is room for: a flood is many times that.
const ROOM: usize = if cfg!(feature = "e2e") { 10_000 } else { 2_500 };

/// How many entries the victim has in use.
const IN_USE: u64 = ROOM as u64 / 10;

/// Room for so many entries that weigh nothing of their own.
fn room_for(entries: usize) -> Memory<InRepository, u64> {
    Memory::new((entries * ENTRY) as u64, |_, _| 0)
}

fn scope(repository: &str) -> Scope {
    Scope::new(&[b"tenant", repository.as_bytes()])
}

/// How often of a hundred times a repository finds what it uses, while others flood.
fn victim_finds(memory: &Memory<InRepository, u64>, flood: impl Iterator<Item = (InRepository, u32)>) -> u64 {
    let victim = scope("victim");
    let (mut found, mut looked) = (0, 0);
    let mut look = |number: u64| {
        let key = (victim.clone(), number % IN_USE);
        looked += 1;
        match memory.find(&key) {
            Some(_) => found += 1,
            None => memory.keep(&key, number),
        }
    };
    (0..5 * IN_USE).for_each(&mut look);
    for (number, (key, uses)) in flood.enumerate() {
        if memory.find(&key).is_none() {
            memory.keep(&key, 0);
        }
        for _ in 1..uses {
            memory.find(&key);
        }
        // One look of the victim's for ten of the flood's.
        if number % 10 == 0 {
            look(number as u64 / 10);
        }
    }
    // The first time it could not be there.
    found * 100 / (looked - IN_USE)
}

#[test]
fn a_flood_of_fresh_keys_of_one_repository_leaves_another_its_working_set() {
    let memory = room_for(ROOM);
    let flood = (0..FLOOD).map(|number| ((scope("flood"), number), 1));
    let rate = victim_finds(&memory, flood);
    assert!(rate >= 95, "{rate} %");
}

#[test]
fn nor_do_keys_that_are_each_used_often_enough_to_seem_wanted() {
    let memory = room_for(ROOM);
    let flood = (0..FLOOD / 10).map(|number| ((scope("flood"), number), 20));
    let rate = victim_finds(&memory, flood);
    assert!(rate >= 95, "{rate} %");
    memory.settle();
    let held = memory.under(&Beginning::of(&scope("flood"))).len();
    assert!(held * 2 >= ROOM.min(FLOOD as usize / 10), "what nobody else needs may be held: {held}");
}

#[test]
fn nor_do_as_many_repositories_of_one_key_each() {
    let memory = room_for(ROOM);
    let flood = (0..FLOOD).map(|number| ((scope(&number.to_string()), number), 1));
    let rate = victim_finds(&memory, flood);
    assert!(rate >= 95, "{rate} %");
}

#[test]
fn who_held_everything_gives_way_when_another_comes() {
    let memory = room_for(1_000);
    for number in 0..2_000 {
        let key = (scope("first"), number);
        memory.keep(&key, number);
        (0..20).for_each(|_| assert!(memory.find(&key).is_some() || number >= 1_000));
    }
    memory.settle();
    for number in 0..500 {
        memory.keep(&(scope("second"), number), number);
    }
    memory.settle();
    let held = |repository: &str| memory.under(&Beginning::of(&scope(repository))).len();
    assert_eq!(held("second"), 500, "it needs them");
    assert!(held("first") >= 450, "and the rest is not taken: {}", held("first"));
}

#[test]
fn what_is_held_is_bounded_by_what_it_weighs() {
    let memory: Memory<InRepository, String> = Memory::new(1024 * 1024, |_, value| value.len());
    for number in 0..1_000 {
        memory.keep(&(scope("one"), number), "x".repeat(10_000));
    }
    memory.settle();
    let stats = memory.stats();
    assert!(stats.bytes <= 1024 * 1024 && stats.bytes > 900_000, "{stats:?}");
    assert_eq!(stats.bytes, stats.entries * (10_000 + ENTRY as u64));
    assert_eq!(stats.evictions, 1_000 - stats.entries);
}

#[test]
fn what_is_replaced_again_and_again_counts_once() {
    let memory = room_for(100);
    for round in 0..2_000 {
        memory.keep(&(scope("one"), round % 7), round);
    }
    memory.settle();
    let stats = memory.stats();
    assert_eq!((stats.entries, stats.bytes, stats.evictions), (7, 7 * ENTRY as u64, 0));
    memory.forget_under(&Beginning::of_all());
    memory.settle();
    assert_eq!(memory.stats().entries, 0);
}

#[test]
fn what_was_asked_for_before_a_purge_is_not_kept_after_it() {
    let (memory, key) = (room_for(100), (scope("one"), 1));
    let since = memory.since();
    memory.keep_since(since, &key, 1);
    assert_eq!(memory.find(&key), Some(1));
    memory.forget_under(&Beginning::of(&scope("one")));
    memory.keep_since(since, &key, 1);
    assert_eq!(memory.find(&key), None);
    memory.keep_since(memory.since(), &key, 2);
    assert_eq!(memory.find(&key), Some(2));
}
