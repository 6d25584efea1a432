//! What agents leave in the kernel for the next one, byte by byte, as the compiled object describes it: `testdata/abi-N.txt`.

use std::{env, fmt::Write as _, fs, path::Path};

use memmap2::MmapMut;
use netwatch_common::ABI_VERSION;
use object::{Object as _, ObjectSection as _};

use super::{
    super::object::{OBJECT, OBJECT_WITH_MESSAGES},
    Btf, kind, word,
};

/// Of the maps that are pinned, and what those consist of. `Key` and `First` are of fragments.
const PINNED: [&str; 12] = [
    "Header",
    "CpuState",
    "Tally",
    "InterfaceCounters",
    "InterfaceHalf",
    "FlowEntry",
    "FlowKey",
    "Address",
    "Half",
    "Line",
    "Key",
    "First",
];
const UPDATE: &str = "UPDATE_GOLDEN";

fn of_object(bytes: &[u8]) -> Btf {
    let file = object::File::parse(bytes).unwrap();
    let types = file.section_by_name(".BTF").unwrap().data().unwrap();
    let mut data = MmapMut::map_anon(types.len()).unwrap();
    data.copy_from_slice(types);
    Btf::parse(data).unwrap()
}

/// Each member with its offset in bytes.
fn in_words(btf: &Btf) -> String {
    let mut text = String::new();
    for name in PINNED {
        let this = btf.named(kind::STRUCT, name).unwrap();
        writeln!(text, "{name}: {} bytes", this.leads_to).unwrap();
        for member in 0..this.count {
            let at = this.members + member * 12;
            let field = |offset| word(&btf.data, at + offset).unwrap();
            let name = btf.string(field(0)).unwrap();
            writeln!(text, "  {:>3} {name}", field(8) / 8).unwrap();
        }
    }
    writeln!(text, "Outcome").unwrap();
    for (name, number) in btf.values_of("Outcome").unwrap() {
        writeln!(text, "  {number:>3} {name}").unwrap();
    }
    text
}

#[test]
fn what_is_pinned_is_as_its_version_has_it() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join(format!("src/datapath/testdata/abi-{ABI_VERSION}.txt"));
    let now = in_words(&of_object(OBJECT));
    assert_eq!(now, in_words(&of_object(OBJECT_WITH_MESSAGES)));
    // One that is there is as it was handed out, and so it stays.
    if env::var_os(UPDATE).is_some() && !path.exists() {
        fs::write(&path, &now).unwrap();
    }
    let kept = fs::read_to_string(&path).unwrap_or_else(|_| {
        panic!("{}: {UPDATE}=1 writes it", path.display());
    });
    assert_eq!(
        now,
        kept,
        "{}: what is pinned has changed, so it is another ABI_VERSION (netwatch-common/src/config.rs)",
        path.display()
    );
}

/// The compiler writes these in no certain order: with two of them, the object is not the same wherever it is built
/// (netwatch-ebpf/src/skb.rs `Skb`).
#[test]
fn no_type_is_only_announced() {
    const FORWARD: u32 = 7;
    for object in [OBJECT, OBJECT_WITH_MESSAGES] {
        let btf = of_object(object);
        let announced = btf.all().filter(|this| this.kind == FORWARD);
        let names: Vec<&str> = announced.filter_map(|this| btf.string(this.name)).collect();
        assert!(names.is_empty(), "{names:?}");
        assert!(btf.all().count() > 100);
    }
}
