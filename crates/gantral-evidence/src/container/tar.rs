//! The one tar of a set of files.
//!
//! POSIX ustar, regular files only, in the order of their paths, owner, group and time zero, mode 0644, closed by two
//! zero blocks and nothing else. The reader rebuilds each header from path and length and compares: whatever another
//! archiver could express differently is refused without a rule of its own.

use alloc::vec::Vec;

use super::{CONTENT_BYTES_MAX, ContainerError, FILES_MAX, Files, check_path};

const BLOCK: usize = 512;
type Header = [u8; BLOCK];

/// The field of the length: eleven octal digits, which is far above our limit.
const LENGTH_AT: usize = 124;
const LENGTH_DIGITS: usize = 11;
const CHECKSUM_AT: usize = 148;
const KIND_AT: usize = 156;
const REGULAR: u8 = b'0';

/// Returns the deterministic tar. Equal files give equal bytes.
pub fn write_tar(files: &Files<'_>) -> Vec<u8> {
    let padded = |length: usize| length.next_multiple_of(BLOCK);
    let size = files.iter().map(|(_, content)| BLOCK + padded(content.len())).sum::<usize>() + 2 * BLOCK;
    let mut out = Vec::with_capacity(size);
    for (path, content) in files.iter() {
        out.extend_from_slice(&header(path, content.len()));
        out.extend_from_slice(content);
        out.resize(padded(out.len()), 0);
    }
    out.resize(size, 0);
    out
}

/// Reads a deterministic tar without copying its content.
///
/// # Errors
/// The first thing that [`write_tar`] would not have written; or a limit.
pub fn read_tar(tar: &[u8]) -> Result<Files<'_>, ContainerError> {
    let mut entries: Vec<(&str, &[u8])> = Vec::new();
    let mut offset = 0;
    let mut size = 0_usize;
    loop {
        let bad = ContainerError::Tar { offset };
        let Some((found, rest)) = tar.get(offset..).and_then(<[u8]>::split_first_chunk::<BLOCK>) else {
            return Err(bad);
        };
        if found == &[0; BLOCK] {
            let is_end = rest == [0; BLOCK];
            return if is_end { Files(entries).checked() } else { Err(bad) };
        }
        let (path, length) = read_header(found, offset)?;
        if let Some((last, _)) = entries.last().filter(|(last, _)| *last >= path) {
            let is_same = *last == path;
            return Err(if is_same { ContainerError::Duplicate { path: path.into() } } else { bad });
        }
        size = size.saturating_add(length);
        if size > CONTENT_BYTES_MAX {
            return Err(ContainerError::Limit("bytes"));
        }
        if entries.len() == FILES_MAX {
            return Err(ContainerError::Limit("files"));
        }
        let (content, rest) = rest.split_at_checked(length).ok_or(bad.clone())?;
        let padding = rest.get(..length.next_multiple_of(BLOCK) - length).ok_or(bad.clone())?;
        if padding.iter().any(|byte| *byte != 0) {
            return Err(bad);
        }
        entries.push((path, content));
        offset += BLOCK + length + padding.len();
    }
}

/// Reads path and length out of a header, and checks that they make the same header.
fn read_header(found: &Header, offset: usize) -> Result<(&str, usize), ContainerError> {
    let bad = ContainerError::Tar { offset };
    if found.get(KIND_AT) != Some(&REGULAR) {
        return Err(ContainerError::NotRegular { offset });
    }
    let name = found.get(..super::PATH_BYTES_MAX).unwrap_or_default();
    let name = name.split(|byte| *byte == 0).next().unwrap_or_default();
    let path = core::str::from_utf8(name).map_err(|_| bad.clone())?;
    check_path(path)?;
    let digits = found.get(LENGTH_AT..LENGTH_AT + LENGTH_DIGITS).unwrap_or_default();
    let length = core::str::from_utf8(digits).ok().and_then(|digits| usize::from_str_radix(digits, 8).ok());
    let length = length.ok_or(bad.clone())?;
    if header(path, length) == *found { Ok((path, length)) } else { Err(bad) }
}

/// Returns the header of a file (POSIX.1-2017 pax, "ustar Interchange Format").
fn header(path: &str, length: usize) -> Header {
    let mut header = [0; BLOCK];
    let mut put = |at: usize, bytes: &[u8]| {
        header.iter_mut().skip(at).zip(bytes).for_each(|(to, from)| *to = *from);
    };
    put(0, path.as_bytes());
    put(100, b"0000644\x000000000\x000000000\0");
    put(LENGTH_AT, alloc::format!("{length:011o}\0").as_bytes());
    put(136, b"00000000000\0");
    // The checksum counts its own field as spaces.
    put(CHECKSUM_AT, b"        ");
    put(KIND_AT, &[REGULAR]);
    put(257, b"ustar\x0000");
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    let checksum = alloc::format!("{sum:06o}\0 ");
    header.iter_mut().skip(CHECKSUM_AT).zip(checksum.bytes()).for_each(|(to, from)| *to = from);
    header
}
