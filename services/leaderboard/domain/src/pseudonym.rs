//! Names for those who do not show theirs: the same for ever, and nothing of them in it.

const FIRST: [&str; 32] = [
    "Amber", "Bold", "Brisk", "Bright", "Calm", "Clever", "Cosy", "Dapper", "Early", "Fond",
    "Gentle", "Golden", "Happy", "Hazel", "Jolly", "Keen", "Kind", "Lively", "Lucky", "Mellow",
    "Merry", "Misty", "Nimble", "Patient", "Quiet", "Rapid", "Silver", "Smooth", "Sunny", "Velvet",
    "Warm", "Witty",
];

const SECOND: [&str; 32] = [
    "Badger", "Beaver", "Crane", "Dolphin", "Falcon", "Ferret", "Finch", "Fox", "Gecko", "Hare",
    "Heron", "Ibex", "Jay", "Koala", "Lark", "Lynx", "Magpie", "Marten", "Mole", "Newt", "Otter",
    "Owl", "Panda", "Puffin", "Raven", "Robin", "Seal", "Sparrow", "Stork", "Swift", "Tern",
    "Wren",
];

/// The name under which a customer shows who does not allow their own.
#[must_use]
pub fn pseudonym(customer: &str) -> String {
    let hash = fnv(customer);
    let pick = |names: &[&'static str; 32], shift: u32| {
        let place = usize::try_from((hash >> shift) & 31).unwrap_or(0);
        names.get(place).copied().unwrap_or("Guest")
    };
    // 20 bits more: two guests of the same name on one board are rare.
    let number = (hash >> 10) % 1_000;
    format!("{} {} {number:03}", pick(&FIRST, 0), pick(&SECOND, 5))
}

/// FNV-1a with a last mix: stable for ever, unlike the standard library's hashes.
fn fnv(text: &str) -> u64 {
    let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    (hash ^ (hash >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pseudonym_never_changes() {
        assert_eq!(pseudonym("customer-demo"), pseudonym("customer-demo"));
        let names: std::collections::BTreeSet<_> =
            (0..1_000).map(|n| pseudonym(&format!("c-{n}"))).collect();
        assert!(
            names.len() > 990,
            "only {} names for 1,000 guests",
            names.len()
        );
    }
}
