//! What the tests share: a temporary directory, the judge, and a reader of whole disks.

#![allow(dead_code, clippy::unwrap_used, clippy::expect_used)]

pub mod builder;
pub mod file_source;
pub mod promises;

use std::fs;
use std::io::Write as _;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU32, Ordering};

use file_source::FileSource;
use instar_codecs::Decoder;
use instar_image_formats::chain::DEFAULT_MAX_DEPTH;
use instar_image_formats::{
    ByteSource, Chain, DeviceIndex, DiskImage, ExtentKind, Format, FormatError, FormatImage, Image,
    ListLimits, OpenOptions, PackedStream,
};

/// A directory that is gone when the test ends.
pub struct Workdir {
    path: PathBuf,
}

impl Workdir {
    pub fn new() -> Self {
        static COUNTER: AtomicU32 = AtomicU32::new(0);
        let number = COUNTER.fetch_add(1, Ordering::Relaxed);
        let name = format!("instar-image-formats-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path).unwrap();
        Self { path }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    pub fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, bytes).unwrap();
        path
    }

    pub fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap()
    }
}

impl Drop for Workdir {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.path);
    }
}

/// The real qemu-img and qemu-io.
pub struct Judge<'a> {
    workdir: &'a Workdir,
}

/// The judge, or `None` (said loudly) where it is not installed. In CI it must be.
pub fn judge<'a>(workdir: &'a Workdir, test: &str) -> Option<Judge<'a>> {
    let installed = ["qemu-img", "qemu-io"]
        .iter()
        .all(|tool| Command::new(tool).arg("--version").output().is_ok());
    if installed {
        return Some(Judge { workdir });
    }
    assert!(
        std::env::var("CI").as_deref() != Ok("true"),
        "{test}: qemu-img and qemu-io must be installed in CI"
    );
    // Not eprintln!, which the test harness would keep to itself.
    let notice = format!("SKIPPED {test}: NOT TESTED, as qemu-img or qemu-io is not installed\n");
    let _ = std::io::stderr().write_all(notice.as_bytes());
    None
}

impl<'a> Judge<'a> {
    pub fn workdir(&self) -> &'a Workdir {
        self.workdir
    }

    /// Runs qemu-img in the work directory; `arguments` is split at blanks.
    pub fn try_img(&self, arguments: &str) -> Output {
        let mut command = Command::new("qemu-img");
        command
            .args(arguments.split_whitespace())
            .current_dir(&self.workdir.path);
        command.output().unwrap()
    }

    pub fn img(&self, arguments: &str) -> String {
        let output = self.try_img(arguments);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "qemu-img {arguments}: {stderr}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Runs qemu-io commands on an image, all in one process.
    pub fn io(&self, options: &str, image: &str, commands: &[String]) {
        let mut command = Command::new("qemu-io");
        command
            .args(options.split_whitespace())
            .current_dir(&self.workdir.path);
        for one in commands {
            command.arg("-c").arg(one);
        }
        let output = command.arg(image).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned()
            + &String::from_utf8_lossy(&output.stderr);
        let failed = text.contains("failed") || text.contains("nvalid") || text.contains("error");
        assert!(
            output.status.success() && !failed,
            "qemu-io {image} {commands:?}: {text}"
        );
    }

    /// The virtual disk as qemu-img reads it, or its error.
    pub fn try_disk(&self, image: &str, options: &str) -> Result<Vec<u8>, String> {
        let out = format!("{image}.judged");
        let output = self.try_img(&format!("convert {options} -O raw {image} {out}"));
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).into_owned());
        }
        let bytes = self.workdir.read(&out);
        fs::remove_file(self.workdir.path(&out)).unwrap();
        Ok(bytes)
    }

    pub fn disk(&self, image: &str) -> Vec<u8> {
        self.try_disk(image, "")
            .unwrap_or_else(|error| panic!("qemu-img convert {image}: {error}"))
    }
}

/// A chain of files with what is needed to read its bytes.
pub struct OpenChain {
    pub chain: Chain<DiskImage<'static>>,
    files: Vec<fs::File>,
}

/// Opens an image with all that it names, as a trusting host would.
pub fn open_chain(path: &Path, format: Option<Format>) -> Result<OpenChain, FormatError> {
    open_chain_with(path, format, OpenOptions::default())
}

pub fn open_chain_with(
    path: &Path,
    format: Option<Format>,
    options: OpenOptions,
) -> Result<OpenChain, FormatError> {
    let mut chain = Chain::new(DEFAULT_MAX_DEPTH);
    let mut files = Vec::new();
    let directory = path.parent().unwrap();
    let mut next = Some((path.to_owned(), format));
    while let Some((path, format)) = next.take() {
        let device = DeviceIndex(files.len() as u32);
        let file = fs::File::open(&path).unwrap();
        let source = FileSource::new(file.try_clone().unwrap()).unwrap();
        files.push(file);
        let mut image = DiskImage::open(source, device, format, options)?;
        let facts = image.facts(ListLimits {
            snapshots: 0,
            bitmaps: 0,
        })?;
        let text = |name: Vec<u8>| String::from_utf8(name).unwrap();
        if let Some(name) = facts.backing_file {
            let format = facts.backing_format;
            let format = format.map(|name| Format::from_name(&name).unwrap());
            next = Some((directory.join(text(name)), format));
        }
        let names = facts.extent_files.iter().map(|extent| &extent.name);
        for (number, name) in names.filter(|name| !name.is_empty()).enumerate() {
            let file = fs::File::open(directory.join(text(name.clone()))).unwrap();
            let source = FileSource::new(file.try_clone().unwrap()).unwrap();
            let device = DeviceIndex(files.len() as u32);
            files.push(file);
            image.attach_extent(number, device, Box::new(source))?;
        }
        if let Some(name) = facts.data_file.filter(|_| facts.has_data_file) {
            let file = fs::File::open(directory.join(text(name))).unwrap();
            let size = file.metadata().unwrap().len();
            image.attach_data_file(DeviceIndex(files.len() as u32), size)?;
            files.push(file);
        }
        if let Some(above) = chain.layers().last() {
            image.require_child(above)?;
        }
        chain.push(image, device)?;
    }
    Ok(OpenChain { chain, files })
}

impl OpenChain {
    /// Reads the whole virtual disk, `step` bytes asked for at a time.
    pub fn read_all(&mut self, step: u64) -> Result<Vec<u8>, FormatError> {
        self.read(0..self.chain.virtual_size(), step)
    }

    /// Reads a part of the virtual disk, `step` bytes asked for at a time.
    pub fn read(&mut self, range: Range<u64>, step: u64) -> Result<Vec<u8>, FormatError> {
        let length = range.end - range.start;
        let mut bytes = vec![0xa5; usize::try_from(length).unwrap()];
        let mut decoder = Decoder::new();
        let mut offset = range.start;
        while offset < range.end {
            let step = step.min(range.end - offset);
            let extent = self.chain.map(offset, step)?;
            assert_eq!(extent.start, offset);
            assert!(extent.length >= 1 && extent.length <= step, "{extent:?}");
            let [from, to] = [offset, extent.end()].map(|at| (at - range.start) as usize);
            self.read_extent(extent.kind, offset, &mut bytes[from..to], &mut decoder);
            offset = extent.end();
        }
        Ok(bytes)
    }

    fn read_extent(&self, kind: ExtentKind, start: u64, place: &mut [u8], decoder: &mut Decoder) {
        match kind {
            ExtentKind::Zero => place.fill(0),
            ExtentKind::Unallocated => panic!("a chain never answers Unallocated"),
            ExtentKind::Encrypted { .. } => panic!("no image was unlocked"),
            ExtentKind::Packed {
                device,
                packing,
                unpacked,
                ..
            } => {
                let source = self.source(device);
                let stream = PackedStream::new(source, device, packing, Some(unpacked), 16 << 20);
                let (mut stream, mut all) = (stream.unwrap(), vec![0; unpacked as usize]);
                let mut filled = 0;
                while filled < all.len() {
                    filled += stream.read(&mut all[filled..]).unwrap();
                }
                place.copy_from_slice(&all[start as usize..start as usize + place.len()]);
            }
            ExtentKind::Data { device, offset } => {
                self.source(device).read_exact_at(offset, place).unwrap();
            }
            ExtentKind::Compressed {
                device,
                codec,
                offset,
                max_length,
                cluster_start,
                cluster_size,
            } => {
                let mut input = vec![0; max_length as usize];
                self.source(device)
                    .read_exact_at(offset, &mut input)
                    .unwrap();
                let mut cluster = vec![0; cluster_size as usize];
                decoder.decode_cluster(codec, &input, &mut cluster).unwrap();
                let within = (start - cluster_start) as usize;
                place.copy_from_slice(&cluster[within..within + place.len()]);
            }
        }
    }

    fn source(&self, device: DeviceIndex) -> FileSource {
        let file = self.files[device.0 as usize].try_clone().unwrap();
        FileSource::new(file).unwrap()
    }
}

/// Reads an image our way and the judge's way, and compares length and every byte. Our way is taken
/// with large steps and with odd small ones.
pub fn assert_same_disk(judge: &Judge, image: &str) {
    assert_same_disk_as(judge, image, None);
}

/// The same for an image of which the format is said.
pub fn assert_same_disk_as(judge: &Judge, image: &str, format: Option<Format>) {
    let path = judge.workdir.path(image);
    let said = format.map_or(String::new(), |format| format!("-f {}", format.name()));
    let expected = judge
        .try_disk(image, &said)
        .unwrap_or_else(|error| panic!("qemu-img convert {said} {image}: {error}"));
    for step in [u64::MAX, 77_777] {
        let mut chain = open_chain(&path, format).unwrap();
        let disk = chain.read_all(step).unwrap();
        assert_eq!(disk.len(), expected.len(), "{image}: virtual size");
        if let Some(at) = disk
            .iter()
            .zip(&expected)
            .position(|(ours, theirs)| ours != theirs)
        {
            panic!(
                "{image}, step {step}: byte {at} is {}, expected {}",
                disk[at], expected[at]
            );
        }
    }
}

/// A small deterministic generator, so that a failure can be repeated from its seed.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        // splitmix64
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    /// Bytes that compress to some degree: words out of a small set.
    pub fn bytes(&mut self, length: usize) -> Vec<u8> {
        let words: Vec<[u8; 8]> = (0..64).map(|_| self.next().to_le_bytes()).collect();
        let mut bytes = Vec::with_capacity(length + 8);
        while bytes.len() < length {
            let word = self.below(64) as usize;
            bytes.extend_from_slice(&words[word][..1 + word % 8]);
        }
        bytes.truncate(length);
        bytes
    }
}

/// Writes, zeroes and discards at random places, sector-aligned, so that every kind of cluster and
/// subcluster turns up beside every other.
///
/// With `compressed_unit`, the cluster size, some clusters are compressed first: qemu refuses to
/// compress a cluster that is there already.
pub fn scribble(
    random: &mut Random,
    size: u64,
    count: u64,
    compressed_unit: Option<u64>,
) -> Vec<String> {
    let mut commands = Vec::new();
    if let Some(unit) = compressed_unit {
        let stride = (size / unit / count).max(1);
        for index in (0..size / unit).step_by(stride as usize) {
            let pattern = 1 + random.below(255);
            commands.push(format!("write -c -P {pattern} {} {unit}", index * unit));
        }
    }
    for _ in 0..count {
        let start = random.below(size / 512) * 512;
        let longest = if random.below(4) == 0 { 400 } else { 40 };
        let length = (512 * (1 + random.below(longest))).min(size - start);
        let pattern = 1 + random.below(255);
        commands.push(match random.below(8) {
            0 => format!("write -z {start} {length}"),
            1 => format!("write -z -u {start} {length}"),
            2 => format!("discard {start} {length}"),
            _ => format!("write -P {pattern} {start} {length}"),
        });
    }
    commands
}
