//! How long a judgement takes, and finding the policies that speak of an image.
fn main() {}
