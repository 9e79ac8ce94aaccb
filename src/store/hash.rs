//! Hashes of content, the same on every platform.

use sha2::{Digest, Sha256};

/// SHA-256 of `parts` in hexadecimal digits; their borders count.
pub fn digest<P: AsRef<[u8]>>(parts: impl IntoIterator<Item = P>) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.as_ref().len() as u64).to_le_bytes());
        hash.update(part.as_ref());
    }
    hexadecimal(hash)
}

/// SHA-256 of `bytes` in hexadecimal digits, as `sha256sum` prints it.
pub fn sha256(bytes: &[u8]) -> String {
    hexadecimal(Sha256::new_with_prefix(bytes))
}

fn hexadecimal(hash: Sha256) -> String {
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn borders_of_parts_count_and_sha256_is_the_standard_s() {
        assert_ne!(digest(["ab", "c"]), digest(["a", "bc"]));
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"; // FIPS 180-2, appendix B.1
        assert_eq!(sha256(b"abc"), abc);
    }
}
