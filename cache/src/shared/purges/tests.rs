use super::*;
use crate::KeyBytes;

const AT: u64 = 1_700_000_000_000;

#[derive(Default)]
struct Heard(Mutex<Vec<Beginning>>);

impl Forgets for Heard {
    fn forget_under(&self, beginning: &Beginning) {
        lock(&self.0).push(beginning.clone());
    }
}

fn seals(first: u8) -> Seals {
    Seals::new(&[std::array::from_fn(|at| first + at as u8)]).unwrap()
}

fn purge(id: u8, table: &str, prefix: &str) -> Purge {
    Purge::new([id; ID], table, &Beginning::of(&prefix.to_owned()), AT)
}

#[test]
fn a_record_has_one_length_and_reads_as_what_was_purged() {
    for purge in [purge(1, "lists", "acme"), Purge::new([2; ID], "facts", &Beginning::of_all(), AT)] {
        let record = purge.record(&seals(1)).unwrap();
        assert_eq!(record.len(), RECORD);
        assert_eq!(Purge::read(&seals(1), &record), Some(purge));
        assert_eq!(Purge::read(&seals(9), &record), None, "another's");
        for at in 0..record.len() {
            let mut changed = record.clone();
            changed[at] ^= 1;
            assert_eq!(Purge::read(&seals(1), &changed), None, "byte {at}");
        }
    }
    let long = purge(3, "lists", &"a".repeat(RECORD));
    assert_eq!(long.beginning, Beginning::of_all(), "what is too long to be told is the whole table");
    assert!(Purge::read(&seals(1), &long.record(&seals(1)).unwrap()) == Some(long));
}

#[test]
fn what_was_made_before_a_purge_is_covered_and_what_was_made_after_is_not() {
    let purges = Purges::new(None);
    purges.carry_out(&purge(1, "lists", "acme"));
    let covers = |table, key: &str, made| {
        let key = KeyBytes::of(&key.to_owned());
        purges.cover(Label { domain: "any", table, build: "any", key: key.as_slice() }, made)
    };
    assert!(covers("lists", "acme", AT) && covers("lists", "acme", 0));
    assert!(!covers("lists", "acme", AT + SKEW + 1), "made after it");
    let key = KeyBytes::of(&"acme".to_owned());
    let label = Label { domain: "any", table: "lists", build: "any", key: key.as_slice() };
    let right_after = purges.made("lists", label.key, AT + 1);
    assert!(!purges.cover(label, right_after), "made right after it, by who knows of it");
    assert_eq!(purges.made("facts", label.key, AT + 1), AT + 1);
    assert!(!covers("facts", "acme", AT), "another table");
    assert!(!covers("lists", "acm", AT) && !covers("lists", "acmee", AT), "another key");
}

#[test]
fn a_purge_is_carried_out_once_also_across_a_restart() {
    let index = Index::in_memory();
    let heard: Arc<Heard> = Arc::default();
    let forgets: Arc<dyn Forgets> = heard.clone();
    for _ in 0..2 {
        let purges = Purges::new(Some(index.clone()));
        purges.add("lists", Arc::downgrade(&forgets));
        purges.carry_out(&purge(1, "lists", "acme"));
        assert!(!purges.carry_out(&purge(1, "lists", "acme")));
        purges.carry_out(&purge(2, "facts", "acme"));
        let key = KeyBytes::of(&"acme".to_owned());
        let label = Label { domain: "", table: "lists", build: "", key: key.as_slice() };
        assert!(purges.cover(label, AT), "and the store's entries are not believed after a restart either");
    }
    assert_eq!(*lock(&heard.0), [Beginning::of(&"acme".to_owned())]);
}

fn many(from: u64, count: usize) -> Vec<Purge> {
    let numbered = |number: u64| Purge {
        id: u128::from(number).to_be_bytes(),
        at: AT + number,
        ..purge(0, "lists", &number.to_string())
    };
    (from..from + count as u64).map(numbered).collect()
}

fn label_of(key: &KeyBytes) -> Label<'_> {
    Label { domain: "", table: "lists", build: "", key: key.as_slice() }
}

#[test]
fn a_log_that_ran_over_while_nobody_listened_makes_everything_be_forgotten_once() {
    let index = Index::in_memory();
    let heard: Arc<Heard> = Arc::default();
    let forgets: Arc<dyn Forgets> = heard.clone();
    let log = many(0, RECORDS);
    let all = |purges: &Purges, log: &[Purge]| {
        purges.add("lists", Arc::downgrade(&forgets));
        purges.note_missed(log);
        std::mem::take(&mut *lock(&heard.0)) == [Beginning::of_all()]
    };
    assert!(!all(&Purges::new(Some(index.clone())), &log[1..]), "it is not full");
    let purges = Purges::new(Some(index.clone()));
    assert!(all(&purges, &log));
    purges.carry_out(&log[0]);
    assert!(!all(&purges, &log), "its oldest is known");
    lock(&heard.0).clear();
    assert!(!all(&Purges::new(Some(index)), &log), "its oldest was carried out before a restart");
}

#[test]
fn what_was_purged_longer_ago_than_is_known_is_not_believed_again() {
    let key = KeyBytes::of(&"0".to_owned());
    let label = label_of(&key);
    let purges = Purges::new(None);
    for purge in many(0, RECORDS + 1) {
        purges.carry_out(&purge);
    }
    assert!(purges.cover(label, AT), "the purge of it is none of the last any more");
    assert!(!purges.cover(Label { table: "facts", ..label }, AT), "other tables stay as they were");
    let anew = purges.made("lists", label.key, AT);
    assert!(!purges.cover(label, anew), "what is made from then on is believed");

    let restarted = Purges::new(None);
    let log = many(1, RECORDS);
    restarted.note_missed(&log);
    for purge in &log {
        restarted.carry_out(purge);
    }
    assert!(restarted.cover(label, AT), "nor after a restart");
    assert!(!restarted.cover(label, restarted.made("lists", label.key, AT)));
}

#[test]
fn what_is_owed_outlives_the_process_and_holds_meanwhile() {
    let index = Index::in_memory();
    let owed = purge(1, "lists", "acme");
    Purges::new(Some(index.clone())).owed().add(owed.clone());
    let purges = Purges::new(Some(index.clone()));
    let key = KeyBytes::of(&"acme".to_owned());
    assert!(purges.cover(label_of(&key), AT));
    assert_eq!(purges.owed().first(), Some(owed.clone()));
    purges.owed().paid(&owed);
    assert_eq!(Purges::new(Some(index)).owed().first(), None);
}

#[test]
fn who_is_added_after_a_purge_was_carried_out_hears_of_it() {
    let heard: Arc<Heard> = Arc::default();
    let forgets: Arc<dyn Forgets> = heard.clone();
    let purges = Purges::new(None);
    purges.carry_out(&purge(1, "lists", "acme"));
    purges.add("facts", Arc::downgrade(&forgets));
    assert_eq!(*lock(&heard.0), []);
    purges.add("lists", Arc::downgrade(&forgets));
    purges.add("lists", Arc::downgrade(&forgets));
    assert_eq!(*lock(&heard.0), [Beginning::of(&"acme".to_owned())]);
}

#[test]
fn a_purge_of_one_digest_in_every_repository_covers_it_everywhere() {
    let purges = Purges::new(None);
    let part = |part: &str| part.to_owned();
    let beginning = Beginning::of_all().then_any().then(&part("sha"));
    purges.carry_out(&Purge::new([1; ID], "lists", &beginning, AT));
    for (repository, digest, covered) in [("app", "sha", true), ("web", "sha", true), ("app", "other", false)]
    {
        let key = KeyBytes::of(&(part(repository), part(digest)));
        assert_eq!(purges.cover(label_of(&key), AT), covered, "{repository} {digest}");
    }
}
