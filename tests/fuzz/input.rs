//! From random bytes to inputs that get far: a sample, changed at some places. What begins with `=` is taken as it is.

/// What parsers look for.
const WORDS: [&str; 44] = [
    "{",
    "}",
    "[",
    "]",
    "\"",
    "\\",
    ":",
    ",",
    "null",
    "true",
    "false",
    "{}",
    "[]",
    "\"\"",
    "0",
    "-1",
    "1e400",
    "1e-5",
    "18446744073709551616",
    "\\u0000",
    "\\ud800",
    "\\u0041",
    "\u{0}",
    "\u{1b}",
    "\r\n",
    "\u{430}",
    "\u{202e}",
    " ",
    ".",
    "..",
    ";",
    "=",
    "; ",
    "v1,",
    "v1.",
    "Bearer ",
    "session_id=",
    "\"version\":\"2.0\",",
    "\"body\":\"e30=\",",
    "\"isBase64Encoded\":true,",
    "\"headers\":{},",
    "\"requestContext\":{\"elb\":{}},",
    "\"response\":{},",
    "\"userId\":\"usr-grace\",",
];

/// The longest input.
const MAX: usize = 64 * 1024;

/// An input made of random bytes.
pub(crate) fn of(bytes: &[u8], samples: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = Bytes(bytes);
    if bytes.0.first() == Some(&b'=') {
        return bytes.0[1..].to_vec();
    }
    let mut input = samples[bytes.below(samples.len())].clone();
    let changes = bytes.below(8);
    for _ in 0..changes {
        change(&mut input, &mut bytes, samples);
        input.truncate(MAX);
    }
    input
}

fn change(input: &mut Vec<u8>, bytes: &mut Bytes<'_>, samples: &[Vec<u8>]) {
    let at = bytes.below(input.len() + 1);
    let end = (at + bytes.below(32)).min(input.len());
    match bytes.below(10) {
        0 if at < input.len() => input[at] = bytes.next(),
        1 if at < input.len() => input[at] ^= 1 << bytes.below(8),
        2 => drop(input.drain(at..end)),
        3 => {
            let again = input[at..end].to_vec();
            input.splice(at..at, again);
        }
        4 => drop(input.splice(at..end, WORDS[bytes.below(WORDS.len())].bytes())),
        5 => drop(input.splice(at..at, WORDS[bytes.below(WORDS.len())].bytes())),
        6 => input.truncate(at),
        7 => {
            let noise: Vec<u8> = (0..bytes.below(8)).map(|_| bytes.next()).collect();
            input.splice(at..at, noise);
        }
        8 => {
            let other = &samples[bytes.below(samples.len())];
            let from = bytes.below(other.len() + 1);
            let to = (from + bytes.below(64)).min(other.len());
            input.splice(at..end, other[from..to].iter().copied());
        }
        _ => {
            let many = 1 << bytes.below(14);
            let byte = [b'[', b'{', b'"', b'9', b'a', b' '][bytes.below(6)];
            input.splice(at..at, std::iter::repeat_n(byte, many));
        }
    }
}

/// Random bytes to be used up; there are zeros after their end.
struct Bytes<'a>(&'a [u8]);

impl Bytes<'_> {
    fn next(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    fn below(&mut self, end: usize) -> usize {
        (usize::from(self.next()) << 8 | usize::from(self.next())) % end.max(1)
    }
}

/// Random bytes from a fixed seed (SplitMix64).
pub(crate) fn fixed(count: u64) -> impl Iterator<Item = Vec<u8>> {
    let mut state = 0x5eed_u64;
    let mut next = move || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    };
    (0..count).map(move |_| (0..16).flat_map(|_| next().to_le_bytes()).collect())
}
