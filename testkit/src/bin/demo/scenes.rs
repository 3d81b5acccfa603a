//! What is asked of the gateway, in order, and what should come of it.

use std::ops::RangeInclusive;

/// Something that happens.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Act {
    /// A node pulls an image: its manifest, and every blob of it.
    Pull,
    /// The API server asks about a Pod with that image.
    Review,
    /// Somebody signs an image, as the policy expects.
    Sign,
}

/// One act on one image.
#[derive(Debug)]
pub(crate) struct Scene {
    /// What happens.
    pub(crate) act: Act,
    /// To which image.
    pub(crate) image: &'static str,
    /// What should come of it, where that can be known.
    pub(crate) allowed: Option<bool>,
    /// The rounds that it is in, of those that are counted from 0.
    pub(crate) rounds: RangeInclusive<u32>,
    /// What the audience is told before.
    pub(crate) news: Option<&'static str>,
}

const EVER: RangeInclusive<u32> = 0..=u32::MAX;

const fn scene(act: Act, image: &'static str, allowed: bool, news: Option<&'static str>) -> Scene {
    Scene { act, image, allowed: Some(allowed), rounds: EVER, news }
}

/// The image that nobody signed, until somebody does.
pub(crate) const LATE: &str = "registry.example/acme/late:v1";

/// All of them.
pub(crate) const SCENES: &[Scene] = &[
    scene(
        Act::Review,
        "registry.example/acme/app:v1",
        true,
        Some("The release workflow signed this one: the webhook finds its signature, and remembers."),
    ),
    scene(
        Act::Pull,
        "registry.example/acme/app:v1",
        true,
        Some("A node pulls it: no signature is looked for again."),
    ),
    scene(Act::Pull, "registry.example/acme/app:v1", true, Some("The next node: everything is at hand.")),
    scene(Act::Review, "registry.example/acme/unsigned:v1", false, Some("Nobody signed this one.")),
    scene(
        Act::Pull,
        "registry.example/acme/unsigned:v1",
        false,
        Some("It cannot be pulled either, with or without Kubernetes."),
    ),
    scene(
        Act::Review,
        "registry.example/acme/forged:v1",
        false,
        Some("Signed, but by another workflow. Who it was is in the answer."),
    ),
    scene(Act::Review, "registry.example/elsewhere/tool:v1", false, Some("No policy speaks of this one.")),
    scene(
        Act::Review,
        "registry.example/legacy/batch:v1",
        true,
        Some("Its policy only warns, until its team has learnt to sign."),
    ),
    Scene {
        act: Act::Review,
        image: LATE,
        allowed: Some(false),
        rounds: 0..=0,
        news: Some("Not signed yet."),
    },
    Scene {
        act: Act::Sign,
        image: LATE,
        allowed: None,
        rounds: 0..=0,
        news: Some("Its workflow signs it now. A denial is asked about again once it is 30 seconds old."),
    },
    Scene { act: Act::Review, image: LATE, allowed: None, rounds: 1..=u32::MAX, news: None },
];
