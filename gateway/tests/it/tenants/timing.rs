//! Whether something is there because another tenant brought it is not told by how an answer comes about: no request more
//! or less is made, and nothing in the answer differs. How long either takes is reported, side by side.

use std::time::{Duration, Instant};

use oci::Digest;
use testkit::authority::SignatureManifest;
use testkit::image::Image;

use super::isolation::{Random, requests};
use super::{Two, nightly, of, pull, pull_with};
use crate::stage::{Gateway, HOST, Reply, release};

/// Which of two like images another tenant brought.
const BROUGHT: usize = 0;
const BY_NOBODY: usize = 1;

/// One question that is asked of both.
struct Question {
    name: &'static str,
    method: &'static str,
    what: fn(&Asked) -> String,
    headers: &'static [(&'static str, &'static str)],
}

/// An image of a repository.
struct Asked {
    repository: &'static str,
    tag: String,
    digest: Digest,
    layer: Digest,
}

/// In this order they are a pull, and after it what is asked again.
const QUESTIONS: [Question; 9] = [
    Question { name: "HEAD tag", method: "HEAD", what: |of| format!("manifests/{}", of.tag), headers: &[] },
    Question {
        name: "referrers",
        method: "GET",
        what: |of| format!("referrers/{}", of.digest),
        headers: &[],
    },
    Question {
        name: "signature",
        method: "GET",
        what: |of| format!("manifests/{}", SignatureManifest::tag_for(&of.digest)),
        headers: &[],
    },
    Question { name: "blob before", method: "GET", what: |of| format!("blobs/{}", of.layer), headers: &[] },
    Question { name: "manifest", method: "GET", what: |of| format!("manifests/{}", of.digest), headers: &[] },
    Question { name: "HEAD blob", method: "HEAD", what: |of| format!("blobs/{}", of.layer), headers: &[] },
    Question {
        name: "range",
        method: "GET",
        what: |of| format!("blobs/{}", of.layer),
        headers: &[("range", "bytes=0-9")],
    },
    Question { name: "blob", method: "GET", what: |of| format!("blobs/{}", of.layer), headers: &[] },
    Question { name: "again", method: "GET", what: |of| format!("manifests/{}", of.digest), headers: &[] },
];

/// What an answer was, and what was asked of the registry for it, in which no digest is left to differ.
#[derive(Debug, Eq, PartialEq)]
struct Shape {
    status: u16,
    headers: Vec<(String, String)>,
    length: usize,
    asked: Vec<String>,
}

impl Shape {
    fn of(reply: &Reply, two: &Two, of: &Asked) -> Self {
        let plain = |text: &str| without_digests(&text.replace(&of.tag, "TAG"));
        // No signature of an elliptic curve is as long as the next.
        let is_signature = reply.header("countersign-reason") == "signature";
        let differs = |name: &str| {
            matches!(name, "countersign-decision" | "date") || is_signature && name == "content-length"
        };
        let headers = reply.headers.iter().filter(|(name, _)| !differs(name.as_str()));
        let mut headers: Vec<_> =
            headers.map(|(name, value)| (name.to_string(), plain(value.to_str().unwrap()))).collect();
        headers.sort();
        // Of what is asked at once the order is nobody's.
        let asked = two.stage.origin.requests();
        let mut asked: Vec<_> =
            asked.iter().map(|seen| format!("{} {}", seen.method, plain(&seen.path))).collect();
        asked.sort();
        Self {
            status: reply.status.as_u16(),
            headers,
            length: if is_signature { 0 } else { reply.bytes().len() },
            asked,
        }
    }
}

/// A text with a word in place of whatever hash is in it.
fn without_digests(text: &str) -> String {
    let is_hash = |part: &str| part.len() == 64 && part.bytes().all(|byte| byte.is_ascii_hexdigit());
    let parts = text.split_inclusive(|letter: char| !letter.is_ascii_alphanumeric());
    let plain = parts.map(|part| match part.get(..64) {
        Some(hash) if is_hash(hash) => format!("HASH{}", &part[64..]),
        _ => part.to_owned(),
    });
    plain.collect()
}

/// What was measured of one question: of what another brought, and of what nobody did.
type Measured = [Vec<Duration>; 2];

/// Pairs of like images in a repository, of each of which `a` brought one, as a client does.
async fn pairs(two: &Two, gateway: &Gateway, repository: &'static str, count: usize) -> Vec<[Asked; 2]> {
    let mut pairs = Vec::with_capacity(count);
    for number in 0..count {
        let of = |side: usize| {
            let image =
                Image::random((1_000 + number * 2 + side) as u64 + repository.len() as u64 * 1_000_000);
            // Tags are as long as one another, so that answers are.
            let tag = format!("t{side}{number:06}");
            image.push_to(&two.stage.origin, repository, Some(&tag));
            let digest = image.digest();
            let layers = [&release(), &nightly()]
                .map(|by| two.stage.authority.sign(&digest, &format!("{HOST}/{repository}"), by));
            two.stage.attach(repository, &digest, &layers);
            Asked { repository, tag, digest, layer: Digest::of(image.blobs().next().unwrap()) }
        };
        let pair = [of(BROUGHT), of(BY_NOBODY)];
        for question in &QUESTIONS {
            let path = super::of(repository, &(question.what)(&pair[BROUGHT]));
            drop(pull_with(gateway, question.method, "a", &path, question.headers).await);
        }
        pairs.push(pair);
    }
    pairs
}

/// Has `b` ask for both of each pair, now the one first and now the other, and compares how each answer came about.
async fn compare(two: &Two, gateway: &Gateway, pairs: &[[Asked; 2]], random: &mut Random) -> Vec<Measured> {
    let mut measured: Vec<Measured> = QUESTIONS.iter().map(|_| Measured::default()).collect();
    for pair in pairs {
        for (question, measured) in QUESTIONS.iter().zip(&mut measured) {
            let first = random.below(2);
            let mut shapes = [None, None];
            for side in [first, 1 - first] {
                let of = &pair[side];
                let path = super::of(of.repository, &(question.what)(of));
                two.stage.origin.clear_requests();
                let begun = Instant::now();
                let reply = pull_with(gateway, question.method, "b", &path, question.headers).await;
                measured[side].push(begun.elapsed());
                shapes[side] = Some(Shape::of(&reply, two, of));
            }
            let [brought, by_nobody] = shapes.map(Option::unwrap);
            assert_eq!(brought, by_nobody, "{}: {} {}", pair[0].repository, question.name, pair[0].digest);
        }
    }
    measured
}

/// How often one of the first took longer than one of the others, where a half is what chance gives; and how many standard
/// errors that is from a half (Mann and Whitney's U).
fn rank(measured: &Measured) -> (f64, f64) {
    let [brought, by_nobody] = measured;
    let longer: f64 = brought
        .iter()
        .flat_map(|one| by_nobody.iter().map(move |other| one.cmp(other)))
        .map(|order| match order {
            std::cmp::Ordering::Greater => 1.0,
            std::cmp::Ordering::Equal => 0.5,
            std::cmp::Ordering::Less => 0.0,
        })
        .sum();
    let (n, m) = (brought.len() as f64, by_nobody.len() as f64);
    let error = ((n + m + 1.0) / (12.0 * n * m)).sqrt();
    let share = longer / (n * m);
    (share, (share - 0.5) / error)
}

#[expect(clippy::print_stderr, reason = "figures that are reported and not asserted")]
fn report(repository: &str, measured: &[Measured]) {
    let median = |times: &[Duration]| {
        let mut times = times.to_vec();
        times.sort();
        times[times.len() / 2]
    };
    for (question, measured) in QUESTIONS.iter().zip(measured) {
        let (share, errors) = rank(measured);
        eprintln!(
            "timing: {repository:<14} {:<12} brought by another {:>9.1?}, by nobody {:>9.1?}: longer in {share:.3} ({errors:+.1} σ, {} pairs)",
            question.name,
            median(&measured[BROUGHT]),
            median(&measured[BY_NOBODY]),
            measured[BROUGHT].len(),
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whether_another_tenant_brought_something_is_told_by_no_request_and_no_answer() {
    let two = Two::new().await;
    let gateway = two.gateway().await;
    let mut random = Random(13);
    for (repository, allowed) in [("acme/public", true), ("acme/private-a", false)] {
        // What belongs to the repository and not to an image is asked for once before.
        drop(pull(&gateway, "b", &of(repository, "tags/list")).await);
        let pairs = pairs(&two, &gateway, repository, requests().div_ceil(40)).await;
        let measured = compare(&two, &gateway, &pairs, &mut random).await;
        let of_b =
            pull(&gateway, "b", &of(repository, &format!("manifests/{}", pairs[0][BROUGHT].digest))).await;
        assert_eq!(of_b.status == 200, allowed, "{of_b:?}");
        let of_a =
            pull(&gateway, "a", &of(repository, &format!("manifests/{}", pairs[0][BROUGHT].digest))).await;
        assert_eq!(of_a.status, 200, "{of_a:?}");
        report(repository, &measured);
    }
}

#[test]
fn ranks_tell_what_takes_longer_from_what_does_not() {
    let times = |from: u64| (from..from + 100).map(Duration::from_micros).collect::<Vec<_>>();
    let (share, errors) = rank(&[times(0), times(0)]);
    assert!((share - 0.5).abs() < 1e-9 && errors.abs() < 1e-9);
    let (share, errors) = rank(&[times(30), times(0)]);
    assert!(share > 0.7 && errors > 4.0, "{share} {errors}");
}
