//! The tree of RFC 6962 §2.1: leaves, roots and audit paths.

use sha2::{Digest, Sha256};

/// The hash of a leaf or of a subtree.
pub(super) type Hash = [u8; 32];

/// The hash of a leaf with this content. The prefix keeps leaves and nodes apart.
pub(super) fn leaf(content: &[u8]) -> Hash {
    Sha256::new_with_prefix([0]).chain_update(content).finalize().into()
}

/// The root over these leaves.
pub(super) fn root(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => Sha256::digest([]).into(),
        [only] => *only,
        _ => {
            let (left, right) = leaves.split_at(left_size(leaves.len()));
            node(&root(left), &root(right))
        }
    }
}

/// The audit path of one leaf, nearest sibling first; none if there is no such leaf.
pub(super) fn path(index: usize, leaves: &[Hash]) -> Option<Vec<Hash>> {
    if index >= leaves.len() {
        return None;
    }
    if leaves.len() == 1 {
        return Some(Vec::new());
    }
    let (left, right) = leaves.split_at(left_size(leaves.len()));
    let (mut path, sibling) = match index.checked_sub(left.len()) {
        None => (path(index, left)?, root(right)),
        Some(index) => (path(index, right)?, root(left)),
    };
    path.push(sibling);
    Some(path)
}

fn node(left: &Hash, right: &Hash) -> Hash {
    Sha256::new_with_prefix([1]).chain_update(left).chain_update(right).finalize().into()
}

/// The largest power of two below a size, which is two or more.
fn left_size(size: usize) -> usize {
    1 << (size - 1).ilog2()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The verifier's side, by the iterative algorithm of RFC 9162 §2.1.3.2, which shares nothing with the above.
    fn root_of_path(index: usize, size: usize, leaf: Hash, path: &[Hash]) -> Option<Hash> {
        let (mut position, mut last, mut hash) = (index, size - 1, leaf);
        for sibling in path {
            if last == 0 {
                return None;
            }
            if position & 1 == 1 || position == last {
                hash = node(sibling, &hash);
                while position & 1 == 0 && position != 0 {
                    position >>= 1;
                    last >>= 1;
                }
            } else {
                hash = node(&hash, sibling);
            }
            position >>= 1;
            last >>= 1;
        }
        (last == 0).then_some(hash)
    }

    #[test]
    fn every_path_leads_to_the_root() {
        for size in 1..=40_u32 {
            let leaves: Vec<Hash> = (0..size).map(|n| leaf(&n.to_be_bytes())).collect();
            for (index, leaf) in leaves.iter().enumerate() {
                let path = path(index, &leaves).unwrap();
                let reached = root_of_path(index, leaves.len(), *leaf, &path);
                assert_eq!(reached, Some(root(&leaves)), "{index} of {size}");
            }
        }
    }

    #[test]
    fn there_is_no_path_to_what_is_not_in_the_tree() {
        assert_eq!(path(0, &[]), None);
        assert_eq!(path(1, &[leaf(b"only")]), None);
    }

    #[test]
    fn roots_are_those_that_other_implementations_compute() {
        // The reference vectors of the Certificate Transparency implementation.
        let inputs: [&[u8]; 8] = [
            &[],
            &[0x00],
            &[0x10],
            &[0x20, 0x21],
            &[0x30, 0x31],
            &[0x40, 0x41, 0x42, 0x43],
            &[0x50, 0x51, 0x52, 0x53, 0x54, 0x55, 0x56, 0x57],
            &[0x60, 0x61, 0x62, 0x63, 0x64, 0x65, 0x66, 0x67, 0x68, 0x69, 0x6a, 0x6b, 0x6c, 0x6d, 0x6e, 0x6f],
        ];
        let leaves: Vec<Hash> = inputs.iter().map(|input| leaf(input)).collect();
        let expected = [
            (0, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
            (1, "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"),
            (2, "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"),
            (3, "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77"),
            (4, "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7"),
            (5, "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4"),
            (6, "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef"),
            (7, "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c"),
            (8, "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"),
        ];
        for (size, root_hash) in expected {
            assert_eq!(hex::encode(root(&leaves[..size])), root_hash, "{size} leaves");
        }
    }
}
