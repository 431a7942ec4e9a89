//! Security descriptors of Windows in self-relative form
//! ([MS-DTYP 2.4.6](https://learn.microsoft.com/openspecs/windows_protocols/ms-dtyp/7d4dac05-9cef-4563-a058-f108abecce1d)), owned by the administrators.

/// `SE_DACL_PRESENT | SE_SELF_RELATIVE`.
const CONTROL: u16 = 0x8004;
/// The length of a descriptor before its parts.
const HEADER: u32 = 20;
const ACL_REVISION: u16 = 2;
const ACCESS_ALLOWED: u8 = 0;

/// All rights to a file or folder (`FA` in SDDL).
pub(super) const FILE_ALL: u32 = 0x001f_01ff;
/// Read and execute a file, list a folder.
pub(super) const FILE_EXECUTE: u32 = 0x0012_00a9;
/// All rights to a registry key (`KA` in SDDL).
pub(super) const KEY_ALL: u32 = 0x000f_003f;

/// Files in a folder inherit the entry.
pub(super) const FILES_INHERIT: u8 = 1;
/// Folders in a folder and subkeys of a key inherit the entry.
pub(super) const CONTAINERS_INHERIT: u8 = 2;

#[derive(Debug, Clone, Copy)]
pub(super) enum Trustee {
    System,
    Administrators,
    Users,
}

/// An access control entry that allows rights.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry {
    pub(super) inheritance: u8,
    pub(super) rights: u32,
    pub(super) trustee: Trustee,
}

/// The owner is the Administrators group, and the primary group is LocalSystem.
pub(super) fn descriptor(entries: &[Entry]) -> Vec<u8> {
    let owner = Trustee::Administrators.sid();
    let group = Trustee::System.sid();
    let group_at = HEADER + length(&owner);
    let mut bytes = vec![1, 0];
    bytes.extend(CONTROL.to_le_bytes());
    let no_system_list = 0;
    for offset in [HEADER, group_at, no_system_list, group_at + length(&group)] {
        bytes.extend(offset.to_le_bytes());
    }
    bytes.extend(owner);
    bytes.extend(group);
    bytes.extend(list(entries));
    bytes
}

fn list(entries: &[Entry]) -> Vec<u8> {
    let body: Vec<u8> = entries.iter().flat_map(Entry::bytes).collect();
    let mut bytes = ACL_REVISION.to_le_bytes().to_vec();
    bytes.extend(short(8 + body.len()));
    bytes.extend(short(entries.len()));
    bytes.extend([0, 0]);
    bytes.extend(body);
    bytes
}

impl Entry {
    fn bytes(&self) -> Vec<u8> {
        let sid = self.trustee.sid();
        let mut bytes = vec![ACCESS_ALLOWED, self.inheritance];
        bytes.extend(short(8 + sid.len()));
        bytes.extend(self.rights.to_le_bytes());
        bytes.extend(sid);
        bytes
    }
}

impl Trustee {
    fn sid(self) -> Vec<u8> {
        let (builtin_domain, administrators, users, system): (u32, u32, u32, u32) = (32, 544, 545, 18);
        let authorities: &[u32] = match self {
            Self::System => &[system],
            Self::Administrators => &[builtin_domain, administrators],
            Self::Users => &[builtin_domain, users],
        };
        let nt_authority = [0, 0, 0, 0, 0, 5];
        let mut bytes = vec![1, if authorities.len() == 1 { 1 } else { 2 }];
        bytes.extend(nt_authority);
        bytes.extend(authorities.iter().flat_map(|authority| authority.to_le_bytes()));
        bytes
    }
}

fn length(part: &[u8]) -> u32 {
    u32::try_from(part.len()).unwrap_or(u32::MAX)
}

fn short(length: usize) -> [u8; 2] {
    u16::try_from(length).unwrap_or(u16::MAX).to_le_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_descriptor_has_the_owner_the_group_and_the_entries() {
        let entries = [
            Entry { inheritance: 0, rights: FILE_ALL, trustee: Trustee::System },
            Entry { inheritance: CONTAINERS_INHERIT, rights: FILE_EXECUTE, trustee: Trustee::Users },
        ];
        let administrators = [1, 2, 0, 0, 0, 0, 0, 5, 32, 0, 0, 0, 0x20, 2, 0, 0];
        let users = [1, 2, 0, 0, 0, 0, 0, 5, 32, 0, 0, 0, 0x21, 2, 0, 0];
        let system = [1, 1, 0, 0, 0, 0, 0, 5, 18, 0, 0, 0];
        let expected = [
            &[1, 0, 4, 0x80, 20, 0, 0, 0, 36, 0, 0, 0, 0, 0, 0, 0, 48, 0, 0, 0][..],
            &administrators,
            &system,
            &[2, 0, 52, 0, 2, 0, 0, 0],
            &[0, 0, 20, 0, 0xff, 1, 0x1f, 0],
            &system,
            &[0, 2, 24, 0, 0xa9, 0, 0x12, 0],
            &users,
        ];
        assert_eq!(descriptor(&entries), expected.concat());
    }
}
