//! The library as Symphony uses it: loaded from its file and called through the C table.

use std::collections::BTreeMap;
use std::path::PathBuf;

use pit::library::{LoadOptions, PitLibrary};
use serde::Deserialize;

#[derive(Deserialize)]
struct Found {
    distinct: usize,
}

/// The library that cargo built for this test: beside it, or one folder above.
fn library() -> PathBuf {
    let test = std::env::current_exe().expect("the test has a file");
    test.ancestors()
        .skip(1)
        .take(2)
        .map(|folder| folder.join("libwords.so"))
        .find(|file| file.is_file())
        .expect("cargo builds the library before its tests")
}

#[test]
fn it_is_loaded_and_called() {
    let words = PitLibrary::load(&library(), &LoadOptions::default()).expect("it loads");
    assert_eq!((words.name(), words.operations()), ("words", &["words".to_owned()][..]));

    let input = rmp_serde::to_vec_named(&BTreeMap::from([("source", "first = second(first)")]));
    let output = words.call("words", &input.expect("a text can be written")).expect("it answers");
    let found: Found = rmp_serde::from_slice(&output).expect("it answers with a map");
    assert_eq!(found.distinct, 2);

    let refused = words.call("words", b"\xc1").expect_err("this is no msgpack");
    assert!(refused.to_string().contains("inputs of `words`"), "{refused}");
    assert!(words.call("count", b"\x80").is_err());
}
