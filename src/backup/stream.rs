//! The archive's header and its encrypted stream.
//!
//! ```text
//! 0   magic "METKABAK"
//! 8   version u16 | zero u16 | key id u32
//! 16  made, milliseconds since 1970 i64
//! 24  product version, zero-padded 24
//! 48  BLAKE3 of the 48 bytes before it, first 16
//! 64  chunks: ciphertext of up to 65,536 bytes, tag 16
//! ```
//!
//! Little-endian. Chunk n has the nonce `7 zeros | n u32 big-endian | 1 if it is the
//! last, else 0` (STREAM of Hoang, Reyhanitabar, Rogaway and Vizár, as in the crate
//! `aead-stream`) and the header as associated data. Every chunk but the last is
//! full. The prefix may be zeros because each key encrypts one archive.
//!
//! Limit: 2³² chunks, 256 TiB. Memory: one chunk.

use std::io::{self, Read, Write};

use aead_stream::{DecryptorBE32, EncryptorBE32};
use chacha20poly1305::ChaCha20Poly1305;
use chacha20poly1305::aead::Payload;

pub(super) const VERSION: u16 = 1;
pub(super) const HEADER_BYTES: usize = 64;
const MAGIC: &[u8; 8] = b"METKABAK";
const CHUNK_BYTES: usize = 64 << 10;
const TAG_BYTES: usize = 16;
const PRODUCT_BYTES: usize = 24;

/// What may be known of an archive without its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    pub key: u32,
    /// Milliseconds since 1970.
    pub made_ms: i64,
    /// The version of the program that made it.
    pub product: String,
}

/// Why bytes are no header.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum HeaderError {
    Foreign,
    Version(u16),
    Checksum,
}

/// Encrypts what is written to it.
pub(super) struct Sealer<W: Write> {
    out: W,
    cipher: EncryptorBE32<ChaCha20Poly1305>,
    header: [u8; HEADER_BYTES],
    chunk: Vec<u8>,
}

/// Decrypts and checks what is read from it. Ends with an error, never early.
pub(super) struct Opener<R: Read> {
    file: R,
    /// `None` behind the last chunk.
    cipher: Option<DecryptorBE32<ChaCha20Poly1305>>,
    header: [u8; HEADER_BYTES],
    /// Read from the file and not yet decrypted.
    sealed: Vec<u8>,
    plain: Vec<u8>,
    at: usize,
}

// === impl Header ===

impl Header {
    pub(super) fn encode(&self) -> [u8; HEADER_BYTES] {
        let mut out = [0; HEADER_BYTES];
        out[..8].copy_from_slice(MAGIC);
        out[8..10].copy_from_slice(&VERSION.to_le_bytes());
        out[12..16].copy_from_slice(&self.key.to_le_bytes());
        out[16..24].copy_from_slice(&self.made_ms.to_le_bytes());
        let product = &self.product.as_bytes()[..self.product.len().min(PRODUCT_BYTES)];
        out[24..24 + product.len()].copy_from_slice(product);
        let checksum = blake3::hash(&out[..48]);
        out[48..].copy_from_slice(&checksum.as_bytes()[..16]);
        out
    }

    pub(super) fn decode(bytes: &[u8; HEADER_BYTES]) -> Result<Header, HeaderError> {
        if !bytes.starts_with(MAGIC) {
            return Err(HeaderError::Foreign);
        }
        let good = blake3::hash(&bytes[..48]).as_bytes()[..16] == bytes[48..];
        let version = u16::from_le_bytes([bytes[8], bytes[9]]);
        if !good {
            return Err(HeaderError::Checksum);
        }
        if version != VERSION {
            return Err(HeaderError::Version(version));
        }
        let mut made = [0; 8];
        made.copy_from_slice(&bytes[16..24]);
        let product = String::from_utf8_lossy(&bytes[24..48]);
        Ok(Header {
            key: u32::from_le_bytes([bytes[12], bytes[13], bytes[14], bytes[15]]),
            made_ms: i64::from_le_bytes(made),
            product: product.trim_end_matches('\0').to_owned(),
        })
    }
}

// === impl Sealer ===

impl<W: Write> Sealer<W> {
    /// Writes the header.
    pub fn new(mut out: W, header: &Header, cipher: ChaCha20Poly1305) -> io::Result<Self> {
        let header = header.encode();
        out.write_all(&header)?;
        let cipher = EncryptorBE32::from_aead(cipher, &Default::default());
        Ok(Sealer { out, cipher, header, chunk: Vec::with_capacity(CHUNK_BYTES) })
    }

    /// Writes the last chunk.
    pub fn finish(mut self) -> io::Result<W> {
        let last = Payload { msg: &self.chunk, aad: &self.header };
        let sealed = self.cipher.encrypt_last(last).map_err(|_| io::Error::other("cannot encrypt"))?;
        self.out.write_all(&sealed)?;
        Ok(self.out)
    }
}

impl<W: Write> Write for Sealer<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // A full chunk waits for the byte behind it: it may be the last.
        if self.chunk.len() == CHUNK_BYTES && !bytes.is_empty() {
            let next = Payload { msg: &self.chunk, aad: &self.header };
            let sealed = self.cipher.encrypt_next(next).map_err(|_| io::Error::other("cannot encrypt"))?;
            self.out.write_all(&sealed)?;
            self.chunk.clear();
        }
        let taken = bytes.len().min(CHUNK_BYTES - self.chunk.len());
        self.chunk.extend_from_slice(&bytes[..taken]);
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

// === impl Opener ===

impl<R: Read> Opener<R> {
    /// `file` stands behind the header.
    pub fn new(file: R, header: [u8; HEADER_BYTES], cipher: ChaCha20Poly1305) -> Self {
        let cipher = Some(DecryptorBE32::from_aead(cipher, &Default::default()));
        Opener { file, cipher, header, sealed: Vec::new(), plain: Vec::new(), at: 0 }
    }

    /// Decrypts the next chunk; `false` behind the last.
    fn next_chunk(&mut self) -> io::Result<bool> {
        const WHOLE: usize = CHUNK_BYTES + TAG_BYTES;
        let Some(mut cipher) = self.cipher.take() else { return Ok(false) };
        // One byte more than a chunk says whether another follows.
        let missing = WHOLE + 1 - self.sealed.len();
        self.file.by_ref().take(missing as u64).read_to_end(&mut self.sealed)?;
        let follows = self.sealed.len() > WHOLE;
        let end = self.sealed.len().min(WHOLE);
        let chunk = Payload { msg: &self.sealed[..end], aad: &self.header };
        let plain = if follows { cipher.decrypt_next(chunk) } else { return self.last_chunk(cipher) };
        self.plain = plain.map_err(|_| wrong())?;
        self.at = 0;
        self.sealed.drain(..end);
        self.cipher = Some(cipher);
        Ok(true)
    }

    fn last_chunk(&mut self, cipher: DecryptorBE32<ChaCha20Poly1305>) -> io::Result<bool> {
        let chunk = Payload { msg: &self.sealed[..], aad: &self.header };
        self.plain = cipher.decrypt_last(chunk).map_err(|_| wrong())?;
        self.at = 0;
        self.sealed.clear();
        Ok(true)
    }
}

impl<R: Read> Read for Opener<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while self.at == self.plain.len() {
            if !self.next_chunk()? {
                return Ok(0);
            }
        }
        let taken = out.len().min(self.plain.len() - self.at);
        out[..taken].copy_from_slice(&self.plain[self.at..self.at + taken]);
        self.at += taken;
        Ok(taken)
    }
}

fn wrong() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "a piece of it is not as it was written, or is missing")
}

#[cfg(test)]
mod tests {
    use chacha20poly1305::KeyInit;

    use super::*;

    fn cipher() -> ChaCha20Poly1305 {
        ChaCha20Poly1305::new(&[7; 32].into())
    }

    fn header() -> Header {
        Header { key: 3, made_ms: 1_700_000_000_000, product: "0.1.0".to_owned() }
    }

    fn seal(plain: &[u8]) -> Vec<u8> {
        let mut sealer = Sealer::new(Vec::new(), &header(), cipher()).expect("memory");
        sealer.write_all(plain).expect("memory");
        sealer.finish().expect("memory")
    }

    fn open(file: &[u8]) -> io::Result<Vec<u8>> {
        let (head, rest) = file.split_at_checked(HEADER_BYTES).ok_or_else(wrong)?;
        let head: [u8; HEADER_BYTES] = head.try_into().expect("its length");
        Header::decode(&head).map_err(|_| wrong())?;
        let mut plain = Vec::new();
        Opener::new(rest, head, cipher()).read_to_end(&mut plain)?;
        Ok(plain)
    }

    #[test]
    fn what_was_written_is_read_at_every_length_about_a_chunk() {
        for length in [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 3 * CHUNK_BYTES] {
            let plain: Vec<u8> = (0..length).map(|at| (at % 251) as u8).collect();
            assert_eq!(open(&seal(&plain)).expect("it opens"), plain, "{length} bytes");
        }
    }

    #[test]
    fn a_changed_missing_added_or_moved_piece_is_an_error() {
        let plain: Vec<u8> = (0..3 * CHUNK_BYTES + 5).map(|at| (at % 251) as u8).collect();
        let file = seal(&plain);
        let whole = CHUNK_BYTES + TAG_BYTES;
        for at in (0..HEADER_BYTES).chain((HEADER_BYTES..file.len()).step_by(997)).chain([file.len() - 1]) {
            let mut changed = file.clone();
            changed[at] ^= 0x10;
            assert!(open(&changed).is_err(), "byte {at}");
        }
        for cut in [0, 10, HEADER_BYTES, HEADER_BYTES + whole, HEADER_BYTES + 2 * whole, file.len() - 1] {
            assert!(open(&file[..cut]).is_err(), "cut at {cut}");
        }
        let mut longer = file.clone();
        longer.push(0);
        assert!(open(&longer).is_err(), "a byte too many");
        let mut swapped = file.clone();
        let (first, second) = swapped[HEADER_BYTES..HEADER_BYTES + 2 * whole].split_at_mut(whole);
        first.swap_with_slice(second);
        assert!(open(&swapped).is_err(), "swapped chunks");
    }
}
