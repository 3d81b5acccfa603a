//! Tenants that share a real Redis, and are shown by real clients.

use std::time::Instant;

use super::redis::Redis;
use crate::stage::Stage;
use crate::tenants::isolation::{Compared, report, requests};

#[tokio::test(flavor = "multi_thread")]
async fn with_a_redis_that_all_share_every_answer_is_that_of_a_gateway_with_this_tenant_alone() {
    let stage = Stage::new().await;
    let redis = Redis::start(stage.directory.path()).await;
    let key = stage.directory.path().join("seal.key");
    std::fs::write(&key, (1..=32).collect::<Vec<u8>>()).unwrap();
    // Those who are alone share it too, under prefixes of their own.
    let cache = |name: &str| {
        format!(
            "cache: {{redis: {{url: '{}', sealKeys: [{}], prefix: {name}}}}}\n",
            redis.url(),
            key.display()
        )
    };
    let compared = Compared::over(stage, cache, 11).await;
    let begun = Instant::now();
    report(compared.run(requests()).await, begun);
    let keys = redis.keys(&["both:"]).await;
    let of = |tenant: &str| keys.iter().filter(|key| key.contains(&format!("@{tenant}:"))).count();
    assert!(of("a") > 0 && of("b") > 0, "{keys:?}");
}
