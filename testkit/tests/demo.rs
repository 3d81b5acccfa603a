//! What the demo says where it has nothing to show.

use std::process::Command;

#[test]
fn without_a_gateway_it_says_what_is_missing() {
    let output = Command::new(env!("CARGO_BIN_EXE_countersign-demo"))
        .args(["--rounds", "1", "--admin-port", "0", "--countersign", "/nowhere/countersign"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("/nowhere/countersign: No such file"), "{said}");
}
