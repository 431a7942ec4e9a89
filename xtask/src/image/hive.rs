//! Registry hives without keys, in the format that Windows loads ([specification](https://github.com/msuhanov/regf/blob/master/Windows%20registry%20file%20format%20specification.md)).
//!
//! Windows reads five hives from the base layer of an image. Since Server 2025, it refuses hives that are empty files
//! (microsoft/windows-host-process-containers-base-image#14).

use super::security::{CONTAINERS_INHERIT, Entry, KEY_ALL, Trustee, descriptor};

/// The hives of a base layer.
pub(super) const NAMES: [&str; 5] = ["DEFAULT", "SAM", "SECURITY", "SOFTWARE", "SYSTEM"];

/// The length of the base block, and of the single bin that follows.
const BLOCK: usize = 4096;
const CHECKSUM_AT: usize = 508;
/// The offset of the first cell in a bin.
const ROOT_AT: u32 = 32;
/// `KEY_HIVE_ENTRY | KEY_NO_DELETE | KEY_COMP_NAME`: the root of a hive, with a name in ASCII.
const ROOT_FLAGS: u16 = 0x2c;
const NOTHING: u32 = u32::MAX;

/// Creates a hive file with only a root key. It contains no time and no file name, because these would differ between builds.
pub(super) fn empty(name: &str) -> Vec<u8> {
    let mut file = base_block();
    file.extend(bin(name));
    file
}

fn base_block() -> Vec<u8> {
    let mut block = b"regf".to_vec();
    // Equal sequence numbers mean that the last write was complete.
    numbers(&mut block, &[1, 1]);
    let never = [0, 0];
    numbers(&mut block, &never);
    let (version, kind, format, bins, clustering) = ([1, 3], 0, 1, BLOCK as u32, 1);
    numbers(&mut block, &version);
    numbers(&mut block, &[kind, format, ROOT_AT, bins, clustering]);
    block.resize(CHECKSUM_AT, 0);
    let checksum = checksum(&block);
    numbers(&mut block, &[checksum]);
    block.resize(BLOCK, 0);
    block
}

/// The exclusive or of all numbers. The results 0 and -1 are reserved and are replaced.
fn checksum(block: &[u8]) -> u32 {
    let (numbers, _) = block.as_chunks::<4>();
    match numbers.iter().fold(0, |sum, &number| sum ^ u32::from_le_bytes(number)) {
        0 => 1,
        u32::MAX => u32::MAX - 1,
        sum => sum,
    }
}

fn bin(name: &str) -> Vec<u8> {
    let mut bin = b"hbin".to_vec();
    let (at, reserved, never, spare) = (0, [0, 0], [0, 0], 0);
    numbers(&mut bin, &[at, BLOCK as u32]);
    numbers(&mut bin, &reserved);
    numbers(&mut bin, &never);
    numbers(&mut bin, &[spare]);
    let security_at = ROOT_AT + cell_length(&root(name, 0));
    push_cell(&mut bin, &root(name, security_at));
    push_cell(&mut bin, &security(security_at));
    // The rest of the bin is one free cell. The length of a free cell is positive.
    let free = (BLOCK - bin.len()) as u32;
    numbers(&mut bin, &[free]);
    bin.resize(BLOCK, 0);
    bin
}

/// The root key: no subkeys, no values, no class.
fn root(name: &str, security_at: u32) -> Vec<u8> {
    let mut key = b"nk".to_vec();
    key.extend(ROOT_FLAGS.to_le_bytes());
    let (never, access, parent) = ([0, 0], 0, 0);
    numbers(&mut key, &never);
    numbers(&mut key, &[access, parent]);
    let (subkeys, volatile_subkeys, values, class) = (0, 0, 0, NOTHING);
    numbers(&mut key, &[subkeys, volatile_subkeys, NOTHING, NOTHING, values, NOTHING, security_at, class]);
    let (longest, unused) = ([0; 4], 0);
    numbers(&mut key, &longest);
    numbers(&mut key, &[unused]);
    let (name_length, class_length) = (name.len() as u16, 0_u16);
    key.extend(name_length.to_le_bytes());
    key.extend(class_length.to_le_bytes());
    key.extend(name.as_bytes());
    key
}

/// The only security record. It is its own neighbour in the list, and one key refers to it.
fn security(at: u32) -> Vec<u8> {
    let all = |trustee| Entry { inheritance: CONTAINERS_INHERIT, rights: KEY_ALL, trustee };
    let descriptor = descriptor(&[all(Trustee::System), all(Trustee::Administrators)]);
    let mut record = b"sk\0\0".to_vec();
    let references = 1;
    numbers(&mut record, &[at, at, references, descriptor.len() as u32]);
    record.extend(descriptor);
    record
}

/// The length of a cell, including the length field at its beginning. It is a multiple of 8 bytes.
fn cell_length(content: &[u8]) -> u32 {
    (4 + content.len()).next_multiple_of(8) as u32
}

/// The length of a used cell is negative.
fn push_cell(bin: &mut Vec<u8>, content: &[u8]) {
    let length = cell_length(content);
    let end = bin.len() + length as usize;
    numbers(bin, &[length.wrapping_neg()]);
    bin.extend(content);
    bin.resize(end, 0);
}

fn numbers(bytes: &mut Vec<u8>, numbers: &[u32]) {
    bytes.extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(file: &[u8], at: usize) -> u32 {
        u32::from_le_bytes(file[at..at + 4].try_into().unwrap())
    }

    #[test]
    fn a_hive_is_two_blocks_whose_cells_fill_the_bin() {
        let file = empty("SYSTEM");
        assert_eq!(file.len(), 2 * BLOCK);
        assert_eq!((&file[..4], &file[BLOCK..BLOCK + 4]), (&b"regf"[..], &b"hbin"[..]));
        let mut cells = Vec::new();
        let mut at = BLOCK + ROOT_AT as usize;
        while at < file.len() {
            let length = number(&file, at).cast_signed();
            cells.push((length < 0, String::from_utf8_lossy(&file[at + 4..at + 6]).into_owned()));
            at += length.unsigned_abs() as usize;
        }
        assert_eq!(at, file.len());
        let cells: Vec<_> = cells.iter().map(|(used, kind)| (*used, kind.as_str())).collect();
        assert_eq!(cells, [(true, "nk"), (true, "sk"), (false, "\0\0")]);
    }

    #[test]
    fn the_root_key_refers_to_the_security_record() {
        let file = empty("SAM");
        let root = BLOCK + ROOT_AT as usize + 4;
        assert_eq!(&file[root + 76..root + 79], b"SAM");
        let security = BLOCK + number(&file, root + 44) as usize + 4;
        assert_eq!(&file[security..security + 2], b"sk");
    }

    #[test]
    fn the_checksum_of_the_base_block_is_zero_with_itself() {
        let file = empty("SYSTEM");
        let sum = (0..128).fold(0, |sum, index| sum ^ number(&file, 4 * index));
        assert_eq!(sum, 0);
    }
}
