//! What the running kernel says of its own types (BTF): offsets of members, values of enums, arguments of tracepoints.
//!
//! Reads the few answers that are wanted out of the bytes where they stand. Libraries build a table of all 130,000
//! types first: 40 to 60 MB for a moment, most of which the allocator keeps. For the same reason the bytes are in a
//! mapping of their own: freeing some megabytes teaches glibc to keep as many of everybody's (mallopt(3),
//! `M_MMAP_THRESHOLD`); it was 12 MB. The format is that of linux/btf.h,
//! documented in the kernel's Documentation/bpf/btf.rst; kernels that describe themselves are 5.4 and later.

use std::{
    fs::File,
    io::{self, Read as _},
    ops::Range,
};

use memmap2::MmapMut;
use thiserror::Error;

const KERNEL: &str = "/sys/kernel/btf/vmlinux";
const MAGIC: u16 = 0xeb9f;
/// Bytes of the head that every type has: name, kind and number of members, size or type.
const HEAD: usize = 12;
/// Types from one that is noted to the next.
const STEP: usize = 64;
/// Anonymous members inside of one another; the kernel has three.
const MOST_NESTED: u32 = 16;

/// Kinds of types that are looked at (`BTF_KIND_*`).
mod kind {
    pub(super) const STRUCT: u32 = 4;
    pub(super) const UNION: u32 = 5;
    pub(super) const ENUM: u32 = 6;
    pub(super) const TYPEDEF: u32 = 8;
    pub(super) const VOLATILE: u32 = 9;
    pub(super) const CONST: u32 = 10;
    pub(super) const RESTRICT: u32 = 11;
    pub(super) const FUNC_PROTO: u32 = 13;
    pub(super) const TYPE_TAG: u32 = 18;
}

/// Why the kernel's types say nothing.
#[derive(Debug, Error)]
pub(super) enum BtfError {
    /// The kernel has none, or keeps them to itself.
    #[error("{KERNEL}: {0}")]
    Read(#[from] io::Error),
    /// Not in the format.
    #[error("the kernel's type information is malformed")]
    Malformed,
    /// The kernel was built without it, or is of another time.
    #[error("the kernel has no {0}")]
    Missing(String),
}

/// The types of a kernel.
pub(super) struct Btf {
    data: MmapMut,
    types: Range<usize>,
    strings: Range<usize>,
    /// Where every [`STEP`]th type stands; the identifier of the first is 1.
    index: Vec<usize>,
}

/// A type, as its head describes it.
#[derive(Clone, Copy)]
struct Type {
    name: u32,
    kind: u32,
    /// Members, values or arguments.
    count: usize,
    /// Members can be bit fields.
    flag: bool,
    /// The type that this one leads to; the size of one that leads nowhere.
    leads_to: u32,
    /// Where its members stand.
    members: usize,
}

impl Btf {
    /// The running kernel's.
    pub(super) fn of_this_kernel() -> Result<Self, BtfError> {
        let mut file = File::open(KERNEL)?;
        let length = usize::try_from(file.metadata()?.len()).map_err(io::Error::other)?;
        let mut data = MmapMut::map_anon(length)?;
        file.read_exact(&mut data)?;
        Self::parse(data).ok_or(BtfError::Malformed)
    }

    fn parse(data: MmapMut) -> Option<Self> {
        if u16::from_ne_bytes(data.get(..2)?.try_into().ok()?) != MAGIC {
            return None;
        }
        let field = |at| word(&data, at).and_then(|value| usize::try_from(value).ok());
        let base = field(4)?;
        let section = |at| {
            let start = base.checked_add(field(at)?)?;
            let end = start.checked_add(field(at + 4)?)?;
            data.get(start..end).map(|_| start..end)
        };
        let (types, strings) = (section(8)?, section(16)?);
        let mut btf = Self { data, types, strings, index: Vec::new() };
        btf.index = btf.all().step_by(STEP).map(|this| this.members - HEAD).collect();
        Some(btf)
    }

    /// All types in their order. Behind a kind of a later kernel nothing can be found; what stands before it is good.
    fn all(&self) -> impl Iterator<Item = Type> {
        self.starting_at(self.types.start)
    }

    /// The type that stands here, and those that follow.
    fn starting_at(&self, at: usize) -> impl Iterator<Item = Type> {
        let known = |at: &usize| {
            let this = self.head(*at).filter(|_| self.types.contains(at))?;
            Some((this, this.members + length_of_members(this.kind, this.count)?))
        };
        let mut next = at;
        std::iter::from_fn(move || {
            let (this, following) = known(&next)?;
            next = following;
            Some(this)
        })
    }

    /// The offset in bytes of a member, `sk_buff.dev` or `net.ns.inum`, also where it stands in an anonymous one.
    pub(super) fn offset_of(&self, path: &str) -> Result<u32, BtfError> {
        let missing = || BtfError::Missing(path.to_owned());
        let mut names = path.split('.');
        let name = names.next().unwrap_or_default();
        let mut this = self.named(kind::STRUCT, name).ok_or_else(missing)?;
        let mut bits = 0_u32;
        for name in names {
            let (member, offset) = self.member(this, name, 0).ok_or_else(missing)?;
            bits = bits.checked_add(offset).ok_or_else(missing)?;
            this = self.resolve(member).ok_or_else(missing)?;
        }
        if bits.is_multiple_of(8) { Ok(bits / 8) } else { Err(missing()) }
    }

    /// The values of an enum by their names.
    pub(super) fn values_of(&self, name: &str) -> Option<Vec<(String, u32)>> {
        let this = self.named(kind::ENUM, name)?;
        (0..this.count)
            .map(|index| {
                let at = this.members + index * 8;
                Some((self.string(word(&self.data, at)?)?.to_owned(), word(&self.data, at + 4)?))
            })
            .collect()
    }

    /// How many arguments a tracepoint has: the kernel describes it by the type of its callbacks, which are handed
    /// a pointer of their own first.
    pub(super) fn arguments_of(&self, tracepoint: &str) -> Option<u32> {
        let mut this = self.named(kind::TYPEDEF, &format!("btf_trace_{tracepoint}"))?;
        for _ in 0..2 {
            this = self.by_id(this.leads_to)?;
        }
        let arguments = u32::try_from(this.count).ok()?;
        (this.kind == kind::FUNC_PROTO).then_some(arguments)?.checked_sub(1)
    }

    /// Type and offset in bits of a member.
    fn member(&self, of: Type, name: &str, depth: u32) -> Option<(u32, u32)> {
        if !matches!(of.kind, kind::STRUCT | kind::UNION) || depth > MOST_NESTED {
            return None;
        }
        (0..of.count).find_map(|index| {
            let at = of.members + index * 12;
            let field = |at| word(&self.data, at);
            let (own, id, offset) = (field(at)?, field(at + 4)?, field(at + 8)?);
            let (offset, width) =
                if of.flag { (offset & 0xff_ffff, offset >> 24) } else { (offset, 0) };
            match self.string(own)? {
                "" => {
                    let (id, inner) = self.member(self.resolve(id)?, name, depth + 1)?;
                    Some((id, offset.checked_add(inner)?))
                }
                own => (own == name && width == 0).then_some((id, offset)),
            }
        })
    }

    fn named(&self, kind: u32, name: &str) -> Option<Type> {
        self.all().find(|this| this.kind == kind && self.string(this.name) == Some(name))
    }

    fn by_id(&self, id: u32) -> Option<Type> {
        let place = usize::try_from(id.checked_sub(1)?).ok()?;
        self.starting_at(*self.index.get(place / STEP)?).nth(place % STEP)
    }

    /// The type behind names and qualifiers.
    fn resolve(&self, id: u32) -> Option<Type> {
        let mut this = self.by_id(id)?;
        for _ in 0..MOST_NESTED {
            match this.kind {
                kind::TYPEDEF | kind::VOLATILE | kind::CONST | kind::RESTRICT | kind::TYPE_TAG => {
                    this = self.by_id(this.leads_to)?;
                }
                _ => return Some(this),
            }
        }
        None
    }

    fn head(&self, at: usize) -> Option<Type> {
        let info = word(&self.data, at + 4)?;
        Some(Type {
            name: word(&self.data, at)?,
            kind: info >> 24 & 0x1f,
            count: usize::try_from(info & 0xffff).ok()?,
            flag: info >> 31 != 0,
            leads_to: word(&self.data, at + 8)?,
            members: at + HEAD,
        })
    }

    fn string(&self, offset: u32) -> Option<&str> {
        let strings = self.data.get(self.strings.clone())?;
        let bytes = strings.get(usize::try_from(offset).ok()?..)?;
        std::str::from_utf8(bytes.split(|byte| *byte == 0).next()?).ok()
    }
}

/// Bytes behind the head of a type; `None` for a kind that is not known.
fn length_of_members(kind: u32, count: usize) -> Option<usize> {
    Some(match kind {
        // PTR, FWD, TYPEDEF, VOLATILE, CONST, RESTRICT, FUNC, FLOAT, TYPE_TAG
        2 | 7..=12 | 16 | 18 => 0,
        // INT, VAR, DECL_TAG
        1 | 14 | 17 => 4,
        // ARRAY
        3 => 12,
        // ENUM, FUNC_PROTO
        6 | 13 => count * 8,
        // STRUCT, UNION, DATASEC, ENUM64
        4 | 5 | 15 | 19 => count * 12,
        _ => return None,
    })
}

fn word(data: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(data.get(at..at.checked_add(4)?)?.try_into().ok()?))
}

#[cfg(test)]
mod layout;
#[cfg(test)]
mod tests;
