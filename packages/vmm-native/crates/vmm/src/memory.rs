//! Guest memory: one mapping of the host, private for KVM, a shared memory file for the process backend.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::atomic::AtomicU32;

use instar_abi::{Region, LARGE_PAGE_SIZE, MEMORY_MAP, REGION_KEYS};

/// Bytes of guest memory.
pub fn memory_size() -> u64 {
    MEMORY_MAP.iter().map(|region| region.start.saturating_add(region.size)).max().unwrap_or(0)
}

/// A range that is not inside guest memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutOfMemoryRange {
    /// First byte that was asked for.
    pub address: u64,
    /// Bytes.
    pub length: u64,
}

/// One mapping of guest memory. The guest may write it at any time, so it is only touched through raw copies and
/// atomics; no reference into it is ever made except to atomics.
pub struct GuestMemory {
    base: NonNull<u8>,
    size: usize,
    map_base: *mut libc::c_void,
    map_size: usize,
    file: Option<OwnedFd>,
}

// SAFETY: the mapping belongs to this value alone until it is dropped, and all access goes through raw copies and atomics.
unsafe impl Send for GuestMemory {}
// SAFETY: as above; concurrent raw copies race with the guest by design and never form Rust references.
unsafe impl Sync for GuestMemory {}

fn to_usize(value: u64) -> io::Result<usize> {
    usize::try_from(value).map_err(|_| io::Error::other("guest memory does not fit the address space"))
}

impl GuestMemory {
    /// Anonymous memory for KVM, aligned to 2 MiB so that large pages can back it.
    pub fn anonymous() -> io::Result<Self> {
        Self::anonymous_of(memory_size())
    }

    /// The same, of another size: the region `keys`, which is the last one, reaches to the end.
    pub fn anonymous_of(size: u64) -> io::Result<Self> {
        let size = to_usize(size)?;
        let large = to_usize(u64::from(LARGE_PAGE_SIZE))?;
        let map_size = size.checked_add(large).ok_or_else(|| io::Error::other("guest memory is too large"))?;
        // SAFETY: a fresh anonymous mapping at an address of the kernel's choice touches nothing that exists.
        let map_base = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                map_size,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE,
                -1,
                0,
            )
        };
        if map_base == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let slack = (map_base as usize).wrapping_neg() & (large - 1);
        // SAFETY: slack < large, and the mapping is `size + large` bytes long.
        let base = unsafe { map_base.cast::<u8>().add(slack) };
        // SAFETY: the range is inside the mapping that was just made; the advice may fail without harm.
        unsafe {
            libc::madvise(base.cast(), size, libc::MADV_HUGEPAGE);
            libc::madvise(base.cast(), size, libc::MADV_DONTDUMP);
        }
        let base = NonNull::new(base).ok_or_else(|| io::Error::other("mmap returned null"))?;
        Ok(Self { base, size, map_base, map_size, file: None })
    }

    /// A sealed memory file for the process backend: the child can never shrink it under the parent.
    pub fn shared() -> io::Result<Self> {
        Self::shared_of(memory_size())
    }

    /// The same, of another size: the region `keys`, which is the last one, reaches to the end.
    pub fn shared_of(bytes: u64) -> io::Result<Self> {
        let size = to_usize(bytes)?;
        // SAFETY: the name is a NUL-terminated literal.
        let fd = unsafe { libc::memfd_create(c"instar-guest".as_ptr(), libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: memfd_create returned a new descriptor that nothing else owns.
        let file = unsafe { OwnedFd::from_raw_fd(fd) };
        File::from(file.try_clone()?).set_len(bytes)?;
        // SAFETY: plain fcntl on a descriptor that we own.
        let sealed = unsafe {
            libc::fcntl(
                file.as_raw_fd(),
                libc::F_ADD_SEALS,
                libc::F_SEAL_SHRINK | libc::F_SEAL_GROW | libc::F_SEAL_SEAL,
            )
        };
        if sealed < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: a fresh shared mapping at an address of the kernel's choice touches nothing that exists.
        let map_base = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                size,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED | libc::MAP_NORESERVE,
                file.as_raw_fd(),
                0,
            )
        };
        if map_base == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let base = NonNull::new(map_base.cast::<u8>()).ok_or_else(|| io::Error::other("mmap returned null"))?;
        Ok(Self { base, size, map_base, map_size: size, file: Some(file) })
    }

    /// Bytes of a region: `keys` has what is left of memory.
    pub fn region_size(&self, region: &Region) -> u64 {
        if *region == REGION_KEYS {
            self.size().saturating_sub(region.start)
        } else {
            region.size
        }
    }

    /// Descriptor of the memory file, where there is one.
    pub fn file(&self) -> Option<&OwnedFd> {
        self.file.as_ref()
    }

    /// The first address from `address` on whose page was ever touched; `None` where there is none. Only a memory file
    /// knows, any other memory may hold something everywhere.
    pub fn next_touched(&self, address: u64) -> Option<u64> {
        let Some(file) = &self.file else { return Some(address) };
        let offset = libc::off_t::try_from(address).ok()?;
        // SAFETY: a system call on numbers; nothing reads or writes the file at its position.
        let found = unsafe { libc::lseek(file.as_raw_fd(), offset, libc::SEEK_DATA) };
        u64::try_from(found).ok()
    }

    /// Host address of guest address 0.
    pub fn host_base(&self) -> u64 {
        self.base.as_ptr() as u64
    }

    /// Bytes.
    pub fn size(&self) -> u64 {
        self.size as u64
    }

    /// Host pointer to `length` bytes at a guest address.
    pub fn range(&self, address: u64, length: u64) -> Result<*mut u8, OutOfMemoryRange> {
        let bad = OutOfMemoryRange { address, length };
        let end = address.checked_add(length).ok_or(bad)?;
        if end > self.size as u64 {
            return Err(bad);
        }
        let offset = usize::try_from(address).map_err(|_| bad)?;
        // SAFETY: offset <= size, which is the length of the mapping.
        Ok(unsafe { self.base.as_ptr().add(offset) })
    }

    /// Copies bytes into guest memory.
    pub fn write(&self, address: u64, bytes: &[u8]) -> Result<(), OutOfMemoryRange> {
        let target = self.range(address, bytes.len() as u64)?;
        // SAFETY: `range` checked the target; a slice never overlaps guest memory, of which no slices exist.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), target, bytes.len()) };
        Ok(())
    }

    /// Makes a range read as zeros and keeps its pages.
    pub fn clear(&self, address: u64, length: u64) -> Result<(), OutOfMemoryRange> {
        let target = self.range(address, length)?;
        let length = usize::try_from(length).map_err(|_| OutOfMemoryRange { address, length })?;
        // SAFETY: `range` checked the target, of which no slices exist.
        unsafe { std::ptr::write_bytes(target, 0, length) };
        Ok(())
    }

    /// Has a range backed by pages of the smallest size. Advice: without it, all works as well.
    pub fn use_small_pages(&self, address: u64, length: u64) {
        let (Ok(target), Ok(size)) = (self.range(address, length), to_usize(length)) else { return };
        // SAFETY: `range` checked the target; what it holds does not change.
        unsafe { libc::madvise(target.cast(), size, libc::MADV_NOHUGEPAGE) };
    }

    /// Makes a range of whole pages read as zeros and gives its pages back.
    pub fn discard(&self, address: u64, length: u64) -> io::Result<()> {
        let target = self.range(address, length).map_err(|range| io::Error::other(format!("{range:?}")))?;
        let advice = if self.file.is_some() { libc::MADV_REMOVE } else { libc::MADV_DONTNEED };
        // SAFETY: `range` checked the target. Both make the pages zeros; nothing on the host relies on what they hold.
        match unsafe { libc::madvise(target.cast(), to_usize(length)?, advice) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }

    /// Copies bytes out of guest memory.
    pub fn read(&self, address: u64, bytes: &mut [u8]) -> Result<(), OutOfMemoryRange> {
        let source = self.range(address, bytes.len() as u64)?;
        // SAFETY: as in `write`. The guest may change the bytes meanwhile; the copy is what is then looked at.
        unsafe { std::ptr::copy_nonoverlapping(source, bytes.as_mut_ptr(), bytes.len()) };
        Ok(())
    }

    /// Copies a whole region out of guest memory.
    pub fn read_region(&self, region: &Region) -> Vec<u8> {
        let mut bytes = vec![0; usize::try_from(region.size).unwrap_or(0)];
        match self.read(region.start, &mut bytes) {
            Ok(()) => bytes,
            Err(_) => Vec::new(),
        }
    }

    /// An aligned 32-bit word that guest and host share.
    pub fn atomic_u32(&self, address: u64) -> Result<&AtomicU32, OutOfMemoryRange> {
        let pointer = self.range(address, 4)?;
        if !address.is_multiple_of(4) {
            return Err(OutOfMemoryRange { address, length: 4 });
        }
        // SAFETY: checked to be inside the mapping and aligned (the base is page-aligned); the mapping lives as long as
        // `self`, and every access to these words on the host is atomic.
        Ok(unsafe { AtomicU32::from_ptr(pointer.cast::<u32>()) })
    }
}

impl Drop for GuestMemory {
    fn drop(&mut self) {
        // SAFETY: exactly the mapping that the constructor made.
        unsafe { libc::munmap(self.map_base, self.map_size) };
    }
}
