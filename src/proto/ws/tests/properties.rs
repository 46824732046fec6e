//! What must hold for any stream.

use super::*;

/// A stream of frames, most of them right.
pub(super) fn stream(rng: &mut Rng, mask: bool, wrong: usize) -> Vec<u8> {
    let texts = ["", "a", "héllo", "€", "😀😀", "\u{10ffff}\0"];
    let mut out = Vec::new();
    let mut inside = false;
    for _ in 0..1 + rng.below(12) {
        let mut payload = match rng.below(8) {
            0 => vec![b'x'; [124, 125, 126, 127, 128, 2047, 2049, 5000, 65535, 65536][rng.below(10)]],
            _ => (0..rng.below(6)).map(|_| texts[rng.below(texts.len())]).collect::<String>().into_bytes(),
        };
        let control = rng.below(4) == 0;
        let opcode = match (control, inside) {
            (true, _) => [Opcode::Ping, Opcode::Ping, Opcode::Pong, Opcode::Close][rng.below(4)],
            (false, true) => Opcode::Continuation,
            (false, false) => [Opcode::Text, Opcode::Binary][rng.below(2)],
        };
        if control {
            payload.truncate(125);
        }
        if opcode == Opcode::Close && !payload.is_empty() {
            let code = [1000u16, 1001, 3000, 1005][rng.below(4)];
            payload.splice(0..0, code.to_be_bytes());
            payload.truncate(125);
        }
        let fin = control || rng.below(3) > 0;
        if !control {
            inside = !fin;
        }
        let key = mask.then(|| (rng.next() as u32).to_ne_bytes());
        frame::write(fin, opcode, key, &payload, &mut out);
    }
    for _ in 0..rng.below(wrong + 1) {
        let at = rng.below(out.len());
        match rng.below(3) {
            0 => out[at] ^= 1 << rng.below(8),
            1 => out[at] = rng.next() as u8,
            _ => drop(out.remove(at)),
        }
    }
    out
}

#[test]
fn pieces_make_no_difference() {
    let (mut events, mut failures) = (0, 0);
    for seed in 0..500 {
        let mut rng = Rng(seed);
        let (role_server, wrong) = (rng.below(2) == 0, rng.below(3));
        let bytes = stream(&mut rng, role_server, wrong);
        let limits = Limits::default().max_message(100_000).max_frame(70_000);
        let run = |pieces: &[&[u8]]| {
            let mut connection = match role_server {
                true => Connection::server(limits),
                false => Connection::client(limits, Masks::seeded(seed)),
            };
            let mut out = Vec::new();
            let seen = drive(&mut connection, pieces, |connection, _| connection.flush(&mut out));
            (seen, connection.state(), out)
        };
        let whole = run(&[&bytes]);
        events += whole.0.events.len();
        failures += usize::from(whole.0.failed.is_some());
        for most in [1, 5, 3000] {
            let pieces = rng.cut(&bytes, most);
            assert_eq!(run(&pieces), whole, "seed {seed}, pieces of at most {most}");
        }
    }
    assert!(events > 1000 && failures > 100, "{events} events, {failures} failures");
}

#[test]
fn what_one_side_sends_the_other_receives() {
    for seed in 0..60 {
        let mut rng = Rng(seed);
        let (mut client, mut server) = (Connection::client(Limits::default(), Masks::seeded(seed)), server());
        let (mut up, mut down) = (Vec::new(), Vec::new());
        for round in 0..20 {
            let len = [0, 1, 125, 126, 3000, 65535, 65536, 70_000][rng.below(8)] + rng.below(5);
            let (from, to, wire) = match rng.below(2) {
                0 => (&mut client, &mut server, &mut up),
                _ => (&mut server, &mut client, &mut down),
            };
            let text: String = std::iter::repeat_n(['a', 'é', '€', '😀'][rng.below(4)], len / 4).collect();
            let bytes: Vec<u8> = (0..len).map(|n| (n * 31) as u8).collect();
            let want = match rng.below(4) {
                0 | 1 => from.text(&text, wire).map(|()| Event::Text(text)),
                2 => from.binary(&bytes, wire).map(|()| Event::Binary(bytes)),
                _ => {
                    let short = &bytes[..len.min(125)];
                    from.ping(short, wire).map(|()| Event::Ping(short.to_vec()))
                }
            };
            let want = want.expect("both are open");
            let received = std::mem::take(wire);
            let pieces = rng.cut(&received, 40_000);
            let seen = drive(to, &pieces, |_, _| ());
            let events: Vec<_> = seen.events.iter().filter(|event| !matches!(event, Event::Pong(_))).collect();
            assert_eq!((events, seen.failed), (vec![&want], None), "seed {seed}, round {round}");
            let mut pong = Vec::new();
            to.flush(&mut pong);
            if let Event::Ping(payload) = want {
                let seen = drive(from, &[&pong], |_, _| ());
                assert_eq!(seen.events, [Event::Pong(payload)], "seed {seed}, round {round}");
            } else {
                assert_eq!(pong, b"");
            }
        }
        client.close(CloseCode::GOING_AWAY, "bye", &mut up).expect("open");
        drive(&mut server, &[&up], |server, _| server.flush(&mut down));
        let seen = drive(&mut client, &[&down], |_, _| ());
        let code = Some(CloseCode::GOING_AWAY);
        assert_eq!(seen.events, [Event::Close(Close { code, reason: String::new() })], "seed {seed}");
        assert_eq!((client.state(), server.state()), (State::Closed, State::Closed));
    }
}

#[test]
fn random_bytes_never_panic() {
    for seed in 0..20_000 {
        let mut rng = Rng(seed);
        let mut bytes: Vec<u8> = (0..rng.below(64)).map(|_| rng.next() as u8).collect();
        if rng.below(2) == 0 && !bytes.is_empty() {
            bytes[0] = 0x80 | [0, 1, 2, 8, 9, 10][rng.below(6)];
        }
        for mut connection in [server(), client()] {
            let mut out = Vec::new();
            let pieces = rng.cut(&bytes, 64);
            let seen = drive(&mut connection, &pieces, |connection, _| connection.flush(&mut out));
            let closed = seen.events.iter().any(|event| matches!(event, Event::Close(_)));
            assert_eq!(connection.state() == State::Closed, closed || seen.failed.is_some(), "seed {seed}");
        }
    }
}
