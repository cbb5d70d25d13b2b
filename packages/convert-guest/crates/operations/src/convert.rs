//! The convert operation; dd is convert with a window.

use alloc::rc::Rc;
use core::cell::RefCell;

use instar_abi::{
    CONVERT_RESULT_MAGIC, ChainConfig, ConvertConfig, ConvertResult, Descriptor, OutputConfig,
    convert_flag, device_flag, device_role, error_kind, image_format, opcode,
};
use instar_codecs::Codec;
use instar_guest_runtime::{WindowPool, put_result};
use instar_image_formats::qcow2::writer::LayoutOptions;
use instar_image_formats::{Chain, Extent, ExtentKind, Image};

use crate::batch::Pipeline;
use crate::commands::{SharedCommands, descriptor};
use crate::compress::CompressingWriter;
use crate::error::{OperationError, ending};
use crate::fetch::{Fetched, Fetcher};
use crate::holes::Holes;
use crate::open_chain::{GuestImage, Opener, output, virtual_size};
use crate::output::Output;
use crate::transform::SharedKeys;

/// Bytes of the window through which metadata is read and written.
pub const METADATA_WINDOW: usize = 1 << 20;
/// Most bytes of one COPY: large enough that a command's cost does not count, small enough that two threads share work.
const COPY_PIECE: u64 = 4 << 20;
/// Bytes between two PROGRESS commands.
const PROGRESS_STEP: u64 = 16 << 20;

/// Copies the window and leaves a ConvertResult.
pub fn run(
    config: &[u8],
    chain: &ChainConfig,
    commands: &SharedCommands,
    windows: WindowPool,
) -> u32 {
    let mut result = ConvertResult::ZERO;
    result.magic = CONVERT_RESULT_MAGIC;
    let done = convert(config, chain, commands, windows, &mut result);
    let code;
    (result.status, result.error, code) = ending(done, commands);
    put_result(&result.to_bytes());
    code
}

fn window_of(config: &ConvertConfig, size: u64) -> (u64, u64) {
    if config.flags & convert_flag::DD_WINDOW == 0 {
        return (0, size);
    }
    let end = config.window_end.min(size);
    (config.window_start.min(end), end)
}

fn convert(
    config: &[u8],
    chain_config: &ChainConfig,
    commands: &SharedCommands,
    mut windows: WindowPool,
    result: &mut ConvertResult,
) -> Result<(), OperationError> {
    let internal = |detail| OperationError::plain(error_kind::INTERNAL, 0, detail);
    let identity = config
        .get(ConvertConfig::SIZE..)
        .and_then(|rest| rest.first_chunk::<{ OutputConfig::SIZE }>())
        .map(OutputConfig::from_bytes)
        .ok_or_else(|| internal("the config page is too short"))?;
    let config: &[u8; ConvertConfig::SIZE] = config
        .first_chunk()
        .ok_or_else(|| internal("the config page is too short"))?;
    let config = ConvertConfig::from_bytes(config);
    let window = windows
        .take(METADATA_WINDOW)
        .ok_or_else(|| internal("no window for metadata"))?;
    let window = Rc::new(RefCell::new(window));
    let opener = Opener {
        chain: chain_config,
        commands,
        metadata_window: Rc::clone(&window),
        keys: SharedKeys::default(),
    };
    let mut chain = opener.open_all(device_role::IMAGE)?;
    let (start, end) = window_of(&config, virtual_size(chain_config, &chain));
    let (index, device) = output(chain_config).ok_or_else(|| {
        OperationError::plain(error_kind::BAD_CONFIG, 0, "no device is the output")
    })?;
    // All others are written where there is data, and nowhere else.
    let dense = [image_format::RAW, image_format::QCOW2].contains(&config.target_format);
    let skip_zeros = !dense || config.flags & convert_flag::SKIP_ZEROS != 0;
    // What a file held before shows through what is not written.
    let fresh = device.flags & device_flag::FRESH != 0;
    if !dense && !fresh {
        return Err(OperationError::plain(
            error_kind::UNSUPPORTED_OUTPUT,
            index,
            "a file that is written through cannot become an image of this format",
        ));
    }
    let options = layout_options(&config);
    let compress = config.flags & convert_flag::COMPRESS != 0;
    if compress && (config.target_format != image_format::QCOW2 || !fresh) {
        return Err(OperationError::plain(
            error_kind::UNSUPPORTED_OUTPUT,
            index,
            "only a new qcow2 image is written with compressed clusters",
        ));
    }
    let output = Output::new(
        (index, device),
        config.target_format,
        &identity,
        options,
        end.saturating_sub(start),
        (skip_zeros || compress) && fresh,
        &mut windows,
    )?;
    output.write_metadata(commands, &mut window.borrow_mut())?;

    let holes = Holes::new(commands, chain_config, &mut windows)
        .ok_or_else(|| internal("no window for the extents of files"))?;
    let path = if compress {
        let cluster_size = 1_usize.checked_shl(options.cluster_bits).unwrap_or(0);
        let fetcher = Fetcher::new(commands, &mut windows, &opener.keys)?;
        let writer =
            CompressingWriter::new(commands, &output, &mut windows, options.codec, cluster_size)?;
        Path::Compressed(fetcher, writer)
    } else {
        let pipeline = Pipeline::new(commands, &output, &mut windows, &opener.keys, skip_zeros)?;
        Path::Plain(pipeline)
    };
    Copier {
        commands,
        output: &output,
        path,
        holes,
        skip_zeros,
        start,
        end,
        result: &mut *result,
    }
    .copy_all(&mut chain)?;
    if let Some(tail) = output.tail(skip_zeros) {
        commands.borrow_mut().submit(tail)?;
    }
    commands.borrow_mut().drain()?;
    output.finish(commands)?;
    result.output_length = output.file_length();
    result.output_virtual_size = output.virtual_size();
    Ok(())
}

/// What qcow2 outputs have of options.
fn layout_options(config: &ConvertConfig) -> LayoutOptions {
    let default = LayoutOptions::default();
    LayoutOptions {
        cluster_bits: match config.output_cluster_bits {
            0 => default.cluster_bits,
            bits => bits,
        },
        codec: if config.flags & convert_flag::ZSTD == 0 {
            Codec::Deflate
        } else {
            Codec::Zstd
        },
        ..default
    }
}

/// How the bytes of extents get to the output.
enum Path<'a> {
    /// As they are.
    Plain(Pipeline<'a>),
    /// In compressed clusters.
    Compressed(Fetcher<'a>, CompressingWriter<'a>),
}

struct Copier<'a> {
    commands: &'a SharedCommands,
    output: &'a Output,
    path: Path<'a>,
    holes: Holes<'a>,
    skip_zeros: bool,
    start: u64,
    end: u64,
    result: &'a mut ConvertResult,
}

impl Copier<'_> {
    fn copy_all(&mut self, chain: &mut Chain<GuestImage>) -> Result<(), OperationError> {
        let mut position = self.start;
        let mut told = self.start;
        while position < self.end {
            let extent = self.next_extent(chain, position)?;
            let extent = self.holes.see(extent)?;
            position = position.saturating_add(self.copy(&extent)?);
            if position.saturating_sub(told) >= PROGRESS_STEP {
                told = position;
                self.tell_progress(position)?;
            }
        }
        match &mut self.path {
            Path::Plain(pipeline) => {
                pipeline.finish()?;
                self.result.compressed_bytes = pipeline.decoded;
            }
            Path::Compressed(_, writer) => writer.finish()?,
        }
        self.tell_progress(self.end)
    }

    /// Sends the beginning of an extent through the encoder; returns how many bytes that were.
    fn copy_compressed(
        fetcher: &mut Fetcher<'_>,
        writer: &mut CompressingWriter<'_>,
        extent: &Extent,
    ) -> Result<u64, OperationError> {
        let length = fetcher.length(extent);
        for fetched in fetcher.fetch(core::slice::from_ref(extent))? {
            match fetched {
                Fetched::Zero => writer.take_zeros(length)?,
                Fetched::Bytes(bytes) => writer.take(bytes)?,
            }
        }
        Ok(length)
    }

    /// The extent at `position`; beyond the end of the image (a forced size) there are zeros.
    fn next_extent(
        &self,
        chain: &mut Chain<GuestImage>,
        position: u64,
    ) -> Result<Extent, OperationError> {
        let left = self.end.saturating_sub(position);
        if position >= chain.virtual_size() {
            return Ok(Extent {
                start: position,
                length: left,
                kind: ExtentKind::Zero,
            });
        }
        Ok(chain.map(position, left)?)
    }

    /// Sends an extent, or its beginning, on its way; returns how many bytes that were.
    fn copy(&mut self, extent: &Extent) -> Result<u64, OperationError> {
        let offset = extent.start.saturating_sub(self.start);
        let pipeline = match &mut self.path {
            Path::Compressed(fetcher, writer) => {
                return Self::copy_compressed(fetcher, writer, extent);
            }
            Path::Plain(pipeline) => pipeline,
        };
        match extent.kind {
            ExtentKind::Zero | ExtentKind::Unallocated => {
                if self.output.grows() {
                    self.result.zero_bytes = self.result.zero_bytes.saturating_add(extent.length);
                    return Ok(extent.length);
                }
                keep_order(self.output, pipeline)?;
                let zero = self.output.zero(offset, extent.length, self.skip_zeros);
                self.commands.borrow_mut().submit(zero)?;
                self.result.zero_bytes = self.result.zero_bytes.saturating_add(extent.length);
                Ok(extent.length)
            }
            ExtentKind::Data {
                device,
                offset: source,
            } if !self.skip_zeros => {
                keep_order(self.output, pipeline)?;
                let length = extent.length.min(COPY_PIECE);
                let copy = self.output.copy(device.0, source, offset, length);
                self.commands.borrow_mut().submit(copy)?;
                self.result.data_bytes = self.result.data_bytes.saturating_add(length);
                Ok(length)
            }
            ExtentKind::Data { .. } => {
                let taken = pipeline.take(extent, offset)?;
                self.result.data_bytes = self.result.data_bytes.saturating_add(taken);
                Ok(taken)
            }
            ExtentKind::Encrypted { .. } => {
                let taken = pipeline.take(extent, offset)?;
                self.result.data_bytes = self.result.data_bytes.saturating_add(taken);
                Ok(taken)
            }
            ExtentKind::Compressed { .. } => pipeline.take(extent, offset),
        }
    }

    fn tell_progress(&self, position: u64) -> Result<(), OperationError> {
        let progress = Descriptor {
            offset: position.saturating_sub(self.start),
            length: self.end.saturating_sub(self.start),
            ..descriptor(opcode::PROGRESS)
        };
        self.commands.borrow_mut().submit(progress)
    }
}

/// A stream takes bytes in order: what is still in the pipeline goes out first.
fn keep_order(output: &Output, pipeline: &mut Pipeline<'_>) -> Result<(), OperationError> {
    if output.is_stream() && !pipeline.is_empty() {
        pipeline.flush()?;
    }
    Ok(())
}
