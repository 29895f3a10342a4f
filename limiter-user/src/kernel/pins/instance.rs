//! Several limiters side by side.

use std::fmt;

/// Name of an instance: letters, digits, `-` and `_`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Instance(String);

impl Instance {
    /// The one that has no name of its own.
    pub const DEFAULT: &str = "default";
    /// Characters at the most.
    pub const MAX_CHARS: usize = 64;

    /// Checks a name. (The bpf filesystem allows no dots.)
    pub fn new(name: &str) -> Option<Self> {
        let good = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        let fits = (1..=Self::MAX_CHARS).contains(&name.len());
        (fits && name.bytes().all(good)).then(|| Self(name.to_owned()))
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Instance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_directory_of_the_bpf_filesystem() {
        for name in ["default", "a-b_C9", &"x".repeat(64)] {
            assert!(Instance::new(name).is_some(), "{name}");
        }
        for name in ["", ".", "..", "a.b", "a/b", "a b", "ä", &"x".repeat(65)] {
            assert!(Instance::new(name).is_none(), "{name}");
        }
    }
}
