//! Files of a bundle as one run of bytes that a mutator can damage without breaking the container: names, lengths and contents, and
//! anything else is read as far as it goes.

use std::collections::BTreeMap;

/// Files by their paths.
pub type FileMap = BTreeMap<String, Vec<u8>>;

/// Returns the files as bytes: for each the length of its path in one byte, the path, the length in four bytes, the content.
pub fn frame(files: &FileMap) -> Vec<u8> {
    let mut out = Vec::new();
    for (path, content) in files {
        let path = path.as_bytes().get(..255).unwrap_or(path.as_bytes());
        out.push(u8::try_from(path.len()).unwrap_or(u8::MAX));
        out.extend_from_slice(path);
        out.extend_from_slice(&u32::try_from(content.len()).unwrap_or(u32::MAX).to_be_bytes());
        out.extend_from_slice(content);
    }
    out
}

/// Reads any bytes as files. A path that is no text is left out, a length that is too long is cut, of one path the last file counts.
pub fn unframe(bytes: &[u8]) -> FileMap {
    let mut files = FileMap::new();
    let mut rest = bytes;
    while let Some((length, after)) = rest.split_first() {
        let (path, after) = after.split_at(after.len().min(usize::from(*length)));
        let Some((length, after)) = after.split_first_chunk::<4>() else { break };
        let length = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX);
        let (content, after) = after.split_at(after.len().min(length));
        if let Ok(path) = std::str::from_utf8(path) {
            files.insert(path.to_owned(), content.to_vec());
        }
        rest = after;
    }
    files
}
