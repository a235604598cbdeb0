"""Artifacts as binary files: what the standard library reads and writes, and a file in memory beside them."""

from __future__ import annotations

import array
import csv
import gc
import gzip
import io
import json
import lzma
import pickle
import shutil
import tarfile
import threading
import wave
import zipfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from symphony import InvalidValueError, StoppedError, boot

# Small, in a file of its own, and in chunks.
SIZES = [0, 1, 4000, 65535, 65536, 200_000, 1 << 20, (3 << 20) + 7]


@pytest.fixture(scope="module")
def store():
    with boot() as system:
        yield system.pit.artifacts


def content(size):
    return bytes((n * n + n // 7) % 256 for n in range(min(size, 70_000))) * (size // 70_000 + 1)


def sized(size):
    return content(size)[:size]


def zipped(files):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return out.getvalue()


def test_both_handles_are_buffered_binary_files(store):
    with store.open(store.put(b"x")) as file:
        assert isinstance(file, io.BufferedIOBase)
        assert isinstance(file, io.IOBase)
        assert (file.readable(), file.seekable(), file.writable(), file.isatty()) == (
            True,
            True,
            False,
            False,
        )
    out = store.writer()
    assert isinstance(out, io.BufferedIOBase)
    assert (out.readable(), out.seekable(), out.writable(), out.isatty()) == (
        False,
        False,
        True,
        False,
    )
    out.discard()


@pytest.mark.parametrize("size", SIZES)
def test_the_standard_library_reads_it(store, size):
    data = sized(size)
    files = {"a": data, "folder/b": b"b"}
    archive = zipfile.ZipFile(store.open(store.put(zipped(files))))
    assert archive.testzip() is None
    assert {name: archive.read(name) for name in archive.namelist()} == files
    plain = store.put(data)
    target = io.BytesIO()
    shutil.copyfileobj(store.open(plain), target)
    assert target.getvalue() == data
    packed = store.put(gzip.compress(data, 1))
    assert gzip.GzipFile(fileobj=store.open(packed)).read() == data
    with lzma.open(store.open(store.put(lzma.compress(data, preset=0)))) as plain:
        assert plain.read() == data
    tape = io.BytesIO()
    with tarfile.open(fileobj=tape, mode="w") as members:
        member = tarfile.TarInfo("m")
        member.size = size
        members.addfile(member, io.BytesIO(data))
    for mode in ("r:", "r|"):
        with tarfile.open(fileobj=store.open(store.put(tape.getvalue())), mode=mode) as members:
            first = members.next()
            assert members.extractfile(first).read() == data
    value = {"data": data, "list": list(range(1000))}
    for protocol in (2, 4, 5):
        assert pickle.load(store.open(store.put(pickle.dumps(value, protocol)))) == value
    text = {"numbers": list(range(size % 5000))}
    assert json.load(store.open(store.put(json.dumps(text)))) == text


def test_text_line_by_line(store):
    lines = [f"{n},grüße,{'x' * (n % 300)}\n" for n in range(5000)]
    file = io.TextIOWrapper(store.open(store.put("".join(lines))), encoding="utf-8", newline="")
    assert list(csv.reader(file)) == [line.rstrip("\n").split(",") for line in lines]
    file.seek(0)
    assert file.readline() == lines[0]
    assert list(store.open(store.put("a\nb\n\nc"))) == [b"a\n", b"b\n", b"\n", b"c"]
    reader = io.BufferedReader(store.open(store.put("".join(lines))))
    assert reader.readlines() == [line.encode() for line in lines]


def test_a_file_that_is_none_of_that_kind_is_refused_as_ever(store):
    for data in (b"", b"abc", b"x" * 100_000):
        with pytest.raises(zipfile.BadZipFile):
            zipfile.ZipFile(store.open(store.put(data)))
        with pytest.raises(tarfile.ReadError):
            tarfile.TarFile.gzopen(None, fileobj=store.open(store.put(data)))


def test_what_an_artifact_does_not_do(store):
    file = store.open(store.put(b"abc"))
    for refused in (
        file.fileno,
        file.detach,
        file.truncate,
        lambda: file.write(b""),
        lambda: file.writelines([]),
    ):
        with pytest.raises(io.UnsupportedOperation):
            refused()
    for target in (b"xx", memoryview(b"xx")):
        with pytest.raises(TypeError, match="writ"):
            file.readinto(target)
    for wrong in ("", None, 3):
        with pytest.raises(TypeError):
            file.readinto(wrong)
    with pytest.raises(OSError, match="before the start") as caught:
        file.seek(-4, 2)
    assert caught.value.errno == 22
    with pytest.raises(OverflowError):
        file.read(1 << 70)
    with pytest.raises(TypeError):
        file.seek(1.0)
    assert file.read(1 << 62) == b"abc"


def test_a_closed_one_does_nothing(store):
    file = store.open(store.put(b"abc\n"))
    file.close()
    file.close()
    assert file.closed
    for call in (
        file.read,
        file.read1,
        file.peek,
        file.readline,
        file.readlines,
        file.tell,
        file.readable,
        file.seekable,
        file.writable,
        file.flush,
        file.__enter__,
        lambda: next(file),
        lambda: iter(file),
        lambda: file.readinto(bytearray(1)),
        lambda: file.seek(0),
        lambda: file.size,
    ):
        with pytest.raises(ValueError, match="closed"):
            call()


CALLS = st.one_of(
    st.tuples(st.just("read"), st.integers(-2, 90_000) | st.none()),
    st.tuples(st.just("readline"), st.integers(-2, 90_000) | st.none()),
    st.tuples(st.just("readlines"), st.integers(-2, 5000) | st.none()),
    st.tuples(st.just("readinto"), st.integers(0, 90_000)),
    st.tuples(st.just("seek"), st.integers(0, 300_000)),
    st.tuples(st.just("seek"), st.integers(-300_000, 300_000), st.sampled_from([1, 2])),
    st.tuples(st.just("tell")),
    st.tuples(st.just("next")),
)
# Around the sizes of the buffer, a file of its own, and chunks.
CONTENTS = st.builds(
    lambda size, every: b"\n".join(sized(size)[n : n + every] for n in range(0, size, every)),
    st.sampled_from([0, 1, 100, 65_535, 65_536, 65_600, 150_000, 1_048_576, 2_500_000]),
    st.integers(20_000, 100_000),
)


@settings(max_examples=60, deadline=None)
@given(CONTENTS, st.lists(CALLS, max_size=12))
def test_it_reads_as_a_file_in_memory_does(store, data, calls):
    file, model = store.open(store.put(data)), io.BytesIO(data)
    for name, *arguments in calls:
        if name == "readinto":
            mine, right = bytearray(arguments[0]), bytearray(arguments[0])
            assert file.readinto(mine) == model.readinto(right)
            assert mine == right
        elif name == "next":
            assert next(file, None) == next(model, None)
        elif name == "seek" and len(arguments) == 2:
            base = model.tell() if arguments[1] == 1 else len(data)
            if base + arguments[0] < 0:
                # A real file refuses what one in memory brings to its start.
                with pytest.raises(OSError, match="before the start"):
                    file.seek(*arguments)
            else:
                assert file.seek(*arguments) == model.seek(*arguments)
        else:
            assert getattr(file, name)(*arguments) == getattr(model, name)(*arguments)
        assert file.tell() == model.tell()
        ahead = file.peek()
        some = file.read1(700)
        assert len(some) <= 700
        assert bool(some) == bool(ahead) == (model.tell() < len(data))
        assert ahead.startswith(some)
        assert model.read(len(some)) == some


def test_a_buffer_of_other_items_is_filled(store):
    numbers = array.array("i", range(1000))
    target = array.array("i", [0] * 1000)
    assert store.open(store.put(numbers)).readinto(target) == 4000
    assert target == numbers
    with pytest.raises(TypeError):
        store.open(store.put(b"abc")).readinto(memoryview(bytearray(9))[::2])


def test_threads_that_share_one_file_divide_it(store):
    data = sized(1 << 20)
    file, parts, lock = store.open(store.put(data)), [], threading.Lock()

    def work():
        while part := file.read(1000):
            with lock:
                parts.append(part)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(parts) == sorted(data[n : n + 1000] for n in range(0, len(data), 1000))


# Writing -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("piece", [999, 70_000, 5 << 20])
def test_what_is_written_piece_by_piece_is_what_is_put(size, piece):
    data = sized(size)
    with boot() as system:
        store = system.pit.artifacts
        with store.writer(name="n", tags=["t"]) as out:
            for start in range(0, size, piece):
                part = data[start : start + piece]
                assert out.write(part) == len(part)
            assert out.tell() == size
            assert store.find() == []
        assert out.closed
        assert store.find(name="n", tag="t") == [out.id]
        assert store.get(out.id) == data
        assert store.put(data) == out.id
        assert store.put(io.BytesIO(data)) == out.id
        assert (store.stats()["artifacts"], store.stats()["deduplicated"]) == (1, 2)


def test_the_standard_library_writes_it(store):
    files = {"a": sized(100_000), "b": b""}
    with store.writer() as out, zipfile.ZipFile(out, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    with zipfile.ZipFile(store.open(out.id)) as archive:
        assert {name: archive.read(name) for name in archive.namelist()} == files
    with store.writer() as out, io.TextIOWrapper(out, encoding="utf-8") as text:
        text.write("grüße\n")
    assert store.get(out.id).decode() == "grüße\n"
    with store.writer() as out, gzip.GzipFile(fileobj=out, mode="wb") as packed:
        packed.write(b"abc" * 1000)
    assert gzip.decompress(store.get(out.id)) == b"abc" * 1000
    with store.writer() as out:
        pickle.dump(files, out)
    assert pickle.load(store.open(out.id)) == files
    with store.writer() as out, tarfile.open(fileobj=out, mode="w|") as tape:
        tape.addfile(tarfile.TarInfo("m"))
    with tarfile.open(fileobj=store.open(out.id)) as tape:
        assert tape.getnames() == ["m"]
    with store.writer() as out:
        out.writelines([b"a", bytearray(b"b"), memoryview(b"c"), array.array("H", [25_700])])
    assert store.get(out.id) == b"abcdd"
    sound = io.BytesIO()
    with wave.open(sound, "wb") as track:
        track.setparams((1, 2, 8000, 4, "NONE", ""))
        track.writeframes(b"\0" * 8)
    with wave.open(store.open(store.put(sound.getvalue()))) as track:
        assert track.getnframes() == 4


def test_without_a_with_its_close_stores_it(store):
    out = store.writer()
    out.write(b"closed")
    with pytest.raises(ValueError, match="not stored yet"):
        _ = out.id
    out.close()
    out.close()
    out.discard()
    assert store.get(out.id) == b"closed"
    text = io.TextIOWrapper(store.writer(name="text"), encoding="utf-8")
    text.write("x")
    text.close()
    assert [store.get(artifact) for artifact in store.find(name="text")] == [b"x"]


class MistakeError(Exception):
    """What ends the writing."""


def mistake_while_writing(store):
    with store.writer() as out:
        out.write(b"x" * 3_000_000)
        raise MistakeError


def mistake_while_writing_text(store):
    with store.writer() as out, io.TextIOWrapper(out) as text:
        text.write("x" * 3_000_000)
        raise MistakeError


def mistake_of_the_source(store):
    class Source:
        def __init__(self):
            self.reads = 0

        def read(self, size):
            self.reads += 1
            if self.reads > 3:
                raise MistakeError
            return b"x" * size

    store.put(Source())


def taken_back(store):
    with store.writer() as out:
        out.write(b"x" * 3_000_000)
        out.discard()
    raise MistakeError


def let_go_of(store):
    store.writer().write(b"x" * 3_000_000)
    gc.collect()
    raise MistakeError


@pytest.mark.parametrize(
    "mistake",
    [
        mistake_while_writing,
        mistake_while_writing_text,
        mistake_of_the_source,
        taken_back,
        let_go_of,
    ],
)
def test_of_what_was_given_up_nothing_stays(workshop, mistake):
    with boot(config=workshop.config) as system:
        store = system.pit.artifacts
        with pytest.raises(MistakeError):
            mistake(store)
        assert store.find() == []
        large = [path for path in workshop.folder.rglob("*") if path.stat().st_size > 500_000]
        assert large == []


def test_what_a_writer_does_not_do(store):
    with store.writer() as out:
        for refused in (out.fileno, out.detach, out.truncate, out.read, lambda: out.seek(0)):
            with pytest.raises(io.UnsupportedOperation):
                refused()
        with pytest.raises(TypeError, match="TextIOWrapper"):
            out.write("text")
        with pytest.raises(TypeError, match="not int"):
            out.write(3)
        out.write(b"kept")
    assert store.get(out.id) == b"kept"
    for call in (
        out.tell,
        out.flush,
        out.writable,
        out.readable,
        out.seekable,
        out.__enter__,
        lambda: out.write(b""),
    ):
        with pytest.raises(ValueError, match="closed"):
            call()
    gone = store.writer()
    gone.discard()
    with pytest.raises(ValueError, match="discarded"):
        _ = gone.id
    with pytest.raises(InvalidValueError, match="tag"):
        store.writer(tags=["\n"])
    with pytest.raises(InvalidValueError, match="`zz`"):
        store.writer(parents=["zz"])


def test_a_file_is_put_from_where_it_stands(store, tmp_path):
    path = tmp_path / "file"
    path.write_bytes(sized(3_000_000))
    with path.open("rb") as file:
        file.seek(100)
        assert store.get(store.put(file)) == sized(3_000_000)[100:]
        assert not file.closed
    with store.open(store.put(b"from one to another")) as file:
        assert store.get(store.put(file, name="copy")) == b"from one to another"
    with path.open("w") as file:
        file.write("text")
    with path.open() as file, pytest.raises(TypeError, match="gave str"):
        store.put(file)


def test_after_the_shutdown():
    with boot() as system:
        store = system.pit.artifacts
        out, late = store.writer(), store.writer()
        out.write(b"x" * 100_000)
        artifact = store.put(b"y" * 200_000)
        file, large = store.open(artifact), store.open(store.put(sized(2 << 20)))
    for call in (lambda: out.write(b""), late.close):
        with pytest.raises(StoppedError):
            call()
    with pytest.raises(ValueError, match="a `write` to it failed"):
        out.close()
    out.close()
    late.discard()
    for handle in (file, large):
        with pytest.raises(StoppedError):
            handle.read()
        handle.close()
