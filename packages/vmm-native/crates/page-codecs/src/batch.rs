//! Many pages at once, on several threads.

use std::sync::{Mutex, PoisonError};

use crate::{is_zero, Compressor, Decompressor, PageCodec, PageError, MAX_PAGE_SIZE, MIN_PAGE_SIZE};

/// Pages that a thread takes at a time.
const CHUNK: usize = 64;

/// Pages to be stored, and where they are stored.
pub struct PackedPages<'a> {
    /// The pages, one behind the other.
    pub pages: &'a [u8],
    /// Receives the stored pages, one behind the other; at least as long as `pages`.
    pub output: &'a mut [u8],
    /// Receives the stored bytes of each page: 0 for a page of zeros, the page size where it is stored raw.
    pub sizes: &'a mut [u32],
}

/// Stored pages, and where they are decompressed to.
pub struct StoredPages<'a> {
    /// Holds all stored pages.
    pub data: &'a [u8],
    /// Where each begins in `data`.
    pub offsets: &'a [u32],
    /// Stored bytes of each.
    pub sizes: &'a [u32],
    /// Codec number of each.
    pub codecs: &'a [u8],
    /// Receives the pages, one behind the other.
    pub output: &'a mut [u8],
}

fn check(page_size: usize, count: usize, bytes: usize, name: &str) -> Result<(), PageError> {
    if !page_size.is_power_of_two() || !(MIN_PAGE_SIZE..=MAX_PAGE_SIZE).contains(&page_size) {
        return Err(PageError::BadArgument(format!(
            "pageSize is {page_size}, expected a power of two from {MIN_PAGE_SIZE} to {MAX_PAGE_SIZE}"
        )));
    }
    if count.checked_mul(page_size) != Some(bytes) {
        return Err(PageError::BadArgument(format!(
            "{name} has {bytes} bytes, expected {count} pages of {page_size} bytes"
        )));
    }
    Ok(())
}

/// Hands the items to `threads` threads, this one among them, each with a state of its own. The first error in the
/// order of the items is returned.
fn each<I, S>(
    threads: usize,
    items: I,
    count: usize,
    state: impl Fn() -> Result<S, PageError> + Sync,
    work: impl Fn(&mut S, I::Item) -> Result<(), PageError> + Sync,
) -> Result<(), PageError>
where
    I: Iterator + Send,
    I::Item: Send,
{
    let queue = Mutex::new(items.enumerate());
    let failed: Mutex<Option<(usize, PageError)>> = Mutex::new(None);
    let note = |index: usize, error: PageError| {
        let mut first = failed.lock().unwrap_or_else(PoisonError::into_inner);
        if first.as_ref().is_none_or(|(earliest, _)| index < *earliest) {
            *first = Some((index, error));
        }
    };
    let worker = || {
        let mut own = match state() {
            Ok(own) => own,
            Err(error) => return note(0, error),
        };
        loop {
            let next = queue.lock().unwrap_or_else(PoisonError::into_inner).next();
            let Some((index, item)) = next else { return };
            if let Err(error) = work(&mut own, item) {
                note(index, error);
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..threads.clamp(1, count.max(1)) {
            // Fewer threads only take longer.
            if std::thread::Builder::new().name("instar-pages".into()).spawn_scoped(scope, worker).is_err() {
                break;
            }
        }
        worker();
    });
    match failed.into_inner().unwrap_or_else(PoisonError::into_inner) {
        Some((_, error)) => Err(error),
        None => Ok(()),
    }
}

/// Stores pages and returns the bytes used of the output.
pub fn compress_pages(
    batch: PackedPages<'_>,
    page_size: usize,
    codec: PageCodec,
    threads: usize,
) -> Result<usize, PageError> {
    let PackedPages { pages, output, sizes } = batch;
    check(page_size, sizes.len(), pages.len(), "pages")?;
    let output = output.get_mut(..pages.len()).ok_or_else(|| {
        PageError::BadArgument(format!("output is shorter than the {} bytes of the pages", pages.len()))
    })?;
    let bytes = page_size.saturating_mul(CHUNK);
    let chunks = pages.chunks(bytes).zip(output.chunks_mut(bytes)).zip(sizes.chunks_mut(CHUNK));
    each(
        threads,
        chunks,
        sizes_chunks(pages.len(), bytes),
        || Compressor::new(codec, page_size),
        |compressor, ((pages, output), sizes)| {
            let mut used = 0_usize;
            for (page, size) in pages.chunks_exact(page_size).zip(sizes) {
                let stored = match output.get_mut(used..) {
                    Some(target) if !is_zero(page) => compressor.compress(page, target),
                    _ => 0,
                };
                *size = u32::try_from(stored).unwrap_or(u32::MAX);
                used = used.saturating_add(stored);
            }
            Ok(())
        },
    )?;
    // Each chunk was stored where its pages would lie; now they move together.
    let mut used = 0_usize;
    for (index, sizes) in sizes.chunks(CHUNK).enumerate() {
        let start = index.saturating_mul(bytes);
        let stored: usize = sizes.iter().map(|size| usize::try_from(*size).unwrap_or(0)).sum();
        output.copy_within(start..start.saturating_add(stored), used);
        used = used.saturating_add(stored);
    }
    Ok(used)
}

fn sizes_chunks(bytes: usize, chunk: usize) -> usize {
    bytes.div_ceil(chunk.max(1))
}

/// Decompresses pages. Of several bad pages the first is named.
pub fn decompress_pages(batch: StoredPages<'_>, page_size: usize, threads: usize) -> Result<(), PageError> {
    let StoredPages { data, offsets, sizes, codecs, output } = batch;
    check(page_size, offsets.len(), output.len(), "output")?;
    if sizes.len() != offsets.len() || codecs.len() != offsets.len() {
        return Err(PageError::BadArgument(format!(
            "{} offsets, {} sizes and {} codecs: expected as many of each",
            offsets.len(),
            sizes.len(),
            codecs.len()
        )));
    }
    let bytes = page_size.saturating_mul(CHUNK);
    let stored = offsets.chunks(CHUNK).zip(sizes.chunks(CHUNK)).zip(codecs.chunks(CHUNK));
    let count = sizes_chunks(output.len(), bytes);
    let chunks = stored.zip(output.chunks_mut(bytes)).enumerate();
    each(
        threads,
        chunks,
        count,
        || Ok(Decompressor::default()),
        |decompressor, (chunk, (((offsets, sizes), codecs), output))| {
            let places = offsets.iter().zip(sizes).zip(codecs).zip(output.chunks_exact_mut(page_size));
            for (index, (((offset, size), codec), page)) in places.enumerate() {
                stored_bytes(data, *offset, *size)
                    .and_then(|stored| {
                        let codec =
                            PageCodec::from_number(*codec).ok_or_else(|| format!("codec {codec} is unknown"))?;
                        decompressor.decompress(codec, stored, page)
                    })
                    .map_err(|reason| PageError::BadPage {
                        page: chunk.saturating_mul(CHUNK).saturating_add(index),
                        reason,
                    })?;
            }
            Ok(())
        },
    )
}

fn stored_bytes(data: &[u8], offset: u32, size: u32) -> Result<&[u8], String> {
    let range = || {
        let start = usize::try_from(offset).ok()?;
        data.get(start..start.checked_add(usize::try_from(size).ok()?)?)
    };
    range().ok_or_else(|| format!("{size} bytes at {offset} lie outside the {} bytes of data", data.len()))
}
