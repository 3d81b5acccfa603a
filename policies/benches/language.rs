//! How long a program takes: one in Rego and one in CEL, of the size that policies have.

#![expect(clippy::unwrap_used, reason = "a benchmark that cannot start should stop")]

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use policies::{Answers, Language, Outcome, Program};
use serde_json::json;

const REGO: &str = r#"package sigstore
isCompliant[response] {
    input.predicateType == "https://cosign.sigstore.dev/attestation/v1"
    high := [f | f := input.predicate.findings[_]; f.severity == "high"]
    response := {"result": count(high) == 0, "error": "there are findings"}
}"#;

const CEL: &str = "predicateType == 'https://cosign.sigstore.dev/attestation/v1' && \
    !predicate.findings.exists(f, f.severity == 'high')";

fn programs(criterion: &mut Criterion) {
    let findings: Vec<_> = (0..20).map(|n| json!({"id": n, "severity": "low", "package": "musl"})).collect();
    let input = json!({
        "predicateType": "https://cosign.sigstore.dev/attestation/v1",
        "predicate": {"findings": findings},
    });
    for (language, text) in [(Language::Rego, REGO), (Language::Cel, CEL)] {
        let program = Program::compile(language, text).unwrap();
        assert_eq!(program.run(&input, 0, &Answers::new()), Outcome::Compliant);
        criterion.bench_function(&format!("{} over 20 findings", language.as_str()), |bencher| {
            bencher.iter(|| program.run(black_box(&input), 0, &Answers::new()));
        });
    }
}

criterion_group!(benches, programs);
criterion_main!(benches);
