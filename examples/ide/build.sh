#!/bin/sh
# Builds the native example extensions and puts each beside its Symphony.toml.
set -eu
cd "$(dirname "$0")"
cargo build --release --quiet --package lines --package words
built="${CARGO_TARGET_DIR:-../../target}/release"
install -m 755 "$built/lines" extensions/lines/lines
install -m 755 "$built/libwords.so" extensions/words/libwords.so
