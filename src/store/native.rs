//! Reads blocks of columns in ClickHouse's format `Native`.
//!
//! In: the bytes of an answer, in chunks as they come, and the types that its columns must
//! have. Out: one [`Column`] for each of them and block. Of all formats this is the one that
//! gives a column of words as its different words and a number for each row.
//!
//! ```text
//! block   = columns:varint rows:varint column*
//! column  = name:text type:text data            (no data where rows = 0)
//! text    = length:varint bytes
//! UIntN   = N/8 bytes a row, little endian
//! words   = 1:u64 (flags:u64 keys:u64 text* rows:u64 code*)    LowCardinality(String); the part
//!                                                in brackets only where there are rows
//! lists   = (1:u64)? end:u64* data               Array(…); ends count elements, and the number
//!                                                that begins words stands before them
//! ```
//!
//! Sources: ClickHouse's documentation of `Native`, and what the engine sends (a test has it
//! send each of these types). Anything else is refused with the column's name; so is
//! what is longer than the bounds below.

use bytes::{Buf as _, Bytes};
use tokio::sync::mpsc;

use super::{Limits, Param, Storage, StorageError};

/// The rows of a block: statements ask for blocks of a million.
const MAX_ROWS: u64 = 16 << 20;
/// The elements of the lists of a block.
const MAX_ELEMENTS: u64 = 256 << 20;
/// The bytes of a word: the longest that is stored is a path of 1024.
const MAX_WORD_BYTES: u64 = 1 << 20;
/// Room is made for so many rows before they have come.
const MAX_RESERVED: usize = 1 << 20;
/// How dictionaries of words begin: the only version that there is.
const WORDS_VERSION: u64 = 1;
/// Of the flags of a dictionary: the width of its codes, and that its words follow.
const CODE_WIDTH: u64 = 0xff;
const HAS_KEYS: u64 = 1 << 9;
/// What a dictionary may say beside these: that readers with one of their own mend it.
const UPDATE: u64 = 1 << 10;

/// The type of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    UInt8,
    UInt16,
    UInt32,
    UInt64,
    Words,
    Lists(&'static Type),
}

/// A column of a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Column {
    UInt8(Vec<u8>),
    UInt16(Vec<u16>),
    UInt32(Vec<u32>),
    UInt64(Vec<u64>),
    Words(Words),
    Lists {
        /// Where the list of each row ends.
        ends: Vec<u64>,
        elements: Box<Column>,
    },
}

/// Words, of which there are few different ones.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Words {
    pub keys: Vec<Box<[u8]>>,
    /// The key of each row.
    pub codes: Vec<u32>,
}

/// What is not a block.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Broken(String);

/// How many chunks of an answer may wait to be read.
const CHUNKS_AHEAD: usize = 16;

/// Reads blocks from chunks.
pub struct Reader<S> {
    chunks: S,
    chunk: Bytes,
}

// === impl Broken ===

impl Broken {
    /// Of columns that are not those that were asked for.
    pub fn misplaced() -> Broken {
        Broken("a block of other columns".to_owned())
    }
}

// === impl Type ===

impl Type {
    fn name(self) -> String {
        match self {
            Type::UInt8 => "UInt8".to_owned(),
            Type::UInt16 => "UInt16".to_owned(),
            Type::UInt32 => "UInt32".to_owned(),
            Type::UInt64 => "UInt64".to_owned(),
            Type::Words => "LowCardinality(String)".to_owned(),
            Type::Lists(element) => format!("Array({})", element.name()),
        }
    }
}

// === impl Reader ===

impl<S: Iterator<Item = Bytes>> Reader<S> {
    pub fn new(chunks: S) -> Reader<S> {
        Reader { chunks, chunk: Bytes::new() }
    }

    /// The next block with rows, or `None` at the end.
    pub fn block(&mut self, types: &[Type]) -> Result<Option<Vec<Column>>, Broken> {
        loop {
            if !self.has_more() {
                return Ok(None);
            }
            let columns = self.varint()?;
            if columns != types.len() as u64 {
                return Err(Broken(format!("{columns} columns, expected {}", types.len())));
            }
            let rows = bounded("rows", self.varint()?, MAX_ROWS)?;
            let mut block = Vec::with_capacity(types.len());
            for expected in types {
                let name = self.text()?;
                let found = self.text()?;
                if *found != *expected.name().as_bytes() {
                    let (name, found) = (String::from_utf8_lossy(&name), String::from_utf8_lossy(&found));
                    return Err(Broken(format!("column {name}: type {found}, expected {}", expected.name())));
                }
                if rows > 0 {
                    self.prefix(*expected)?;
                    block.push(self.column(*expected, rows)?);
                }
            }
            if rows > 0 {
                return Ok(Some(block));
            }
        }
    }

    /// What stands before a column's data.
    fn prefix(&mut self, of: Type) -> Result<(), Broken> {
        match of {
            Type::Words => match self.u64()? {
                WORDS_VERSION => Ok(()),
                version => Err(Broken(format!("words of version {version}, expected {WORDS_VERSION}"))),
            },
            Type::Lists(element) => self.prefix(*element),
            _ => Ok(()),
        }
    }

    fn column(&mut self, of: Type, rows: usize) -> Result<Column, Broken> {
        Ok(match of {
            Type::UInt8 => Column::UInt8(self.numbers(rows, |bytes: [u8; 1]| bytes[0])?),
            Type::UInt16 => Column::UInt16(self.numbers(rows, u16::from_le_bytes)?),
            Type::UInt32 => Column::UInt32(self.numbers(rows, u32::from_le_bytes)?),
            Type::UInt64 => Column::UInt64(self.numbers(rows, u64::from_le_bytes)?),
            Type::Words => Column::Words(self.words(rows)?),
            Type::Lists(element) => {
                let ends = self.numbers(rows, u64::from_le_bytes)?;
                if !ends.is_sorted() {
                    return Err(Broken("a list ends before it begins".to_owned()));
                }
                let elements = bounded("elements", ends.last().copied().unwrap_or(0), MAX_ELEMENTS)?;
                Column::Lists { ends, elements: Box::new(self.column(*element, elements)?) }
            }
        })
    }

    fn words(&mut self, rows: usize) -> Result<Words, Broken> {
        if rows == 0 {
            return Ok(Words::default());
        }
        let flags = self.u64()?;
        if flags & !(CODE_WIDTH | UPDATE) != HAS_KEYS {
            return Err(Broken(format!("words with the flags {flags:#x}")));
        }
        let count = bounded("different words", self.u64()?, MAX_ELEMENTS)?;
        let keys = (0..count).map(|_| self.text()).collect::<Result<Vec<_>, _>>()?;
        let found = self.u64()?;
        if found != rows as u64 {
            return Err(Broken(format!("{found} words, expected {rows}")));
        }
        let codes = match flags & CODE_WIDTH {
            0 => self.numbers(rows, |bytes: [u8; 1]| u32::from(bytes[0]))?,
            1 => self.numbers(rows, |bytes| u32::from(u16::from_le_bytes(bytes)))?,
            2 => self.numbers(rows, u32::from_le_bytes)?,
            width => return Err(Broken(format!("words with codes of width {width}"))),
        };
        match codes.iter().max() {
            Some(most) if *most as usize >= keys.len() => {
                Err(Broken(format!("word {most} of {}", keys.len())))
            }
            _ => Ok(Words { keys, codes }),
        }
    }

    fn numbers<const N: usize, T>(
        &mut self,
        count: usize,
        of: impl Fn([u8; N]) -> T,
    ) -> Result<Vec<T>, Broken> {
        let mut numbers = Vec::with_capacity(count.min(MAX_RESERVED));
        while numbers.len() < count {
            let whole = (self.chunk.len() / N).min(count - numbers.len());
            if whole == 0 {
                // One that is cut by the end of a chunk, or the first of the next.
                let mut bytes = [0; N];
                self.fill(&mut bytes)?;
                numbers.push(of(bytes));
                continue;
            }
            let (these, _) = self.chunk[..whole * N].as_chunks::<N>();
            numbers.extend(these.iter().map(|bytes| of(*bytes)));
            self.chunk.advance(whole * N);
        }
        Ok(numbers)
    }

    fn text(&mut self) -> Result<Box<[u8]>, Broken> {
        let mut text = vec![0; bounded("bytes of a word", self.varint()?, MAX_WORD_BYTES)?];
        self.fill(&mut text)?;
        Ok(text.into())
    }

    fn u64(&mut self) -> Result<u64, Broken> {
        let mut bytes = [0; 8];
        self.fill(&mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }

    fn varint(&mut self) -> Result<u64, Broken> {
        let mut number = 0;
        for shift in (0..63).step_by(7) {
            let mut byte = [0];
            self.fill(&mut byte)?;
            number |= u64::from(byte[0] & 0x7f) << shift;
            if byte[0] < 0x80 {
                return Ok(number);
            }
        }
        Err(Broken("a number of more than nine bytes".to_owned()))
    }

    fn fill(&mut self, mut into: &mut [u8]) -> Result<(), Broken> {
        while !into.is_empty() {
            if !self.has_more() {
                return Err(Broken("the answer ends within a block".to_owned()));
            }
            let some = self.chunk.len().min(into.len());
            self.chunk.copy_to_slice(&mut into[..some]);
            into = &mut into[some..];
        }
        Ok(())
    }

    fn has_more(&mut self) -> bool {
        while self.chunk.is_empty() {
            match self.chunks.next() {
                Some(chunk) => self.chunk = chunk,
                None => return false,
            }
        }
        true
    }
}

/// Puts a question to storage: a task brings its bytes, a thread reads them.
pub async fn read<T: Send + 'static, E: Send + 'static>(
    storage: &Storage,
    sql: &str,
    params: &[(String, Param)],
    limits: &Limits,
    settings: &[(&str, &str)],
    reader: impl FnOnce(mpsc::Receiver<Bytes>) -> Result<T, E> + Send + 'static,
) -> Result<Result<T, E>, StorageError> {
    let (send, receive) = mpsc::channel::<Bytes>(CHUNKS_AHEAD);
    let reading = tokio::task::spawn_blocking(move || reader(receive));
    let brought = async {
        let mut answer = storage.native(sql, params, limits, settings)?;
        while let Some(chunk) = answer.next().await? {
            if send.send(chunk).await.is_err() {
                // Reading has ended, and says why.
                break;
            }
        }
        Ok::<(), StorageError>(())
    }
    .await;
    drop(send);
    let read = reading.await;
    brought?;
    read.map_err(|error| StorageError::Unreadable(error.to_string()))
}

fn bounded(what: &str, count: u64, most: u64) -> Result<usize, Broken> {
    match usize::try_from(count) {
        Ok(fits) if count <= most => Ok(fits),
        _ => Err(Broken(format!("{count} {what}, at most {most} are read"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TYPES: &[Type] = &[Type::UInt32, Type::Words, Type::Lists(&Type::Words), Type::Lists(&Type::UInt8)];

    fn text(word: &str) -> Vec<u8> {
        [&[word.len() as u8], word.as_bytes()].concat()
    }

    fn word(number: u64) -> Vec<u8> {
        number.to_le_bytes().to_vec()
    }

    /// Two rows: 7, a, [b, a], [1, 2] and 9, b, [], [].
    fn block() -> Vec<u8> {
        let dictionary = |codes: &[u8]| {
            [word(HAS_KEYS | UPDATE), word(2), text("a"), text("b"), word(codes.len() as u64), codes.to_vec()]
                .concat()
        };
        [
            vec![4, 2],
            text("n"),
            text("UInt32"),
            vec![7, 0, 0, 0, 9, 0, 0, 0],
            text("w"),
            text("LowCardinality(String)"),
            word(1),
            dictionary(&[0, 1]),
            text("l"),
            text("Array(LowCardinality(String))"),
            word(1),
            word(2),
            word(2),
            dictionary(&[1, 0]),
            text("k"),
            text("Array(UInt8)"),
            word(2),
            word(2),
            vec![1, 2],
        ]
        .concat()
    }

    fn read(bytes: &[u8], chunk: usize) -> Result<Vec<Vec<Column>>, Broken> {
        let chunks: Vec<Bytes> = bytes.chunks(chunk).map(Bytes::copy_from_slice).collect();
        let mut reader = Reader::new(chunks.into_iter());
        let mut blocks = Vec::new();
        while let Some(block) = reader.block(TYPES)? {
            blocks.push(block);
        }
        Ok(blocks)
    }

    #[test]
    fn blocks_are_read_however_they_are_cut() {
        let keys: Vec<Box<[u8]>> = vec![b"a".as_slice().into(), b"b".as_slice().into()];
        let words = |codes: &[u32]| Words { keys: keys.clone(), codes: codes.to_vec() };
        let expected = vec![
            Column::UInt32(vec![7, 9]),
            Column::Words(words(&[0, 1])),
            Column::Lists { ends: vec![2, 2], elements: Box::new(Column::Words(words(&[1, 0]))) },
            Column::Lists { ends: vec![2, 2], elements: Box::new(Column::UInt8(vec![1, 2])) },
        ];
        let twice = [block(), block()].concat();
        for chunk in 1..=twice.len() {
            assert_eq!(read(&twice, chunk), Ok(vec![expected.clone(), expected.clone()]), "{chunk}");
        }
    }

    #[test]
    fn what_is_cut_off_or_changed_is_no_block_and_no_panic() {
        let block = block();
        for end in 1..block.len() {
            let error = read(&block[..end], 64).expect_err("cut off");
            assert_eq!(error, Broken("the answer ends within a block".to_owned()), "{end}");
        }
        let mut refused = 0;
        for place in 0..block.len() {
            for value in [0, 1, 0x7f, 0xff] {
                let mut changed = block.clone();
                changed[place] = value;
                refused += u32::from(read(&changed, 64).is_err());
            }
        }
        assert!(refused > 200, "{refused} of {}", 4 * block.len());
    }

    #[test]
    fn another_type_is_named() {
        let mut reader = Reader::new([Bytes::from(block())].into_iter());
        let wrong = [Type::UInt64, Type::Words, Type::Words, Type::Words];
        let error = reader.block(&wrong).expect_err("another type");
        assert_eq!(error.to_string(), "column n: type UInt32, expected UInt64");
    }
}
