//! Values and frames against plain oracles: what is written is read back, and no bytes make a reader panic.
#![allow(clippy::unwrap_used, reason = "helpers of a test")]

use ipc::{
    Assembler, Frame, HEADER, Header, Kind, MAX_DEPTH, MAX_VALUES, Payload, ProtocolError, Space,
    Value, ValueError, check, decode, encode,
};
use proptest::prelude::*;

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::None),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::Int),
        (0_u32..64).prop_map(|bits| Value::Int(1_i64.wrapping_shl(bits))),
        (0_u32..64).prop_map(|bits| Value::Int(1_i64.wrapping_shl(bits).wrapping_neg())),
        any::<f64>()
            .prop_filter("NaN is no equal of itself", |float| !float.is_nan())
            .prop_map(Value::Float),
        ".{0,40}".prop_map(Value::Text),
        "[a-z]{200,300}".prop_map(Value::Text),
        proptest::collection::vec(any::<u8>(), 0..300).prop_map(|bytes| Value::Bytes(bytes.into())),
    ];
    leaf.prop_recursive(5, 64, 20, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..20).prop_map(Value::List),
            proptest::collection::vec((".{0,8}", inner), 0..20).prop_map(Value::Map),
        ]
    })
}

fn frame() -> impl Strategy<Value = (Header, Vec<u8>)> {
    let kind = (0..Kind::ALL.len()).prop_map(|index| Kind::ALL[index]);
    let length = prop_oneof![0_usize..100, 16_000_usize..17_000, 40_000_usize..50_000];
    (kind, any::<u16>(), any::<u32>(), any::<u64>(), any::<u64>(), length).prop_map(
        |(kind, flags, channel, correlation, deadline, length)| {
            let body: Vec<u8> = (0..length).map(|at| at.to_le_bytes()[0]).collect();
            let length = u32::try_from(length).unwrap();
            (Header { kind, flags, channel, length, correlation, deadline }, body)
        },
    )
}

/// The plain oracle: all bytes at once, frame by frame.
fn naive(mut bytes: &[u8], limit: u32) -> (Vec<(Header, Vec<u8>)>, Option<ProtocolError>) {
    let mut frames = Vec::new();
    while let Some(head) = bytes.first_chunk::<HEADER>() {
        let header = match Header::decode(head, limit) {
            Ok(header) => header,
            Err(error) => return (frames, Some(error)),
        };
        let Some(body) = bytes.get(HEADER..HEADER + header.length as usize) else { break };
        frames.push((header, body.to_vec()));
        bytes = &bytes[HEADER + body.len()..];
    }
    (frames, None)
}

fn assembled(
    bytes: &[u8],
    cuts: &[usize],
    limit: u32,
) -> (Vec<(Header, Vec<u8>)>, Option<ProtocolError>) {
    let mut assembler = Assembler::new(limit);
    let mut frames: Vec<Frame> = Vec::new();
    let mut rest = bytes;
    let mut cuts = cuts.iter().cycle();
    let mut fault = None;
    while !rest.is_empty() && fault.is_none() {
        let cut = cuts.next().copied().unwrap_or(usize::MAX).clamp(1, rest.len());
        fault = assembler.feed(&rest[..cut], &mut frames).err();
        rest = &rest[cut..];
    }
    (frames.into_iter().map(|frame| (frame.header, frame.payload.to_vec())).collect(), fault)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn what_is_written_is_read_back(value in value()) {
        let bytes = encode(&value);
        prop_assert_eq!(check(&bytes), Ok(()));
        prop_assert_eq!(decode(&bytes), Ok(value.clone()));
        prop_assert_eq!(Payload::new(bytes).unwrap().value(), Ok(value));
    }

    #[test]
    fn no_bytes_make_the_decoder_panic_and_check_agrees(
        bytes in proptest::collection::vec(any::<u8>(), 0..400),
    ) {
        prop_assert_eq!(check(&bytes), decode(&bytes).map(drop));
    }

    #[test]
    fn a_damaged_value_is_a_value_or_an_error(
        value in value(), at in any::<prop::sample::Index>(), byte in any::<u8>(),
    ) {
        let mut bytes = encode(&value).to_vec();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        prop_assert_eq!(check(&bytes), decode(&bytes).map(drop));
        bytes.truncate(at);
        prop_assert!(decode(&bytes).is_err());
    }

    #[test]
    fn parts_are_what_the_value_has(entries in proptest::collection::vec(("[a-c]", value()), 0..6)) {
        let payloads: Vec<(String, Payload)> = entries
            .iter()
            .map(|(key, value)| (key.clone(), Payload::from_value(value).unwrap()))
            .collect();
        let spliced: Vec<(&str, &Payload)> =
            payloads.iter().map(|(key, payload)| (key.as_str(), payload)).collect();
        let whole = Payload::map(&spliced).unwrap();
        let map = Value::Map(entries);
        prop_assert_eq!(whole.value(), Ok(map.clone()));
        for key in ["a", "b", "c", "d"] {
            prop_assert_eq!(
                whole.part(key).map(|part| part.value().unwrap()),
                map.get(key).cloned()
            );
        }
    }

    #[test]
    fn a_stream_of_frames_is_cut_as_the_oracle_cuts_it(
        frames in proptest::collection::vec(frame(), 1..6),
        cuts in proptest::collection::vec(1_usize..30_000, 1..8),
    ) {
        let mut bytes = Vec::new();
        for (header, body) in &frames {
            bytes.extend_from_slice(&header.encode());
            bytes.extend_from_slice(body);
        }
        let (found, fault) = assembled(&bytes, &cuts, 64 << 20);
        prop_assert_eq!(&fault, &None);
        prop_assert!(found == frames);
    }

    #[test]
    fn random_and_damaged_streams_end_as_the_oracle_ends_them(
        frames in proptest::collection::vec(frame(), 0..4),
        noise in proptest::collection::vec(any::<u8>(), 0..200),
        at in any::<prop::sample::Index>(),
        cuts in proptest::collection::vec(1_usize..5_000, 1..8),
    ) {
        let mut bytes = Vec::new();
        for (header, body) in &frames {
            bytes.extend_from_slice(&header.encode());
            bytes.extend_from_slice(body);
        }
        let at = at.index(bytes.len() + 1);
        bytes.splice(at..at, noise);
        let limit = 45_000;
        prop_assert!(assembled(&bytes, &cuts, limit) == naive(&bytes, limit));
    }
}

#[test]
fn a_nan_keeps_its_bits() {
    let bits = 0x7ff8_0000_0000_1234;
    let Ok(Value::Float(float)) = decode(&encode(&Value::Float(f64::from_bits(bits)))) else {
        panic!("a float is expected");
    };
    assert_eq!(float.to_bits(), bits);
}

#[test]
fn what_the_protocol_does_not_allow_is_named() {
    for (bytes, error) in [
        (&[][..], ValueError::Truncated { at: 0 }),
        (&[0xc0, 0xc0][..], ValueError::Trailing { count: 1 }),
        (&[0xc1][..], ValueError::Marker { marker: 0xc1, at: 0 }),
        (&[0xd4, 0, 0][..], ValueError::Marker { marker: 0xd4, at: 0 }),
        (&[0xa1, 0xff][..], ValueError::Text { at: 0 }),
        (&[0x81, 0x01, 0xc0][..], ValueError::Key { at: 1 }),
        (&[0xcf, 0x80, 0, 0, 0, 0, 0, 0, 0][..], ValueError::Range { at: 0 }),
        // Four billion items are announced, none is there.
        (&[0xdd, 0xff, 0xff, 0xff, 0xff][..], ValueError::Truncated { at: 5 }),
        (&[0xc6, 0xff, 0xff, 0xff, 0xff][..], ValueError::Truncated { at: 5 }),
    ] {
        assert_eq!(decode(bytes), Err(error.clone()), "{bytes:02x?}");
        assert_eq!(check(bytes), Err(error), "{bytes:02x?}");
    }
}

#[test]
fn depth_has_a_limit_also_for_what_is_spliced() {
    let nested = |depth: usize| {
        let mut bytes = vec![0x91; depth];
        bytes.push(0xc0);
        bytes
    };
    assert_eq!(check(&nested(MAX_DEPTH)), Ok(()));
    assert_eq!(check(&nested(MAX_DEPTH + 1)), Err(ValueError::Depth { limit: MAX_DEPTH }));
    assert_eq!(check(&nested(1_000_000)), Err(ValueError::Depth { limit: MAX_DEPTH }));
    let deepest = Payload::new(nested(MAX_DEPTH).into()).unwrap();
    assert_eq!(Payload::map(&[("x", &deepest)]), Err(ValueError::Depth { limit: MAX_DEPTH }));
    let inner = &deepest.items().unwrap()[0];
    assert!(Payload::map(&[("x", inner)]).is_ok());
}

#[test]
fn a_value_of_very_many_values_is_refused() {
    let count: u32 = 9 << 20;
    let mut bytes = vec![0xdd];
    bytes.extend_from_slice(&count.to_be_bytes());
    bytes.resize(5 + count as usize, 0xc0);
    assert!(matches!(check(&bytes), Err(ValueError::Count { .. })));
}

#[test]
fn what_is_spliced_holds_no_more_values_than_what_is_written() {
    let of = |count: u32| {
        let mut bytes = vec![0xdd];
        bytes.extend_from_slice(&count.to_be_bytes());
        bytes.resize(5 + count as usize, 0xc0);
        Payload::new(bytes.into()).unwrap()
    };
    let many = ValueError::Count { limit: MAX_VALUES };
    // A list, its items, a key for each, and the map: as many as may be.
    let (half, rest) = (of(1 << 22), of((1 << 22) - 5));
    let most = Payload::map(&[("a", &half), ("b", &rest)]).unwrap();
    assert_eq!(check(most.bytes()), Ok(()));
    assert_eq!(Payload::map(&[("a", &half), ("b", &of((1 << 22) - 4))]), Err(many.clone()));
    assert_eq!(Payload::list(&[&half, &half]), Err(many.clone()));
    assert_eq!(Payload::list(&[&most]), Err(many.clone()));
    // Parts that were taken out are counted too.
    let part = most.part("a").unwrap();
    assert_eq!(part, half);
    assert_eq!(Payload::list(&[&part, &half]), Err(many));
    assert!(Payload::list(&[&part, &Payload::none(), &Payload::empty_map()]).is_ok());
}

#[test]
fn an_announced_length_reserves_little() {
    let mut assembler = Assembler::new(64 << 20);
    let head = Header { length: 64 << 20, ..Header::new(Kind::Reply, 1) };
    assembler.feed(&head.encode(), &mut Vec::new()).unwrap();
    let Space::Long(data) = assembler.space() else { panic!("a long frame is expected") };
    assert!(data.capacity() <= 1 << 20, "{}", data.capacity());
}

#[test]
fn numbers_take_their_shortest_form() {
    for (number, length) in [
        (0, 1),
        (127, 1),
        (128, 2),
        (255, 2),
        (256, 3),
        (65_535, 3),
        (65_536, 5),
        (i64::from(u32::MAX), 5),
        (i64::from(u32::MAX) + 1, 9),
        (-1, 1),
        (-32, 1),
        (-33, 2),
        (-128, 2),
        (-129, 3),
        (-32_769, 5),
        (i64::MIN, 9),
    ] {
        assert_eq!(encode(&Value::Int(number)).len(), length, "{number}");
    }
}
