//! Extended attributes of open files, access control lists among them (xattr(7), acl(5)).

use napi::bindgen_prelude::Buffer;
use napi_derive::napi;
use rustix::fs::{self, XattrFlags};
use rustix::io::Errno;

use super::{borrowed, failure, Failure};

/// An extended attribute.
#[napi(object)]
pub struct FileAttribute {
    /// Name with its namespace, as in `system.posix_acl_access`.
    pub name: Buffer,
    /// Value.
    pub value: Buffer,
}

/// Values and lists of names are at most this long (xattr(7), XATTR_SIZE_MAX and XATTR_LIST_MAX).
const MOST: usize = 1 << 16;

/// All extended attributes of an open file that this process may see; none where the file system has none.
#[napi(catch_unwind)]
pub fn list_attributes(fd: i32) -> Result<Vec<FileAttribute>, Failure> {
    let file = borrowed(fd);
    let mut names = vec![0_u8; MOST];
    let length = match fs::flistxattr(file, &mut names[..]) {
        Ok(length) => length,
        Err(Errno::OPNOTSUPP | Errno::NOSYS) => 0,
        Err(errno) => return Err(failure(errno)),
    };
    let mut found = Vec::new();
    let mut value = vec![0_u8; MOST];
    for name in names.get(..length).unwrap_or(&[]).split(|byte| *byte == 0).filter(|name| !name.is_empty()) {
        let length = match fs::fgetxattr(file, name, &mut value[..]) {
            Ok(length) => length,
            // It went away meanwhile, or shows its name only.
            Err(Errno::NODATA | Errno::OPNOTSUPP | Errno::PERM | Errno::ACCESS) => continue,
            Err(errno) => return Err(failure(errno)),
        };
        let value = value.get(..length).unwrap_or(&[]).to_vec();
        found.push(FileAttribute { name: name.to_vec().into(), value: value.into() });
    }
    Ok(found)
}

/// Sets an extended attribute of an open file (fsetxattr(2)).
#[napi(catch_unwind)]
pub fn set_attribute(fd: i32, name: &[u8], value: &[u8]) -> Result<(), Failure> {
    fs::fsetxattr(borrowed(fd), name, value, XattrFlags::empty()).map_err(failure)
}

/// Removes an extended attribute of an open file (fremovexattr(2)).
#[napi(catch_unwind)]
pub fn remove_attribute(fd: i32, name: &[u8]) -> Result<(), Failure> {
    fs::fremovexattr(borrowed(fd), name).map_err(failure)
}
