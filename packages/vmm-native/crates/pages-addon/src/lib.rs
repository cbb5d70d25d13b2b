//! Node-API face of the page codecs. Batches run on a thread of libuv's pool and on threads of their own.
//!
//! An addon of its own: the one that runs guests has no code that could decompress what an image holds.

use std::cell::RefCell;
use std::sync::{Arc, Mutex, PoisonError};

use instar_page_codecs::{self as codecs, Decompressor, PackedPages, PageCodec, PageError, StoredPages};
use napi::bindgen_prelude::{AsyncTask, Buffer, Uint32Array, Uint8Array};
use napi::{Env, Error, Status, Task};
use napi_derive::napi;

/// An error of which JavaScript sees `code` and `message`.
type Failure = Error<String>;

fn failure(code: &str, message: impl Into<String>) -> Failure {
    Error::new(code.to_string(), message.into())
}

/// How a batch of pages is handled.
#[napi(object)]
pub struct PageBatchOptions {
    /// Bytes of a page: a power of two from 512 to 65536.
    pub page_size: u32,
    /// Threads to work on; as many as the machine runs at once by default.
    pub threads: Option<u32>,
}

fn threads(options: &PageBatchOptions) -> usize {
    let available = || std::thread::available_parallelism().map_or(1, usize::from);
    options.threads.map_or_else(available, |wanted| usize::try_from(wanted).unwrap_or(1))
}

fn page_size(options: &PageBatchOptions) -> usize {
    usize::try_from(options.page_size).unwrap_or(0)
}

/// The code travels in front of the message, and behind it the page, each on a line of its own.
fn refused(error: &PageError) -> Error {
    let page = match error {
        PageError::BadPage { page, .. } => format!("{page}\n"),
        _ => String::new(),
    };
    Error::new(Status::GenericFailure, format!("{}\n{page}{error}", error.code()))
}

fn codec_of(name: &str) -> Result<PageCodec, PageError> {
    PageCodec::from_name(name).ok_or_else(|| PageError::BadArgument(format!("codec {name:?} is unknown")))
}

/// Whether two ranges of memory share a byte.
fn overlap<A, B>(a: &[A], b: &[B]) -> bool {
    let (a, b) = (a.as_ptr_range(), b.as_ptr_range());
    (a.start as usize) < (b.end as usize) && (b.start as usize) < (a.end as usize)
}

fn overlapping() -> Error {
    refused(&PageError::BadArgument("the buffers overlap".into()))
}

/// Pages being stored.
pub struct CompressPages {
    pages: Uint8Array,
    output: Uint8Array,
    sizes: Uint32Array,
    page_size: usize,
    codec: PageCodec,
    threads: usize,
}

impl Task for CompressPages {
    type Output = usize;
    type JsValue = f64;

    fn compute(&mut self) -> napi::Result<usize> {
        if overlap(&self.pages, &self.output) || overlap(&self.pages, &self.sizes) || overlap(&self.output, &self.sizes)
        {
            return Err(overlapping());
        }
        // SAFETY: the three arrays do not overlap, this task keeps them alive, and their owner is told to leave them
        // alone until the promise is settled.
        let (output, sizes) = unsafe { (self.output.as_mut(), self.sizes.as_mut()) };
        let batch = PackedPages { pages: &self.pages, output, sizes };
        codecs::compress_pages(batch, self.page_size, self.codec, self.threads).map_err(|error| refused(&error))
    }

    fn resolve(&mut self, _: Env, used: usize) -> napi::Result<f64> {
        // Lengths of typed arrays are below 2^53.
        #[allow(clippy::cast_precision_loss)]
        Ok(used as f64)
    }
}

/// Stores pages; resolves with the bytes used of the output.
#[napi(catch_unwind, ts_return_type = "Promise<number>")]
pub fn compress_pages(
    pages: Uint8Array,
    output: Uint8Array,
    sizes: Uint32Array,
    codec: String,
    options: PageBatchOptions,
) -> napi::Result<AsyncTask<CompressPages>> {
    let codec = codec_of(&codec).map_err(|error| refused(&error))?;
    let (page_size, threads) = (page_size(&options), threads(&options));
    Ok(AsyncTask::new(CompressPages { pages, output, sizes, page_size, codec, threads }))
}

/// Stored pages being decompressed.
pub struct DecompressPages {
    data: Uint8Array,
    offsets: Uint32Array,
    sizes: Uint32Array,
    codecs: Uint8Array,
    output: Uint8Array,
    page_size: usize,
    threads: usize,
}

impl Task for DecompressPages {
    type Output = ();
    type JsValue = ();

    fn compute(&mut self) -> napi::Result<()> {
        let output = &self.output;
        if overlap(&self.data, output) || overlap(&self.offsets, output) || overlap(&self.sizes, output) {
            return Err(overlapping());
        }
        // SAFETY: as in `CompressPages`; of these arrays only the output is written.
        let output = unsafe { self.output.as_mut() };
        if overlap(&self.codecs, output) {
            return Err(overlapping());
        }
        let batch =
            StoredPages { data: &self.data, offsets: &self.offsets, sizes: &self.sizes, codecs: &self.codecs, output };
        codecs::decompress_pages(batch, self.page_size, self.threads).map_err(|error| refused(&error))
    }

    fn resolve(&mut self, _: Env, (): ()) -> napi::Result<()> {
        Ok(())
    }
}

/// Decompresses stored pages.
#[napi(catch_unwind, ts_return_type = "Promise<void>")]
pub fn decompress_pages(
    data: Uint8Array,
    offsets: Uint32Array,
    sizes: Uint32Array,
    codecs: Uint8Array,
    output: Uint8Array,
    options: PageBatchOptions,
) -> AsyncTask<DecompressPages> {
    let (page_size, threads) = (page_size(&options), threads(&options));
    AsyncTask::new(DecompressPages { data, offsets, sizes, codecs, output, page_size, threads })
}

thread_local! {
    /// For pages that are read one by one.
    static DECOMPRESSOR: RefCell<Decompressor> = RefCell::new(Decompressor::default());
}

/// Decompresses one stored page into `output`, which it must fill.
#[napi(catch_unwind)]
pub fn decompress_page(codec: String, data: &[u8], mut output: Uint8Array) -> Result<(), Failure> {
    let bad = |error: PageError| failure(error.code(), error.to_string());
    let codec = codec_of(&codec).map_err(bad)?;
    if overlap(data, &output) {
        return Err(bad(PageError::BadArgument("the buffers overlap".into())));
    }
    // SAFETY: nothing else runs on JavaScript's thread until this returns, and `data` is elsewhere.
    let page = unsafe { output.as_mut() };
    DECOMPRESSOR.with_borrow_mut(|decompressor| decompressor.decompress(codec, data, page)).map_err(|reason| {
        let error = PageError::BadPage { page: 0, reason };
        failure(error.code(), error.to_string())
    })
}

/// One zstd frame that is written piece by piece. Calls must wait for each other.
#[napi]
pub struct ZstdStream {
    stream: Arc<Mutex<codecs::ZstdStream>>,
}

#[napi]
impl ZstdStream {
    /// A stream at a level of zstd's.
    #[napi(constructor)]
    pub fn new(level: i32) -> napi::Result<Self> {
        let stream = codecs::ZstdStream::new(level).map_err(|error| refused(&error))?;
        Ok(Self { stream: Arc::new(Mutex::new(stream)) })
    }

    /// Takes a chunk; resolves with the bytes of the frame that are ready, with `last` all that are left.
    #[napi(ts_return_type = "Promise<Buffer>")]
    pub fn compress(&self, chunk: Uint8Array, last: bool) -> AsyncTask<CompressChunk> {
        AsyncTask::new(CompressChunk { stream: Arc::clone(&self.stream), chunk, last })
    }
}

/// A chunk on its way into a stream.
pub struct CompressChunk {
    stream: Arc<Mutex<codecs::ZstdStream>>,
    chunk: Uint8Array,
    last: bool,
}

impl Task for CompressChunk {
    type Output = Vec<u8>;
    type JsValue = Buffer;

    fn compute(&mut self) -> napi::Result<Vec<u8>> {
        let mut stream = self.stream.lock().unwrap_or_else(PoisonError::into_inner);
        stream.compress(&self.chunk, self.last).map_err(|error| refused(&error))
    }

    fn resolve(&mut self, _: Env, ready: Vec<u8>) -> napi::Result<Buffer> {
        Ok(Buffer::from(ready))
    }
}
