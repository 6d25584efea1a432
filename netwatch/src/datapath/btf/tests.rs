//! A kernel of a few types, made by hand, and the one that the tests run on.

use proptest::prelude::*;

use super::*;

/// Strings and types as they are put together.
#[derive(Default)]
struct Kernel {
    strings: Vec<u8>,
    types: Vec<u8>,
    count: u32,
}

impl Kernel {
    fn name(&mut self, name: &str) -> u32 {
        if self.strings.is_empty() {
            self.strings.push(0);
        }
        if name.is_empty() {
            return 0;
        }
        let at = u32::try_from(self.strings.len()).unwrap();
        self.strings.extend(name.bytes().chain([0]));
        at
    }

    /// Adds a type; answers with its identifier.
    fn add(
        &mut self,
        name: &str,
        info: u32,
        size_or_type: u32,
        members: &[[u32; 3]],
        width: usize,
    ) -> u32 {
        let name = self.name(name);
        let info = info | u32::try_from(members.len()).unwrap();
        let words = [name, info, size_or_type];
        let members = members.iter().flat_map(|member| &member[..width]);
        self.types.extend(words.iter().chain(members).flat_map(|word| word.to_ne_bytes()));
        self.count += 1;
        self.count
    }

    fn bytes(&self) -> Vec<u8> {
        let length = |part: &[u8]| u32::try_from(part.len()).unwrap();
        let mut out = MAGIC.to_ne_bytes().to_vec();
        out.extend([1, 0]);
        let (types, strings) = (length(&self.types), length(&self.strings));
        out.extend([24, 0, types, types, strings].iter().flat_map(|word: &u32| word.to_ne_bytes()));
        out.extend(&self.types);
        out.extend(&self.strings);
        out
    }
}

impl Kernel {
    fn read(&self) -> Option<Btf> {
        read(&self.bytes())
    }
}

fn read(bytes: &[u8]) -> Option<Btf> {
    let mut data = MmapMut::map_anon(bytes.len()).unwrap();
    data.copy_from_slice(bytes);
    Btf::parse(data)
}

const PTR: u32 = 2;
const FLAG: u32 = 1 << 31;

/// A `sk_buff` with what is difficult in it: anonymous members in one another, bit fields, a typedef in between.
fn kernel() -> Kernel {
    let mut kernel = Kernel::default();
    let names = ["dev", "sk", "protocol", "cloned", "net", "nd_net", "A", "B"]
        .map(|name| kernel.name(name));
    let [dev, sk, protocol, cloned, net, nd_net, a, b] = names;
    let int = kernel.add("int", 1 << 24, 4, &[], 0);
    kernel.types.extend([0; 4]);
    let pointer = kernel.add("", PTR << 24, 0, &[], 0);
    let inner = kernel.add("", kind::STRUCT << 24, 24, &[[0, int, 0], [dev, pointer, 128]], 3);
    let outer = kernel.add("", kind::UNION << 24, 24, &[[0, inner, 0]], 3);
    let members =
        [[0, outer, 0], [sk, pointer, 192], [cloned, int, 1 << 24 | 256], [protocol, int, 288]];
    kernel.add("sk_buff", kind::STRUCT << 24 | FLAG, 40, &members, 3);
    let possible = kernel.add("", kind::STRUCT << 24, 8, &[[net, pointer, 0]], 3);
    let typedef = kernel.add("possible_net_t", kind::TYPEDEF << 24, possible, &[], 0);
    kernel.add("net_device", kind::STRUCT << 24, 8, &[[nd_net, typedef, 64]], 3);
    kernel.add("reasons", kind::ENUM << 24, 4, &[[a, 0, 0], [b, 7, 0]], 2);
    let callback = kernel.add("", kind::FUNC_PROTO << 24, 0, &[[0, pointer, 0]; 4], 2);
    let pointer = kernel.add("", PTR << 24, callback, &[], 0);
    kernel.add("btf_trace_kfree_skb", kind::TYPEDEF << 24, pointer, &[], 0);
    kernel
}

#[test]
fn members_are_found_wherever_they_stand() {
    let btf = kernel().read().unwrap();
    assert_eq!(btf.offset_of("sk_buff.dev").unwrap(), 16, "in a struct in a union");
    assert_eq!(btf.offset_of("sk_buff.sk").unwrap(), 24);
    assert_eq!(btf.offset_of("sk_buff.protocol").unwrap(), 36, "behind a bit field");
    assert_eq!(btf.offset_of("net_device.nd_net.net").unwrap(), 8, "through a typedef");
}

#[test]
fn what_is_missing_is_named() {
    let btf = kernel().read().unwrap();
    for path in ["sk_buff.head", "sk_buff.cloned", "sk_buff.sk.deeper", "socket.sk", "int.x"] {
        assert_eq!(
            btf.offset_of(path).unwrap_err().to_string(),
            format!("the kernel has no {path}")
        );
    }
    assert!(btf.values_of("int").is_none());
    assert!(btf.arguments_of("consume_skb").is_none());
}

#[test]
fn values_and_arguments_are_read() {
    let btf = kernel().read().unwrap();
    assert_eq!(btf.values_of("reasons").unwrap(), [("A".to_owned(), 0), ("B".to_owned(), 7)]);
    assert_eq!(btf.arguments_of("kfree_skb"), Some(3));
}

#[test]
fn what_stands_before_an_unknown_kind_is_good() {
    let mut kernel = kernel();
    kernel.add("later", 31 << 24, 0, &[], 0);
    kernel.add("behind", kind::STRUCT << 24, 0, &[], 0);
    let btf = kernel.read().unwrap();
    assert!(btf.offset_of("sk_buff.dev").is_ok());
    assert!(btf.offset_of("behind.x").is_err());
}

#[test]
fn any_of_many_types_is_found_by_its_number() {
    let mut kernel = kernel();
    let first = kernel.count + 1;
    let names: Vec<_> = (0..3 * STEP).map(|number| format!("type{number}")).collect();
    for name in &names {
        kernel.add(name, kind::CONST << 24, 0, &[], 0);
    }
    let btf = kernel.read().unwrap();
    for (id, name) in (first..).zip(&names) {
        assert_eq!(btf.string(btf.by_id(id).unwrap().name), Some(name.as_str()));
    }
    assert!(btf.by_id(0).is_none() && btf.by_id(kernel.count + 1).is_none());
}

#[test]
fn this_kernel_describes_itself() {
    let btf = Btf::of_this_kernel().unwrap();
    assert_eq!(btf.offset_of("sk_buff.next").unwrap(), 0, "the first member");
    assert!(btf.offset_of("sk_buff.skb_iif").unwrap() > btf.offset_of("sk_buff.dev").unwrap());
    assert!(btf.arguments_of("kfree_skb").unwrap() >= 2);
}

proptest! {
    #[test]
    fn any_bytes_have_an_answer(
        at in 0_usize..600, with in any::<[u8; 4]>(), cut in 0_usize..600,
    ) {
        let mut bytes = kernel().bytes();
        let at = at % (bytes.len() - 4);
        bytes[at..at + 4].copy_from_slice(&with);
        bytes.truncate(bytes.len() - cut.min(bytes.len()));
        if let Some(btf) = read(&bytes) {
            let _ = btf.offset_of("sk_buff.dev");
            let _ = btf.offset_of("net_device.nd_net.net");
            let _ = btf.values_of("reasons");
            let _ = btf.arguments_of("kfree_skb");
        }
    }
}
