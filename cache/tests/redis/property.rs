//! What is found is what was kept last, or nothing, under whatever interleaving.

use std::collections::HashMap;

use futures_util::future::join_all;

use crate::replica::{Replica, TenantKey, key};
use crate::server::Server;

const STEPS: u64 = 20_000;

/// Enough randomness to choose steps, and the same in every run.
struct Dice(u64);

impl Dice {
    fn throw(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

/// A value is a function of its key, as facts are: a difference is a wrong answer whenever it was kept.
fn value(key: &TenantKey) -> String {
    format!("{}|{}", key.0, key.1)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_found_is_what_would_be_computed_whatever_an_intruder_moves_about() {
    let server = Server::start();
    let replicas = join_all((0..3).map(|_| Replica::of(&server))).await;
    let mut intruder = server.intruder();
    let mut dice = Dice(7);
    let (mut found, mut misses) = (0_u64, 0_u64);
    // Names that would be the same if they were put together otherwise.
    let tenants = ["a", "a;"];
    let names = ["b", ";b", "a;b", "b;", ""];
    let mut stolen: HashMap<Vec<u8>, Vec<u8>> = HashMap::new();
    for step in 0..STEPS {
        let replica = &replicas[dice.throw(3) as usize];
        let key = key(tenants[dice.throw(2) as usize], names[dice.throw(5) as usize]);
        match dice.throw(20) {
            0..=3 => replica.keep(&key, &value(&key)).await,
            4 => replica.memo.forget(&key).await,
            5 => {
                // Everything of the other tenant, and of every other key, into every place.
                let places: Vec<Vec<u8>> =
                    redis::cmd("KEYS").arg("countersign:things:*").query(&mut intruder).unwrap();
                for place in &places {
                    let sealed: Vec<u8> = redis::cmd("GET").arg(place).query(&mut intruder).unwrap();
                    stolen.insert(place.clone(), sealed);
                }
                let all: Vec<_> =
                    stolen.iter().map(|(place, sealed)| (place.clone(), sealed.clone())).collect();
                for (place, _) in &all {
                    let other = &all[dice.throw(all.len() as u64) as usize].1;
                    redis::cmd("SET").arg(place).arg(other).exec(&mut intruder).unwrap();
                }
            }
            6 => replica.memo.forget(&key).await,
            7..=13 => {
                if let Some(answer) = replica.find_shared(&key).await {
                    assert_eq!(answer, value(&key), "step {step}");
                    found += 1;
                } else {
                    misses += 1;
                }
            }
            _ => match replica.find(&key).await {
                Some(answer) => {
                    assert_eq!(answer, value(&key), "step {step}");
                    found += 1;
                }
                None => misses += 1,
            },
        }
    }
    let broken: u64 = replicas.iter().map(|replica| replica.shared.stats().seals_broken).sum();
    assert!(found > 1_000 && misses > 100 && broken > 100, "{found} {misses} {broken}");
}
