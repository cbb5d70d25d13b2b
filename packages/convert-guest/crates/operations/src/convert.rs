//! The convert operation; dd is convert with a window.

use alloc::rc::Rc;
use core::cell::RefCell;

use instar_abi::{
    ChainConfig, ConvertConfig, ConvertResult, Descriptor, OutputConfig, OutputData, OutputLayout,
    convert_flag, device_flag, device_role, error_kind, image_format, opcode, output_layout_flag,
    output_subformat,
};
use instar_codecs::{Codec, Effort};
use instar_image_formats::growing::{Options, Subformat};
use instar_image_formats::qcow2::writer::{Backing, DataFile, LayoutOptions};
use instar_image_formats::{Extent, ExtentKind, FormatImage, Identity};

use crate::batch::Pipeline;
use crate::cluster_writer::{ClusterWriter, Clusters};
use crate::commands::{SharedCommands, descriptor};
use crate::disks::Disks;
use crate::error::OperationError;
use crate::fetch::Fetcher;
use crate::holes::Holes;
use crate::joined::{join_extent, keeps_streams};
use crate::lost::SharedLost;
use crate::measure::{self, Counted};
use crate::open_chain::{Opener, new_parent, output};
use crate::operation::Request;
use crate::output::{Output, grown};
use crate::output_cipher::OutputCipher;
use crate::overlay::{Below, Overlay, copy_extent};
use crate::setup::internal;
use crate::transform::SharedKeys;
use crate::zeros::ZERO_GRAIN;

/// Bytes of the window through which metadata is read and written.
pub const METADATA_WINDOW: usize = 1 << 20;
/// Bytes of a sector, of which every disk is made.
const SECTOR: u64 = 512;
/// Most bytes of one COPY: large enough that a command's cost does not count, small enough that two threads share work.
const COPY_PIECE: u64 = 4 << 20;
/// Most bytes of a disk of which one is left out or written, where its image is not made of clusters.
const LARGEST_PIECE: u64 = 2 << 20;
/// Least and most bytes between two PROGRESS commands, of which there are some hundred.
const PROGRESS_STEP: (u64, u64) = (1 << 20, 16 << 20);

fn window_of(config: &ConvertConfig, size: u64) -> (u64, u64) {
    if config.flags & convert_flag::DD_WINDOW == 0 {
        return (0, size);
    }
    let end = config.window_end.min(size);
    (config.window_start.min(end), end)
}

/// Copies the window and leaves a ConvertResult.
pub fn convert(request: Request<'_>, result: &mut ConvertResult) -> Result<(), OperationError> {
    let Request {
        config,
        chain: chain_config,
        commands,
        mut windows,
    } = request;
    let too_short = || internal("the config page is too short");
    let (config, rest) = config.split_first_chunk().ok_or_else(too_short)?;
    let (identity, rest) = rest.split_first_chunk().ok_or_else(too_short)?;
    let (layout, rest) = rest.split_first_chunk().ok_or_else(too_short)?;
    let data = rest.first_chunk().ok_or_else(too_short)?;
    let config = ConvertConfig::from_bytes(config);
    let identity = OutputConfig::from_bytes(identity);
    let layout = OutputLayout::from_bytes(layout);
    let data = OutputData::from_bytes(data);
    let window = windows
        .take(METADATA_WINDOW)
        .ok_or_else(|| internal("no window for metadata"))?;
    let window = Rc::new(RefCell::new(window));
    let opener = Opener {
        chain: chain_config,
        commands,
        metadata_window: Rc::clone(&window),
        keys: SharedKeys::default(),
        most_unpacked: u64::MAX,
    };
    let salvages = config.flags & convert_flag::SALVAGE != 0;
    let lost = salvages.then(SharedLost::default);
    let mut disks = Disks::open(&opener, chain_config, lost.clone())?;
    let (start, end) = window_of(&config, disks.size());
    let options = output_options(&config, &layout, &data);
    if config.flags & convert_flag::MEASURE != 0 {
        let counted = if config.flags & convert_flag::MEASURE_ALL == 0 {
            Counted::Data
        } else {
            Counted::All
        };
        let size = end
            .saturating_sub(start)
            .checked_next_multiple_of(SECTOR)
            .ok_or_else(|| internal("the disks are larger than 2^64 bytes"))?;
        let mut target = grown(0, config.target_format, size, &identity, &options)?;
        let mut holes = Holes::new(commands, chain_config, &mut windows)
            .ok_or_else(|| internal("no window for the extents of files"))?;
        let part = (start, end);
        result.output_length =
            measure::length(&mut *target, &mut disks, &mut holes, part, counted)?;
        result.output_virtual_size = target.virtual_size();
        return Ok(());
    }
    let (index, device) = output(chain_config).ok_or_else(|| {
        OperationError::plain(error_kind::BAD_CONFIG, 0, "no device is the output")
    })?;
    let options = Options {
        in_order: device.flags & device_flag::STREAM != 0,
        parent: parent_identity(&opener)?,
        ..options
    };
    let refused = |detail| OperationError::plain(error_kind::UNSUPPORTED_OUTPUT, index, detail);
    let has = |flag| layout.flags & flag != 0;
    let preallocated = has(output_layout_flag::PREALLOCATED);
    // All others are written where there is data, and nowhere else.
    let dense = match config.target_format {
        image_format::RAW => true,
        image_format::QCOW2 => options.backing.is_none(),
        _ => false,
    };
    let skips = config.flags & convert_flag::SKIP_ZEROS != 0;
    let skip_zeros = !dense || skips;
    // Behind a key, what is not written reads as noise; and what somebody else had there may be long.
    let whole = config.target_format == image_format::LUKS && !skips;
    // What a file held before shows through what is not written.
    let fresh = device.flags & device_flag::FRESH != 0;
    if !dense && !whole && !fresh {
        return Err(refused(
            "a file that is written through cannot become an image of this format",
        ));
    }
    let compress = config.flags & convert_flag::COMPRESS != 0
        || options.subformat == Subformat::StreamOptimized;
    let grows = options.data_file.is_some() || !preallocated && (skip_zeros || compress) && fresh;
    let output = Output::new(
        (index, device),
        config.target_format,
        &identity,
        &options,
        end.saturating_sub(start),
        grows,
        &mut windows,
    )?;
    if compress && output.packing().is_none() {
        return Err(refused(
            "only new qcow2 and stream-optimized vmdk images are written with compressed clusters",
        ));
    }
    output.write_metadata(commands, &mut window.borrow_mut())?;

    let holes = Holes::new(commands, chain_config, &mut windows)
        .ok_or_else(|| internal("no window for the extents of files"))?;
    if let Some(data_file) = options.data_file {
        let whole = data_file.raw || preallocated;
        describe(&output, commands, &mut disks, holes, (start, end), whole)?;
        output.finish(commands)?;
        result.output_length = output.file_length();
        result.output_virtual_size = output.virtual_size();
        return Ok(());
    }
    let cipher = OutputCipher::of(&data, config.target_format, &opener.keys)?;
    let encrypted = cipher.is_some();
    if compress && encrypted {
        return Err(refused("compressed clusters are not encrypted"));
    }
    let least_zeros = match layout.sparse_size {
        0 => ZERO_GRAIN,
        size => usize::try_from(size).unwrap_or(usize::MAX),
    };
    let over_backing = options.backing.is_some();
    let in_clusters = compress || encrypted || over_backing || output.block_in_order().is_some();
    // What cannot be read must be known before anything is written in its place.
    let path = if in_clusters || salvages {
        let shown = !fresh || !skip_zeros;
        let clusters = Clusters {
            size: if in_clusters {
                1_u64.checked_shl(options.qcow2.cluster_bits).unwrap_or(0)
            } else {
                (least_zeros as u64).min(LARGEST_PIECE)
            },
            compress: compress.then_some(effort(layout.flags)),
            says_zeros: over_backing || whole || (encrypted || shown) && !output.grows(),
            ends_with_disk: !in_clusters,
        };
        let fetcher = Fetcher::new(commands, &mut windows, &opener.keys)?.salvaging(lost.clone());
        let mut writer = ClusterWriter::new(commands, &output, &mut windows, clusters, cipher)?;
        if !over_backing {
            let keeps = !salvages && keeps_streams(disks.count(), &layout);
            if keeps && writer.take_streams()? {
                Path::Joined(fetcher, writer, chain_config)
            } else {
                Path::Clusters(fetcher, writer)
            }
        } else {
            let below = match opener.find(device_role::COMPARED) {
                Some(index) => Below::Image(opener.open_from(index)?),
                None => Below::Layers(usize::try_from(layout.backing_depth).unwrap_or(usize::MAX)),
            };
            Path::Over(Overlay::new(fetcher, writer, below))
        }
    } else {
        let least = skip_zeros.then_some(least_zeros);
        let pipeline = Pipeline::new(commands, &output, &mut windows, &opener.keys, least)?;
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
    .copy_all(&mut disks)?;
    // The last cluster is encrypted to its end.
    if let Some(tail) = output.tail(skip_zeros).filter(|_| !encrypted) {
        commands.borrow_mut().submit(tail)?;
    }
    commands.borrow_mut().drain()?;
    output.finish(commands)?;
    result.output_length = output.file_length();
    result.output_virtual_size = output.virtual_size();
    if let Some(lost) = lost {
        lost.borrow().tell(result);
    }
    Ok(())
}

/// What an image is known by that nothing refers to yet: the parent of the output.
fn parent_identity(opener: &Opener<'_>) -> Result<Option<Identity>, OperationError> {
    let Some((index, _)) = new_parent(opener.chain) else {
        return Ok(None);
    };
    Ok(opener.open_itself(index)?.identity())
}

/// Gives places to what has data, which somebody else copies there.
fn describe(
    output: &Output,
    commands: &SharedCommands,
    disks: &mut Disks,
    mut holes: Holes<'_>,
    (start, end): (u64, u64),
    whole: bool,
) -> Result<(), OperationError> {
    let mut position = start;
    while position < end {
        let left = end.saturating_sub(position);
        let offset = position.saturating_sub(start);
        if whole {
            let all = output.virtual_size().saturating_sub(offset);
            output.place_bytes(commands, offset, all)?;
            break;
        }
        let extent = holes.see(disks.locate(position, left)?.extent)?;
        if !matches!(extent.kind, ExtentKind::Zero | ExtentKind::Unallocated) {
            output.place_bytes(commands, offset, extent.length)?;
        }
        position = position.saturating_add(extent.length);
    }
    commands.borrow_mut().drain()
}

/// What the output is made with.
fn output_options<'a>(
    config: &ConvertConfig,
    layout: &'a OutputLayout,
    data: &'a OutputData,
) -> Options<'a> {
    let has = |flag| layout.flags & flag != 0;
    let text = |bytes: &'a [u8], length: u32| {
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        bytes.get(..length).unwrap_or_default()
    };
    let default = LayoutOptions::default();
    let qcow2 = LayoutOptions {
        cluster_bits: match config.output_cluster_bits {
            0 => default.cluster_bits,
            bits => bits,
        },
        refcount_order: match layout.refcount_bits {
            0 => default.refcount_order,
            bits => bits.trailing_zeros(),
        },
        version_2: has(output_layout_flag::VERSION_2),
        extended_l2: has(output_layout_flag::EXTENDED_L2),
        lazy_refcounts: has(output_layout_flag::LAZY_REFCOUNTS),
        codec: if config.flags & convert_flag::ZSTD == 0 {
            Codec::Deflate
        } else {
            Codec::Zstd
        },
        encryption_header: data.header_length,
        ..default
    };
    let name = text(&layout.backing_name, layout.backing_name_len);
    Options {
        qcow2,
        backing: (!name.is_empty()).then(|| Backing {
            name,
            format: text(&layout.backing_format, layout.backing_format_len),
        }),
        data_file: (data.data_file_len > 0).then(|| DataFile {
            name: text(&data.data_file, data.data_file_len),
            raw: has(output_layout_flag::DATA_FILE_RAW),
        }),
        subformat: match layout.subformat {
            output_subformat::FIXED => Subformat::Fixed,
            output_subformat::STREAM_OPTIMIZED => Subformat::StreamOptimized,
            output_subformat::EXTENT => Subformat::Extent,
            _ => Subformat::Default,
        },
        block_size: config.output_block_size,
        table_clusters: data.table_size,
        geometry: has(output_layout_flag::GEOMETRY),
        adapter: text(&layout.adapter, layout.adapter_len),
        hardware_version: layout.hardware_version,
        tools_version: data.tools_version,
        zeroed_grains: has(output_layout_flag::ZEROED_GRAINS),
        log_size: data.log_size,
        header_length: data.header_length,
        in_order: false,
        parent: None,
    }
}

fn effort(flags: u32) -> Effort {
    if flags & output_layout_flag::BEST_COMPRESSION != 0 {
        Effort::Best
    } else if flags & output_layout_flag::FAST_COMPRESSION != 0 {
        Effort::Fast
    } else {
        Effort::Default
    }
}

/// How the bytes of extents get to the output.
enum Path<'a> {
    /// As they are.
    Plain(Pipeline<'a>),
    /// In compressed clusters.
    Clusters(Fetcher<'a>, ClusterWriter<'a>),
    /// In compressed clusters, of which the input has many as they are to be.
    Joined(Fetcher<'a>, ClusterWriter<'a>, &'a ChainConfig),
    /// In the clusters that differ from what lies below.
    Over(Overlay<'a>),
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
    fn copy_all(&mut self, disks: &mut Disks) -> Result<(), OperationError> {
        let mut position = self.start;
        let mut told = self.start;
        let (least, most) = PROGRESS_STEP;
        let step = (self.end.saturating_sub(self.start) / 128).clamp(least, most);
        self.tell_progress(position)?;
        while position < self.end {
            let done = if let Path::Over(overlay) = &mut self.path {
                overlay.step(disks, &mut self.holes, position, self.end)?
            } else {
                let left = self.end.saturating_sub(position);
                let extent = self.holes.see(disks.locate(position, left)?.extent)?;
                self.copy(&extent)?
            };
            position = position.saturating_add(done);
            if position.saturating_sub(told) >= step {
                told = position;
                self.tell_progress(position)?;
            }
        }
        match &mut self.path {
            Path::Plain(pipeline) => {
                pipeline.finish()?;
                self.result.compressed_bytes = pipeline.decoded;
            }
            Path::Clusters(_, writer) | Path::Joined(_, writer, _) => writer.finish()?,
            Path::Over(overlay) => overlay.finish()?,
        }
        self.tell_progress(self.end)
    }

    /// Sends an extent, or its beginning, on its way; returns how many bytes that were.
    fn copy(&mut self, extent: &Extent) -> Result<u64, OperationError> {
        let offset = extent.start.saturating_sub(self.start);
        let pipeline = match &mut self.path {
            Path::Clusters(fetcher, writer) => return copy_extent(fetcher, writer, extent),
            Path::Joined(fetcher, writer, chain) => {
                return join_extent(chain, fetcher, writer, extent, offset);
            }
            Path::Over(_) => return Err(internal("an output over a backing file")),
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
            ExtentKind::Packed { .. } => pipeline.take_packed(extent, offset),
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
