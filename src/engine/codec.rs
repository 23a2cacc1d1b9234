//! Compression in both directions, as ClickHouse's HTTP interface has it.
//!
//! Two kinds, which may be combined: HTTP's own (`Content-Encoding` of a
//! request, `Accept-Encoding` for an answer: gzip, deflate, br, zstd, lz4
//! frames) and ClickHouse's native blocks (`decompress=1`, `compress=1`).
//!
//! A native block, all numbers little-endian:
//!
//! ```text
//! checksum 16  CityHash128 (1.0.2) of all that follows, high half first
//! method    1  0x82 LZ4, 0x90 ZSTD, 0x02 none
//! size      4  compressed bytes, these 9 header bytes included
//! raw size  4  bytes when decompressed
//! data
//! ```
//!
//! Limits: a block is at most [`MAX_BLOCK_BYTES`] on either side of the
//! compression, checked before anything is allocated; a wrong checksum is
//! exception 40 and nothing of the block is used.

use std::io::{self, Read, Write};

use super::exception::{Code, Exception};

/// ClickHouse's own bound (`DBMS_MAX_COMPRESSED_SIZE`): 1 GiB. Clients send
/// blocks of 1 MiB; 128 MiB leaves room for a wide one without inviting a bomb.
pub const MAX_BLOCK_BYTES: usize = 128 << 20;
/// Answers are cut into blocks of this size, as ClickHouse's are.
const BLOCK_BYTES: usize = 1 << 20;
const CHECKSUM_BYTES: usize = 16;
const HEADER_BYTES: usize = 9;
const METHOD_NONE: u8 = 0x02;
const METHOD_LZ4: u8 = 0x82;
const METHOD_ZSTD: u8 = 0x90;
/// Buffers between codecs: one pipe's worth.
const BUFFER_BYTES: usize = 64 << 10;
/// zstd windows up to 2^27 bytes, the format's recommended bound for decoders.
const ZSTD_WINDOW_LOG_MAX: u32 = 27;
/// Fast levels: the collector and the engine are on one machine.
const ZSTD_LEVEL: i32 = 1;
const BROTLI_QUALITY: u32 = 3;
const BROTLI_WINDOW_LOG: u32 = 22;

/// An HTTP content coding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coding {
    Gzip,
    Deflate,
    Brotli,
    Zstd,
    Lz4,
}

/// Where an answer's bytes go, through whatever compresses them.
pub trait Sink: Write {
    /// Ends the compressed stream.
    fn finish(self: Box<Self>) -> io::Result<()>;
}

// === impl Coding ===

impl Coding {
    /// The coding of a request's body; `None` is the identity.
    pub fn of_request(name: &str) -> Result<Option<Coding>, Exception> {
        match name.trim().to_ascii_lowercase().as_str() {
            "" | "identity" => Ok(None),
            name => match Coding::parse(name) {
                Some(coding) => Ok(Some(coding)),
                None => Err(Exception::new(
                    Code::NotImplemented,
                    format_args!(
                        "Content-Encoding '{name}' is not supported by the embedded engine, which knows gzip, deflate, br, zstd, lz4"
                    ),
                )),
            },
        }
    }

    /// The cheapest coding that `Accept-Encoding` allows.
    pub fn choose(accepted: &str) -> Option<Coding> {
        let offered = |wanted: Coding| {
            accepted.split(',').any(|offer| {
                let mut parts = offer.split(';');
                let name = parts.next().unwrap_or_default().trim().to_ascii_lowercase();
                let refused = parts.any(|part| {
                    part.trim().strip_prefix("q=").is_some_and(|weight| weight.trim().parse() == Ok(0.0f32))
                });
                Coding::parse(&name) == Some(wanted) && !refused
            })
        };
        [Coding::Lz4, Coding::Zstd, Coding::Gzip, Coding::Deflate, Coding::Brotli]
            .into_iter()
            .find(|c| offered(*c))
    }

    fn parse(name: &str) -> Option<Coding> {
        Some(match name {
            "gzip" | "x-gzip" => Coding::Gzip,
            "deflate" => Coding::Deflate,
            "br" => Coding::Brotli,
            "zstd" => Coding::Zstd,
            "lz4" => Coding::Lz4,
            _ => return None,
        })
    }

    /// The name in `Content-Encoding`.
    pub fn name(self) -> &'static str {
        match self {
            Coding::Gzip => "gzip",
            Coding::Deflate => "deflate",
            Coding::Brotli => "br",
            Coding::Zstd => "zstd",
            Coding::Lz4 => "lz4",
        }
    }

    /// Undoes the coding.
    pub fn reader<'a>(self, body: impl Read + Send + 'a) -> Result<Box<dyn Read + Send + 'a>, Exception> {
        Ok(match self {
            Coding::Gzip => Box::new(flate2::read::MultiGzDecoder::new(body)),
            Coding::Deflate => Box::new(flate2::read::ZlibDecoder::new(body)),
            Coding::Brotli => Box::new(brotli::Decompressor::new(body, BUFFER_BYTES)),
            Coding::Lz4 => Box::new(lz4_flex::frame::FrameDecoder::new(body)),
            Coding::Zstd => {
                let mut decoder = zstd::stream::read::Decoder::new(body).map_err(undecodable)?;
                decoder.window_log_max(ZSTD_WINDOW_LOG_MAX).map_err(undecodable)?;
                Box::new(decoder)
            }
        })
    }

    /// Applies the coding.
    pub fn writer(self, sink: Box<dyn Sink + Send>) -> io::Result<Box<dyn Sink + Send>> {
        Ok(match self {
            Coding::Gzip => Box::new(flate2::write::GzEncoder::new(sink, flate2::Compression::fast())),
            Coding::Deflate => Box::new(flate2::write::ZlibEncoder::new(sink, flate2::Compression::fast())),
            Coding::Brotli => {
                Box::new(brotli::CompressorWriter::new(sink, BUFFER_BYTES, BROTLI_QUALITY, BROTLI_WINDOW_LOG))
            }
            Coding::Lz4 => Box::new(lz4_flex::frame::FrameEncoder::new(sink)),
            Coding::Zstd => Box::new(zstd::stream::write::Encoder::new(sink, ZSTD_LEVEL)?),
        })
    }
}

fn undecodable(error: io::Error) -> Exception {
    Exception::new(Code::CannotDecompress, error)
}

type Inner = Box<dyn Sink + Send>;

impl Sink for flate2::write::GzEncoder<Inner> {
    fn finish(self: Box<Self>) -> io::Result<()> {
        flate2::write::GzEncoder::finish(*self)?.finish()
    }
}

impl Sink for flate2::write::ZlibEncoder<Inner> {
    fn finish(self: Box<Self>) -> io::Result<()> {
        flate2::write::ZlibEncoder::finish(*self)?.finish()
    }
}

impl Sink for brotli::CompressorWriter<Inner> {
    fn finish(self: Box<Self>) -> io::Result<()> {
        // `into_inner` writes the last block.
        self.into_inner().finish()
    }
}

impl Sink for lz4_flex::frame::FrameEncoder<Inner> {
    fn finish(self: Box<Self>) -> io::Result<()> {
        lz4_flex::frame::FrameEncoder::finish(*self).map_err(io::Error::other)?.finish()
    }
}

impl Sink for zstd::stream::write::Encoder<'static, Inner> {
    fn finish(self: Box<Self>) -> io::Result<()> {
        zstd::stream::write::Encoder::finish(*self)?.finish()
    }
}

/// Cuts an answer into native blocks.
pub struct BlockWriter {
    sink: Box<dyn Sink + Send>,
    buffer: Vec<u8>,
}

/// Reads native blocks.
pub struct BlockReader<R> {
    blocks: R,
    block: Vec<u8>,
    at: usize,
}

// === impl BlockWriter ===

impl BlockWriter {
    pub fn new(sink: Box<dyn Sink + Send>) -> BlockWriter {
        BlockWriter { sink, buffer: Vec::with_capacity(BLOCK_BYTES) }
    }

    fn write_block(&mut self) -> io::Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let compressed = lz4_flex::block::compress(&self.buffer);
        let size = u32::try_from(HEADER_BYTES + compressed.len()).map_err(io::Error::other)?;
        let mut block = Vec::with_capacity(CHECKSUM_BYTES + HEADER_BYTES + compressed.len());
        block.extend_from_slice(&[0; CHECKSUM_BYTES]);
        block.push(METHOD_LZ4);
        block.extend_from_slice(&size.to_le_bytes());
        block.extend_from_slice(&(self.buffer.len() as u32).to_le_bytes());
        block.extend_from_slice(&compressed);
        let checksum = checksum(&block[CHECKSUM_BYTES..]);
        block[..CHECKSUM_BYTES].copy_from_slice(&checksum);
        self.buffer.clear();
        self.sink.write_all(&block)
    }
}

impl Write for BlockWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = bytes.len().min(BLOCK_BYTES - self.buffer.len());
        self.buffer.extend_from_slice(&bytes[..taken]);
        if self.buffer.len() == BLOCK_BYTES {
            self.write_block()?;
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.write_block()?;
        self.sink.flush()
    }
}

impl Sink for BlockWriter {
    fn finish(mut self: Box<Self>) -> io::Result<()> {
        self.write_block()?;
        self.sink.finish()
    }
}

// === impl BlockReader ===

impl<R: Read> BlockReader<R> {
    pub fn new(blocks: R) -> BlockReader<R> {
        BlockReader { blocks, block: Vec::new(), at: 0 }
    }

    /// Reads the next block; `false` at the end of the body.
    fn next_block(&mut self) -> io::Result<bool> {
        let mut header = [0; CHECKSUM_BYTES + HEADER_BYTES];
        let mut filled = 0;
        while filled < header.len() {
            match self.blocks.read(&mut header[filled..])? {
                0 if filled == 0 => return Ok(false),
                0 => return Err(refused(Code::CannotDecompress, "the body ends inside of a block's header")),
                read => filled += read,
            }
        }
        let field = |at: usize| {
            u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]) as usize
        };
        let method = header[CHECKSUM_BYTES];
        let (size, raw_size) = (field(CHECKSUM_BYTES + 1), field(CHECKSUM_BYTES + 5));
        if !(HEADER_BYTES..=MAX_BLOCK_BYTES).contains(&size) || raw_size > MAX_BLOCK_BYTES {
            return Err(refused(
                Code::TooLargeSizeCompressed,
                format_args!(
                    "a block of {size} bytes for {raw_size}, at most {MAX_BLOCK_BYTES} are allowed; is the body compressed in ClickHouse's native blocks?"
                ),
            ));
        }
        let mut bytes = Vec::with_capacity(size);
        bytes.extend_from_slice(&header[CHECKSUM_BYTES..]);
        let body = (size - HEADER_BYTES) as u64;
        if (&mut self.blocks).take(body).read_to_end(&mut bytes)? as u64 != body {
            return Err(refused(Code::CannotDecompress, "the body ends inside of a block"));
        }
        if checksum(&bytes) != header[..CHECKSUM_BYTES] {
            return Err(refused(Code::ChecksumDoesntMatch, "Checksum doesn't match: corrupted data"));
        }
        let data = &bytes[HEADER_BYTES..];
        self.at = 0;
        self.block = match method {
            METHOD_NONE => data.to_vec(),
            METHOD_LZ4 => lz4_flex::block::decompress(data, raw_size)
                .map_err(|error| refused(Code::CannotDecompress, error))?,
            METHOD_ZSTD => zstd::bulk::decompress(data, raw_size)
                .map_err(|error| refused(Code::CannotDecompress, error))?,
            method => {
                return Err(refused(
                    Code::UnknownCompressionMethod,
                    format_args!(
                        "Unknown codec family code: {method}; the embedded engine knows LZ4, ZSTD and none"
                    ),
                ));
            }
        };
        if self.block.len() != raw_size {
            return Err(refused(Code::CannotDecompress, "a block has another size than its header says"));
        }
        Ok(true)
    }
}

impl<R: Read> Read for BlockReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.at == self.block.len() {
            if !self.next_block()? {
                return Ok(0);
            }
        }
        let taken = buffer.len().min(self.block.len() - self.at);
        buffer[..taken].copy_from_slice(&self.block[self.at..self.at + taken]);
        self.at += taken;
        Ok(taken)
    }
}

/// An exception that travels through `io::Error`; see [`exception_of`].
#[derive(Debug)]
struct Refusal(Exception);

impl std::fmt::Display for Refusal {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(&self.0.text)
    }
}

impl std::error::Error for Refusal {}

/// An `io::Error` that carries an exception of ours.
pub fn refused(code: Code, message: impl std::fmt::Display) -> io::Error {
    io::Error::other(Refusal(Exception::new(code, message)))
}

/// The exception behind an error of reading a body.
pub fn exception_of(error: &io::Error) -> Exception {
    let mut source: Option<&(dyn std::error::Error + 'static)> = error.get_ref().map(|inner| inner as _);
    while let Some(inner) = source {
        if let Some(Refusal(exception)) = inner.downcast_ref() {
            return exception.clone();
        }
        source = match inner.downcast_ref::<io::Error>() {
            Some(nested) => nested.get_ref().map(|inner| inner as _),
            None => inner.source(),
        };
    }
    Exception::new(Code::CannotDecompress, format_args!("cannot read the request's body: {error}"))
}

fn checksum(bytes: &[u8]) -> [u8; CHECKSUM_BYTES] {
    // CityHash gives the low half first; ClickHouse writes the high one first.
    cityhash_rs::cityhash_102_128(bytes).rotate_left(64).to_le_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    #[derive(Clone, Default)]
    struct Memory(Arc<Mutex<Vec<u8>>>);

    impl Write for Memory {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Sink for Memory {
        fn finish(self: Box<Self>) -> io::Result<()> {
            Ok(())
        }
    }

    fn sample() -> Vec<u8> {
        (0..400_000u32).flat_map(|n| (n / 7).to_le_bytes()).collect()
    }

    fn blocks(data: &[u8]) -> Vec<u8> {
        let memory = Memory::default();
        let mut writer = Box::new(BlockWriter::new(Box::new(memory.clone())));
        writer.write_all(data).unwrap();
        writer.finish().unwrap();
        std::mem::take(&mut memory.0.lock().unwrap())
    }

    fn unblock(bytes: &[u8]) -> Result<Vec<u8>, Exception> {
        let mut out = Vec::new();
        match BlockReader::new(bytes).read_to_end(&mut out) {
            Ok(_) => Ok(out),
            Err(error) => Err(exception_of(&error)),
        }
    }

    #[test]
    fn every_coding_gives_back_what_it_was_given() {
        for coding in [Coding::Gzip, Coding::Deflate, Coding::Brotli, Coding::Zstd, Coding::Lz4] {
            let memory = Memory::default();
            let mut writer = coding.writer(Box::new(memory.clone())).unwrap();
            writer.write_all(&sample()).unwrap();
            writer.finish().unwrap();
            let bytes = memory.0.lock().unwrap().clone();
            assert!(bytes.len() < sample().len(), "{coding:?} compresses");
            let mut out = Vec::new();
            coding.reader(bytes.as_slice()).unwrap().read_to_end(&mut out).unwrap();
            assert!(out == sample(), "{coding:?}");
        }
    }

    #[test]
    fn native_blocks_give_back_what_they_were_given() {
        assert!(unblock(&blocks(&sample())).unwrap() == sample());
        assert_eq!(unblock(&[]).unwrap(), b"");
    }

    #[test]
    fn a_damaged_block_is_an_exception_with_its_code() {
        let good = blocks(b"some rows, some rows, some rows");
        let code = |bytes: &[u8]| unblock(bytes).unwrap_err().code;
        for at in 0..CHECKSUM_BYTES {
            let mut bad = good.clone();
            bad[at] ^= 1;
            assert_eq!(code(&bad), 40, "checksum byte {at}");
        }
        let mut bad = good.clone();
        *bad.last_mut().unwrap() ^= 1;
        assert_eq!(code(&bad), 40);
        assert_eq!(code(&good[..good.len() - 1]), 271);
        assert_eq!(code(&good[..10]), 271);
        let mut bad = good.clone();
        bad[CHECKSUM_BYTES + 1..CHECKSUM_BYTES + 5].copy_from_slice(&u32::MAX.to_le_bytes());
        assert_eq!(code(&bad), 39);
    }

    #[test]
    fn the_cheapest_accepted_coding_is_chosen() {
        for (accepted, coding) in [
            ("", None),
            ("identity", None),
            ("gzip, deflate, br", Some(Coding::Gzip)),
            ("gzip;q=0, br;q=0.5", Some(Coding::Brotli)),
            ("lz4", Some(Coding::Lz4)),
            ("zstd,gzip", Some(Coding::Zstd)),
        ] {
            assert_eq!(Coding::choose(accepted), coding, "{accepted:?}");
        }
    }
}
