//! Adds a reference to the load configuration to the header of a Windows program.
//!
//! The program contains the load configuration directory as a constant. Windows uses it only if the header refers to it, and GNU ld does
//! not add this reference.

use std::fs;
use std::ops::Range;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use object::pe::{
    IMAGE_DIRECTORY_ENTRY_LOAD_CONFIG, ImageDataDirectory, ImageDosHeader, ImageLoadConfigDirectory64, ImageNtHeaders64,
};
use object::read::pe::PeFile64;
use object::{Object, ObjectSection, pod};

/// `LOAD_LIBRARY_SEARCH_SYSTEM32`.
const FROM_SYSTEM32: u16 = 0x800;
/// The size of the constant in bytes. It is the size of newer versions of the directory.
const SIZE: usize = 0x140;

/// Adds the reference to the data directories in the header. Does nothing if the reference exists.
pub(crate) fn enter(program: &Path) -> Result<()> {
    let mut bytes = fs::read(program)?;
    let failed = || format!("cannot add the load configuration to the header of {}", program.display());
    if let Some((entry, directory)) = missing(&bytes).with_context(failed)? {
        bytes.get_mut(entry).with_context(failed)?.copy_from_slice(pod::bytes_of(&directory));
        fs::write(program, &bytes)?;
        ensure!(imports_from_system32(&bytes).with_context(failed)?, failed());
    }
    Ok(())
}

/// Whether the file restricts its imports to System32.
pub(crate) fn imports_from_system32(bytes: &[u8]) -> Result<bool> {
    let file = PeFile64::parse(bytes)?;
    let Some(directory) = file.data_directory(IMAGE_DIRECTORY_ENTRY_LOAD_CONFIG) else { return Ok(false) };
    let data = directory.data(bytes, &file.section_table())?;
    let config = pod::from_bytes::<ImageLoadConfigDirectory64>(data);
    Ok(config.is_ok_and(|(config, _)| config.dependent_load_flags.get(object::LittleEndian) == FROM_SYSTEM32))
}

/// Returns the range of the header entry and the value to write; `None` if the entry is already set.
fn missing(bytes: &[u8]) -> Result<Option<(Range<usize>, ImageDataDirectory)>> {
    let file = PeFile64::parse(bytes)?;
    if imports_from_system32(bytes)? {
        return Ok(None);
    }
    let headers = usize::try_from(ImageDosHeader::parse(bytes)?.nt_headers_offset())?;
    // All linkers write all 16 entries.
    let directories = headers + size_of::<ImageNtHeaders64>();
    let start = directories + IMAGE_DIRECTORY_ENTRY_LOAD_CONFIG * size_of::<ImageDataDirectory>();
    let address = found(&file)?;
    let directory = ImageDataDirectory {
        virtual_address: object::U32::new(object::LittleEndian, address),
        size: object::U32::new(object::LittleEndian, u32::try_from(SIZE)?),
    };
    Ok(Some((start..start + size_of::<ImageDataDirectory>(), directory)))
}

/// Finds the address of the constant, relative to the image base. There must be exactly one.
fn found(file: &PeFile64<'_>) -> Result<u32> {
    let mut constant = [0; SIZE];
    let config = pod::from_bytes_mut::<ImageLoadConfigDirectory64>(&mut constant);
    let (config, _) = config.map_err(|()| anyhow::anyhow!("the constant is not aligned"))?;
    config.size.set(object::LittleEndian, u32::try_from(SIZE)?);
    config.dependent_load_flags.set(object::LittleEndian, FROM_SYSTEM32);
    let mut found = Vec::new();
    for section in file.sections() {
        let base = section.address() - file.relative_address_base();
        let positions = section.data()?.windows(SIZE).enumerate().filter(|(_, bytes)| *bytes == constant);
        found.extend(positions.map(|(position, _)| base + u64::try_from(position).unwrap_or_default()));
    }
    match found[..] {
        [address] => Ok(u32::try_from(address)?),
        _ => bail!("expected 1 constant with a load configuration, found {}", found.len()),
    }
}
