//! The load configuration of the Windows program. With it, Windows loads imported DLLs only from System32, not from the program folder.
//!
//! GNU ld does not write a reference to it in the header of the file. `cargo xtask windows --release` adds the reference. Microsoft's
//! linker needs only a flag.
#![cfg(all(windows, target_env = "gnu"))]

/// `LOAD_LIBRARY_SEARCH_SYSTEM32`.
const FROM_SYSTEM32: u8 = 0x08;

/// An `IMAGE_LOAD_CONFIG_DIRECTORY64`.
#[repr(C, align(8))]
pub(crate) struct LoadConfig([u8; LoadConfig::SIZE as usize]);

impl LoadConfig {
    const SIZE: u16 = 0x140;
    /// The offset of `DependentLoadFlags`.
    const FLAGS: usize = 78;
}

pub(crate) static LOAD_CONFIG: LoadConfig = {
    let mut bytes = [0; LoadConfig::SIZE as usize];
    [bytes[0], bytes[1]] = LoadConfig::SIZE.to_le_bytes();
    bytes[LoadConfig::FLAGS + 1] = FROM_SYSTEM32;
    LoadConfig(bytes)
};
