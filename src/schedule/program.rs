//! The program: a command a layer, and an end mark. [`Command`] says what a command holds.

pub use crate::isa::{COMMAND_BYTES, Command, Kernel};
use crate::isa::{COMMAND_WORDS, opcode};
use crate::{Error, Result};

/// The bytes of a whole program, end mark included.
pub fn encode(commands: &[Command]) -> Vec<u8> {
    let mut end = [0; COMMAND_WORDS];
    end[0] = opcode::END as u32;
    let words = commands.iter().map(Command::encode).chain([end]);
    words.flatten().flat_map(u32::to_le_bytes).collect()
}

/// The commands up to the end mark; an error when there is none.
pub fn decode(bytes: &[u8]) -> Result<Vec<Command>> {
    let mut commands = vec![];
    for chunk in bytes.chunks_exact(COMMAND_BYTES) {
        let word = |i: usize| u32::from_le_bytes(chunk[4 * i..4 * i + 4].try_into().expect("four bytes"));
        match Command::decode(&std::array::from_fn(word))? {
            Some(command) => commands.push(command),
            None => return Ok(commands),
        }
    }
    Err(Error::bad_layer("program", "ends without an end mark"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_round_trip_and_need_an_end_mark() {
        let mut words: [u32; COMMAND_WORDS] = std::array::from_fn(|i| 0x1_0000 * i as u32);
        words[0] = 0x001f_0201;
        words[25] &= 0xff_ffff;
        words[26..].fill(0);
        let command = Command::decode(&words).unwrap().unwrap();
        let bytes = encode(&[command, command]);
        assert_eq!(decode(&bytes).unwrap(), vec![command; 2]);
        let truncated = &bytes[..2 * COMMAND_BYTES];
        assert!(decode(truncated).unwrap_err().to_string().contains("without an end mark"));
        let mut unknown = bytes;
        unknown[0] = 0x7e;
        assert!(decode(&unknown).unwrap_err().to_string().contains("unknown opcode 0x7e"));
    }
}
