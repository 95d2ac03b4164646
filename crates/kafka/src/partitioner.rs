//! Kafka's Java clients choose `murmur2(key) mod partitions`; so do ours, so that every tool agrees
//! where a key lives.

/// The partition, of `partitions`, that holds this key; 0 when there are none.
#[must_use]
pub fn partition_of(key: &[u8], partitions: i32) -> i32 {
    // Java masks the sign instead of taking the absolute value.
    let positive = i32::from_be_bytes(murmur2(key).to_be_bytes()) & 0x7fff_ffff;
    positive.checked_rem(partitions).unwrap_or(0)
}

/// The 32-bit `MurmurHash2` with the seed of Kafka's Java client.
fn murmur2(data: &[u8]) -> u32 {
    const SEED: u32 = 0x9747_b28c;
    const M: u32 = 0x5bd1_e995;
    const R: u32 = 24;

    let length = u32::try_from(data.len()).unwrap_or(u32::MAX);
    let mut hash = SEED ^ length;
    let (words, tail) = data.as_chunks::<4>();
    for word in words {
        let mut k = u32::from_le_bytes(*word).wrapping_mul(M);
        k ^= k >> R;
        hash = hash.wrapping_mul(M) ^ k.wrapping_mul(M);
    }
    if !tail.is_empty() {
        for (place, byte) in tail.iter().enumerate() {
            hash ^= u32::from(*byte) << (8 * place);
        }
        hash = hash.wrapping_mul(M);
    }
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(M);
    hash ^ (hash >> 15)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The values that Kafka's own `UtilsTest.testMurmur2` expects.
    #[test]
    fn hashes_equal_those_of_the_java_client() {
        let golden: [(&[u8], i32); 6] = [
            (b"21", -973_932_308),
            (b"foobar", -790_332_482),
            (b"a-little-bit-long-string", -985_981_536),
            (b"a-little-bit-longer-string", -1_486_304_829),
            (
                b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8",
                -58_897_971,
            ),
            (b"abc", 479_470_107),
        ];
        for (key, hash) in golden {
            assert_eq!(i32::from_be_bytes(murmur2(key).to_be_bytes()), hash);
        }
    }

    #[test]
    fn a_partition_is_always_one_that_exists() {
        for number in 0..1_000_u32 {
            let partition = partition_of(&number.to_be_bytes(), 7);
            assert!((0..7).contains(&partition));
        }
        assert_eq!(partition_of(b"key", 0), 0);
    }
}
