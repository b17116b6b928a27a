//! The encoding of parts and of commit metadata: a version byte, LEB128 integers, length-prefixed
//! text, and a CRC-32 over all of it. Canonical: a number has one encoding, and a longer one is
//! refused.

/// Longest text in a blob, bytes.
const MAX_TEXT: usize = 4096;

/// Why a blob cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    #[error("checksum mismatch")]
    Checksum,
    #[error("encoding version {0} is not known to this binary")]
    Version(u8),
    #[error("cut short or malformed")]
    Malformed,
    #[error("{0}")]
    Content(String),
}

pub struct Writer {
    out: Vec<u8>,
}

impl Writer {
    pub fn new(version: u8) -> Writer {
        Writer { out: vec![version] }
    }

    pub fn byte(&mut self, byte: u8) {
        self.out.push(byte);
    }

    pub fn unsigned(&mut self, mut value: u128) {
        while value >= 0x80 {
            self.out.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.out.push(value as u8);
    }

    /// Zigzag, so that small negative numbers are short.
    pub fn signed(&mut self, value: i128) {
        self.unsigned(((value << 1) ^ (value >> 127)) as u128);
    }

    pub fn optional(&mut self, value: Option<i64>) {
        self.byte(value.is_some().into());
        if let Some(value) = value {
            self.signed(value.into());
        }
    }

    pub fn raw(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
    }

    pub fn text(&mut self, text: &str) {
        debug_assert!(text.len() <= MAX_TEXT);
        self.unsigned(text.len() as u128);
        self.raw(text.as_bytes());
    }

    /// Seals the blob with its checksum.
    pub fn finish(mut self) -> Vec<u8> {
        let checksum = crc32fast::hash(&self.out);
        self.out.extend(checksum.to_le_bytes());
        self.out
    }
}

pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Checks the seal and the version.
    pub fn open(blob: &'a [u8], version: u8) -> Result<Reader<'a>, DecodeError> {
        let (body, seal) = blob.split_last_chunk::<4>().ok_or(DecodeError::Malformed)?;
        if crc32fast::hash(body) != u32::from_le_bytes(*seal) {
            return Err(DecodeError::Checksum);
        }
        match body.split_first() {
            Some((found, rest)) if *found == version => Ok(Reader { rest }),
            Some((found, _)) => Err(DecodeError::Version(*found)),
            None => Err(DecodeError::Malformed),
        }
    }

    pub fn byte(&mut self) -> Result<u8, DecodeError> {
        Ok(self.raw(1)?[0])
    }

    pub fn raw(&mut self, length: usize) -> Result<&'a [u8], DecodeError> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(DecodeError::Malformed)?;
        self.rest = rest;
        Ok(taken)
    }

    pub fn unsigned(&mut self) -> Result<u128, DecodeError> {
        let mut value = 0u128;
        for shift in (0..128).step_by(7) {
            let byte = self.byte()?;
            let bits = u128::from(byte & 0x7f);
            let overlong = byte == 0 && shift > 0;
            let overflow = (bits << shift) >> shift != bits;
            if overlong || overflow {
                return Err(DecodeError::Malformed);
            }
            value |= bits << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(DecodeError::Malformed)
    }

    pub fn signed(&mut self) -> Result<i128, DecodeError> {
        let zigzag = self.unsigned()?;
        Ok((zigzag >> 1) as i128 ^ -((zigzag & 1) as i128))
    }

    pub fn unsigned_as<T: TryFrom<u128>>(&mut self) -> Result<T, DecodeError> {
        T::try_from(self.unsigned()?).map_err(|_| DecodeError::Malformed)
    }

    pub fn signed_as<T: TryFrom<i128>>(&mut self) -> Result<T, DecodeError> {
        T::try_from(self.signed()?).map_err(|_| DecodeError::Malformed)
    }

    pub fn optional(&mut self) -> Result<Option<i64>, DecodeError> {
        match self.byte()? {
            0 => Ok(None),
            1 => self.signed_as().map(Some),
            _ => Err(DecodeError::Malformed),
        }
    }

    pub fn text(&mut self) -> Result<&'a str, DecodeError> {
        let length: usize = self.unsigned_as()?;
        if length > MAX_TEXT {
            return Err(DecodeError::Malformed);
        }
        std::str::from_utf8(self.raw(length)?).map_err(|_| DecodeError::Malformed)
    }

    /// Nothing may follow.
    pub fn end(self) -> Result<(), DecodeError> {
        if self.rest.is_empty() { Ok(()) } else { Err(DecodeError::Malformed) }
    }
}
