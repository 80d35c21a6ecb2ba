//! watch
#[test]
fn todo() {}
