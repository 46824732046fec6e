use super::*;

#[test]
fn the_first_place_is_found() {
    for length in 0..150 {
        for at in 0..=length {
            // What differs by one, and by the highest bit, is next to it.
            for (byte, others) in [(b'\n', [0x0b, 0x8a]), (0, [1, 0x80]), (0xff, [0xfe, 0x7f]), (0x80, [0, 0x81])] {
                let mut bytes: Vec<u8> = (0..length).map(|n| others[n % 2]).collect();
                bytes[at..].iter_mut().step_by(3).for_each(|b| *b = byte);
                assert_eq!(find(byte, &bytes), at, "{byte} in {bytes:?}");
            }
        }
    }
}

type Owned = (Vec<u8>, LineEnd, bool);

fn owned(line: Line<'_>) -> Owned {
    (line.bytes.to_vec(), line.end, line.continues)
}

fn split(lines: &mut Lines, bytes: &[u8]) -> Vec<Owned> {
    let mut seen = Vec::new();
    lines.feed(bytes, &mut |line| seen.push(owned(line)));
    seen
}

/// The rules in their plainest form, a byte at a time.
#[derive(Default)]
struct Naive {
    tail: Vec<u8>,
    cr: bool,
    continues: bool,
}

impl Naive {
    fn feed(&mut self, max: usize, bytes: &[u8], out: &mut Vec<Owned>) {
        for &byte in bytes {
            match byte {
                b'\n' => self.end(if self.cr { LineEnd::CrLf } else { LineEnd::Newline }, out),
                b'\r' => self.cr = true,
                _ => {
                    if self.cr {
                        if self.tail.is_empty() && !self.continues {
                            self.cr = false;
                        } else {
                            self.end(LineEnd::Carriage, out);
                        }
                    }
                    if self.tail.len() == max {
                        let mut n = max;
                        // Keep a character whole if the bytes up to here are the start of one.
                        for back in 1..4 {
                            let mut start = self.tail[max - back..].to_vec();
                            start.push(byte);
                            let lead = self.tail[max - back];
                            let want = [0, 0, 2, 3, 4][(lead.leading_ones() as usize).min(4)];
                            let whole = lead.leading_ones() <= 4
                                && start[1..].iter().all(|b| b & 0xC0 == 0x80)
                                && start.len() <= want;
                            if whole {
                                n = max - back;
                            }
                        }
                        let rest = self.tail.split_off(n);
                        out.push((std::mem::replace(&mut self.tail, rest), LineEnd::Cut, self.continues));
                        self.continues = true;
                    }
                    self.tail.push(byte);
                }
            }
        }
    }

    fn end(&mut self, end: LineEnd, out: &mut Vec<Owned>) {
        out.push((std::mem::take(&mut self.tail), end, self.continues));
        self.cr = false;
        self.continues = false;
    }
}

/// splitmix64.
struct Rng(u64);

impl Rng {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) % n as u64) as usize
    }
}

#[test]
fn ends() {
    use LineEnd::*;
    let seen = split(&mut Lines::default(), b"a\n\nb\r\nc\rd\r\r\n\r\n\re\r\rf");
    let want: &[(&[u8], LineEnd)] =
        &[(b"a", Newline), (b"", Newline), (b"b", CrLf), (b"c", Carriage), (b"d", CrLf), (b"", CrLf), (b"e", Carriage)];
    let want: Vec<Owned> = want.iter().map(|&(bytes, end)| (bytes.to_vec(), end, false)).collect();
    assert_eq!(seen, want);
}

#[test]
fn a_flushed_line_is_told_how_it_ended() {
    use LineEnd::*;
    for (rest, end) in [("\n", Newline), ("\r\n", CrLf), ("\rx", Carriage)] {
        let mut lines = Lines::default();
        assert!(split(&mut lines, b"tea?").is_empty());
        assert!(lines.has_partial());
        let mut seen = Vec::new();
        lines.flush(&mut |line| seen.push(owned(line)));
        lines.flush(&mut |_| panic!("nothing is left"));
        assert!(!lines.has_partial());
        assert_eq!(seen, [(b"tea?".to_vec(), Partial, false)]);
        assert_eq!(split(&mut lines, rest.as_bytes()), [(Vec::new(), end, true)], "{rest:?}");
    }
}

#[test]
fn a_progress_bar_that_waits_is_seen() {
    let mut lines = Lines::default();
    assert!(split(&mut lines, b"10%\r").is_empty(), "the next byte may be a newline");
    let mut seen = Vec::new();
    lines.flush(&mut |line| seen.push(owned(line)));
    assert_eq!(seen, [(b"10%".to_vec(), LineEnd::Partial, false)]);
    let seen = split(&mut lines, b"20%\r\n");
    assert_eq!(seen, [(Vec::new(), LineEnd::Carriage, true), (b"20%".to_vec(), LineEnd::CrLf, false)]);
}

#[test]
fn cuts_between_characters() {
    let seen = split(&mut Lines::new(8), "aaaaaaa\u{20ac}b\n".as_bytes());
    let want = [(b"aaaaaaa".to_vec(), LineEnd::Cut, false), ("\u{20ac}b".into(), LineEnd::Newline, true)];
    assert_eq!(seen, want);
    // Bytes that are no character are cut where they are.
    let seen = split(&mut Lines::new(8), &[0x80; 17]);
    assert_eq!(seen.iter().map(|s| s.0.len()).collect::<Vec<_>>(), [8, 8]);
}

#[test]
fn chunks_make_no_difference() {
    let alphabet: &[&[u8]] = &[
        b"\n",
        b"\r",
        b"\r\n",
        b"a",
        b"bcd",
        "\u{e9}".as_bytes(),
        "\u{20ac}".as_bytes(),
        "\u{1F600}".as_bytes(),
        b"\x80",
        b"\xff",
        b"\xe2",
        b"0123456789",
    ];
    for seed in 0..3000 {
        let mut rng = Rng(seed);
        let max = SMALLEST_MAX + rng.below(12);
        let mut input = Vec::new();
        for _ in 0..rng.below(60) {
            input.extend_from_slice(alphabet[rng.below(alphabet.len())]);
        }
        let mut want = Vec::new();
        Naive::default().feed(max, &input, &mut want);

        let whole = split(&mut Lines::new(max), &input);
        assert_eq!(whole, want, "seed {seed}");

        let mut lines = Lines::new(max);
        let bytewise: Vec<Owned> = input.iter().flat_map(|b| split(&mut lines, &[*b])).collect();
        assert_eq!(bytewise, want, "seed {seed}, byte by byte");

        let (mut lines, mut chunked, mut rest) = (Lines::new(max), Vec::new(), &input[..]);
        while !rest.is_empty() {
            let (chunk, after) = rest.split_at(1 + rng.below(rest.len()));
            chunked.extend(split(&mut lines, chunk));
            rest = after;
            assert!(lines.tail.len() <= max, "seed {seed}");
        }
        assert_eq!(chunked, want, "seed {seed}, in chunks");
    }
}

#[test]
fn every_byte_comes_out_again() {
    for seed in 0..2000 {
        let mut rng = Rng(seed);
        // No `\r` at the start of a line nor two in a row: those are dropped by rule.
        let input: Vec<u8> = (0..rng.below(200)).map(|_| b"ab\n\xc3\xa9"[rng.below(5)]).collect();
        let input = input.chunks(3).collect::<Vec<_>>().join(&b"x\ry"[..]);
        let (mut lines, mut back, mut rest) = (Lines::new(8), Vec::new(), &input[..]);
        let mut take = |line: Line<'_>| {
            back.extend_from_slice(line.bytes);
            back.extend_from_slice(line.end.as_bytes());
        };
        while !rest.is_empty() {
            let (chunk, after) = rest.split_at(1 + rng.below(rest.len()));
            lines.feed(chunk, &mut take);
            if rng.below(3) == 0 {
                lines.flush(&mut take);
            }
            rest = after;
        }
        lines.flush(&mut take);
        assert_eq!(back, input, "seed {seed}");
    }
}

#[test]
fn memory_is_bounded() {
    let mut lines = Lines::default();
    let (chunk, mut total) = (vec![b'x'; 100_000], 0);
    for _ in 0..105 {
        lines.feed(&chunk, &mut |line| total += line.bytes.len());
        assert!(lines.tail.capacity() <= 2 * DEFAULT_MAX, "{}", lines.tail.capacity());
    }
    lines.feed(b"\n", &mut |line| total += line.bytes.len());
    assert_eq!(total, 105 * 100_000);
    assert!(lines.tail.capacity() <= KEEP, "a long tail gives its memory back");
    let before = lines.tail.capacity();
    for _ in 0..1000 {
        lines.feed(b"", &mut |_| panic!("nothing was fed"));
        lines.flush(&mut |_| panic!("nothing was fed"));
    }
    assert_eq!(lines.tail.capacity(), before);
}
