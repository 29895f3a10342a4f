//! Who may do what on the control socket, and what nobody can do to it.

mod crowd;
mod standing;
mod subscribers;

use tests::User;

/// What the machine knows nobody by.
const UID: u32 = 4_201_001;
const GID: u32 = 4_201_900;

fn somebody() -> User {
    User::new(UID, &[])
}
