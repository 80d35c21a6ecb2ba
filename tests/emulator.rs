//! emulator
#[test]
fn todo() {}
