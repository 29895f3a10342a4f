//! What the maps of the object are made of: the BTF that the compiler has written of their
//! definitions (Documentation/bpf/btf.rst).

use std::collections::BTreeMap;

use limiter_common::names::MAPS;

/// Texts that say of each map, by its name, what it is: its kind, size and flags, and every field of
/// its keys and values with name, offset and size. None: the BTF is damaged.
pub(super) fn describe_maps(btf: &[u8]) -> Option<BTreeMap<String, String>> {
    let types = Types::parse(btf)?;
    let mut maps = BTreeMap::new();
    for kind in &types.kinds {
        let Kind::Variable { name, of } = kind else {
            continue;
        };
        let name = types.name(*name)?;
        if MAPS.contains(&name) {
            let mut text = String::new();
            types.describe(*of, MAX_DEPTH, &mut text)?;
            maps.insert(name.to_owned(), text);
        }
    }
    Some(maps)
}

/// Types within types. There are far fewer; a type of the kernel can name itself, ours do not.
const MAX_DEPTH: usize = 32;

// BTF_KIND_ of include/uapi/linux/btf.h
const INT: u32 = 1;
const PTR: u32 = 2;
const ARRAY: u32 = 3;
const STRUCT: u32 = 4;
const UNION: u32 = 5;
const ENUM: u32 = 6;
const FUNC_PROTO: u32 = 13;
const VAR: u32 = 14;
const DATASEC: u32 = 15;
const DECL_TAG: u32 = 17;
const ENUM64: u32 = 19;

struct Types<'a> {
    /// By number, from 1.
    kinds: Vec<Kind>,
    strings: &'a [u8],
}

enum Kind {
    /// Struct or union.
    Composite {
        name: u32,
        bytes: u32,
        members: Vec<Member>,
    },
    Array {
        of: u32,
        count: u32,
    },
    Pointer {
        to: u32,
    },
    Variable {
        name: u32,
        of: u32,
    },
    /// A number, and what maps are not made of. `word` is the size, or another type.
    Plain {
        kind: u32,
        name: u32,
        word: u32,
    },
}

struct Member {
    name: u32,
    of: u32,
    bit: u32,
}

impl<'a> Types<'a> {
    fn parse(btf: &'a [u8]) -> Option<Self> {
        // struct btf_header
        let header = |at| word(btf, at).map(|word| word as usize);
        let (length, types, types_length) = (header(4)?, header(8)?, header(12)?);
        let (strings, strings_length) = (header(16)?, header(20)?);
        let section = |from: usize, bytes: usize| {
            let from = length.checked_add(from)?;
            btf.get(from..from.checked_add(bytes)?)
        };
        Some(Self {
            kinds: kinds(section(types, types_length)?)?,
            strings: section(strings, strings_length)?,
        })
    }

    fn name(&self, at: u32) -> Option<&'a str> {
        let from = self.strings.get(at as usize..)?;
        let end = from.iter().position(|byte| *byte == 0)?;
        std::str::from_utf8(&from[..end]).ok()
    }

    fn describe(&self, number: u32, depth: usize, text: &mut String) -> Option<()> {
        let depth = depth.checked_sub(1)?;
        // Number 0 is `void`.
        let Some(index) = (number as usize).checked_sub(1) else {
            text.push_str("void");
            return Some(());
        };
        match self.kinds.get(index)? {
            Kind::Composite {
                name,
                bytes,
                members,
            } => {
                text.push_str(&format!("{} {bytes} {{", self.name(*name)?));
                for member in members {
                    text.push_str(&format!("{}@{} ", self.name(member.name)?, member.bit));
                    self.describe(member.of, depth, text)?;
                    text.push(';');
                }
                text.push('}');
            }
            Kind::Array { of, count } => {
                text.push_str(&format!("[{count}]"));
                self.describe(*of, depth, text)?;
            }
            Kind::Pointer { to } => {
                text.push('*');
                self.describe(*to, depth, text)?;
            }
            Kind::Variable { of, .. } => self.describe(*of, depth, text)?,
            Kind::Plain { kind, name, word } => {
                text.push_str(&format!("{kind} {} {word}", self.name(*name)?));
            }
        }
        Some(())
    }
}

fn kinds(types: &[u8]) -> Option<Vec<Kind>> {
    let mut kinds = Vec::new();
    let mut at = 0;
    while at < types.len() {
        // struct btf_type
        let (name, info, own) = (word(types, at)?, word(types, at + 4)?, word(types, at + 8)?);
        at += 12;
        let (kind, count) = (info >> 24 & 31, info as usize & 0xffff);
        kinds.push(match kind {
            STRUCT | UNION => Kind::Composite {
                name,
                bytes: own,
                members: members(types, at, count)?,
            },
            ARRAY => Kind::Array {
                of: word(types, at)?,
                count: word(types, at + 8)?,
            },
            PTR => Kind::Pointer { to: own },
            VAR => Kind::Variable { name, of: own },
            _ => Kind::Plain {
                kind,
                name,
                word: own,
            },
        });
        at += match kind {
            INT | VAR | DECL_TAG => 4,
            ARRAY => 12,
            STRUCT | UNION | DATASEC | ENUM64 => 12 * count,
            ENUM | FUNC_PROTO => 8 * count,
            _ => 0,
        };
    }
    Some(kinds)
}

/// struct btf_member
fn members(types: &[u8], at: usize, count: usize) -> Option<Vec<Member>> {
    let member = |index: usize| {
        let at = at + 12 * index;
        Some(Member {
            name: word(types, at)?,
            of: word(types, at + 4)?,
            bit: word(types, at + 8)?,
        })
    };
    (0..count).map(member).collect()
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes = bytes.get(at..at.checked_add(4)?)?;
    Some(u32::from_le_bytes(bytes.try_into().ok()?))
}
