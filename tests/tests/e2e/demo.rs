//! The first command of the README.

use tests::{limiter, privilege::require_root, process::run};

#[test]
fn the_demo_shows_verdicts_and_counts_and_ends_by_itself() {
    require_root();
    let mut command = limiter::command();
    command.arg("demo");
    let output = run(command, None);
    assert_eq!(output.code, Some(0), "{}", output.stderr);
    for word in ["PASSED", "REJECTED"] {
        assert!(
            output.stdout.contains(word),
            "{word}: {}\n{}",
            output.stdout,
            output.stderr
        );
    }
}
