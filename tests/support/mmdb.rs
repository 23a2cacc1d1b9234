//! Writes databases in MaxMind's format, by its specification
//! (maxmind.github.io/MaxMind-DB): trees of all three record sizes, IPv4 within the
//! tree of IPv6 with the aliases that readers rely on, and data in which what is
//! there already is pointed to.

use std::collections::HashMap;
use std::net::IpAddr;

/// What a record is made of.
#[derive(Clone, Debug)]
pub enum Value {
    Text(String),
    U16(u16),
    U32(u32),
    U64(u64),
    Double(f64),
    Float(f32),
    Bool(bool),
    Map(Vec<(&'static str, Value)>),
    List(Vec<Value>),
}

/// A database under construction.
pub struct Database {
    database_type: &'static str,
    /// 24, 28 or 32.
    record_bits: u16,
    /// 4 or 6.
    ip_version: u16,
    build_epoch: u64,
    nodes: Vec<[Slot; 2]>,
    records: Vec<Value>,
}

/// What is below one side of a node.
#[derive(Clone, Copy, PartialEq)]
enum Slot {
    Nothing,
    Node(usize),
    Record(usize),
}

/// The data section, and where each thing in it began.
#[derive(Default)]
struct Section {
    bytes: Vec<u8>,
    known: HashMap<String, usize>,
}

// === impl Database ===

impl Database {
    pub fn new(database_type: &'static str, record_bits: u16, ip_version: u16) -> Database {
        Database {
            database_type,
            record_bits,
            ip_version,
            build_epoch: 1_790_000_000,
            nodes: vec![[Slot::Nothing; 2]],
            records: Vec::new(),
        }
    }

    pub fn built_at(mut self, epoch: u64) -> Database {
        self.build_epoch = epoch;
        self
    }

    /// Gives a network a record; of networks within each other the last one has its part.
    pub fn insert(&mut self, address: IpAddr, length: u8, record: Value) {
        let (bits, length) = match address {
            IpAddr::V4(v4) if self.ip_version == 4 => (u128::from(v4.to_bits()) << 96, length),
            IpAddr::V4(v4) => (u128::from(v4.to_bits()), length + 96),
            IpAddr::V6(v6) => (v6.to_bits(), length),
        };
        self.records.push(record);
        self.put(bits, length, Slot::Record(self.records.len() - 1));
    }

    /// The file. In a tree of IPv6, `::ffff:0:0/96` and `2002::/16` are made the same
    /// nodes as IPv4's.
    pub fn finish(mut self) -> Vec<u8> {
        if self.ip_version == 6 {
            let v4 = self.at(0, 96);
            self.put(0xffff << 32, 96, v4);
            self.put(0x2002 << 112, 16, v4);
        }
        let mut section = Section::default();
        let offsets: Vec<usize> = self.records.iter().map(|record| section.whole(record)).collect();
        let mut file = Vec::new();
        for node in &self.nodes {
            let [left, right] = node.map(|slot| match slot {
                Slot::Nothing => self.nodes.len(),
                Slot::Node(index) => index,
                Slot::Record(index) => self.nodes.len() + 16 + offsets[index],
            });
            assert!(left.max(right) >> self.record_bits == 0, "the tree is larger than its records");
            let (left, right) = (left as u32, right as u32);
            match self.record_bits {
                24 => {
                    file.extend(&left.to_be_bytes()[1..]);
                    file.extend(&right.to_be_bytes()[1..]);
                }
                28 => {
                    file.extend(&left.to_be_bytes()[1..]);
                    file.push((left >> 24 << 4) as u8 | (right >> 24) as u8);
                    file.extend(&right.to_be_bytes()[1..]);
                }
                _ => {
                    file.extend(left.to_be_bytes());
                    file.extend(right.to_be_bytes());
                }
            }
        }
        file.extend([0; 16]);
        file.extend(section.bytes);
        file.extend(b"\xab\xcd\xefMaxMind.com");
        let mut metadata = Section::default();
        metadata.whole(&Value::Map(vec![
            ("node_count", Value::U32(self.nodes.len() as u32)),
            ("record_size", Value::U16(self.record_bits)),
            ("ip_version", Value::U16(self.ip_version)),
            ("database_type", Value::Text(self.database_type.to_owned())),
            ("languages", Value::List(vec![Value::Text("en".to_owned())])),
            ("binary_format_major_version", Value::U16(2)),
            ("binary_format_minor_version", Value::U16(0)),
            ("build_epoch", Value::U64(self.build_epoch)),
            ("description", Value::Map(vec![("en", Value::Text("made for a test".to_owned()))])),
        ]));
        file.extend(metadata.bytes);
        file
    }

    /// What is at the end of a prefix.
    fn at(&self, bits: u128, length: u8) -> Slot {
        let mut slot = Slot::Node(0);
        for depth in 0..length {
            let Slot::Node(node) = slot else { return slot };
            slot = self.nodes[node][side(bits, depth)];
        }
        slot
    }

    fn put(&mut self, bits: u128, length: u8, what: Slot) {
        let mut node = 0;
        for depth in 0..length - 1 {
            let side = side(bits, depth);
            node = match self.nodes[node][side] {
                Slot::Node(next) => next,
                // What the whole network had, each half of it has.
                above => {
                    self.nodes.push([above; 2]);
                    let next = self.nodes.len() - 1;
                    self.nodes[node][side] = Slot::Node(next);
                    next
                }
            };
        }
        self.nodes[node][side(bits, length - 1)] = what;
    }
}

fn side(bits: u128, depth: u8) -> usize {
    (bits >> (127 - depth) & 1) as usize
}

// === impl Section ===

impl Section {
    /// Writes a value that the tree points to, which must not be a pointer itself.
    fn whole(&mut self, value: &Value) -> usize {
        let name = format!("{value:?}");
        if let Some(offset) = self.known.get(&name) {
            return *offset;
        }
        let offset = self.bytes.len();
        self.known.insert(name, offset);
        self.write(value);
        offset
    }

    /// Writes a value within another, or where it is already.
    fn part(&mut self, value: &Value) {
        // A pointer to less is no shorter.
        if !matches!(value, Value::Text(_) | Value::Map(_) | Value::List(_) | Value::Double(_)) {
            return self.write(value);
        }
        match self.known.get(&format!("{value:?}")) {
            Some(offset) => self.point(*offset),
            None => {
                self.whole(value);
            }
        }
    }

    fn write(&mut self, value: &Value) {
        match value {
            Value::Text(text) => {
                self.head(2, text.len());
                self.bytes.extend(text.as_bytes());
            }
            Value::Double(number) => {
                self.head(3, 8);
                self.bytes.extend(number.to_be_bytes());
            }
            Value::U16(number) => self.number(5, &number.to_be_bytes()),
            Value::U32(number) => self.number(6, &number.to_be_bytes()),
            Value::U64(number) => self.number(9, &number.to_be_bytes()),
            Value::Map(entries) => {
                self.head(7, entries.len());
                for (key, value) in entries {
                    self.part(&Value::Text((*key).to_owned()));
                    self.part(value);
                }
            }
            Value::List(values) => {
                self.head(11, values.len());
                for value in values {
                    self.part(value);
                }
            }
            Value::Bool(flag) => self.head(14, usize::from(*flag)),
            Value::Float(number) => {
                self.head(15, 4);
                self.bytes.extend(number.to_be_bytes());
            }
        }
    }

    /// Without the zeros in front.
    fn number(&mut self, kind: u8, bytes: &[u8]) {
        let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
        self.head(kind, bytes.len() - zeros);
        self.bytes.extend(&bytes[zeros..]);
    }

    /// Kind and size. Kinds from 8 on have a byte of their own, sizes from 29 on one or two.
    fn head(&mut self, kind: u8, size: usize) {
        let (short, rest) = match size {
            0..29 => (size as u8, vec![]),
            29..285 => (29, vec![(size - 29) as u8]),
            _ => (30, ((size - 285) as u16).to_be_bytes().to_vec()),
        };
        match kind {
            0..8 => self.bytes.push(kind << 5 | short),
            _ => self.bytes.extend([short, kind - 7]),
        }
        self.bytes.extend(rest);
    }

    /// In four sizes, each beginning where the one before ends.
    fn point(&mut self, offset: usize) {
        let (size, value) = match offset {
            0..2048 => (0, offset),
            2048..526_336 => (1, offset - 2048),
            526_336..134_744_064 => (2, offset - 526_336),
            _ => (3, offset),
        };
        let bytes = (value as u32).to_be_bytes();
        match size {
            3 => self.bytes.extend([1 << 5 | 3 << 3, bytes[0], bytes[1], bytes[2], bytes[3]]),
            _ => {
                self.bytes.push(1 << 5 | size << 3 | bytes[2 - usize::from(size)]);
                self.bytes.extend(&bytes[3 - usize::from(size)..]);
            }
        }
    }
}
