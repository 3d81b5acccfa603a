//! Tar archives of small files, in the ustar format that every runtime unpacks.

use bytes::Bytes;

const BLOCK: usize = 512;

/// An archive of regular files and the directories that they are in, all owned by root and as old as 1970.
///
/// Paths have fewer than 100 characters and no slash in front.
pub(super) fn archive(files: &[(&str, &[u8])]) -> Bytes {
    let mut out = Vec::new();
    for (path, content) in files {
        for (slash, _) in path.match_indices('/') {
            out.extend(header(&path[..=slash], 0, b'5', 0o755));
        }
        out.extend(header(path, content.len(), b'0', 0o755));
        out.extend_from_slice(content);
        out.resize(out.len().next_multiple_of(BLOCK), 0);
    }
    // Two empty blocks end an archive.
    out.resize(out.len() + 2 * BLOCK, 0);
    out.into()
}

fn header(path: &str, size: usize, kind: u8, mode: usize) -> [u8; BLOCK] {
    let mut block = [0; BLOCK];
    let mut put = |at: usize, text: &[u8]| block[at..at + text.len()].copy_from_slice(text);
    put(0, path.as_bytes());
    put(100, format!("{mode:07o}").as_bytes());
    put(108, b"0000000");
    put(116, b"0000000");
    put(124, format!("{size:011o}").as_bytes());
    put(136, b"00000000000");
    // The checksum is taken with its own field full of spaces.
    put(148, b"        ");
    put(156, &[kind]);
    put(257, b"ustar\x0000");
    let sum: usize = block.iter().map(|byte| usize::from(*byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    block
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_archive_has_the_layout_of_ustar() {
        let archive = archive(&[("a/b", b"content")]);
        assert_eq!(archive.len(), BLOCK * (1 + 1 + 1 + 2));
        assert_eq!(&archive[..3], b"a/\0");
        assert_eq!(archive[156], b'5');
        assert_eq!(&archive[BLOCK..BLOCK + 4], b"a/b\0");
        assert_eq!(&archive[BLOCK + 124..BLOCK + 135], b"00000000007");
        assert_eq!(&archive[BLOCK + 257..BLOCK + 265], b"ustar\x0000");
        assert_eq!(&archive[2 * BLOCK..2 * BLOCK + 7], b"content");
        assert!(archive[3 * BLOCK..].iter().all(|byte| *byte == 0));
    }
}
